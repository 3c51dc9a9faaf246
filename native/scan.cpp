#include "scan.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <stdexcept>
#include <string>
#include <utility>

#include "flush.hpp"
#include "layout.hpp"
#include "phases.hpp"
#include "threads.hpp"

namespace ostinato {
namespace {

double flops(const Loops& loops, const Shape& s, index tokens) {
    return 2.0 * double(tokens) * loops.facts.gates * double(s.units) * double(s.inputs + s.units);
}

constexpr double meeting = 40e3;  // multiply-adds of a thread while others hear that it is done

// Rows whose arithmetic takes as long as reading the weights, from the first caches or from those behind; measured.
double hiding(double weights) { return weights < 131072 ? 4 : 6; }

// Threads that are worth their start for so much work.
int useful(int threads, double work) { return std::max(1, std::min(threads, int(work / 1e6) + 1)); }

}  // namespace

Packed::Packed(const Engine& engine, int cell, index inputs, index units, const Weights<const float>& w, What what,
               int threads)
    : engine(engine), cell(cell), inputs(inputs), units(units) {
    const Facts& f = engine.cells[cell].facts;
    const index W = engine.width, blocks = up(units, W) / W, outs = up(inputs, W) / W, D = engine.depth;
    const index I = up(inputs, D) / D, H = up(units, D) / D;
    if (what != forward && !engine.cells[cell].backward)
        throw std::invalid_argument("Packed: " + std::string(engine.name) + " computes no slopes");
    Layout layout;
    Panels& p = panels;
    if (what == forward) {
        layout.add(p.bias, blocks * f.sums * W);
        const index padded = engine.padded(units);
        layout.add(p.x, padded * I * f.x_count);
        layout.add(p.h, padded * H * f.h_count);
        if (f.two_phases) layout.add(p.q, padded * H);
    } else {
        layout.add(p.ht, blocks * blocks * f.h_count * W * W);
        if (f.two_phases) layout.add(p.qt, blocks * blocks * W * W);
        if (what == backward_inputs) layout.add(p.xt, outs * blocks * f.x_count * W * W);
    }
    room_ = layout.place();
    const int n = useful(threads, 20.0 * double(inputs + units) * double(units) * f.gates);
    parallel(n, [&](int i) { engine.cells[cell].pack(p, w, inputs, units, i, n); });
}

// Rows by falling length.
void Run::order(const int* start, const int* length) {
    const index n = shape.batch;
    numbers_.assign(std::size_t(3 * n), 0);
    int *row = numbers_.data(), *first = row + n, *count = first + n;
    std::iota(row, row + n, 0);
    if (length) std::stable_sort(row, row + n, [length](int a, int b) { return length[a] > length[b]; });
    for (index r = 0; r < n; ++r) {
        first[r] = length ? start[row[r]] : 0;
        count[r] = length ? length[row[r]] : int(shape.time);
    }
    const index steps = n ? count[0] : 0;
    numbers_.resize(std::size_t(3 * n + steps));
    row = numbers_.data(), first = row + n, count = first + n;
    int* active = count + n;
    index running = n;
    for (index s = 0; s < steps; ++s) {
        while (running > 0 && count[running - 1] <= s) --running;
        active[s] = int(running);
    }
    Order& o = work_.order;
    o.batch = n, o.time = shape.time, o.steps = steps, o.reverse = shape.reverse;
    o.row = row, o.start = first, o.length = count, o.active = active;
}

// Where each step's tokens lie.
void Run::place() {
    Order& o = work_.order;
    offsets_.resize(std::size_t(o.steps));
    const index ring = work_.projected ? stretch : 2;
    index total = 0;
    for (index s = 0; s < o.steps; ++s) {
        offsets_[std::size_t(s)] = work_.training ? total : s % ring * o.batch;
        total += o.active[s];
    }
    o.tokens = work_.training ? total : ring * o.batch;
    o.offset = offsets_.data();
}

// Real steps of all rows.
index Run::total() const {
    const Order& o = work_.order;
    return std::accumulate(o.length, o.length + o.batch, index(0));
}

int Run::useful(int threads) const {
    return ostinato::useful(threads, flops(engine_.cells[shape.cell], shape, total()));
}

// Threads that share out the rows never wait for each other, but each of them reads all weights in each step. Threads that
// share out the units read a part of them each and wait for each other in each phase. With so few rows that reading the
// weights takes longer than computing with them, the second is faster. All costs in multiply-adds.
int Run::choose_slices(int threads) const {
    const Order& o = work_.order;
    const int n = int(std::min<index>(useful(threads), work_.blocks));
    if (n < 2 || o.steps < 2) return 0;
    const Facts& f = engine_.cells[shape.cell].facts;
    const double weights = double(f.gates) * double(shape.units) * double(shape.units);
    const double rows = double(total()) / double(o.steps);
    const auto step = [=](double rows) { return weights * std::max(rows, hiding(weights)); };
    return step(rows) / n + double(f.phases()) * meeting < step(std::max(1.0, rows / n)) ? n : 0;
}

// On all threads: rows(from, to) for shares of rows that are about equal in tokens, or blocks(phase, from, to).
template <class Rows, class Blocks>
void Run::run(int threads, index phases, Rows&& rows, Blocks&& blocks) {
    const Order& o = work_.order;
    if (slices && phases > 0) {
        Phases all(phases, slices);
        const auto slice = [&](index phase, int i) {
            blocks(phase, work_.blocks * i / slices, work_.blocks * (i + 1) / slices);
        };
        parallel(slices, [&](int i) {
            const Flush flush;
            all.run(i, slice);
        });
        return;
    }
    const index active = o.steps ? o.active[0] : 0, tokens = total();
    const index n = std::min<index>(useful(threads), std::max<index>(active, 1));
    std::vector<index> bounds{0};
    index sum = 0;
    for (index r = 0; r < active && index(bounds.size()) < n; ++r) {
        sum += o.length[r];
        if (sum * n >= tokens * index(bounds.size())) bounds.push_back(r + 1);
    }
    while (index(bounds.size()) <= n) bounds.push_back(active);
    bounds.back() = active;
    parallel(int(n), [&](int i) {
        const Flush flush;
        rows(bounds[std::size_t(i)], bounds[std::size_t(i) + 1]);
    });
}

// Zeros at the steps of `to` [B, T, width] that are not real.
void Run::blank(float* to, index width) const {
    const Order& o = work_.order;
    for (index r = 0; to && r < o.batch; ++r) {
        float* const row = to + o.row[r] * o.time * width;
        const index end = o.start[r] + o.length[r];
        std::memset(row, 0, std::size_t(o.start[r] * width) * sizeof(float));
        std::memset(row + end * width, 0, std::size_t((o.time - end) * width) * sizeof(float));
    }
}

Run::Run(const Packed& weights, const Shape& shape, const Arrays& in, const Results& out, bool training, int threads)
    : shape(shape), engine_(weights.engine) {
    const Loops& loops = engine_.cells[shape.cell];
    const Facts& f = loops.facts;
    if (training && !loops.backward) throw std::invalid_argument("Run: " + std::string(engine_.name) + " computes no slopes");
    const index W = engine_.width, B = shape.batch, H = shape.units;
    Work& w = work_;
    w.inputs = shape.inputs, w.units = H, w.blocks = up(H, W) / W, w.training = training;
    w.tail = engine_.tail(shape.cell, H);
    order(in.start, in.length);
    slices = choose_slices(threads);
    w.projected = slices || (shape.inputs > 8 * H && shape.time > 1);  // measured; with fewer inputs it costs up to a fifth
    place();
    const Order& o = w.order;
    Tape& t = w.tape;
    const index wide = w.blocks * W;
    t.h_at = up(shape.inputs, 16), t.lda = apart(t.h_at + wide), t.ldc = apart(wide);
    Layout layout;
    layout.add(t.a, o.tokens * t.lda);
    if (f.has_c) layout.add(t.c, o.tokens * t.ldc);
    if (f.two_phases) layout.add(t.q, o.tokens * t.ldc);
    if (training || f.two_phases || w.projected) layout.add(t.g, w.blocks * o.tokens * f.sums * W);
    layout.add(t.h_last, B * t.ldc);
    layout.add(t.c_last, B * t.ldc);
    room_ = layout.place();
    w.weights = weights.panels;
    w.x = in.x, w.y = out.y;

    const index running = o.steps ? o.active[0] : 0;
    const auto begin = [&](float* to, const float* from) {
        std::memcpy(to, from, std::size_t(H) * sizeof(float));
        std::memset(to + H, 0, std::size_t(wide - H) * sizeof(float));
    };
    for (index r = 0; r < B; ++r) {
        begin(r < running ? t.a + o.token(0, r) * t.lda + t.h_at : t.h_last + r * t.ldc, in.h + o.row[r] * H);
        if (f.has_c) begin(r < running ? t.c + o.token(0, r) * t.ldc : t.c_last + r * t.ldc, in.c + o.row[r] * H);
    }
    blank(out.y, H);
    run(threads, o.steps * f.phases(), [&](index r0, index r1) { loops.forward(w, r0, r1); },
        [&](index phase, index j0, index j1) { loops.forward_phase(w, phase, j0, j1); });
    for (index r = 0; r < B; ++r) {
        std::memcpy(out.h + o.row[r] * H, t.h_last + r * t.ldc, std::size_t(H) * sizeof(float));
        if (f.has_c) std::memcpy(out.c + o.row[r] * H, t.c_last + r * t.ldc, std::size_t(H) * sizeof(float));
    }
}

void Run::backward(const Packed& weights, const Slopes& in, const Wanted& out, int threads) {
    const Loops& loops = engine_.cells[shape.cell];
    Work& w = work_;
    if (spent || !w.training) throw std::logic_error("Run::backward: the tape of this run is used up");
    spent = true;
    const Order& o = w.order;
    const Tape& t = w.tape;
    const index W = engine_.width, H = shape.units, B = shape.batch, wide = w.blocks * W;
    w.weights = weights.panels;
    w.dy = in.y, w.dx = out.x;
    slices = choose_slices(threads);
    const index room = out.w.W ? loops.gradient_room(shape.inputs, H) : 0;
    const int n = useful(threads);
    const index aside = out.x ? up(loops.inputs_room(shape.inputs), 16) : 0;
    const Room scratch(std::size_t(up(room, 16) + n * aside));
    float* const sums = scratch.data();
    const auto begin = [&](float* to, const float* from) {
        if (from) std::memcpy(to, from, std::size_t(H) * sizeof(float));
        const index at = from ? H : 0;
        std::memset(to + at, 0, std::size_t(wide - at) * sizeof(float));
    };
    for (index r = 0; r < B; ++r) {
        begin(t.h_last + r * t.ldc, in.h ? in.h + o.row[r] * H : nullptr);
        if (loops.facts.has_c) begin(t.c_last + r * t.ldc, in.c ? in.c + o.row[r] * H : nullptr);
    }
    run(threads, o.steps * loops.facts.phases() + 1, [&](index r0, index r1) { loops.backward(w, r0, r1); },
        [&](index phase, index j0, index j1) { loops.backward_phase(w, phase, j0, j1); });
    blank(out.x, shape.inputs);
    parallel(n, [&](int i) {
        if (out.x) loops.inputs(w, sums + up(room, 16) + i * aside, i, n);
        if (room) loops.gradients(w, out.w, sums, i, n);
    });
    for (index r = 0; r < B; ++r) {
        if (out.h) std::memcpy(out.h + o.row[r] * H, t.h_last + r * t.ldc, std::size_t(H) * sizeof(float));
        if (loops.facts.has_c && out.c)
            std::memcpy(out.c + o.row[r] * H, t.c_last + r * t.ldc, std::size_t(H) * sizeof(float));
    }
}

}  // namespace ostinato
