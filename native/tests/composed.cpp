// Cells composed of layers against their formulas in double precision.
#include "composition.hpp"

#include "../machine.hpp"
#include "check.hpp"
#include "close.hpp"
#include "naive.hpp"

namespace ostinato {
namespace {

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

TEST(functions_are_their_formulas) {
    using Formula = double (*)(double);
    const Formula formulas[n_functions] = {
        [](double x) { return x; },
        [](double x) { return std::max(x, 0.0); },
        [](double x) { return std::min(std::max(x, 0.0), 6.0); },
        [](double x) { return x > 0 ? x : 0.2 * x; },
        [](double x) { return std::tanh(x); },
        [](double x) { return sigmoid(x); },
        [](double x) { return std::min(std::max(x / 6 + 0.5, 0.0), 1.0); },
        [](double x) { return x / (1 + std::abs(x)); },
        [](double x) { return x > 0 ? x : std::expm1(x); },
        [](double x) { return 1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * std::expm1(x)); },
        [](double x) { return x * sigmoid(x); },
        [](double x) { return std::exp(x); },
        nullptr,  // softmax: of the whole row
        [](double x) { return std::log1p(std::exp(x)); },
    };
    const Floats x = Random(3).numbers(3 * 41, 20);
    for (int function = 0; function < n_functions; ++function)
        for (const Engine* e : all_engines()) {
            if (!formulas[function]) continue;
            check::about() = "function " + std::to_string(function) + " " + e->name;
            Floats y = x;
            activate(*e, function, y.data(), 3, 41);
            double worst = 0;
            for (std::size_t i = 0; i < x.size(); ++i) {
                const double want = formulas[function](double(x[i])), off = std::abs(double(y[i]) - want);
                worst = off / (std::abs(want) + 0.1) <= worst ? worst : off / (std::abs(want) + 0.1);
            }
            CHECK(worst < 2e-6);
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
