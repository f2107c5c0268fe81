// CUDA's names on a CPU, for the kernels: each thread is a fiber that runs until it comes to a barrier.
#pragma once

#include <math.h>
#include <string.h>

#define KERNEL extern "C" void
#define DEVICE static inline
#define BARRIER() shim::barrier()
#define SHARED(type, name, len) type *name = (type *)shim::shared(__LINE__, sizeof(type) * (len))

namespace shim {
struct Position {
    u32 thread, block, threads;
};
Position position();
void barrier();
void *shared(int line, unsigned long bytes);
} // namespace shim

// Compiled without contraction, so each is one rounding.
DEVICE float fma_(float a, float b, float c) { return fmaf(a, b, c); }
DEVICE float mul_(float a, float b) { return a * b; }
DEVICE float add_(float a, float b) { return a + b; }
DEVICE float sub_(float a, float b) { return a - b; }
DEVICE float div_(float a, float b) { return a / b; }
DEVICE float widened(half_bits h) {
    // By hand: not every compiler has 16-bit floats. Numbers below the normal range are whole multiples of 2^-24.
    u32 sign = (u32)(h & 0x8000u) << 16, exponent = h >> 10 & 31u, fraction = h & 0x3ffu;
    float x = (float)fraction * 0x1p-24f;
    u32 bits = exponent == 31u ? 0x7f800000u | fraction << 13 : (exponent + 112u) << 23 | fraction << 13;
    if (exponent == 0u) memcpy(&bits, &x, sizeof bits);
    bits |= sign;
    memcpy(&x, &bits, sizeof x);
    return x;
}
DEVICE int truncated(float x) { return (int)x; }
DEVICE float from_bits(u32 b) {
    float x;
    memcpy(&x, &b, sizeof x);
    return x;
}
DEVICE u32 thread_idx() { return shim::position().thread; }
DEVICE u32 num_threads() { return shim::position().threads; }
DEVICE u32 block_idx() { return shim::position().block; }
