#include <immintrin.h>

#include "../include/ostinato/work.hpp"

namespace ostinato::avx2 {
#include "../simd/avx2.hpp"
constexpr int NARROW = W;
#include "engine.hpp"
extern const Engine engine;
const Engine engine{"avx2", W, ACCUMULATORS, cells, peak, &maps};
}  // namespace ostinato::avx2
