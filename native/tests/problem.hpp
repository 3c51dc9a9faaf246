// Problems of every shape, and what the kernels make of them. All arrays are exactly as large as they must be, so that a
// sanitizer sees a step beside them, and results begin as NaN, so that a number that nobody wrote is wrong.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "../scan.hpp"

namespace ostinato {
namespace scalar {
extern const Engine engine;
}

using Floats = std::vector<float>;

constexpr int gates_of[n_cells] = {1, 1, 4, 3, 3};
constexpr const char* name_of[n_cells] = {"rnn_tanh", "rnn_relu", "lstm", "gru", "gru_reset_after"};

inline std::vector<const Engine*> all_engines() {
    auto all = engines();
    all.push_back(&scalar::engine);
    return all;
}

// The same numbers on every machine and with every standard library.
class Random {
public:
    explicit Random(std::uint64_t seed) : state_(seed * 2654435769u + 1) { below(2); }
    std::uint32_t below(std::uint32_t n) {
        state_ = state_ * 6364136223846793005u + 1442695040888963407u;
        return std::uint32_t(state_ >> 33) % n;
    }
    Floats numbers(index n, float size) {
        Floats all(static_cast<std::size_t>(n));
        for (float& x : all) x = size * (float(below(20001)) / 10000.0f - 1.0f);
        return all;
    }

private:
    std::uint64_t state_;
};

struct Problem {
    Shape shape;
    Floats x, h, c, W, U, b, b_rec;  // b_rec is empty for cells without it
    Floats dy, dh, dc;               // slopes of the results
    std::vector<int> start, length;  // empty: all steps are real

    bool has_c() const { return shape.cell == lstm_cell; }
    index at(index row) const { return start.empty() ? 0 : start[std::size_t(row)]; }
    index steps(index row) const { return length.empty() ? shape.time : length[std::size_t(row)]; }
    Weights<const float> weights() const {
        return {W.data(), U.data(), b.data(), b_rec.empty() ? nullptr : b_rec.data()};
    }
    std::string text() const {
        const auto n = [](index i) { return std::to_string(i); };
        return std::string(name_of[shape.cell]) + " B" + n(shape.batch) + " T" + n(shape.time) + " I" + n(shape.inputs) +
               " H" + n(shape.units) + (shape.reverse ? " reverse" : "") + (length.empty() ? "" : " ragged");
    }
};

inline Problem problem(const Shape& s, bool ragged, std::uint64_t seed = 1) {
    Random random(seed);
    const index wide = gates_of[s.cell] * s.units, states = s.batch * s.units;
    const float size = 1.0f / std::sqrt(float(s.inputs + s.units));
    Problem p{s, random.numbers(s.batch * s.time * s.inputs, 1), random.numbers(states, 1), {}, {}, {}, {}, {}, {}, {}, {},
              {}, {}};
    p.W = random.numbers(s.inputs * wide, size), p.U = random.numbers(s.units * wide, size), p.b = random.numbers(wide, 1);
    if (s.cell == gru_reset_after_cell) p.b_rec = random.numbers(wide, 1);
    p.dy = random.numbers(states * s.time, 1), p.dh = random.numbers(states, 1);
    if (p.has_c()) p.c = random.numbers(states, 1), p.dc = random.numbers(states, 1);
    for (index r = 0; ragged && r < s.batch; ++r) {  // the first row is empty, unless it is the only one
        const int n = r == 0 && s.batch > 1 ? 0 : int(random.below(std::uint32_t(s.time + 1)));
        p.length.push_back(n), p.start.push_back(int(random.below(std::uint32_t(s.time - n + 1))));
    }
    return p;
}

struct Found {
    Floats y, h, c, dx, dW, dU, db, db_rec, dh, dc;

    template <class F>
    void each(const F& f) const {
        f("y", y), f("h", h), f("c", c), f("dx", dx), f("dW", dW), f("dU", dU), f("db", db), f("db_rec", db_rec);
        f("dh", dh), f("dc", dc);
    }
};

inline float* data_or_null(Floats& all) { return all.empty() ? nullptr : all.data(); }
inline const float* data_or_null(const Floats& all) { return all.empty() ? nullptr : all.data(); }
inline Floats unknown(const Floats& like) { return Floats(like.size(), std::nanf("")); }

inline Arrays arrays(const Problem& p) {
    return {p.x.data(), p.h.data(), data_or_null(p.c), p.start.empty() ? nullptr : p.start.data(),
            p.length.empty() ? nullptr : p.length.data()};
}

inline Packed pack(const Engine& e, const Problem& p, Packed::What what, int threads) {
    return {e, p.shape.cell, p.shape.inputs, p.shape.units, p.weights(), what, threads};
}

// Results and, in training, all slopes.
inline Found compute(const Engine& e, const Problem& p, bool training, int threads) {
    Found f;
    f.y = unknown(p.dy), f.h = unknown(p.h), f.c = unknown(p.c);
    const auto weights = pack(e, p, Packed::forward, threads);
    Run run(weights, p.shape, arrays(p), {data_or_null(f.y), f.h.data(), data_or_null(f.c)}, training, threads);
    if (!training) return f;
    f.dx = unknown(p.x), f.dW = unknown(p.W), f.dU = unknown(p.U), f.db = unknown(p.b), f.db_rec = unknown(p.b_rec);
    f.dh = unknown(p.h), f.dc = unknown(p.c);
    const auto turned = pack(e, p, Packed::backward_inputs, threads);
    run.backward(turned, {data_or_null(p.dy), p.dh.data(), data_or_null(p.dc)},
                 {data_or_null(f.dx), {f.dW.data(), f.dU.data(), f.db.data(), data_or_null(f.db_rec)}, f.dh.data(),
                  data_or_null(f.dc)},
                 threads);
    return f;
}

inline bool same_bits(const Floats& a, const Floats& b) {
    return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0);
}

// Calls f(problem) for all cells and for sizes below, at and above the width of a register.
template <class F>
void each_problem(const F& f) {
    const index sizes[][2] = {{1, 1}, {5, 1}, {1, 3}, {5, 3}, {40, 3}, {1, 17}, {5, 17}, {1, 33}, {5, 33}, {5, 16}};
    std::uint64_t seed = 0;
    for (int cell = 0; cell < n_cells; ++cell)
        for (const auto& [inputs, units] : sizes)
            for (const index batch : {1, 2, 7})
                for (const index time : {1, 2, 18})  // one more than the stretch of steps that are computed at once
                    for (const bool reverse : {false, true})
                        for (const bool ragged : {false, true}) {
                            if (time > 2 && (batch == 2 || (units > 3 && units != 17))) continue;
                            f(problem({cell, batch, time, inputs, units, reverse}, ragged, ++seed));
                        }
}

}  // namespace ostinato
