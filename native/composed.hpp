// Cells of which one step is composed of what layers without state are made of: products, normalisations, functions. For the
// step machine alone. Formulas as in ostinato/cells/, in their order of operations.
#pragma once
#include <optional>
#include <vector>

#include "maps.hpp"

namespace ostinato {

enum Formula {
    rnn_formula = 0, lstm_formula, gru_formula, gru_reset_after_formula, layer_norm_rnn_formula, layer_norm_lstm_formula,
    layer_norm_gru_formula, n_formulas
};

class Composed {
public:
    // W [inputs, gates · units], U [units, gates · units]; the others [gates · units], but gain_c and shift_c [units]. A
    // formula reads those that it has: b_rec if its reset gate acts after the product; gain_x and gain_h (layer_norm_rnn:
    // gain_h alone, of both sums together); gain_c and shift_c of layer_norm_lstm.
    struct Given {
        const float *W, *U, *b, *b_rec, *gain_x, *gain_h, *gain_c, *shift_c;
    };
    // Functions of the states and of the gates, and what is added to variances.
    struct Options {
        int activation, recurrent_activation;
        float epsilon;
    };

    Composed(const Engine& engine, int formula, index inputs, index units, const Options& options, const Given& given);

    bool has_c() const { return formula == lstm_formula || formula == layer_norm_lstm_formula; }
    int gates() const;
    // Numbers that `step` needs for so many rows.
    index room(index rows) const;
    // One step of some rows: x [rows, inputs], ldx apart; h and c [rows, units], ld apart, before and after it. Every row has
    // the same bits whatever other rows there are.
    void step(const float* x, index ldx, float* h, float* c, index ld, float* room, index rows) const noexcept;

    const Engine& engine;
    const int formula;
    const index inputs, units;

private:
    struct Sums;
    void normal(const std::vector<float>& gain, const std::vector<float>& shift, float* x, index from, index width,
                index rows) const noexcept;
    void activate(int function, float* x, index width, index rows) const noexcept;
    void lstm(const Sums& s, float* h, float* c, index ld) const noexcept;
    void gru(const Sums& s, float* h, index ld) const noexcept;

    const Options options_;
    const index ld_;  // between rows of sums
    std::optional<PackedAffine> x_, h_, q_;
    std::vector<float> b_, b_rec_, gain_x_, gain_h_, gain_c_, shift_c_;
};

}  // namespace ostinato
