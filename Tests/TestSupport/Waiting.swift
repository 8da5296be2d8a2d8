import Foundation
import Glibc

/// Waits until something is so; false after `seconds`. Long enough for a machine that other work keeps busy.
package func waitUntil(seconds: Double = 60, _ condition: () -> Bool) -> Bool {
    let deadline = Date(timeIntervalSinceNow: seconds)
    while !condition() {
        guard Date() < deadline else { return false }
        Thread.sleep(forTimeInterval: 0.01)
    }
    return true
}

extension Subprocess {
    /// Waits until all these processes have ended; false after a minute.
    package static func waitForEnd(of processes: some Sequence<Int32>) -> Bool {
        waitUntil { !processes.contains(where: isAlive) }
    }

    /// Waits until each of these processes has computed for so many more seconds, which says more of how far they are than
    /// the clock does; false after two minutes, or when one ends.
    package static func waitForWork(_ seconds: Double, of processes: [Int32]) -> Bool {
        let start = processes.map(computedSeconds)
        let isOver = waitUntil(seconds: 120) {
            zip(processes, start).allSatisfy { !isAlive($0) || computedSeconds($0) - $1 >= seconds }
        }
        return isOver && processes.allSatisfy(isAlive)
    }

    private static func computedSeconds(_ id: Int32) -> Double {
        let ticks = state(of: id).map { $0.dropFirst(11).prefix(2).compactMap { Double($0) }.reduce(0, +) } ?? 0
        return ticks / Double(sysconf(Int32(_SC_CLK_TCK)))
    }
}
