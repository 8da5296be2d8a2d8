/// A protocol buffer message under construction, as far as events need them: numbers, texts, messages in messages.
///
/// Field numbers are those of TensorFlow's `event.proto`, `summary.proto` and `tensor.proto`.
struct EventMessage {
    private(set) var bytes: [UInt8] = []

    /// A whole number from 0; 0 stands for itself, where the schema would let it be left out.
    mutating func add(_ field: Int, number: Int) {
        addKey(field, wire: 0)
        addVarint(UInt64(number))
    }

    /// A double: 8 bytes, the lowest first.
    mutating func add(_ field: Int, double: Double) {
        addKey(field, wire: 1)
        addLittleEndian(double.bitPattern, to: &bytes)
    }

    /// A float: 4 bytes, the lowest first.
    mutating func add(_ field: Int, float: Float) {
        addKey(field, wire: 5)
        addLittleEndian(float.bitPattern, to: &bytes)
    }

    /// A text or a message: its length, then its bytes.
    mutating func add(_ field: Int, _ content: [UInt8]) {
        addKey(field, wire: 2)
        addVarint(UInt64(content.count))
        bytes += content
    }

    mutating func add(_ field: Int, text: String) { add(field, Array(text.utf8)) }

    mutating func add(_ field: Int, _ build: (inout EventMessage) -> Void) {
        var inner = EventMessage()
        build(&inner)
        add(field, inner.bytes)
    }

    /// Bytes that are fields already.
    mutating func add(fields: [UInt8]) { bytes += fields }

    /// Empties the message and keeps its memory.
    mutating func removeAll() { bytes.removeAll(keepingCapacity: true) }

    /// The beginning of a message whose fields follow, `size` bytes of them.
    mutating func addHead(_ field: Int, size: Int) {
        addKey(field, wire: 2)
        addVarint(UInt64(size))
    }

    private mutating func addKey(_ field: Int, wire: Int) { addVarint(UInt64(field << 3 | wire)) }

    private mutating func addVarint(_ value: UInt64) {
        var rest = value
        while rest > 0x7F {
            bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
            rest >>= 7
        }
        bytes.append(UInt8(rest))
    }
}

/// Adds a number's bytes, the lowest first, without memory of their own.
func addLittleEndian(_ value: some FixedWidthInteger, to bytes: inout [UInt8]) {
    for shift in stride(from: 0, to: value.bitWidth, by: 8) { bytes.append(UInt8(truncatingIfNeeded: value >> shift)) }
}
