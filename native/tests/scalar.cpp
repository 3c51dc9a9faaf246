// The plain vector type that processors without a file of their own get, on whatever processor this is.
#include "../include/ostinato/work.hpp"

namespace ostinato::scalar {
#include "../simd/scalar.hpp"
constexpr int NARROW = W;
#include "../isa/engine.hpp"
extern const Engine engine;
const Engine engine{"scalar", W, ACCUMULATORS, cells, peak, &maps};
}  // namespace ostinato::scalar
