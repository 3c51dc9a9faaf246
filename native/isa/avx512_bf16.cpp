// Products of bf16 pairs, for inference; sums, cells and states as in avx512.cpp.
#include <immintrin.h>

#include "../include/ostinato/work.hpp"

namespace ostinato::avx512_bf16 {
#include "../simd/avx512.hpp"
constexpr int BLOCK = W, NARROW = W;
#include "../simd/functions.hpp"
#include "../loops/memory.hpp"
#include "../product_bf16.hpp"
#include "../tiles.hpp"
#include "../cells/gru.hpp"
#include "../cells/gru_reset_after.hpp"
#include "../cells/lstm.hpp"
#include "../cells/simple_rnn.hpp"
#include "../loops/forward.hpp"
#include "../loops/step.hpp"
#include "../loops/pack.hpp"

template <class C>
constexpr Loops loops_of() {
    return {.facts = {C::x_count, C::sums, C::x_count, C::h_count, C::has_c, C::two_phases},
            .forward = forward<C>,
            .backward = nullptr,
            .forward_phase = forward_phase<C>,
            .step = step<C>,
            .project = project_row<C>,
            .backward_phase = nullptr,
            .inputs = nullptr,
            .inputs_room = nullptr,
            .gradients = nullptr,
            .gradient_room = nullptr,
            .pack = pack<C>};
}

constexpr Loops cells[n_cells] = {loops_of<simple_rnn<false>>(), loops_of<simple_rnn<true>>(), loops_of<lstm>(),
                                  loops_of<gru>(), loops_of<gru_reset_after>()};

inline float peak(index rounds) {
    vec sums[ACCUMULATORS];
    const vec a = broadcast(rounds > 0 ? 1.0f : 0.5f), b = broadcast(1e-9f);
#pragma GCC unroll 32
    for (int i = 0; i < ACCUMULATORS; ++i) sums[i] = broadcast(float(i));
    for (index k = 0; k < rounds; ++k) {
#pragma GCC unroll 32
        for (int i = 0; i < ACCUMULATORS; ++i) sums[i] = dot(a, b, sums[i]);
    }
    vec total = broadcast(0.0f);
#pragma GCC unroll 32
    for (int i = 0; i < ACCUMULATORS; ++i) total += sums[i];
    return total[0];
}

extern const Engine engine;
const Engine engine{"avx512_bf16", W, ACCUMULATORS, cells, peak, nullptr, 2};
}  // namespace ostinato::avx512_bf16
