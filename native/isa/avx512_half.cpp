// The last block of units of avx512.cpp, where it holds at most eight.
#include <immintrin.h>

#include "../include/ostinato/work.hpp"

namespace ostinato::avx512_half {
#include "../simd/avx512_half.hpp"
constexpr int BLOCK = 2 * W;
#include "../simd/functions.hpp"
#include "../loops/memory.hpp"
#include "../product.hpp"
#include "../tiles.hpp"
#include "../cells/gru.hpp"
#include "../cells/gru_reset_after.hpp"
#include "../cells/lstm.hpp"
#include "../cells/simple_rnn.hpp"
#include "../loops/forward.hpp"

template <class C>
void project_last(const Work& w, index s, index r, index steps) {
    tiles<project<C>, C::sums>::run(of_row{w, s, r}, 0, steps, w.blocks - 1, w.blocks);
}

template <class C>
void first(const Work& w, index s, index r0, index r1) {
    tiles<first_phase<C>, C::sums>::run(at_step{w, s}, r0, r1, w.blocks - 1, w.blocks);
}

template <class C>
void second(const Work& w, index s, index r0, index r1) {
    if constexpr (C::two_phases) tiles<second_phase<C>, 1>::run(at_step{w, s}, r0, r1, w.blocks - 1, w.blocks);
}

template <class C>
constexpr Tail tail_of() {
    return {project_last<C>, first<C>, second<C>};
}

extern const Tail tails[n_cells];
const Tail tails[n_cells] = {tail_of<simple_rnn<false>>(), tail_of<simple_rnn<true>>(), tail_of<lstm>(), tail_of<gru>(),
                             tail_of<gru_reset_after>()};
}  // namespace ostinato::avx512_half
