// CPU instructions that Swift has no name for, one inline function each. Where the CPU that the code is compiled for
// lacks one, its function is the plain C beside it.
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef float instructions_float16 __attribute__((ext_vector_type(16)));
typedef uint32_t instructions_uint16x32 __attribute__((ext_vector_type(16)));
typedef uint16_t instructions_uint16x16 __attribute__((ext_vector_type(16)));

#define INSTRUCTION static inline __attribute__((always_inline))

/// Asks for the cache line at this address, which need not be valid, to be in the L2 cache soon.
INSTRUCTION void instructions_prefetch(const void *address) { __builtin_prefetch(address, 0, 2); }

/// `instructions_dot_bf16` in plain C.
INSTRUCTION instructions_float16 instructions_plain_dot_bf16(
    instructions_float16 sum, instructions_uint16x32 a, instructions_uint16x32 b) {
    const instructions_uint16x32 high = (instructions_uint16x32)(0xffff0000u);
    sum += (instructions_float16)(a & high) * (instructions_float16)(b & high);
    return sum + (instructions_float16)(a << 16) * (instructions_float16)(b << 16);
}

/// `instructions_round_bf16` in plain C.
INSTRUCTION instructions_uint16x16 instructions_plain_round_bf16(instructions_float16 x) {
    const instructions_uint16x32 bits = (instructions_uint16x32)x;
    const instructions_uint16x32 magnitude = bits & 0x7fffffffu;
    const instructions_uint16x32 nan = (instructions_uint16x32)(magnitude > 0x7f800000u);
    const instructions_uint16x32 small = (instructions_uint16x32)(magnitude < 0x00800000u);
    instructions_uint16x32 rounded = bits + 0x7fffu + ((bits >> 16) & 1u);
    rounded = (rounded & ~nan) | ((bits | 0x00400000u) & nan);
    rounded = (rounded & ~small) | (bits & 0x80000000u & small);
    return __builtin_convertvector(rounded >> 16, instructions_uint16x16);
}

#ifdef __AVX512BF16__
#include <immintrin.h>

/// Whether the CPU that this is compiled for has bf16 instructions.
INSTRUCTION bool instructions_have_bf16(void) { return true; }

/// sum + a.low · b.low + a.high · b.high in each lane, where a lane of a and b holds two bf16 numbers.
INSTRUCTION instructions_float16 instructions_dot_bf16(
    instructions_float16 sum, instructions_uint16x32 a, instructions_uint16x32 b) {
    return (instructions_float16)_mm512_dpbf16_ps((__m512)sum, (__m512bh)a, (__m512bh)b);
}

/// Rounds to bf16, to nearest, ties to even. Numbers below the normal range become zero, NaNs quiet ones.
INSTRUCTION instructions_uint16x16 instructions_round_bf16(instructions_float16 x) {
    return (instructions_uint16x16)_mm512_cvtneps_pbh((__m512)x);
}
#else
INSTRUCTION bool instructions_have_bf16(void) { return false; }

INSTRUCTION instructions_float16 instructions_dot_bf16(
    instructions_float16 sum, instructions_uint16x32 a, instructions_uint16x32 b) {
    return instructions_plain_dot_bf16(sum, a, b);
}

INSTRUCTION instructions_uint16x16 instructions_round_bf16(instructions_float16 x) {
    return instructions_plain_round_bf16(x);
}
#endif
