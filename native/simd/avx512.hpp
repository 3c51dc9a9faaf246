// Sixteen numbers in one AVX-512 register.
#pragma once
#include <immintrin.h>

typedef __m512 vec;
typedef int ivec __attribute__((vector_size(64)));

constexpr int W = 16;           // numbers in a register
constexpr int ACCUMULATORS = 24;  // registers that a product may sum in; the rest hold weights and inputs

inline vec broadcast(float x) { return _mm512_set1_ps(x); }
inline vec load(const float* p) { return _mm512_loadu_ps(p); }
inline void store(float* p, vec x) { _mm512_storeu_ps(p, x); }
inline vec fma(vec a, vec b, vec c) { return _mm512_fmadd_ps(a, b, c); }
inline vec maximum(vec bound, vec x) { return _mm512_max_ps(bound, x); }  // NaN in x stays
inline vec minimum(vec bound, vec x) { return _mm512_min_ps(bound, x); }
