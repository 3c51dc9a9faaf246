// Cells composed of layers against their formulas in double precision.
#include "../composed.hpp"

#include "../machine.hpp"
#include "check.hpp"
#include "close.hpp"
#include "naive.hpp"

namespace ostinato {
namespace {

using Doubles = std::vector<double>;

constexpr int gates_of_formula[n_formulas] = {1, 4, 3, 3, 1, 4, 3};

struct Composition {
    Composition(int formula, index inputs, index units)
        : formula(formula), inputs(inputs), units(units), wide(gates_of_formula[formula] * units) {
        Random random(std::uint64_t(formula + 1));
        const float size = 1.0f / std::sqrt(float(inputs + units));
        W = random.numbers(inputs * wide, size), U = random.numbers(units * wide, size), b = random.numbers(wide, 1);
        b_rec = random.numbers(wide, 1), gain_x = random.numbers(wide, 1), gain_h = random.numbers(wide, 1);
        gain_c = random.numbers(units, 1), shift_c = random.numbers(units, 1);
        h = random.numbers(units, 1), c = random.numbers(units, 1);
    }
    Composed made(const Engine& e) const {
        return {e, formula, inputs, units, {tanh_function, sigmoid_function, 1e-3f},
                {W.data(), U.data(), b.data(), b_rec.data(), gain_x.data(), gain_h.data(), gain_c.data(), shift_c.data()}};
    }

    const int formula;
    const index inputs, units, wide;
    Floats W, U, b, b_rec, gain_x, gain_h, gain_c, shift_c, h, c;
};

Doubles times(const Doubles& v, const Floats& matrix, index wide) {
    Doubles sums(std::size_t(wide), 0.0);
    for (std::size_t i = 0; i < v.size(); ++i)
        for (std::size_t j = 0; j < sums.size(); ++j) sums[j] += v[i] * double(matrix[i * sums.size() + j]);
    return sums;
}

void normalise(Doubles& v, const Floats& gain, std::size_t from, std::size_t to) {
    double mean = 0, squares = 0;
    for (std::size_t i = from; i < to; ++i) mean += v[i] / double(to - from);
    for (std::size_t i = from; i < to; ++i) squares += (v[i] - mean) * (v[i] - mean) / double(to - from);
    for (std::size_t i = from; i < to; ++i) v[i] = (v[i] - mean) / std::sqrt(squares + double(1e-3f)) * double(gain[i]);
}

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// One step of a layer-normalised cell, as ostinato/cells/ writes it.
void truth(const Composition& k, const Doubles& x, Doubles& h, Doubles& c) {
    const std::size_t n = std::size_t(k.units), wide = std::size_t(k.wide);
    Doubles a = times(x, k.W, k.wide), u = times(h, k.U, k.wide);
    if (k.formula == layer_norm_rnn_formula) {
        for (std::size_t j = 0; j < n; ++j) a[j] += u[j];
        normalise(a, k.gain_h, 0, n);
        for (std::size_t j = 0; j < n; ++j) h[j] = std::tanh(a[j] + double(k.b[j]));
    } else if (k.formula == layer_norm_lstm_formula) {
        normalise(a, k.gain_x, 0, wide), normalise(u, k.gain_h, 0, wide);
        for (std::size_t j = 0; j < wide; ++j) a[j] += u[j] + double(k.b[j]);
        for (std::size_t j = 0; j < n; ++j) c[j] = sigmoid(a[n + j]) * c[j] + sigmoid(a[j]) * std::tanh(a[2 * n + j]);
        Doubles out = c;
        normalise(out, k.gain_c, 0, n);
        for (std::size_t j = 0; j < n; ++j) h[j] = sigmoid(a[3 * n + j]) * std::tanh(out[j] + double(k.shift_c[j]));
    } else {
        normalise(a, k.gain_x, 0, 2 * n), normalise(a, k.gain_x, 2 * n, 3 * n);
        normalise(u, k.gain_h, 0, 2 * n), normalise(u, k.gain_h, 2 * n, 3 * n);
        for (std::size_t j = 0; j < wide; ++j) a[j] += double(k.b[j]), u[j] += double(k.b_rec[j]);
        for (std::size_t j = 0; j < n; ++j) {
            const double z = sigmoid(a[n + j] + u[n + j]);
            h[j] += z * (std::tanh(a[2 * n + j] + sigmoid(a[j] + u[j]) * u[2 * n + j]) - h[j]);
        }
    }
}

const std::int64_t row0 = 0;

}  // namespace

TEST(layer_normalised_cells_are_their_formulas) {
    const index sizes[][2] = {{3, 1}, {1, 3}, {5, 17}, {20, 64}};
    for (int formula = layer_norm_rnn_formula; formula < n_formulas; ++formula)
        for (const auto& [inputs, units] : sizes)
            for (const Engine* e : all_engines()) {
                check::about() = "formula " + std::to_string(formula) + " H" + std::to_string(units) + " " + e->name;
                const Composition k(formula, inputs, units);
                const Composed cell = k.made(*e);
                Stack stack(*e, inputs);
                stack.recurrent(cell, k.h.data(), k.c.data());
                Machine machine(stack, 1, Nonfinite::refuse, 1);
                Floats y(std::size_t(units), std::nanf(""));
                Doubles h(k.h.begin(), k.h.end()), c(k.c.begin(), k.c.end());
                const Floats x = Random(4).numbers(4 * inputs, 2);
                for (index t = 0; t < 4; ++t) {
                    machine.step(&row0, 1, x.data() + t * inputs, y.data());
                    truth(k, Doubles(x.data() + t * inputs, x.data() + (t + 1) * inputs), h, c);
                    CHECK(close(y, h));
                }
            }
}

TEST(cells_of_the_compiled_loops_are_composed_too) {
    constexpr int formulas[n_cells] = {rnn_formula, -1, lstm_formula, gru_formula, gru_reset_after_formula};
    for (int cell = 0; cell < n_cells; ++cell)
        for (const Engine* e : all_engines()) {
            if (formulas[cell] < 0) continue;
            check::about() = std::string(name_of[cell]) + " " + e->name;
            const Problem p = problem({cell, 1, 5, 7, 33}, false);
            const Composed made(*e, formulas[cell], 7, 33, {tanh_function, sigmoid_function, 0},
                                {p.W.data(), p.U.data(), p.b.data(), data_or_null(p.b_rec), nullptr, nullptr, nullptr, nullptr});
            Stack stack(*e, 7);
            stack.recurrent(made, p.h.data(), data_or_null(p.c));
            Machine machine(stack, 1, Nonfinite::refuse, 1);
            Floats y = unknown(p.dy);
            machine.run(0, 5, p.x.data(), y.data());
            CHECK(close(y, naive::answer(p).y));
        }
}

TEST(a_missing_weight_is_refused) {
    const Composition k(layer_norm_lstm_formula, 3, 4);
    for (int missing = 0; missing < 2; ++missing) {
        bool refused = false;
        try {
            const Composed cell(*engines()[0], k.formula, 3, 4, {tanh_function, sigmoid_function, 1e-3f},
                                {k.W.data(), k.U.data(), k.b.data(), nullptr, missing ? k.gain_x.data() : nullptr,
                                 k.gain_h.data(), k.gain_c.data(), missing ? nullptr : k.shift_c.data()});
        } catch (const std::invalid_argument&) {
            refused = true;
        }
        CHECK(refused);
    }
}

TEST(softplus_is_its_formula) {
    for (const Engine* e : all_engines()) {
        check::about() = e->name;
        double worst = 0;
        for (int i = -40000; i <= 40000; ++i) {
            const float at = 85.0f * float(i) / 40000.0f;
            float y = at;
            activate(*e, softplus_function, &y, 1, 1);
            const double want = std::max(double(at), 0.0) + std::log1p(std::exp(-std::abs(double(at))));
            worst = std::max(worst, std::abs(double(y) - want) / want);
        }
        CHECK(worst < 6e-7);
        float ends[] = {INFINITY, -INFINITY, std::nanf(""), 1e30f};
        activate(*e, softplus_function, ends, 1, 4);
        CHECK(ends[0] == INFINITY && ends[1] == 0 && std::isnan(ends[2]) && ends[3] == 1e30f);
    }
}

}  // namespace ostinato
