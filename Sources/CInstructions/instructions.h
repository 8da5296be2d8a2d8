// CPU instructions that Swift has no name for, one inline function each. Where the CPU that the code is compiled for
// lacks one, its function is the plain C beside it.
#pragma once

#include <stdint.h>

typedef float instructions_float16 __attribute__((ext_vector_type(16)));
typedef uint32_t instructions_uint16x32 __attribute__((ext_vector_type(16)));
typedef int32_t instructions_int32x16 __attribute__((ext_vector_type(16)));
typedef uint16_t instructions_uint16x16 __attribute__((ext_vector_type(16)));

#define INSTRUCTION static inline __attribute__((always_inline))

/// Asks for the cache line at this address, which need not be valid, to be in the L2 cache soon.
INSTRUCTION void instructions_prefetch(const void *address) { __builtin_prefetch(address, 0, 2); }

/// Asks for the cache line at this address, which need not be valid, to be in the L1 cache soon, for writing.
INSTRUCTION void instructions_prefetch_to_write(const void *address) { __builtin_prefetch(address, 1, 3); }

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

/// `instructions_fraction` in plain C.
INSTRUCTION instructions_float16 instructions_plain_fraction(instructions_float16 x) {
    const instructions_float16 fraction = x - __builtin_elementwise_floor(x);
    // Infinity less infinity is no number.
    const instructions_int32x16 infinite = (instructions_int32x16)(__builtin_elementwise_abs(x) == __builtin_inff());
    return (instructions_float16)((instructions_int32x16)fraction & ~infinite);
}

/// `instructions_scale` in plain C.
INSTRUCTION instructions_float16 instructions_plain_scale(instructions_float16 a, instructions_float16 x) {
    const instructions_float16 whole = __builtin_elementwise_floor(x);
    const instructions_float16 low = (instructions_float16)(-160.0f), high = (instructions_float16)(160.0f);
    const instructions_int32x16 n = __builtin_convertvector(
        __builtin_elementwise_max(low, __builtin_elementwise_min(high, whole)), instructions_int32x16);
    // In two steps, because 2^n alone leaves the range before the product does.
    const instructions_int32x16 half = n >> 1;
    const instructions_float16 first = (instructions_float16)((half + 127) << 23);
    const instructions_float16 second = (instructions_float16)((n - half + 127) << 23);
    return a * first * second;
}

#ifdef __AVX512DQ__
#include <immintrin.h>

/// x less the largest whole number below it; 0 for an infinity.
INSTRUCTION instructions_float16 instructions_fraction(instructions_float16 x) {
    return (instructions_float16)_mm512_reduce_ps((__m512)x, 0x09);
}

/// a · 2^n, n being the largest whole number below x.
INSTRUCTION instructions_float16 instructions_scale(instructions_float16 a, instructions_float16 x) {
    return (instructions_float16)_mm512_scalef_ps((__m512)a, (__m512)x);
}
#else
INSTRUCTION instructions_float16 instructions_fraction(instructions_float16 x) { return instructions_plain_fraction(x); }

INSTRUCTION instructions_float16 instructions_scale(instructions_float16 a, instructions_float16 x) {
    return instructions_plain_scale(a, x);
}
#endif

// Shuffles of two vectors. Inline assembly, because the compiler would merge several of them into one that crosses the
// quarters of a register and takes twice as long as all of them.
#ifdef __AVX512F__
#define SHUFFLE(name, instruction, ...)                                                                              \
    INSTRUCTION instructions_uint16x32 name(instructions_uint16x32 a, instructions_uint16x32 b) {                    \
        instructions_uint16x32 result;                                                                               \
        __asm__(instruction " %2, %1, %0" : "=v"(result) : "v"(a), "v"(b));                                          \
        return result;                                                                                               \
    }
#else
#define SHUFFLE(name, instruction, ...)                                                                              \
    INSTRUCTION instructions_uint16x32 name(instructions_uint16x32 a, instructions_uint16x32 b) {                    \
        return __builtin_shufflevector(a, b, __VA_ARGS__);                                                           \
    }
#endif

/// The low words of each quarter of a and b, in turns.
SHUFFLE(instructions_low_words, "vpunpckldq", 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29)
/// The high words of each quarter of a and b, in turns.
SHUFFLE(instructions_high_words, "vpunpckhdq", 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31)
/// The low two words of each quarter of a and b, in turns.
SHUFFLE(instructions_low_pairs, "vpunpcklqdq", 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29)
/// The high two words of each quarter of a and b, in turns.
SHUFFLE(instructions_high_pairs, "vpunpckhqdq", 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31)
/// Quarters 0 and 2 of a, then of b.
SHUFFLE(instructions_even_quarters, "vshufi32x4 $0x88,", 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27)
/// Quarters 1 and 3 of a, then of b.
SHUFFLE(instructions_odd_quarters, "vshufi32x4 $0xdd,", 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31)
#undef SHUFFLE

/// The first sixteen halves of words of a and of b in turns, a's as the low half of a word.
INSTRUCTION instructions_uint16x32 instructions_first_halves(instructions_uint16x32 a, instructions_uint16x32 b) {
    typedef uint16_t halves __attribute__((ext_vector_type(32)));
    return (instructions_uint16x32)__builtin_shufflevector(
        (halves)a, (halves)b, 0, 32, 1, 33, 2, 34, 3, 35, 4, 36, 5, 37, 6, 38, 7, 39, 8, 40, 9, 41, 10, 42, 11, 43, 12,
        44, 13, 45, 14, 46, 15, 47);
}

/// The last sixteen halves of words of a and of b in turns.
INSTRUCTION instructions_uint16x32 instructions_last_halves(instructions_uint16x32 a, instructions_uint16x32 b) {
    typedef uint16_t halves __attribute__((ext_vector_type(32)));
    return (instructions_uint16x32)__builtin_shufflevector(
        (halves)a, (halves)b, 16, 48, 17, 49, 18, 50, 19, 51, 20, 52, 21, 53, 22, 54, 23, 55, 24, 56, 25, 57, 26, 58,
        27, 59, 28, 60, 29, 61, 30, 62, 31, 63);
}

/// `instructions_load_halves` in plain C.
INSTRUCTION instructions_uint16x32 instructions_plain_load_halves(const void *source, intptr_t count) {
    instructions_uint16x32 words = 0;
    for (intptr_t i = 0; i < count && i < 32; i++) {
        uint16_t half;
        __builtin_memcpy(&half, (const char *)source + 2 * i, 2);
        words[i / 2] |= (uint32_t)half << 16 * (i % 2);
    }
    return words;
}

#ifdef __AVX512BW__
#include <immintrin.h>

/// `count` halves of words. The rest of 32 are zero, and their memory is not read; below 0 and above 32 count as these.
INSTRUCTION instructions_uint16x32 instructions_load_halves(const void *source, intptr_t count) {
    const intptr_t kept = count < 0 ? 0 : count > 32 ? 32 : count;
    return (instructions_uint16x32)_mm512_maskz_loadu_epi16((__mmask32)((1ull << kept) - 1), source);
}
#else
INSTRUCTION instructions_uint16x32 instructions_load_halves(const void *source, intptr_t count) {
    return instructions_plain_load_halves(source, count);
}
#endif

/// Turns sixteen rows of sixteen words round: rows `source_step` bytes apart become columns of rows `target_step` bytes
/// apart. Words, then pairs of words, are interleaved inside quarters of a register, and the quarters put in place:
/// shuffles that do not cross quarters cost half of those that do.
INSTRUCTION void instructions_transpose(const void *source, intptr_t source_step, void *target, intptr_t target_step) {
    typedef instructions_uint16x32 words;
    typedef words unaligned __attribute__((aligned(4)));
    words r[16], s[16];
#pragma clang loop unroll(full)
    for (int i = 0; i < 16; i++) r[i] = *(const unaligned *)((const char *)source + i * source_step);
    // Row 2n, 2n + 1: the low and the high words of each quarter of rows 2n and 2n + 1 in turns.
#pragma clang loop unroll(full)
    for (int i = 0; i < 16; i += 2) {
        s[i] = instructions_low_words(r[i], r[i + 1]);
        s[i + 1] = instructions_high_words(r[i], r[i + 1]);
    }
    // Row 4n … 4n + 3: column 0 … 3 of each quarter, for rows 4n … 4n + 3 of the square.
#pragma clang loop unroll(full)
    for (int i = 0; i < 16; i += 4) {
        r[i] = instructions_low_pairs(s[i], s[i + 2]);
        r[i + 1] = instructions_high_pairs(s[i], s[i + 2]);
        r[i + 2] = instructions_low_pairs(s[i + 1], s[i + 3]);
        r[i + 3] = instructions_high_pairs(s[i + 1], s[i + 3]);
    }
    // Quarter q of row 4n + c becomes quarter n of row 4q + c, in two equal steps.
#pragma clang loop unroll(full)
    for (int i = 0; i < 8; i++) {
        const int from = (i << 1 & 8) | (i & 3);
        s[i] = instructions_even_quarters(r[from], r[from + 4]);
        s[i + 8] = instructions_odd_quarters(r[from], r[from + 4]);
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < 8; i++) {
        const int from = (i << 1 & 8) | (i & 3);
        r[i] = instructions_even_quarters(s[from], s[from + 4]);
        r[i + 8] = instructions_odd_quarters(s[from], s[from + 4]);
    }
#pragma clang loop unroll(full)
    for (int i = 0; i < 16; i++) *(unaligned *)((char *)target + i * target_step) = r[i];
}

#ifdef __AVX512BF16__
#include <immintrin.h>

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
INSTRUCTION instructions_float16 instructions_dot_bf16(
    instructions_float16 sum, instructions_uint16x32 a, instructions_uint16x32 b) {
    return instructions_plain_dot_bf16(sum, a, b);
}

INSTRUCTION instructions_uint16x16 instructions_round_bf16(instructions_float16 x) {
    return instructions_plain_round_bf16(x);
}
#endif

// A name where the compiler defines the macro as 1, nothing where it does not.
#define FEATURE_COMMA_1 0,
#define FEATURE_SECOND(first, second, ...) second
#define FEATURE_PICK(...) FEATURE_SECOND(__VA_ARGS__)
#define FEATURE_TEST(value, name) FEATURE_PICK(FEATURE_COMMA_##value name " ", "", )
#define FEATURE(macro, name) FEATURE_TEST(macro, name)

/// The CPU features that the code which includes this header is compiled for, by their names in /proc/cpuinfo, a blank
/// after each.
static inline const char *instructions_compiled_features(void) {
    return FEATURE(__SSE3__, "pni") FEATURE(__SSSE3__, "ssse3") FEATURE(__SSE4_1__, "sse4_1")
        FEATURE(__SSE4_2__, "sse4_2") FEATURE(__POPCNT__, "popcnt") FEATURE(__AVX__, "avx") FEATURE(__F16C__, "f16c")
        FEATURE(__FMA__, "fma") FEATURE(__AVX2__, "avx2") FEATURE(__BMI__, "bmi1") FEATURE(__BMI2__, "bmi2")
        FEATURE(__LZCNT__, "abm") FEATURE(__MOVBE__, "movbe") FEATURE(__ADX__, "adx") FEATURE(__AVX512F__, "avx512f")
        FEATURE(__AVX512CD__, "avx512cd") FEATURE(__AVX512DQ__, "avx512dq") FEATURE(__AVX512BW__, "avx512bw")
        FEATURE(__AVX512VL__, "avx512vl") FEATURE(__AVX512IFMA__, "avx512ifma")
        FEATURE(__AVX512VBMI__, "avx512vbmi") FEATURE(__AVX512VBMI2__, "avx512_vbmi2")
        FEATURE(__AVX512VNNI__, "avx512_vnni") FEATURE(__AVX512BITALG__, "avx512_bitalg")
        FEATURE(__AVX512VPOPCNTDQ__, "avx512_vpopcntdq") FEATURE(__AVX512BF16__, "avx512_bf16")
        FEATURE(__AVX512FP16__, "avx512_fp16") FEATURE(__AVX512VP2INTERSECT__, "avx512_vp2intersect")
        FEATURE(__AVXVNNI__, "avx_vnni") FEATURE(__AVXIFMA__, "avx_ifma")
        FEATURE(__AVXVNNIINT8__, "avx_vnni_int8") FEATURE(__AVXNECONVERT__, "avx_ne_convert")
        FEATURE(__AVX10_1__, "avx10_1") FEATURE(__GFNI__, "gfni") FEATURE(__VAES__, "vaes")
        FEATURE(__VPCLMULQDQ__, "vpclmulqdq")
        FEATURE(__SSE4A__, "sse4a") FEATURE(__XOP__, "xop") FEATURE(__FMA4__, "fma4") FEATURE(__TBM__, "tbm");
}
