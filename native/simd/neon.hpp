// Four numbers in one NEON register, with fused multiply-add.
#pragma once
#include <arm_neon.h>

typedef float32x4_t vec;
typedef int ivec __attribute__((vector_size(16)));

constexpr int W = 4;
constexpr int ACCUMULATORS = 24;

inline vec broadcast(float x) { return vdupq_n_f32(x); }
inline vec load(const float* p) { return vld1q_f32(p); }
inline void store(float* p, vec x) { vst1q_f32(p, x); }
inline vec fma(vec a, vec b, vec c) { return vfmaq_f32(c, a, b); }
inline vec maximum(vec bound, vec x) { return vmaxq_f32(bound, x); }  // NaN in x stays
inline vec minimum(vec bound, vec x) { return vminq_f32(bound, x); }
