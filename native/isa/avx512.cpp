#include <immintrin.h>

#include "../include/ostinato/work.hpp"

namespace ostinato::avx512_half {
extern const Tail tails[n_cells];
}

namespace ostinato::avx512 {
#include "../simd/avx512.hpp"
constexpr int NARROW = W / 2;
#include "engine.hpp"
extern const Engine engine;
const Engine engine{"avx512", W, ACCUMULATORS, cells, peak, &maps, 1, avx512_half::tails};
}  // namespace ostinato::avx512
