import Checkpointing
import DataParallel
import Kernels
import Optimization
import TokenData
import Transformer

// The errors that know their exit code, from every module below.

extension TrainingError: ExitCoded {}
extension TokenDataError: ExitCoded {}
extension CheckpointError: ExitCoded {}
extension RankDisagreement: ExitCoded {}
extension ScheduleError: ExitCoded {}
extension KernelError: ExitCoded {}
extension GPTConfigurationError: ExitCoded {}
