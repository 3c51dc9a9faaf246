#include "composed.hpp"

#include <cstring>
#include <stdexcept>

#include "layout.hpp"

namespace ostinato {
namespace {

bool normalised(int formula) { return formula >= layer_norm_rnn_formula; }

std::vector<float> copied(const float* from, index n) { return from ? std::vector<float>(from, from + n) : std::vector<float>(); }

// Columns [from, to) of a matrix of `wide` columns.
std::vector<float> columns(const float* matrix, index rows, index wide, index from, index to) {
    std::vector<float> part;
    part.reserve(std::size_t(rows * (to - from)));
    for (index r = 0; r < rows; ++r) part.insert(part.end(), matrix + r * wide + from, matrix + r * wide + to);
    return part;
}

// out = f(a, b), number by number, of rows that lie lda, ldb and ldout apart.
template <class F>
void each(float* out, index ldout, const float* a, index lda, const float* b, index ldb, index rows, index width, const F& f) {
    for (index r = 0; r < rows; ++r, out += ldout, a += lda, b += ldb)
        for (index i = 0; i < width; ++i) out[i] = f(a[i], b[i]);
}

constexpr auto sum = [](float a, float b) { return a + b; };
constexpr auto product = [](float a, float b) { return a * b; };

}  // namespace

// The sums of a step: x W, and h U or what follows of it.
struct Composed::Sums {
    float *x, *h;
    index rows;
};

int Composed::gates() const {
    if (has_c()) return 4;
    return formula == rnn_formula || formula == layer_norm_rnn_formula ? 1 : 3;
}

Composed::Composed(const Engine& engine, int formula, index inputs, index units, const Options& options, const Given& given)
    : engine(engine), formula(formula), inputs(inputs), units(units), options_(options), ld_(apart(gates() * units)) {
    if (formula < 0 || formula >= n_formulas) throw std::invalid_argument("Composed: no such formula");
    for (const int f : {options.activation, options.recurrent_activation})
        if (f < 0 || f >= n_functions) throw std::invalid_argument("Composed: no such function");
    const bool norm = normalised(formula), after = formula == gru_reset_after_formula || formula == layer_norm_gru_formula;
    const bool one = formula == layer_norm_rnn_formula, c = formula == layer_norm_lstm_formula;
    if (!given.W || !given.U || !given.b || (after && !given.b_rec) || (norm && !given.gain_h) ||
        (norm && !one && !given.gain_x) || (c && (!given.gain_c || !given.shift_c)))
        throw std::invalid_argument("Composed: a weight is missing");
    const index wide = gates() * units;
    x_.emplace(engine, inputs, wide, given.W, norm ? nullptr : given.b);
    if (formula == gru_formula) {  // its last gate multiplies r h
        h_.emplace(engine, units, 2 * units, columns(given.U, units, wide, 0, 2 * units).data(), nullptr);
        q_.emplace(engine, units, units, columns(given.U, units, wide, 2 * units, wide).data(), nullptr);
    } else {
        h_.emplace(engine, units, wide, given.U, after && !norm ? given.b_rec : nullptr);
    }
    if (!norm) return;
    b_ = copied(given.b, wide), gain_h_ = copied(given.gain_h, wide);
    b_rec_ = after ? copied(given.b_rec, wide) : std::vector<float>(std::size_t(wide), 0.0f);
    if (!one) gain_x_ = copied(given.gain_x, wide);
    if (c) gain_c_ = copied(given.gain_c, units), shift_c_ = copied(given.shift_c, units);
}

index Composed::room(index rows) const { return 2 * rows * ld_; }

void Composed::normal(const std::vector<float>& gain, const std::vector<float>& shift, float* x, index from, index width,
                      index rows) const noexcept {
    engine.maps->normalise(gain.data() + from, shift.data() + from, options_.epsilon, x + from, ld_, rows, width);
}

void Composed::activate(int function, float* x, index width, index rows) const noexcept {
    engine.maps->activate(function, x, ld_, rows, width);
}

void Composed::lstm(const Sums& s, float* h, float* c, index ld) const noexcept {
    const index n = units;
    for (const index gate : {0, 1, 3}) activate(options_.recurrent_activation, s.x + gate * n, n, s.rows);
    activate(options_.activation, s.x + 2 * n, n, s.rows);
    each(c, ld, c, ld, s.x + n, ld_, s.rows, n, product);
    each(s.h, ld_, s.x, ld_, s.x + 2 * n, ld_, s.rows, n, product);
    each(c, ld, c, ld, s.h, ld_, s.rows, n, sum);
    for (index r = 0; r < s.rows; ++r) std::memcpy(s.h + r * ld_, c + r * ld, std::size_t(n) * sizeof(float));
    if (normalised(formula)) normal(gain_c_, shift_c_, s.h, 0, n, s.rows);
    activate(options_.activation, s.h, n, s.rows);
    each(h, ld, s.x + 3 * n, ld_, s.h, ld_, s.rows, n, product);
}

void Composed::gru(const Sums& s, float* h, index ld) const noexcept {
    const index n = units;
    float *const r = s.x, *const z = s.x + n, *const next = s.x + 2 * n, *const u = s.h + 2 * n;
    each(r, ld_, r, ld_, s.h, ld_, s.rows, 2 * n, sum);
    activate(options_.recurrent_activation, r, 2 * n, s.rows);
    if (formula == gru_formula) {
        each(s.h, ld_, r, ld_, h, ld, s.rows, n, product);
        engine.maps->affine(q_->map, s.h, ld_, u, ld_, s.rows);
    } else {
        each(u, ld_, r, ld_, u, ld_, s.rows, n, product);
    }
    each(next, ld_, next, ld_, u, ld_, s.rows, n, sum);
    activate(options_.activation, next, n, s.rows);
    const bool old = formula == gru_reset_after_formula;  // what z weighs: the old state, else the new one
    for (index row = 0; row < s.rows; ++row) {
        float* const at = h + row * ld;
        const float *const to = next + row * ld_, *const weight = z + row * ld_;
        if (old)
            for (index i = 0; i < n; ++i) at[i] = to[i] + weight[i] * (at[i] - to[i]);
        else
            for (index i = 0; i < n; ++i) at[i] = at[i] + weight[i] * (to[i] - at[i]);
    }
}

void Composed::step(const float* x, index ldx, float* h, float* c, index ld, float* room, index rows) const noexcept {
    const Sums s{room, room + rows * ld_, rows};
    const index n = units, wide = gates() * n;
    engine.maps->affine(x_->map, x, ldx, s.x, ld_, rows);
    engine.maps->affine(h_->map, h, ld, s.h, ld_, rows);
    switch (formula) {
        case layer_norm_lstm_formula:
            normal(gain_x_, b_, s.x, 0, wide, rows), normal(gain_h_, b_rec_, s.h, 0, wide, rows);
            [[fallthrough]];
        case lstm_formula:
            each(s.x, ld_, s.x, ld_, s.h, ld_, rows, wide, sum);
            return lstm(s, h, c, ld);
        case layer_norm_gru_formula:
            for (const index from : {index(0), 2 * n}) {
                const index width = from ? n : 2 * n;
                normal(gain_x_, b_, s.x, from, width, rows), normal(gain_h_, b_rec_, s.h, from, width, rows);
            }
            [[fallthrough]];
        case gru_formula:
        case gru_reset_after_formula: return gru(s, h, ld);
        default:
            each(s.x, ld_, s.x, ld_, s.h, ld_, rows, n, sum);
            if (normalised(formula)) normal(gain_h_, b_, s.x, 0, n, rows);
            activate(options_.activation, s.x, n, rows);
            for (index r = 0; r < rows; ++r) std::memcpy(h + r * ld, s.x + r * ld_, std::size_t(n) * sizeof(float));
    }
}

}  // namespace ostinato
