// A stream that never ends: its states beside the same in double precision, amid noise and through silence.
//
// A cell whose states fade forgets its rounding errors as it forgets its inputs, so that the error stays where it was after
// the first steps. OSTINATO_STEPS says how many steps are made.
#include <cstdlib>

#include "../machine.hpp"
#include "check.hpp"
#include "problem.hpp"

namespace ostinato {
namespace {

constexpr index H = 8;
constexpr double bound = 64 * 0x1p-24;  // as in close.hpp: the states are below 1 but for c, which is below 4 here
constexpr index block = 4096;

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

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

}  // namespace

TEST(states_do_not_drift) {
    const char* const asked = std::getenv("OSTINATO_STEPS");
    const index steps = asked ? std::atol(asked) : 100000;
    for (const int cell : {int(rnn_tanh), int(lstm_cell), int(gru_cell), int(gru_reset_after_cell)}) {
        check::about() = name_of[cell];
        const Engine& e = *engines()[0];
        const Problem p = problem({cell, 1, 1, 1, H}, false, 3);
        const Packed packed = pack(e, p, Packed::forward, 1);
        Stack stack(e, 1);
        stack.recurrent(packed, p.h.data(), data_or_null(p.c));
        Machine machine(stack, 1, Nonfinite::refuse, 1);
        Wide wide(p);
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
            for (index t = 0; t < block; ++t) {
                wide.step(double(x[std::size_t(t)]));
                for (index j = 0; j < H; ++j) {
                    const double off = std::abs(double(y[std::size_t(t * H + j)]) - wide.h[std::size_t(j)]);
                    error = off <= error ? error : off;  // NaN is the worst
                }
            }
            machine.read(0, state.data());
            for (std::size_t j = 0; j < wide.c.size(); ++j) {
                const double off = std::abs(double(state[std::size_t(H) + j]) - wide.c[j]) / std::max(1.0, std::abs(wide.c[j]));
                error = off <= error ? error : off;
            }
            worst = error <= worst ? worst : error;
            if (n < 4) early = worst;
        }
        CHECK(worst <= bound);
        if (asked)
            std::printf("%s: %ld steps, worst error %.2g (first %ld: %.2g)\n", name_of[cell],
                        long(steps), worst, long(4 * block), early);
    }
}

}  // namespace ostinato
