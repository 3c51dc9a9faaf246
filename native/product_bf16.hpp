// The inner loop of product.hpp with bf16 in place of float32: two neighbours in k share one place of a register, and each
// sum takes both products in one instruction.
//
// Inputs are rounded (to the nearest, ties to even) when a tile begins to read them, a few hundred at a time; everything
// outside the product stays float32. The pairs are those of even and odd k of one operand, whatever the tile is, so that
// each sum is one chain here too. Numbers below 1.2e-38 count as zero.
#pragma once

inline vec dot(vec a, vec b, vec sum) { return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b); }

inline index terms(index n) { return (n + 1) / 2; }

// Rows 2k and 2k + 1 of [rows, wide], interleaved; zeros after the last row.
inline vec term(const float* from, index k, index rows, index wide, index n) {
    const auto narrow = [](vec x) { return _mm512_cvtepu16_epi32((__m256i)_mm512_cvtneps_pbh(x)); };
    const vec even = load_part(from + 2 * k * wide, n);
    const vec odd = 2 * k + 1 < rows ? load_part(from + (2 * k + 1) * wide, n) : broadcast(0.0f);
    return (vec)_mm512_or_si512(narrow(even), _mm512_slli_epi32(narrow(odd), 16));
}

// n numbers to ceil(n / 2) pairs, and zeros up to the end of a register.
inline void round_pairs(float* to, const float* from, index n) {
    for (; n > 0; n -= 2 * W, from += 2 * W, to += W) {
        const unsigned here = n < 2 * W ? (1u << n) - 1u : ~0u;  // which of the next 32 numbers there are
        const vec low = _mm512_maskz_loadu_ps(__mmask16(here), from);
        const vec high = _mm512_maskz_loadu_ps(__mmask16(here >> W), from + W);
        store(to, (vec)_mm512_cvtne2ps_pbh(high, low));
    }
}

template <int First, int NV, int Step, int MR, int NG, int NA>
[[gnu::always_inline]] inline void product(vec (&sums)[MR][NG][NA], const float* __restrict a, index row_stride,
                                           index k_stride, const float* __restrict w, index block_stride, index n) {
    constexpr index most = 256;  // numbers of a row at once
    alignas(64) float pairs[MR][most / 2];
    for (index k = 0; k < n; k += most) {
        const index part = less(most, n - k);
        for (int m = 0; m < MR; ++m) round_pairs(pairs[m], a + m * row_stride + k, part);
        for (index p = 0; p < terms(part); ++p, w += Step * W) {
            vec weights[NG][NV];
#pragma GCC unroll 8
            for (int g = 0; g < NG; ++g)
#pragma GCC unroll 8
                for (int v = 0; v < NV; ++v) weights[g][v] = load(w + g * block_stride + v * W);
#pragma GCC unroll 8
            for (int m = 0; m < MR; ++m) {
                const vec x = broadcast(pairs[m][p]);
#pragma GCC unroll 8
                for (int g = 0; g < NG; ++g)
#pragma GCC unroll 8
                    for (int v = 0; v < NV; ++v) sums[m][g][First + v] = dot(x, weights[g][v], sums[m][g][First + v]);
            }
        }
    }
}
