import Basics

extension OptionList {
    /// The options of the newest start in a run directory, as its `config.json` has them; nil where there is none.
    /// - Throws: exit code 65 where it is no object of texts, 66 where it cannot be read.
    package init?(ofNewestStartIn runDirectory: FilePath, fileSystem: any FileSystem = LocalFileSystem()) throws {
        let path = runDirectory.appending("config.json")
        let limit = TrainerState.sizeLimit
        guard let bytes = try InputFile.contents(ifPresent: path, limit: limit, fileSystem: fileSystem) else {
            return nil
        }
        self = try naming(path.shown) { try OptionList(JSON(bytes, sizeLimit: limit)) }
    }
}
