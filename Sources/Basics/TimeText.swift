import Glibc

/// A span of time for people, such as `2 h 3 min`; `?` where it is no number or beyond any run.
/// - Parameter seconds: 0 or more.
package func timeText(_ seconds: Double) -> String {
    guard seconds.isFinite, seconds < 1e7 else { return "?" }
    let total = Int(seconds.rounded())
    let (hours, minutes) = (total / 3600, total / 60 % 60)
    return hours > 0 ? "\(hours) h \(minutes) min" : minutes > 0 ? "\(minutes) min \(total % 60) s" : "\(total) s"
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
    var now = timespec()
    clock_gettime(CLOCK_REALTIME, &now)
    return timestamp(seconds: now.tv_sec, nanoseconds: now.tv_nsec)
}
