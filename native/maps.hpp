// Layers without state, for many rows at once.
#pragma once
#include "include/ostinato/work.hpp"
#include "memory.hpp"

namespace ostinato {

// y = x W + b, with the weights packed once.
class PackedAffine {
public:
    // W [inputs, units], b [units] or null.
    PackedAffine(const Engine& engine, index inputs, index units, const float* W, const float* b);

    // y [rows, units] = f(x [rows, inputs] W + b), on up to so many threads.
    void apply(const float* x, float* y, index rows, int function, int threads) const;

    const Engine& engine;
    Affine map{};

private:
    Room room_;
};

// x [rows, width] = f(x), f of enum Function.
void activate(const Engine& engine, int function, float* x, index rows, index width);
// x [rows, width] = gamma (x - mean) / sqrt(variance + epsilon) + beta.
void normalise(const Engine& engine, const float* gamma, const float* beta, float epsilon, float* x, index rows, index width);

}  // namespace ostinato
