// Four numbers by the compiler's own vector type, for processors without a file of their own.
#pragma once

typedef float vec __attribute__((vector_size(16)));
typedef int ivec __attribute__((vector_size(16)));

constexpr int W = 4;
constexpr int ACCUMULATORS = 12;

inline vec broadcast(float x) { return vec{x, x, x, x}; }
inline vec load(const float* p) { return vec{p[0], p[1], p[2], p[3]}; }
inline void store(float* p, vec x) {
    for (int i = 0; i < W; ++i) p[i] = x[i];
}
inline vec fma(vec a, vec b, vec c) { return a * b + c; }
inline vec maximum(vec bound, vec x) { return bound > x ? bound : x; }  // NaN in x stays
inline vec minimum(vec bound, vec x) { return bound < x ? bound : x; }
