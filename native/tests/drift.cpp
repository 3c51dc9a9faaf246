// A stream that never ends: its states beside the same in double precision, amid noise and through silence.
//
// A cell whose states fade forgets its rounding errors as it forgets its inputs, so that the error stays where it was after
// the first steps. OSTINATO_STEPS says how many steps are made.
#include <cstdlib>

#include "../machine.hpp"
#include "check.hpp"
#include "composition.hpp"

namespace ostinato {
namespace {

constexpr index H = 8;
constexpr double bound = 64 * 0x1p-24;  // as in close.hpp: the states are below 1 but for c, which is below 4 here
constexpr index block = 4096;

// One input a step, H units, as ostinato/cells/ writes the formulas.
class Wide {
public:
    explicit Wide(const Problem& p)
        : p_(p), gates_(gates_of[p.shape.cell]), W_(p.W.begin(), p.W.end()), U_(p.U.begin(), p.U.end()), b_(p.b.begin(), p.b.end()),
          b_rec_(p.b_rec.begin(), p.b_rec.end()), h(p.h.begin(), p.h.end()), c(p.c.begin(), p.c.end()) {
        b_rec_.resize(b_.size());
    }

    void step(double x) {
        double a[4][H], u[4][H], next[H];
        for (int g = 0; g < gates_; ++g)
            for (index j = 0; j < H; ++j) a[g][j] = x * W_[at(0, g, j)] + b_[at(0, g, j)];
        product(h.data(), 0, gates_, u);
        for (index j = 0; j < H; ++j) {
            const std::size_t k = std::size_t(j);
            if (p_.shape.cell == rnn_tanh) {
                next[j] = std::tanh(a[0][j] + u[0][j]);
            } else if (p_.shape.cell == lstm_cell) {
                c[k] = sigmoid(a[1][j] + u[1][j]) * c[k] + sigmoid(a[0][j] + u[0][j]) * std::tanh(a[2][j] + u[2][j]);
                next[j] = sigmoid(a[3][j] + u[3][j]) * std::tanh(c[k]);
            } else if (p_.shape.cell == gru_reset_after_cell) {
                const double z = sigmoid(a[1][j] + u[1][j]), n = std::tanh(a[2][j] + sigmoid(a[0][j] + u[0][j]) * u[2][j]);
                next[j] = n + z * (h[k] - n);
            } else {
                next[j] = sigmoid(a[0][j] + u[0][j]) * h[k];  // r h, of which the second product is
            }
        }
        if (p_.shape.cell == gru_cell) {
            product(next, 2, 3, u);
            for (index j = 0; j < H; ++j) {
                const double z = sigmoid(a[1][j] + u[1][j]), old = h[std::size_t(j)];
                next[j] = old + z * (std::tanh(a[2][j] + u[2][j]) - old);
            }
        }
        h.assign(next, next + H);
    }

private:
    std::size_t at(index row, int gate, index j) const { return std::size_t((row * gates_ + gate) * H + j); }
    void product(const double* v, int from, int to, double (&u)[4][H]) const {
        for (int g = from; g < to; ++g)
            for (index j = 0; j < H; ++j) {
                u[g][j] = b_rec_[at(0, g, j)];
                for (index i = 0; i < H; ++i) u[g][j] += v[i] * U_[at(i, g, j)];
            }
    }

    const Problem& p_;
    const int gates_;
    const std::vector<double> W_, U_, b_;
    std::vector<double> b_rec_;

public:
    std::vector<double> h, c;
};

// A layer-normalised cell.
class WideNormal {
public:
    explicit WideNormal(const Composition& k) : k_(k), h(k.h.begin(), k.h.end()), c(k.c.begin(), k.c.end()) {
        if (k.formula != layer_norm_lstm_formula) c.clear();
    }
    void step(double x) { truth(k_, {x}, h, c); }

private:
    const Composition& k_;

public:
    std::vector<double> h, c;
};

// How far a and b are apart at the worst place, where NaN is the worst; in units of the truth where that is above 1.
double apart_by(const float* got, const std::vector<double>& truth) {
    double worst = 0;
    for (std::size_t j = 0; j < truth.size(); ++j) {
        const double off = std::abs(double(got[j]) - truth[j]) / std::max(1.0, std::abs(truth[j]));
        worst = off <= worst ? worst : off;
    }
    return worst;
}

template <class Reference>
void follow(const std::string& name, const Stack& stack, Reference& wide) {
    const char* const asked = std::getenv("OSTINATO_STEPS");
    const index steps = asked ? std::atol(asked) : 100000;
    check::about() = name;
    Machine machine(stack, 1, Nonfinite::refuse, 1);
    Random random(7);
    Floats x(std::size_t(block), 0.0f), y(std::size_t(block * H)), state(std::size_t(stack.numbers()));
    double worst = 0, early = 0;
    for (index made = 0, n = 0; made < steps; made += block, ++n) {
        if (n % 4 == 3)  // every fourth block is silence
            std::fill(x.begin(), x.end(), 0.0f);
        else
            x = random.numbers(block, 1);
        machine.run(0, block, x.data(), y.data());
        double error = 0;
        const auto add = [&](double off) { error = off <= error ? error : off; };
        for (index t = 0; t < block; ++t) {
            wide.step(double(x[std::size_t(t)]));
            add(apart_by(y.data() + t * H, wide.h));
        }
        machine.read(0, state.data());
        add(apart_by(state.data() + H, wide.c));
        worst = error <= worst ? worst : error;
        if (n < 4) early = worst;
    }
    CHECK(worst <= bound);
    if (asked)
        std::printf("%s: %ld steps, worst error %.2g (first %ld: %.2g)\n", name.c_str(), long(steps), worst, long(4 * block), early);
}

constexpr int drifting[] = {rnn_tanh, lstm_cell, gru_cell, gru_reset_after_cell};

}  // namespace

TEST(states_do_not_drift) {
    const Engine& e = *engines()[0];
    for (const int cell : drifting) {
        const Problem p = problem({cell, 1, 1, 1, H}, false, 3);
        const Packed packed = pack(e, p, Packed::forward, 1);
        Stack stack(e, 1);
        stack.recurrent(packed, p.h.data(), data_or_null(p.c));
        Wide wide(p);
        follow(name_of[cell], stack, wide);
    }
}

TEST(states_of_composed_cells_do_not_drift) {
    constexpr int formulas[] = {rnn_formula, lstm_formula, gru_formula, gru_reset_after_formula};
    const Engine& e = *engines()[0];
    for (int i = 0; i < 4; ++i) {
        const Problem p = problem({drifting[i], 1, 1, 1, H}, false, 3);
        const Composed made(e, formulas[i], 1, H, {tanh_function, sigmoid_function, 0},
                            {p.W.data(), p.U.data(), p.b.data(), data_or_null(p.b_rec), nullptr, nullptr, nullptr, nullptr});
        Stack stack(e, 1);
        stack.recurrent(made, p.h.data(), data_or_null(p.c));
        Wide wide(p);
        follow(std::string("composed ") + name_of[drifting[i]], stack, wide);
    }
    constexpr const char* names[] = {"layer_norm_rnn", "layer_norm_lstm", "layer_norm_gru"};
    for (int formula = layer_norm_rnn_formula; formula < n_formulas; ++formula) {
        Composition k(formula, 1, H);
        // Normalised sums have no size but their gains: these alone let the states of a cell without gates fade.
        if (formula == layer_norm_rnn_formula)
            for (float& gain : k.gain_h) gain /= 2;
        const Composed made = k.made(e);
        Stack stack(e, 1);
        stack.recurrent(made, k.h.data(), k.c.data());
        WideNormal wide(k);
        follow(names[formula - layer_norm_rnn_formula], stack, wide);
    }
}

}  // namespace ostinato
