#if defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

#include "../include/ostinato/work.hpp"

namespace ostinato::baseline {
#if defined(__SSE2__)
#include "../simd/sse2.hpp"
constexpr const char* name = "sse2";
#elif defined(__ARM_NEON)
#include "../simd/neon.hpp"
constexpr const char* name = "neon";
#else
#include "../simd/scalar.hpp"
constexpr const char* name = "scalar";
#endif
constexpr int NARROW = W;
#include "engine.hpp"
extern const Engine engine;
const Engine engine{name, W, ACCUMULATORS, cells, peak, &maps};
}  // namespace ostinato::baseline
