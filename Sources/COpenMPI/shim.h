/* Found through pkg-config (ompi-c): this target only carries the compiler and linker flags. CMPI includes mpi.h. */
