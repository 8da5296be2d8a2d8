import CMPI

extension MPICommunicator {
    /// The name and version of the MPI library that is loaded, such as `Open MPI v4.1.4`; MPI need not run.
    package static var libraryVersion: String { String(cString: cmpi_version()) }
}
