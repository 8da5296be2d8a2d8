/// A schedule and the step it stands at. The step moves only with the optimizer's.
package struct LearningRateScheduler: Equatable, Sendable {
    /// The curve.
    package let schedule: LearningRateSchedule
    /// How many updates were made: the number, from 0, of the next one.
    package private(set) var step: Int

    /// - Precondition: `step` is not negative.
    package init(schedule: LearningRateSchedule, step: Int = 0) {
        precondition(step >= 0, "a scheduler has no step below 0")
        self.schedule = schedule
        self.step = step
    }

    /// The rate of the next update. After `advance()` this is the number of the log line.
    package var learningRate: Double { schedule.rate(at: step) }

    /// Counts one optimizer update.
    package mutating func advance() { step += 1 }

    /// What a checkpoint stores.
    package var state: SchedulerState {
        SchedulerState(schedule: schedule, step: step, nextLearningRate: learningRate)
    }
}

/// What a checkpoint holds of the scheduler: the definition, the step, and the rate that comes next, as a check.
package struct SchedulerState: Equatable, Sendable {
    /// The definition.
    package let schedule: LearningRateSchedule
    /// The number, from 0, of the next update.
    package let step: Int
    /// The rate of that update, as it was computed when the state was saved.
    package let nextLearningRate: Double

    package init(schedule: LearningRateSchedule, step: Int, nextLearningRate: Double) {
        self.schedule = schedule
        self.step = step
        self.nextLearningRate = nextLearningRate
    }

    /// Recomputes the rate from the definition and compares bit for bit (exit code 65 on a difference).
    package func verify() throws(ScheduleError) {
        guard (0...LearningRateSchedule.largestStep).contains(step) else {
            throw .corrupt("step is \(step), expected 0 to \(LearningRateSchedule.largestStep)")
        }
        let computed = schedule.rate(at: step)
        guard computed.bitPattern == nextLearningRate.bitPattern else {
            throw .inconsistent(step: step, saved: nextLearningRate, computed: computed)
        }
    }
}
