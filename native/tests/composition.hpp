// A cell composed of layers, with weights, and its formula in double precision.
#pragma once
#include <cmath>
#include <vector>

#include "../composed.hpp"
#include "problem.hpp"

namespace ostinato {

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

inline Doubles times(const Doubles& v, const Floats& matrix, index wide) {
    Doubles sums(std::size_t(wide), 0.0);
    for (std::size_t i = 0; i < v.size(); ++i)
        for (std::size_t j = 0; j < sums.size(); ++j) sums[j] += v[i] * double(matrix[i * sums.size() + j]);
    return sums;
}

inline void normalise(Doubles& v, const Floats& gain, std::size_t from, std::size_t to) {
    double mean = 0, squares = 0;
    for (std::size_t i = from; i < to; ++i) mean += v[i] / double(to - from);
    for (std::size_t i = from; i < to; ++i) squares += (v[i] - mean) * (v[i] - mean) / double(to - from);
    for (std::size_t i = from; i < to; ++i) v[i] = (v[i] - mean) / std::sqrt(squares + double(1e-3f)) * double(gain[i]);
}

inline double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

// One step of a layer-normalised cell, as ostinato/cells/ writes it.
inline void truth(const Composition& k, const Doubles& x, Doubles& h, Doubles& c) {
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

}  // namespace ostinato
