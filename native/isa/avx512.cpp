#include <immintrin.h>

#include "../include/ostinato/work.hpp"

namespace ostinato::avx512 {
#include "../simd/avx512.hpp"
#include "engine.hpp"
extern const Engine engine;
const Engine engine{"avx512", W, ACCUMULATORS, cells, peak, &maps};
}  // namespace ostinato::avx512
