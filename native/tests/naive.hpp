// The recurrences as their formulas are written, in double precision; slopes by recording every operation and going back.
#pragma once
#include <cmath>
#include <vector>

#include "problem.hpp"

namespace ostinato::naive {

struct Operation {
    int from[3];
    double slope[3];
};

class Record {
public:
    // -1 stands for no operand.
    int add(int a = -1, double da = 0, int b = -1, double db = 0, int c = -1, double dc = 0) {
        operations_.push_back({{a, b, c}, {da, db, dc}});
        return int(operations_.size()) - 1;
    }
    void back(std::vector<double>& slopes) const {
        for (std::size_t i = operations_.size(); i-- > 0;)
            for (int k = 0; k < 3; ++k)
                if (operations_[i].from[k] >= 0)
                    slopes[std::size_t(operations_[i].from[k])] += slopes[i] * operations_[i].slope[k];
    }
    std::size_t size() const { return operations_.size(); }

private:
    std::vector<Operation> operations_;
};

struct Number {
    double value = 0;
    int id = -1;
};
using Numbers = std::vector<Number>;

struct Answer {
    std::vector<double> y, h, c, dx, dW, dU, db, db_rec, dh, dc;
};

class Scan {
public:
    explicit Scan(const Problem& p) : p_(p), I(p.shape.inputs), H(p.shape.units), wide_(gates_of[p.shape.cell] * H) {
        x = leaves(p.x), h0 = leaves(p.h), c0 = leaves(p.c), W = leaves(p.W), U = leaves(p.U), b = leaves(p.b);
        b_rec = leaves(p.b_rec);
    }

    Answer run() {
        const index T = p_.shape.time;
        Numbers y(p_.dy.size()), last_h, last_c;
        for (index r = 0; r < p_.shape.batch; ++r) {
            h.assign(h0.begin() + r * H, h0.begin() + (r + 1) * H);
            if (p_.has_c()) c.assign(c0.begin() + r * H, c0.begin() + (r + 1) * H);
            const index n = p_.steps(r);
            for (index s = 0; s < n; ++s) {
                const index t = p_.at(r) + (p_.shape.reverse ? n - 1 - s : s);
                x_ = x.data() + (r * T + t) * I;
                step();
                for (index j = 0; j < H; ++j) y[std::size_t((r * T + t) * H + j)] = h[std::size_t(j)];
            }
            last_h.insert(last_h.end(), h.begin(), h.end()), last_c.insert(last_c.end(), c.begin(), c.end());
        }
        std::vector<double> slopes(record_.size());
        seed(slopes, y, p_.dy), seed(slopes, last_h, p_.dh), seed(slopes, last_c, p_.dc);
        record_.back(slopes);
        const auto values = [](const Numbers& all) {
            std::vector<double> out;
            for (const Number& a : all) out.push_back(a.value);
            return out;
        };
        const auto of = [&](const Numbers& all) {
            std::vector<double> out;
            for (const Number& a : all) out.push_back(slopes[std::size_t(a.id)]);
            return out;
        };
        return {values(y), values(last_h), values(last_c), of(x), of(W), of(U), of(b), of(b_rec), of(h0), of(c0)};
    }

private:
    Numbers leaves(const Floats& values) {
        Numbers all;
        for (const float v : values) all.push_back({v, record_.add()});
        return all;
    }
    static void seed(std::vector<double>& slopes, const Numbers& at, const Floats& with) {
        for (std::size_t i = 0; i < at.size(); ++i)
            if (at[i].id >= 0) slopes[std::size_t(at[i].id)] += with[i];  // padding depends on nothing
    }

    Number add(Number a, Number b) { return {a.value + b.value, record_.add(a.id, 1, b.id, 1)}; }
    Number mul(Number a, Number b) { return {a.value * b.value, record_.add(a.id, b.value, b.id, a.value)}; }
    Number mul_add(Number a, Number b, Number c) {
        return {a.value * b.value + c.value, record_.add(a.id, b.value, b.id, a.value, c.id, 1)};
    }
    Number from_one(Number a) { return {1 - a.value, record_.add(a.id, -1)}; }
    Number tanh(Number a) {
        const double v = std::tanh(a.value);
        return {v, record_.add(a.id, 1 - v * v)};
    }
    Number sigmoid(Number a) {
        const double v = 1 / (1 + std::exp(-a.value));
        return {v, record_.add(a.id, v * (1 - v))};
    }
    Number relu(Number a) { return {a.value > 0 ? a.value : 0, record_.add(a.id, a.value > 0 ? 1 : 0)}; }

    // Column `gate`, j of x W + b, and of v U.
    Number of_x(int gate, index j) {
        Number sum = b[std::size_t(gate * H + j)];
        for (index i = 0; i < I; ++i) sum = mul_add(x_[i], W[std::size_t(i * wide_ + gate * H + j)], sum);
        return sum;
    }
    Number of(const Numbers& v, int gate, index j, Number sum) {
        for (index i = 0; i < H; ++i) sum = mul_add(v[std::size_t(i)], U[std::size_t(i * wide_ + gate * H + j)], sum);
        return sum;
    }
    Number gate(int k, index j) { return of(h, k, j, of_x(k, j)); }

    void step() {
        Numbers next(std::size_t(H), Number{}), reset;
        if (p_.shape.cell == gru_cell)
            for (index j = 0; j < H; ++j) reset.push_back(mul(sigmoid(gate(0, j)), h[std::size_t(j)]));
        Numbers next_c = c;
        for (index j = 0; j < H; ++j) {
            const std::size_t at = std::size_t(j);
            Number& out = next[at];
            switch (p_.shape.cell) {
                case rnn_tanh: out = tanh(gate(0, j)); break;
                case rnn_relu: out = relu(gate(0, j)); break;
                case lstm_cell: {
                    const Number i = sigmoid(gate(0, j)), f = sigmoid(gate(1, j)), n = tanh(gate(2, j));
                    next_c[at] = mul_add(f, c[at], mul(i, n));
                    out = mul(sigmoid(gate(3, j)), tanh(next_c[at]));
                    break;
                }
                case gru_cell: {
                    const Number z = sigmoid(gate(1, j)), n = tanh(of(reset, 2, j, of_x(2, j)));
                    out = mul_add(z, n, mul(from_one(z), h[at]));
                    break;
                }
                default: {  // gru_reset_after
                    const auto both = [&](int k) { return add(gate(k, j), b_rec[std::size_t(k * H + j)]); };
                    const Number r = sigmoid(both(0)), z = sigmoid(both(1));
                    const Number n = tanh(mul_add(r, of(h, 2, j, b_rec[std::size_t(2 * H + j)]), of_x(2, j)));
                    out = mul_add(z, h[at], mul(from_one(z), n));
                }
            }
        }
        h = next, c = next_c;
    }

    const Problem& p_;
    const index I, H, wide_;
    Record record_;
    Numbers x, h0, c0, W, U, b, b_rec, h, c;
    const Number* x_ = nullptr;
};

inline Answer answer(const Problem& p) { return Scan(p).run(); }

}  // namespace ostinato::naive
