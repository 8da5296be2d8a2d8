// The stored form. Decoding goes through the checking initializer, so a file cannot hold a schedule that flags could
// not ask for. Keys are snake_case, as in the other files of a checkpoint.

extension LearningRateSchedule: Codable {
    private enum CodingKeys: String, CodingKey {
        case kind
        case base = "base_learning_rate"
        case warmupSteps = "warmup_steps"
        case totalSteps = "total_steps"
        case minimum = "min_learning_rate"
        case decaySteps = "decay_steps"
        case rewarm
    }

    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        try self.init(
            kind: values.decode(Kind.self, forKey: .kind),
            base: values.decode(Double.self, forKey: .base),
            warmupSteps: values.decode(Int.self, forKey: .warmupSteps),
            totalSteps: values.decode(Int.self, forKey: .totalSteps),
            minimum: values.decode(Double.self, forKey: .minimum),
            decaySteps: values.decode(Int.self, forKey: .decaySteps),
            rewarm: values.decodeIfPresent(Rewarm.self, forKey: .rewarm))
    }

    public func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(kind, forKey: .kind)
        try values.encode(base, forKey: .base)
        try values.encode(warmupSteps, forKey: .warmupSteps)
        try values.encode(totalSteps, forKey: .totalSteps)
        try values.encode(minimum, forKey: .minimum)
        try values.encode(decaySteps, forKey: .decaySteps)
        try values.encodeIfPresent(rewarm, forKey: .rewarm)
    }
}

extension SchedulerState: Codable {
    private enum CodingKeys: String, CodingKey {
        case schedule
        case step
        case nextLearningRate = "next_learning_rate"
        case nextLearningRateBits = "next_learning_rate_bits"
    }

    /// The rate is stored twice: as a decimal for people and as its 64 bits in hexadecimal; they must agree.
    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        let rate = try values.decode(Double.self, forKey: .nextLearningRate)
        let bits = try values.decode(String.self, forKey: .nextLearningRateBits)
        guard bits == Self.hexadecimal(rate) else {
            throw ScheduleError.corrupt(
                "next_learning_rate is \(rate), with the bits \(Self.hexadecimal(rate)), "
                    + "but next_learning_rate_bits is \(bits.prefix(32))")
        }
        self.init(
            schedule: try values.decode(LearningRateSchedule.self, forKey: .schedule),
            step: try values.decode(Int.self, forKey: .step), nextLearningRate: rate)
    }

    public func encode(to encoder: any Encoder) throws {
        var values = encoder.container(keyedBy: CodingKeys.self)
        try values.encode(schedule, forKey: .schedule)
        try values.encode(step, forKey: .step)
        try values.encode(nextLearningRate, forKey: .nextLearningRate)
        try values.encode(Self.hexadecimal(nextLearningRate), forKey: .nextLearningRateBits)
    }

    private static func hexadecimal(_ rate: Double) -> String {
        let digits = String(rate.bitPattern, radix: 16)
        return "0x" + String(repeating: "0", count: 16 - digits.count) + digits
    }
}
