// Four numbers in one SSE register: what every 64-bit x86 has. There is no fused multiply-add, so `fma` rounds twice.
#pragma once
#include <emmintrin.h>

typedef __m128 vec;
typedef int ivec __attribute__((vector_size(16)));

constexpr int W = 4;
constexpr int ACCUMULATORS = 12;

inline vec broadcast(float x) { return _mm_set1_ps(x); }
inline vec load(const float* p) { return _mm_loadu_ps(p); }
inline void store(float* p, vec x) { _mm_storeu_ps(p, x); }
inline vec fma(vec a, vec b, vec c) { return a * b + c; }
inline vec maximum(vec bound, vec x) { return _mm_max_ps(bound, x); }  // NaN in x stays
inline vec minimum(vec bound, vec x) { return _mm_min_ps(bound, x); }
