/// The events of a file, as bytes of whole records: a length, its checksum, the event, its checksum (TFRecord).
struct EventRecords {
    private(set) var bytes: [UInt8] = []
    private var event = EventMessage()
    private var summary = EventMessage()

    /// Bytes that every record has besides its event.
    static let frame = 16

    mutating func removeAll() { bytes.removeAll(keepingCapacity: true) }

    /// What a file begins with.
    mutating func addVersion(time: Double) {
        add(time: time, step: 0) { $0.add(3, text: "brain.Event:2") }
    }

    /// That the run goes on from here: readers drop older points of this step and later ones.
    mutating func addStart(time: Double, step: Int) {
        add(time: time, step: step) { $0.add(7) { $0.add(1, number: 1) } }
    }

    /// Values of one step.
    /// - Parameter fill: adds the values.
    mutating func addSummary(time: Double, step: Int, _ fill: (inout EventMessage) -> Void) {
        summary.removeAll()
        fill(&summary)
        let values = summary.bytes
        add(time: time, step: step) { $0.add(5, values) }
    }

    /// A text, which TensorBoard reads as Markdown.
    mutating func addText(time: Double, step: Int, tag: String, _ text: String) {
        addSummary(time: time, step: step) { summary in
            summary.add(1) { value in
                value.add(1, text: tag)
                value.add(8) { tensor in
                    tensor.add(1, number: 7)  // DT_STRING
                    tensor.add(2) { $0.add(2) { $0.add(1, number: 1) } }
                    tensor.add(8, text: text)
                }
                value.add(9) { $0.add(1) { $0.add(1, text: "text") } }
            }
        }
    }

    /// - Parameter time: seconds since 1970.
    private mutating func add(time: Double, step: Int, _ fill: (inout EventMessage) -> Void) {
        event.removeAll()
        event.add(1, double: time)
        if step != 0 { event.add(2, number: step) }
        fill(&event)
        let start = bytes.count
        addLittleEndian(UInt64(event.bytes.count), to: &bytes)
        addLittleEndian(CRC32C.masked(bytes, start..<start + 8), to: &bytes)
        bytes += event.bytes
        addLittleEndian(CRC32C.masked(bytes, start + 12..<bytes.count), to: &bytes)
    }
}

/// A tag as it stands before each of its values, made once.
struct EventTag {
    private let fields: [UInt8]

    init(_ tag: String) {
        var name = EventMessage()
        name.add(1, text: tag)
        fields = name.bytes
    }

    /// Bytes of a value, without its key and length.
    private var size: Int { fields.count + 5 }

    /// Adds a value of this tag to a summary.
    func add(_ value: Double, to summary: inout EventMessage) {
        summary.addHead(1, size: size)
        summary.add(fields: fields)
        summary.add(2, float: Float(value))
    }
}
