// Eight numbers in 256 bits, with fused multiply-add. Who includes it says how many such registers sums may fill.
#pragma once
#include <immintrin.h>

typedef __m256 vec;
typedef int ivec __attribute__((vector_size(32)));

constexpr int W = 8;

inline vec broadcast(float x) { return _mm256_set1_ps(x); }
inline vec load(const float* p) { return _mm256_loadu_ps(p); }
inline void store(float* p, vec x) { _mm256_storeu_ps(p, x); }
inline vec fma(vec a, vec b, vec c) { return _mm256_fmadd_ps(a, b, c); }
inline vec maximum(vec bound, vec x) { return _mm256_max_ps(bound, x); }  // NaN in x stays
inline vec minimum(vec bound, vec x) { return _mm256_min_ps(bound, x); }
