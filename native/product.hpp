// The one inner loop: sums[m][g][first + v] += a[m] · w[g][v] over k, in registers.
//
// Each sum is one chain of fused multiply-adds in the order of k, whatever MR and NG are: this is why a row's bits do not
// depend on the batch that it is in.
#pragma once

// Registers that hold n rows of one weight, and the one with row k of [rows, wide]: its first n numbers, then zeros.
inline index terms(index n) { return n; }
inline vec term(const float* from, index k, index rows, index wide, index n) { return load_part(from + k * wide, n); }

// MR rows, NG blocks of units, NV of NA sums from `First` on; each k is Step registers of w after the one before.
template <int First, int NV, int Step, int MR, int NG, int NA>
[[gnu::always_inline]] inline void product(vec (&sums)[MR][NG][NA], const float* __restrict a, index row_stride,
                                           index k_stride, const float* __restrict w, index block_stride, index n) {
    for (index k = 0; k < n; ++k) {
        vec weights[NG][NV];
#pragma GCC unroll 8
        for (int g = 0; g < NG; ++g)
#pragma GCC unroll 8
            for (int v = 0; v < NV; ++v) weights[g][v] = load(w + g * block_stride + v * W);
#pragma GCC unroll 8
        for (int m = 0; m < MR; ++m) {
            const vec x = broadcast(a[m * row_stride]);
#pragma GCC unroll 8
            for (int g = 0; g < NG; ++g)
#pragma GCC unroll 8
                for (int v = 0; v < NV; ++v) sums[m][g][First + v] = fma(x, weights[g][v], sums[m][g][First + v]);
        }
        a += k_stride;
        w += Step * W;
    }
}
