// The kernels: a step of a trunk, with the sums of the CPU in the same order and with the same rounding, so that the
// outcome has the same bits. Plain CUDA C without headers. Each operation is spelled out, as a compiler that fused a
// product and a sum would change the last bit.

typedef unsigned short half_bits;
typedef unsigned int u32;

#ifdef STAND_IN
#include "shim.h" // the same names on a CPU, for tests
#else
#define KERNEL extern "C" __global__ void
#define DEVICE static __device__ __forceinline__
#define SHARED(type, name, len) __shared__ type name[len]
#define BARRIER() __syncthreads()

DEVICE float fma_(float a, float b, float c) {
    float r;
    asm("fma.rn.f32 %0, %1, %2, %3;" : "=f"(r) : "f"(a), "f"(b), "f"(c));
    return r;
}
DEVICE float mul_(float a, float b) {
    float r;
    asm("mul.rn.f32 %0, %1, %2;" : "=f"(r) : "f"(a), "f"(b));
    return r;
}
DEVICE float add_(float a, float b) {
    float r;
    asm("add.rn.f32 %0, %1, %2;" : "=f"(r) : "f"(a), "f"(b));
    return r;
}
DEVICE float sub_(float a, float b) {
    float r;
    asm("sub.rn.f32 %0, %1, %2;" : "=f"(r) : "f"(a), "f"(b));
    return r;
}
DEVICE float div_(float a, float b) {
    float r;
    asm("div.rn.f32 %0, %1, %2;" : "=f"(r) : "f"(a), "f"(b));
    return r;
}
DEVICE float widened(half_bits h) {
    float r;
    asm("cvt.f32.f16 %0, %1;" : "=f"(r) : "h"(h));
    return r;
}
DEVICE int truncated(float x) {
    int r;
    asm("cvt.rzi.s32.f32 %0, %1;" : "=r"(r) : "f"(x));
    return r;
}
DEVICE float from_bits(u32 b) {
    float r;
    asm("mov.b32 %0, %1;" : "=f"(r) : "r"(b));
    return r;
}
DEVICE u32 thread_idx() {
    u32 r;
    asm("mov.u32 %0, %%tid.x;" : "=r"(r));
    return r;
}
DEVICE u32 num_threads() {
    u32 r;
    asm("mov.u32 %0, %%ntid.x;" : "=r"(r));
    return r;
}
DEVICE u32 block_idx() {
    u32 r;
    asm("mov.u32 %0, %%ctaid.x;" : "=r"(r));
    return r;
}
#endif

#define PANEL 64u      // columns of a block: 16 units with four gates each; as many threads
#define UNITS 16u      // units of a block
#define MAX_SLOTS 64u  // table rows of a lookup
#define MAX_WIDTH 4096u // inputs and units of a layer together
#define NO_ROW 0xffffffffu

// e^x, as model/src/math.rs computes it.
DEVICE float exp_(float x) {
    const float log2_e = 1.44269504088896340736f;
    const float ln_2_high = 0.6933594f;
    const float ln_2_low = 0.693147180559945309417f - 0.6933594f;
    x = x < -87.0f ? -87.0f : x > 88.0f ? 88.0f : x;
    float n = sub_(add_(mul_(x, log2_e), 12582912.0f), 12582912.0f);
    float r = sub_(sub_(x, mul_(n, ln_2_high)), mul_(n, ln_2_low));
    float p = 1.0f / 5040.0f;
    p = add_(mul_(p, r), 1.0f / 720.0f);
    p = add_(mul_(p, r), 1.0f / 120.0f);
    p = add_(mul_(p, r), 1.0f / 24.0f);
    p = add_(mul_(p, r), 1.0f / 6.0f);
    p = add_(mul_(p, r), 0.5f);
    p = add_(mul_(p, r), 1.0f);
    p = add_(mul_(p, r), 1.0f);
    return mul_(p, from_bits((u32)(truncated(n) + 127) << 23));
}
DEVICE float sigmoid_(float x) { return div_(1.0f, add_(1.0f, exp_(-x))); }
DEVICE float tanh_(float x) { return sub_(mul_(2.0f, sigmoid_(mul_(2.0f, x))), 1.0f); }

// x, (width) = the sum of the table's rows at `lookup`, (MAX_SLOTS), in order. One block.
// A missing row adds 0.0, which changes no bit of a sum that begins with 0.0.
KERNEL look_up(const half_bits *table, const u32 *lookup, u32 width, float *x) {
    SHARED(u32, rows, MAX_SLOTS);
    for (u32 i = thread_idx(); i < MAX_SLOTS; i += num_threads()) rows[i] = lookup[i];
    BARRIER();
    for (u32 n = thread_idx(); n < width; n += num_threads()) {
        float sum = 0.0f;
        for (u32 i = 0; i < MAX_SLOTS; i++) {
            sum = add_(sum, rows[i] == NO_ROW ? 0.0f : widened(table[rows[i] * width + n]));
        }
        x[n] = sum;
    }
}

// A step of an LSTM layer; each block computes 16 units.
//
// weights: (units / 16, inputs + units, 64), bias: (units / 16, 64); the columns of a panel are its 16 units' input
// gates, then their forget gates, cells and output gates. `state_in` and `state_out`, (2 * units), hold the hidden and
// then the cell vector. They must differ, as other blocks still read the one while this block writes the other; so
// must x, (inputs), and out, (units).
KERNEL lstm(const half_bits *weights, const float *bias, u32 inputs, u32 units, u32 residual, const float *x,
            const float *state_in, float *state_out, float *out) {
    SHARED(float, xh, MAX_WIDTH);
    SHARED(float, gates, PANEL);
    u32 t = thread_idx(), width = inputs + units, panel = block_idx();
    for (u32 n = t; n < width; n += PANEL) xh[n] = n < inputs ? x[n] : state_in[n - inputs];
    BARRIER();
    // The loads take most of the time, so 32 of them are under way before the first sum.
    const half_bits *column = weights + panel * width * PANEL + t;
    float sum = bias[panel * PANEL + t];
    u32 k = 0;
    for (; k + 32 <= width; k += 32) {
        float w[32];
#pragma unroll
        for (u32 i = 0; i < 32; i++) w[i] = widened(column[(k + i) * PANEL]);
#pragma unroll
        for (u32 i = 0; i < 32; i++) sum = fma_(xh[k + i], w[i], sum);
    }
    for (; k < width; k++) sum = fma_(xh[k], widened(column[k * PANEL]), sum);
    gates[t] = sum;
    BARRIER();
    if (t < UNITS) {
        u32 unit = panel * UNITS + t;
        float kept = mul_(sigmoid_(gates[UNITS + t]), state_in[units + unit]);
        float c = add_(kept, mul_(sigmoid_(gates[t]), tanh_(gates[2 * UNITS + t])));
        float h = mul_(sigmoid_(gates[3 * UNITS + t]), tanh_(c));
        state_out[unit] = h;
        state_out[units + unit] = c;
        out[unit] = residual ? add_(xh[unit], h) : h;
    }
}
