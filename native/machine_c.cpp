// The step machine's C face; see include/ostinato/machine.h.
#include "include/ostinato/machine.h"

#include <exception>
#include <memory>

#include "machine_c.hpp"

using namespace ostinato;

struct ostinato_machine {
    Machine machine;
};

namespace {

template <class F>
int built(F&& add) noexcept {
    try {
        add();
        return OSTINATO_DONE;
    } catch (const std::exception&) {
        return OSTINATO_WRONG;
    }
}

template <class F>
auto made(F&& make) noexcept -> decltype(make()) {
    try {
        return make();
    } catch (const std::exception&) {
        return nullptr;
    }
}

static_assert(int(OSTINATO_GRU_RESET_AFTER) == gru_reset_after_cell && int(OSTINATO_SOFTPLUS) == softplus_function);
static_assert(int(OSTINATO_LAYER_NORM_GRU) == layer_norm_gru_formula);
static_assert(int(OSTINATO_REFUSED) == Machine::refused && int(OSTINATO_BUSY) == Machine::busy);
static_assert(int(OSTINATO_PROPAGATE) == int(Nonfinite::propagate));

}  // namespace

ostinato_stack* ostinato_stack_new(const char* isa, ptrdiff_t inputs, ptrdiff_t symbols) {
    return made([&]() -> ostinato_stack* {
        const Engine* const chosen = isa ? engine(isa) : engines()[0];
        if (!chosen || inputs < 1 || symbols < 0) return nullptr;
        return new ostinato_stack{*chosen, Stack(*chosen, inputs, symbols), {}, {}, {}, {}, {}};
    });
}

void ostinato_stack_free(ostinato_stack* stack) { delete stack; }

int ostinato_embedding(ostinato_stack* s, const float* table) {
    return built([&] { s->stack.embedding(table); });
}

int ostinato_recurrent(ostinato_stack* s, enum ostinato_cell cell, ptrdiff_t units, const float* W, const float* U,
                       const float* b, const float* b_rec, const float* h, const float* c) {
    if (int(cell) < 0 || int(cell) >= n_cells || units < 1) return OSTINATO_WRONG;
    return built([&] {
        const Weights<const float> weights{W, U, b, b_rec};
        s->cells.push_back(std::make_unique<Packed>(s->engine, int(cell), s->stack.outputs(), units, weights, Packed::forward, 1));
        s->stack.recurrent(*s->cells.back(), h, c);
    });
}

int ostinato_recurrent_of(ostinato_stack* s, enum ostinato_formula formula, ptrdiff_t units, enum ostinato_function activation,
                          enum ostinato_function recurrent_activation, float epsilon,
                          const struct ostinato_cell_weights* w, const float* h, const float* c) {
    if (units < 1 || !w) return OSTINATO_WRONG;
    return built([&] {
        s->composed.push_back(std::make_unique<Composed>(
            s->engine, int(formula), s->stack.outputs(), units,
            Composed::Options{int(activation), int(recurrent_activation), epsilon},
            Composed::Given{w->W, w->U, w->b, w->b_rec, w->gain_x, w->gain_h, w->gain_c, w->shift_c}));
        s->stack.recurrent(*s->composed.back(), h, c);
    });
}

int ostinato_zoneout(ostinato_stack* s, float share) {
    return built([&] { s->stack.zoneout(share); });
}

int ostinato_last_output(ostinato_stack* s) {
    return built([&] { s->stack.last_output(); });
}

int ostinato_masking(ostinato_stack* s, float value) {
    return built([&] { s->stack.masking(value); });
}

int ostinato_mask_zero(ostinato_stack* s) {
    return built([&] { s->stack.mask_zero(); });
}

int ostinato_silence(ostinato_stack* s) {
    return built([&] { s->stack.silence(); });
}

int ostinato_dense(ostinato_stack* s, ptrdiff_t units, const float* W, const float* b) {
    if (units < 1) return OSTINATO_WRONG;
    return built([&] {
        s->maps.push_back(std::make_unique<PackedAffine>(s->engine, s->stack.outputs(), units, W, b));
        s->stack.affine(*s->maps.back());
    });
}

int ostinato_activation(ostinato_stack* s, enum ostinato_function function) {
    return built([&] { s->stack.activation(int(function)); });
}

int ostinato_layer_norm(ostinato_stack* s, const float* gamma, const float* beta, float epsilon) {
    return built([&] { s->stack.normalisation(gamma, beta, epsilon); });
}

ptrdiff_t ostinato_inputs(const ostinato_stack* s) { return s->stack.inputs(); }
ptrdiff_t ostinato_symbols(const ostinato_stack* s) { return s->stack.symbols(); }
ptrdiff_t ostinato_outputs(const ostinato_stack* s) { return s->stack.outputs(); }
ptrdiff_t ostinato_numbers(const ostinato_stack* s) { return s->stack.numbers(); }

ostinato_machine* ostinato_machine_new(const ostinato_stack* s, ptrdiff_t capacity, enum ostinato_nonfinite nonfinite,
                                       int threads) {
    if (capacity < 1) return nullptr;
    return made([&] { return new ostinato_machine{{s->stack, capacity, Nonfinite(nonfinite), threads}}; });
}

void ostinato_machine_free(ostinato_machine* m) { delete m; }

int ostinato_step(ostinato_machine* m, const int64_t* rows, ptrdiff_t n, const void* x, float* y) {
    return m->machine.step(rows, n, x, y);
}

int ostinato_run(ostinato_machine* m, int64_t row, ptrdiff_t time, const void* x, float* y) {
    return m->machine.run(row, time, x, y);
}

int ostinato_reset(ostinato_machine* m, int64_t row) { return m->machine.reset(row); }
int ostinato_set_policy(ostinato_machine* m, int64_t row, enum ostinato_nonfinite nonfinite) {
    return unsigned(nonfinite) > OSTINATO_PROPAGATE ? OSTINATO_WRONG : m->machine.set_policy(row, Nonfinite(nonfinite));
}

int ostinato_read(const ostinato_machine* m, int64_t row, float* to) { return m->machine.read(row, to); }
int ostinato_write(ostinato_machine* m, int64_t row, const float* from) { return m->machine.write(row, 0, from); }
