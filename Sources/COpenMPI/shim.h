/* Found through pkg-config (ompi-c). Only CMPI includes mpi.h itself. */
