/// Memory that matrix products use one after another. It grows while products are planned with it.
package final class Workspace {
    /// The threads and primitives of the products.
    package let compute: Compute
    let memory: Memory
    /// The packed right operand of products that have none of their own.
    let operand: PackedOperand
    // A thread's own, by its number: what oneDNN asks for, its part of a left operand that is turned round, the rows that
    // `Packing.transpose` gathers, and its part of some columns of a result.
    private(set) var scratch: [Buffer<UInt8>] = []
    private(set) var turned: [Buffer<UInt8>] = []
    private(set) var gathered: [Buffer<UInt8>] = []
    private(set) var results: [Buffer<UInt8>] = []

    /// - Throws: `KernelError` when memory cannot be reserved.
    package init(_ compute: Compute, memory: Memory = Memory()) throws(KernelError) {
        self.compute = compute
        self.memory = memory
        operand = try PackedOperand(memory)
        for _ in 0..<compute.pool.threadCount {
            scratch.append(try memory.buffer(.scratch, 64))
            turned.append(try memory.buffer(.scratch, 64))
            gathered.append(try memory.buffer(.scratch, Packing.gatheredBytes))
            results.append(try memory.buffer(.scratch, 0))
        }
    }

    /// Room in every thread for this much of oneDNN's scratch, of a turned operand and of a result, in bytes.
    func reserve(scratch: Int = 0, turned: Int = 0, result: Int = 0) throws(KernelError) {
        for thread in gathered.indices {
            try memory.grow(&self.scratch[thread], to: scratch, .scratch)
            try memory.grow(&self.turned[thread], to: turned, .scratch)
            try memory.grow(&results[thread], to: result, .scratch)
        }
    }
}
