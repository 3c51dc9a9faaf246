// Included inside a namespace of its own, once per instruction set, after a file of simd/.
constexpr int BLOCK = W;  // units whose numbers lie together; the weights of NARROW or fewer at the end lie by NARROW
#include "../simd/functions.hpp"
#include "../loops/memory.hpp"
#include "../product.hpp"
#include "../tiles.hpp"
#include "../cells/gru.hpp"
#include "../cells/gru_reset_after.hpp"
#include "../cells/lstm.hpp"
#include "../cells/simple_rnn.hpp"
#include "../loops/forward.hpp"
#include "../loops/step.hpp"
#include "../loops/backward.hpp"
#include "../loops/inputs.hpp"
#include "../loops/gradients.hpp"
#include "../loops/pack.hpp"
#include "../loops/peak.hpp"
#include "../loops/maps.hpp"

template <class C>
constexpr Loops loops_of() {
    return {{C::x_count, C::sums, C::x_count, C::h_count, C::has_c, C::two_phases},
            forward<C>, backward<C>, forward_phase<C>, step<C>, project_row<C>, backward_phase<C>, inputs<C>,
            inputs_room, gradients<C>, gradient_room<C>, pack<C>};
}

constexpr Loops cells[n_cells] = {loops_of<simple_rnn<false>>(), loops_of<simple_rnn<true>>(), loops_of<lstm>(),
                                  loops_of<gru>(), loops_of<gru_reset_after>()};
