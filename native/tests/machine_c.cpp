// What the C face refuses, and that it refuses instead of throwing.
#include "../include/ostinato/machine.h"

#include <memory>

#include "check.hpp"

namespace {

using Stack = std::unique_ptr<ostinato_stack, decltype(&ostinato_stack_free)>;

Stack stack_of(ptrdiff_t inputs, ptrdiff_t symbols = 0) { return {ostinato_stack_new(nullptr, inputs, symbols), ostinato_stack_free}; }

const float zeros[64] = {};

}  // namespace

TEST(stacks_that_cannot_be) {
    CHECK(!ostinato_stack_new("none", 1, 0));
    CHECK(!ostinato_stack_new(nullptr, 0, 0));
    CHECK(!ostinato_stack_new(nullptr, 1, -1));
    CHECK(!ostinato_stack_new("avx512_bf16", 1, 0));  // for recurrent layers alone, where it is there
}

TEST(layers_that_do_not_fit) {
    const Stack of_numbers = stack_of(2), of_symbols = stack_of(2, 3);
    ostinato_stack* const s = of_numbers.get();
    CHECK(ostinato_embedding(s, zeros) == OSTINATO_WRONG && ostinato_mask_zero(s) == OSTINATO_WRONG);
    CHECK(ostinato_zoneout(s, 0.5f) == OSTINATO_WRONG && ostinato_last_output(s) == OSTINATO_WRONG);
    CHECK(ostinato_activation(s, ostinato_function(15)) == OSTINATO_WRONG);
    CHECK(ostinato_dense(s, 0, zeros, zeros) == OSTINATO_WRONG);
    CHECK(ostinato_recurrent(s, OSTINATO_LSTM, 0, zeros, zeros, zeros, zeros, nullptr, nullptr) == OSTINATO_WRONG);
    CHECK(ostinato_recurrent(s, ostinato_cell(7), 1, zeros, zeros, zeros, zeros, nullptr, nullptr) == OSTINATO_WRONG);
    ostinato_cell_weights w{zeros, zeros, zeros, zeros, zeros, zeros, zeros, zeros};
    const auto composed = [&](int formula, int function, ptrdiff_t units = 1) {
        return ostinato_recurrent_of(s, ostinato_formula(formula), units, ostinato_function(function), OSTINATO_SIGMOID, 1e-5f, &w, zeros, zeros);
    };
    CHECK(composed(7, 0) == OSTINATO_WRONG && composed(0, 15) == OSTINATO_WRONG && composed(0, 0, 0) == OSTINATO_WRONG);
    CHECK(ostinato_recurrent_of(s, OSTINATO_ANY_GRU, 1, OSTINATO_TANH, OSTINATO_TANH, 0, nullptr, zeros, zeros) == OSTINATO_WRONG);
    const auto without = [&](const float* ostinato_cell_weights::* field, ostinato_formula formula) {
        const float* const kept = w.*field;
        w.*field = nullptr;
        const int answer = composed(formula, OSTINATO_TANH);
        w.*field = kept;
        return answer;
    };
    CHECK(without(&ostinato_cell_weights::W, OSTINATO_ANY_RNN) == OSTINATO_WRONG);
    CHECK(without(&ostinato_cell_weights::U, OSTINATO_ANY_RNN) == OSTINATO_WRONG);
    CHECK(without(&ostinato_cell_weights::b, OSTINATO_ANY_RNN) == OSTINATO_WRONG);
    CHECK(without(&ostinato_cell_weights::b_rec, OSTINATO_ANY_GRU_RESET_AFTER) == OSTINATO_WRONG);
    CHECK(without(&ostinato_cell_weights::gain_h, OSTINATO_LAYER_NORM_RNN) == OSTINATO_WRONG);
    CHECK(without(&ostinato_cell_weights::gain_x, OSTINATO_LAYER_NORM_GRU) == OSTINATO_WRONG);
    CHECK(without(&ostinato_cell_weights::gain_c, OSTINATO_LAYER_NORM_LSTM) == OSTINATO_WRONG);
    CHECK(without(&ostinato_cell_weights::shift_c, OSTINATO_LAYER_NORM_LSTM) == OSTINATO_WRONG);
    CHECK(ostinato_outputs(s) == 2);  // none of them was added
    CHECK(ostinato_dense(s, 3, zeros, nullptr) == OSTINATO_DONE && ostinato_zoneout(s, 0.5f) == OSTINATO_WRONG);
    CHECK(ostinato_embedding(of_symbols.get(), zeros) == OSTINATO_DONE && ostinato_embedding(of_symbols.get(), zeros) == OSTINATO_WRONG);
}

TEST(machines_of_symbols_and_masks) {
    const Stack stack = stack_of(2, 3);
    ostinato_stack* const s = stack.get();
    CHECK(ostinato_embedding(s, zeros) == OSTINATO_DONE && ostinato_mask_zero(s) == OSTINATO_DONE);
    CHECK(ostinato_recurrent(s, OSTINATO_LSTM, 2, zeros, zeros, zeros, nullptr, zeros, zeros) == OSTINATO_DONE);
    CHECK(ostinato_zoneout(s, 0.5f) == OSTINATO_DONE && ostinato_zoneout(s, 1) == OSTINATO_WRONG && ostinato_zoneout(s, -1) == OSTINATO_WRONG);
    CHECK(ostinato_silence(s) == OSTINATO_DONE && ostinato_layer_norm(s, zeros, zeros, 1e-3f) == OSTINATO_DONE);
    CHECK(ostinato_masking(s, 0) == OSTINATO_DONE && ostinato_activation(s, OSTINATO_ELU) == OSTINATO_DONE);
    CHECK(ostinato_inputs(s) == 2 && ostinato_symbols(s) == 3 && ostinato_outputs(s) == 2 && ostinato_numbers(s) == 4);
    CHECK(!ostinato_machine_new(s, 0, OSTINATO_REFUSE, 1));
#if !defined(OSTINATO_SANITIZED)  // whose allocators end the program
    CHECK(!ostinato_machine_new(s, PTRDIFF_MAX / 64, OSTINATO_REFUSE, 1));
#endif
    ostinato_machine* const machine = ostinato_machine_new(s, 2, OSTINATO_REFUSE, 1);
    const int64_t rows[] = {0, 1}, symbols[] = {0, 2}, other[] = {3, -1};
    float y[4], state[4];
    CHECK(ostinato_step(machine, rows, 2, symbols, y) == OSTINATO_DONE && ostinato_run(machine, 1, 2, symbols, y) == OSTINATO_DONE);
    CHECK(ostinato_step(machine, rows, 2, other, y) == OSTINATO_REFUSED && ostinato_run(machine, 0, 2, other, y) == OSTINATO_REFUSED);
    ostinato_read(machine, 1, state), ostinato_write(machine, 0, state), ostinato_reset(machine, 1);
    CHECK(ostinato_set_policy(machine, 1, OSTINATO_HOLD) == OSTINATO_DONE);
    CHECK(ostinato_set_policy(machine, 1, ostinato_nonfinite(3)) == OSTINATO_WRONG);
    ostinato_machine_free(machine);
}
