extension Machine {
    /// The child processes of `parent` that a signal holds, each with a variable of its environment.
    package func stoppedChildren(of parent: Int32, variable: String) -> [(process: Int32, value: String)] {
        let names = (try? LocalFileSystem().names(in: FilePath(root + "/proc"))) ?? []
        return names.compactMap { Int32($0.string) }.sorted().compactMap { process in
            // 4711 (swiftlet) T 4700 …, where the name may hold anything but a newline.
            let words = lines("/proc/\(process)/stat").first?.split(separator: ")").last?.split(separator: " ") ?? []
            guard words.count > 1, words[0] == "T", Int32(words[1]) == parent else { return nil }
            let environment = lines("/proc/\(process)/environ").flatMap { $0.split(separator: "\0") }
            guard let found = environment.first(where: { $0.hasPrefix(variable + "=") }) else { return nil }
            return (process, String(found.dropFirst(variable.utf8.count + 1)))
        }
    }
}
