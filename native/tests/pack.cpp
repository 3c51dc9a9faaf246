// Every weight stands where work.hpp says, and nothing but zeros beside them.
#include <algorithm>
#include <cstring>
#include <vector>

#include "../scan.hpp"

#include "check.hpp"
#include "problem.hpp"

namespace ostinato {

namespace {

// Gates in the order of a cell's sums, and which of the sums have an x part, an h part, a second phase.
struct Sums {
    int gate[4], x_first, h_first, q_first;
};
constexpr Sums sums_of[n_cells] = {
    {{0}, 0, 0, -1}, {{0}, 0, 0, -1}, {{0, 1, 2, 3}, 0, 0, -1}, {{0, 1, 2}, 0, 0, 2}, {{2, 0, 1, 2}, 0, 1, -1}};

// The last block may be narrower.
bool rows(const float* panel, const Floats& w, index rows, index units, int gates, const Engine& e, const int* gate,
          int count) {
    bool good = true;
    const index W = e.width, padded = e.padded(units);
    for (index j = 0; j * W < padded; ++j) {
        const index wide = std::min(W, padded - j * W);
        const float* const block = panel + j * rows * count * W;
        for (index k = 0; k < rows; ++k)
            for (int v = 0; v < count; ++v)
                for (index i = 0; i < wide; ++i) {
                    const index unit = j * W + i;
                    const float want = unit < units ? w[std::size_t((k * gates + gate[v]) * units + unit)] : 0.0f;
                    good = good && block[(k * count + v) * wide + i] == want;
                }
    }
    return good;
}

bool turned(const float* panel, const Floats& w, index rows, index units, int gates, index W, const int* gate, int count) {
    bool good = true;
    const index blocks = (units + W - 1) / W, outs = (rows + W - 1) / W;
    for (index o = 0; o < outs; ++o)
        for (index j = 0; j < blocks; ++j)
            for (int v = 0; v < count; ++v)
                for (index k = 0; k < W; ++k)
                    for (index i = 0; i < W; ++i) {
                        const index row = o * W + i, unit = j * W + k;
                        const bool there = row < rows && unit < units;
                        const float want = there ? w[std::size_t((row * gates + gate[v]) * units + unit)] : 0.0f;
                        good = good && panel[((((o * blocks + j) * count + v) * W + k) * W) + i] == want;
                    }
    return good;
}

// [rows, columns] to [columns, rows].
Floats transposed(const Floats& w, index rows) {
    Floats all(w.size());
    const index columns = index(w.size()) / rows;
    for (index i = 0; i < rows; ++i)
        for (index k = 0; k < columns; ++k) all[std::size_t(k * rows + i)] = w[std::size_t(i * columns + k)];
    return all;
}

bool same(const float* a, const float* b, index n) {
    return !a == !b && (!a || std::memcmp(a, b, std::size_t(n) * sizeof(float)) == 0);
}

}  // namespace

TEST(weights_by_gate_fill_the_same_panels) {
    const index sizes[][2] = {{1, 1}, {5, 3}, {16, 16}, {17, 33}, {70, 100}};  // the last with several threads
    std::vector<const Engine*> all = all_engines();
    if (bf16_engine()) all.push_back(bf16_engine());
    for (int cell = 0; cell < n_cells; ++cell)
        for (const auto& [I, H] : sizes) {
            const Problem p = problem({cell, 1, 1, I, H}, false);
            const Floats U = transposed(p.U, H), W = transposed(p.W, I);
            Weights<const float> turned = p.weights();
            turned.W = W.data(), turned.U = U.data(), turned.by_gate = true;
            for (const Engine* e : all)
                for (const auto what : {Packed::forward, Packed::backward_inputs}) {
                    if (what != Packed::forward && !e->cells[cell].backward) continue;
                    check::about() = p.text() + " " + e->name;
                    const Packed a(*e, cell, I, H, p.weights(), what, 3), b(*e, cell, I, H, turned, what, 3);
                    const Facts& f = e->cells[cell].facts;
                    const index w = e->width, blocks = (H + w - 1) / w, outs = (I + w - 1) / w, D = e->depth;
                    const index i = (I + D - 1) / D, h = (H + D - 1) / D;
                    CHECK(same(a.panels.x, b.panels.x, e->padded(H) * i * f.x_count));
                    CHECK(same(a.panels.h, b.panels.h, e->padded(H) * h * f.h_count));
                    CHECK(same(a.panels.q, b.panels.q, e->padded(H) * h));
                    CHECK(same(a.panels.xt, b.panels.xt, outs * blocks * f.x_count * w * w));
                    CHECK(same(a.panels.ht, b.panels.ht, blocks * blocks * f.h_count * w * w));
                    CHECK(same(a.panels.qt, b.panels.qt, blocks * blocks * w * w));
                }
        }
}

TEST(panels_hold_the_weights) {
    const index sizes[][2] = {{1, 1}, {5, 3}, {5, 16}, {17, 17}, {33, 33}, {3, 300}};  // the last with several threads
    for (int cell = 0; cell < n_cells; ++cell)
        for (const auto& [I, H] : sizes) {
            const Problem p = problem({cell, 1, 1, I, H}, false);
            const int gates = gates_of[cell];
            const Sums& o = sums_of[cell];
            for (const Engine* e : all_engines())
                for (const int threads : {1, 3}) {
                    check::about() = p.text() + " " + e->name;
                    const Facts& f = e->cells[cell].facts;
                    const index W = e->width;
                    const auto forward = pack(*e, p, Packed::forward, threads);
                    const auto back = pack(*e, p, Packed::backward, threads);
                    const auto back_inputs = pack(*e, p, Packed::backward_inputs, threads);
                    const int *x = o.gate + o.x_first, *h = o.gate + o.h_first, *q = o.gate + o.q_first;
                    CHECK(f.gates == gates && f.two_phases == (o.q_first >= 0) && f.has_c == p.has_c());
                    CHECK(rows(forward.panels.x, p.W, I, H, gates, *e, x, f.x_count));
                    CHECK(rows(forward.panels.h, p.U, H, H, gates, *e, h, f.h_count));
                    CHECK(turned(back.panels.ht, p.U, H, H, gates, W, h, f.h_count) && !back.panels.xt);
                    CHECK(turned(back_inputs.panels.ht, p.U, H, H, gates, W, h, f.h_count));
                    CHECK(turned(back_inputs.panels.xt, p.W, I, H, gates, W, x, f.x_count));
                    if (f.two_phases) {
                        CHECK(rows(forward.panels.q, p.U, H, H, gates, *e, q, 1));
                        CHECK(turned(back.panels.qt, p.U, H, H, gates, W, q, 1));
                    }
                    for (index unit = 0; unit < (H + W - 1) / W * W; ++unit)
                        for (int v = 0; v < f.sums; ++v) {
                            float want = 0;
                            const std::size_t at = std::size_t(o.gate[v] * H + unit);
                            if (unit < H && v >= o.x_first && v < o.x_first + f.x_count) want = p.b[at];
                            if (unit < H && !p.b_rec.empty() && v >= o.h_first && v < o.h_first + f.h_count)
                                want += p.b_rec[at];
                            CHECK(forward.panels.bias[(unit / W * f.sums + v) * W + unit % W] == want);
                        }
                }
        }
}

}  // namespace ostinato
