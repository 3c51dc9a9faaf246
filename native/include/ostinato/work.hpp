// Everything that the time loop reads and writes, as plain pointers. One `Work` is shared by all threads of a call. Each of
// them runs its own rows, and nobody waits; or, in phases, all of them run their own blocks of units of all rows.
#pragma once
#include <cstddef>

namespace ostinato {

using index = std::ptrdiff_t;

// Steps whose x part is computed at once, if it is computed apart.
constexpr index stretch = 16;

// Rows of a batch in order of falling length. `r` counts rows in that order, `s` steps in the order of computation; the
// rows that are still running at step s are the first active[s]. token(s, r) = offset[s] + r numbers what is computed.
struct Order {
    index batch, time;     // B, T
    index steps;           // longest length
    index tokens;          // tokens that buffers hold: all of them in training, a ring of a few steps otherwise
    bool reverse;          // steps run from the end of each row's real part to its start
    const int* row;        // [B] r -> row of the user's arrays
    const int* start;      // [B] r -> first real step
    const int* length;     // [B] r -> number of real steps
    const int* active;     // [steps]
    const index* offset;   // [steps]

    index token(index s, index r) const { return offset[s] + r; }
    // The place of step s of row r on the user's time axis.
    index at(index s, index r) const { return start[r] + (reverse ? length[r] - 1 - s : s); }
};

// Weights in the order in which the products read them; W is the width of a register, blocks are W units. With pairs of
// bf16, I and H count pairs, and each place holds one.
struct Panels {
    const float* bias;   // [blocks, sums, W]
    const float* x;      // [blocks, I, x_count, W]; x, h and q of a last block with a Tail have W / 2 instead of W
    const float* h;      // [blocks, H, h_count, W]
    const float* q;      // [blocks, H, 1, W]; second phase
    const float* xt;     // [ceil(I / W), blocks, x_count, W, W]; for the slope of x
    const float* ht;     // [blocks, blocks, h_count, W, W]
    const float* qt;     // [blocks, blocks, W, W]
};

// What is kept between the steps and, in training, for the backward pass.
struct Tape {
    float* a;        // [tokens, lda]: x of the step at 0, h before the step at h_at
    index lda, h_at;
    float* c;        // [tokens, ldc]: second state before the step
    float* q;        // [tokens, ldc]: what the second phase multiplies
    index ldc;
    float* g;        // [blocks, tokens, sums, W]: gates; the backward pass turns them into slopes of the sums
    float* h_last;   // [B, ldc] states after the last step of each row; slopes of the states in the backward pass
    float* c_last;   // [B, ldc]
};

struct Work;

// The forward loops of the last block, in registers of half the width; the tape is as for the others.
struct Tail {
    // `steps` steps of row r from s on.
    void (*project)(const Work&, index s, index r, index steps);
    // Rows [r0, r1) of step s.
    void (*first)(const Work&, index s, index r0, index r1);
    void (*second)(const Work&, index s, index r0, index r1);
};

struct Work {
    index inputs, units, blocks;  // I, H, ceil(H / W)
    bool training;
    bool projected;               // the x part of the sums is computed for several steps at once, before them
    const Tail* tail;             // for the last block, if at most half of it is units; else null
    Order order;
    Panels weights;
    Tape tape;
    // User's arrays, row-major; a null pointer stands for zeros (inputs) or "not wanted" (outputs).
    const float *x;               // [B, T, I]
    float *y;                     // [B, T, H]
    const float *dy;              // [B, T, H]
    float *dx;                    // [B, T, I]
};

// User's weights (or their slopes): W [I, gates · H], U [H, gates · H], b and b_rec [gates · H]. With `by_gate`, W and U lie
// as torch's modules hold them, [gates · H, I] and [gates · H, H].
template <class T>
struct Weights {
    T *W, *U, *b, *b_rec;
    bool by_gate = false;
};

// Weights of y = x W + b in the order in which the product reads them.
struct Affine {
    index inputs, units;
    float* bias;         // [blocks, W]
    float* panel;        // [blocks, inputs, W]
};

enum Function {
    linear_function = 0, relu_function, relu6_function, leaky_relu_function, tanh_function, sigmoid_function,
    hard_sigmoid_function, softsign_function, elu_function, selu_function, silu_function, exponential_function,
    softmax_function, softplus_function, n_functions
};

// Facts of a cell that memory depends on.
struct Facts {
    int gates, sums, x_count, h_count;
    bool has_c, two_phases;

    index phases() const { return two_phases ? 2 : 1; }
};

// The loops of one cell, compiled for one instruction set. An engine for inference alone has no loops backward (null).
struct Loops {
    Facts facts;
    // Rows [r0, r1) through all steps, and back.
    void (*forward)(const Work&, index r0, index r1);
    void (*backward)(const Work&, index r0, index r1);
    // Blocks [j0, j1) of all rows through one phase. It reads what all blocks wrote in the phase before. There are
    // steps · phases of them forward, one more backward; the x part must be computed apart.
    void (*forward_phase)(const Work&, index phase, index j0, index j1);
    // Blocks [j0, j1) of the first `rows` rows through one phase of one step, whose x (projected: its part of the sums) stands
    // in the tape already; their new states are h_last and c_last. `back` should change from step to step; it is about caches only.
    void (*step)(const Work&, index phase, index rows, index j0, index j1, bool back);
    // The x part of the first `steps` steps of row 0, from w.x into the tape's gates.
    void (*project)(const Work&, index steps);
    void (*backward_phase)(const Work&, index phase, index j0, index j1);
    // Share `part` of `parts` of the slope of x. `room` is for `inputs_room` numbers, of this share alone.
    void (*inputs)(const Work&, float* room, index part, index parts);
    index (*inputs_room)(index inputs);
    // Share `part` of `parts` of the slopes of the weights. `sums` is room for `gradient_room` numbers.
    void (*gradients)(const Work&, const Weights<float>& out, float* sums, index part, index parts);
    index (*gradient_room)(index inputs, index units);
    // Share `part` of `parts` of the packing; `panels` are written although they are declared constant.
    void (*pack)(const Panels&, const Weights<const float>&, index inputs, index units, index part, index parts);
};

// Layers without state, row by row. Every number of a row has the same bits whatever other rows there are.
struct Maps {
    // y [rows, units] = x [rows, inputs] W + b; rows of x and y are ldx and ldy numbers apart.
    void (*affine)(const Affine&, const float* x, index ldx, float* y, index ldy, index rows);
    // W [inputs, units] and b [units] or null into the order of `affine`.
    void (*pack)(const Affine&, const float* W, const float* b);
    // x [rows, width] = f(x), f of enum Function.
    void (*activate)(int function, float* x, index ldx, index rows, index width);
    // x [rows, width] = gamma (x - mean) / sqrt(variance + epsilon) + beta.
    void (*normalise)(const float* gamma, const float* beta, float epsilon, float* x, index ldx, index rows, index width);
};

struct Engine {
    const char* name;
    int width;           // W
    int accumulators;    // registers that a product sums in
    const Loops* cells;  // in the order of enum Cell
    float (*peak)(index rounds);  // accumulators · W · depth multiply-adds a round, on registers only
    const Maps* maps;    // null in an engine of other precision than float32
    int depth = 1;       // numbers that a place of a register multiplies at once: 1 of float32, 2 of bf16
    const Tail* tails = nullptr;  // as `cells`; null if half a register is no faster than a whole one

    const Tail* tail(int cell, index units) const {
        const index last = units % width;
        return tails && last > 0 && last <= width / 2 ? tails + cell : nullptr;
    }
    // Units and what fills them up in the weights of the forward loops.
    index padded(index units) const {
        const index unit = tails ? width / 2 : width;
        return (units + unit - 1) / unit * unit;
    }
};

enum Cell { rnn_tanh = 0, rnn_relu, lstm_cell, gru_cell, gru_reset_after_cell, n_cells };

}  // namespace ostinato
