import Glibc

/// A span of time for people, such as `2 h 3 min`; `?` where it is no number or beyond any run.
/// - Parameter seconds: 0 or more.
package func timeText(_ seconds: Double) -> String {
    guard seconds.isFinite, seconds < 1e7 else { return "?" }
    let total = Int(seconds.rounded())
    let (hours, minutes) = (total / 3600, total / 60 % 60)
    return hours > 0 ? "\(hours) h \(minutes) min" : minutes > 0 ? "\(minutes) min \(total % 60) s" : "\(total) s"
}

/// The same for times of all sizes, from parts of a millisecond to years.
package func durationText(_ seconds: Double) -> String {
    guard seconds.isFinite, seconds < 1e10 else { return "?" }
    if seconds < 1 { return "\(fixed(seconds * 1000, seconds < 0.01 ? 2 : seconds < 0.1 ? 1 : 0)) ms" }
    if seconds < 60 { return "\(fixed(seconds, 1)) s" }
    guard seconds >= 86_400 else { return timeText(seconds) }
    let hours = Int(seconds.rounded()) / 3600
    return "\(hours / 24) d \(hours % 24) h"
}

/// A moment as RFC 3339 has it, in UTC with milliseconds: `2026-11-28T00:10:55.120Z`.
/// - Parameters:
///   - seconds: whole seconds since 1970.
///   - nanoseconds: of the second.
package func timestamp(seconds: Int, nanoseconds: Int) -> String {
    var (time, parts) = (time_t(seconds), tm())
    gmtime_r(&time, &parts)
    func two(_ value: Int32) -> String { padded("\(value)", to: 2) }
    return "\(padded("\(parts.tm_year + 1900)", to: 4))-\(two(parts.tm_mon + 1))-\(two(parts.tm_mday))T"
        + "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))."
        + "\(padded("\(nanoseconds / 1_000_000)", to: 3))Z"
}

/// This moment as `timestamp` writes it.
package func currentTimestamp() -> String {
    let now = timeOfDay()
    return timestamp(seconds: now.tv_sec, nanoseconds: now.tv_nsec)
}

/// Seconds since 1970, with their fractions.
package func secondsSince1970() -> Double {
    let now = timeOfDay()
    return Double(now.tv_sec) + Double(now.tv_nsec) / 1e9
}

private func timeOfDay() -> timespec {
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    return now
}
