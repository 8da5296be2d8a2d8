// What this build was made of, as far as Package.swift and the C compiler know it.
#pragma once

/// The git commit that it was built from, with `-dirty` where the tree had changes; empty where the build was not told.
const char *cbuild_commit(void);

/// The CPU that the kernels were compiled for, as `-march` has it: `native`, or the name of one.
const char *cbuild_cpu(void);

/// The C compiler, which is of the Swift toolchain.
const char *cbuild_compiler(void);
