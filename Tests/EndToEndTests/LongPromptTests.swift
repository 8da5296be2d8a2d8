import Foundation
import TestSupport
import Testing

extension EndToEnd {
    @Suite(.serialized) struct LongPromptTests {
        /// With a context of 32, the newest 32 of 33 tokens are left.
        @Test("S10: a prompt longer than the context is told, with what is cut")
        func aLongPromptIsTold() throws {
            let workspace = try Workspace()
            #expect(try workspace.train("run", ["--stop-after", "1"]).status == 75)
            // Bytes that no merge of this text covers: a token each.
            let arguments = ["generate", "--checkpoint", "run", "--max-tokens", "2", "--prompt"]
            let whole = try workspace.run(arguments + [String(repeating: "#", count: 32)])
            #expect(whole.status == 0 && whole.standardError.isEmpty, "\(whole)")
            let prompt = "#" + String(repeating: "@", count: 32)
            let cut = try workspace.run(arguments + [prompt])
            #expect(cut.status == 0, "\(cut)")
            #expect(cut.warningLines.count == 1, "\(cut)")
            let line = cut.warningLines.first ?? ""
            #expect(
                line.contains("the prompt has 33 tokens, the model's context 32: its first 1 are not seen"), "\(cut)")
            #expect(line.contains("begins with \"@@@@@@@@\""), "\(cut)")
            #expect(cut.standardOutput.hasPrefix(prompt))
        }
    }
}
