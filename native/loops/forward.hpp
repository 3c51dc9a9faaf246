// All rows of a share through all steps. For each step: one product per tile, then the cell on the sums while they are
// still in registers.
#pragma once

struct at_step {
    const Work& w;
    index s, token;    // token of row 0
    index more, next;  // rows that run on after this step, and token of row 0 there

    at_step(const Work& w, index s)
        : w(w), s(s), token(w.order.offset[s]), more(s + 1 < w.order.steps ? w.order.active[s + 1] : 0),
          next(more ? w.order.offset[s + 1] : 0) {}

    // Where row r writes its states.
    float* h_to(index r) const {
        const Tape& t = w.tape;
        return r < more ? t.a + (next + r) * t.lda + t.h_at : t.h_last + r * t.ldc;
    }
    float* c_to(index r) const {
        const Tape& t = w.tape;
        return r < more ? t.c + (next + r) * t.ldc : t.c_last + r * t.ldc;
    }
};

// Steps of one row from s on, as rows of a product.
struct of_row {
    const Work& w;
    index s, r;
    const float* x;  // of step s
    index stride;    // to the next step's

    of_row(const Work& w, index s, index r)
        : w(w), s(s), r(r), x(w.x + (w.order.row[r] * w.order.time + w.order.at(s, r)) * w.inputs),
          stride(w.order.reverse ? -w.inputs : w.inputs) {}
};

// The end of those of the blocks before j1 that are computed in whole registers.
inline index whole(const Work& w, index j1) { return w.tail && j1 == w.blocks ? j1 - 1 : j1; }

// The x part of the sums alone, kept in the tape's gates.
template <class C>
struct project {
    template <int MR, int NG>
    static void run(const of_row& t, index k, index j) {
        const Work& w = t.w;
        vec sums[MR][NG][C::sums];
#pragma GCC unroll 8
        for (int g = 0; g < NG; ++g)
#pragma GCC unroll 8
            for (int v = 0; v < C::sums; ++v) {
                const vec b = load(w.weights.bias + ((j + g) * C::sums + v) * BLOCK);
#pragma GCC unroll 8
                for (int m = 0; m < MR; ++m) sums[m][g][v] = b;
            }
        product<C::x_first, C::x_count, C::x_count>(sums, t.x + k * t.stride, t.stride, 1,
                                                    w.weights.x + j * terms(w.inputs) * C::x_count * BLOCK,
                                                    terms(w.inputs) * C::x_count * BLOCK, w.inputs);
#pragma GCC unroll 8
        for (int m = 0; m < MR; ++m)
#pragma GCC unroll 8
            for (int g = 0; g < NG; ++g) {
                float* gates = w.tape.g + ((j + g) * w.order.tokens + w.order.token(t.s + k + m, t.r)) * C::sums * BLOCK;
#pragma GCC unroll 8
                for (int v = 0; v < C::sums; ++v) store(gates + v * BLOCK, sums[m][g][v]);
            }
    }
};

template <class C>
struct first_phase {
    template <int MR, int NG>
    static void run(const at_step& t, index r, index j) {
        const Work& w = t.w;
        const Tape& tape = w.tape;
        const index token = t.token + r, stride = w.order.tokens * C::sums * BLOCK;
        const float* a = tape.a + token * tape.lda;
        float* gates = tape.g + (j * w.order.tokens + token) * C::sums * BLOCK;
        vec sums[MR][NG][C::sums];
        if (w.projected) {
#pragma GCC unroll 8
            for (int m = 0; m < MR; ++m)
#pragma GCC unroll 8
                for (int g = 0; g < NG; ++g)
#pragma GCC unroll 8
                    for (int v = 0; v < C::sums; ++v) sums[m][g][v] = load(gates + g * stride + (m * C::sums + v) * BLOCK);
        } else {
#pragma GCC unroll 8
            for (int g = 0; g < NG; ++g)
#pragma GCC unroll 8
                for (int v = 0; v < C::sums; ++v) {
                    const vec b = load(w.weights.bias + ((j + g) * C::sums + v) * BLOCK);
#pragma GCC unroll 8
                    for (int m = 0; m < MR; ++m) sums[m][g][v] = b;
                }
            product<C::x_first, C::x_count, C::x_count>(sums, a, tape.lda, 1,
                                                        w.weights.x + j * terms(w.inputs) * C::x_count * BLOCK,
                                                        terms(w.inputs) * C::x_count * BLOCK, w.inputs);
        }
        product<C::h_first, C::h_count, C::h_count>(sums, a + tape.h_at, tape.lda, 1,
                                                    w.weights.h + j * terms(w.units) * C::h_count * BLOCK,
                                                    terms(w.units) * C::h_count * BLOCK, w.units);
#pragma GCC unroll 8
        for (int m = 0; m < MR; ++m)
#pragma GCC unroll 8
            for (int g = 0; g < NG; ++g) {
                const index at = (j + g) * BLOCK;
                const vec h = load(a + m * tape.lda + tape.h_at + at);
                vec c = C::has_c ? load(tape.c + (token + m) * tape.ldc + at) : broadcast(0.0f);
                vec kept[C::sums];
                const vec out = C::forward(sums[m][g], h, c, kept);
                if (w.training || C::two_phases) {
#pragma GCC unroll 8
                    for (int v = 0; v < C::sums; ++v) store(gates + g * stride + (m * C::sums + v) * BLOCK, kept[v]);
                }
                if (C::has_c) store(t.c_to(r + m) + at, c);
                store(C::two_phases ? tape.q + (token + m) * tape.ldc + at : t.h_to(r + m) + at, out);
            }
    }
};

template <class C>
struct second_phase {
    template <int MR, int NG>
    static void run(const at_step& t, index r, index j) {
        const Work& w = t.w;
        const Tape& tape = w.tape;
        const index token = t.token + r, stride = w.order.tokens * C::sums * BLOCK;
        float* gates = tape.g + (j * w.order.tokens + token) * C::sums * BLOCK;
        vec sums[MR][NG][1];
#pragma GCC unroll 8
        for (int m = 0; m < MR; ++m)
#pragma GCC unroll 8
            for (int g = 0; g < NG; ++g) sums[m][g][0] = load(gates + g * stride + (m * C::sums + C::q_first) * BLOCK);
        product<0, 1, 1>(sums, tape.q + token * tape.ldc, tape.ldc, 1, w.weights.q + j * terms(w.units) * BLOCK,
                         terms(w.units) * BLOCK, w.units);
#pragma GCC unroll 8
        for (int m = 0; m < MR; ++m)
#pragma GCC unroll 8
            for (int g = 0; g < NG; ++g) {
                const index at = (j + g) * BLOCK;
                vec kept[C::sums];
#pragma GCC unroll 8
                for (int v = 0; v < C::sums; ++v) kept[v] = load(gates + g * stride + (m * C::sums + v) * BLOCK);
                const vec h = load(tape.a + (token + m) * tape.lda + tape.h_at + at);
                store(t.h_to(r + m) + at, C::finish(sums[m][g][0], h, kept));
                if (w.training) store(gates + g * stride + (m * C::sums + C::q_first) * BLOCK, kept[C::q_first]);
            }
    }
};

// Numbers [i0, i1) of x of step s of rows [r0, r1) into the tape.
inline void fetch(const Work& w, index s, index r0, index r1, index i0, index i1) {
    for (index r = r0; r < r1; ++r)
        copy_row(w.tape.a + w.order.token(s, r) * w.tape.lda + i0,
                 w.x + (w.order.row[r] * w.order.time + w.order.at(s, r)) * w.inputs + i0, i1 - i0);
}

// The x part of a stretch of steps from s on, so that each weight is read once for all of them.
template <class C>
void project_stretch(const Work& w, index s, index r0, index r1, index j0, index j1) {
    const Order& o = w.order;
    const index last = less(s + stretch, o.steps);
    if (w.training)
        for (index t = s; t < last; ++t)
            fetch(w, t, r0, less(r1, o.active[t]), w.inputs * j0 / w.blocks, w.inputs * j1 / w.blocks);
    using tile = tiles<project<C>, C::sums>;
    const int ng = tile::blocks_at_once(last - s);
    const index end = whole(w, j1), rows = less(r1, o.active[s]);
    for (index j = j0; j < end; j += ng)
        for (index r = r0; r < rows; ++r) tile::run(of_row{w, s, r}, 0, less(last, o.length[r]) - s, j, less(j + ng, end));
    if (end < j1)
        for (index r = r0; r < rows; ++r) w.tail->project(w, s, r, less(last, o.length[r]) - s);
}

// Phase `k` of step s, of rows [r0, r1) and blocks [j0, j1).
template <class C>
void forward_part(const Work& w, index s, index k, index r0, index r1, index j0, index j1) {
    const Order& o = w.order;
    const at_step here{w, s};
    const index end = whole(w, j1);
    if (k == 0) {
        if (!w.projected)
            fetch(w, s, r0, r1, 0, w.inputs);
        else if (s % stretch == 0)
            project_stretch<C>(w, s, r0, r1, j0, j1);
        tiles<first_phase<C>, C::sums>::run(here, r0, r1, j0, end);
        if (end < j1) w.tail->first(w, s, r0, r1);
        if (C::two_phases) return;
    }
    if constexpr (C::two_phases) {
        tiles<second_phase<C>, 1>::run(here, r0, r1, j0, end);
        if (end < j1) w.tail->second(w, s, r0, r1);
    }
    const index at = j0 * BLOCK, n = less(j1 * BLOCK, w.units) - at;
    if (w.y)
        for (index r = r0; r < r1; ++r)
            copy_row(w.y + (o.row[r] * o.time + o.at(s, r)) * w.units + at, here.h_to(r) + at, n);
}

template <class C>
void forward(const Work& w, index r0, index r1) {
    for (index s = 0; s < w.order.steps; ++s) {
        const index end = less(r1, w.order.active[s]);
        if (end <= r0) break;
        for (index k = 0; k <= C::two_phases; ++k) forward_part<C>(w, s, k, r0, end, 0, w.blocks);
    }
}

template <class C>
void forward_phase(const Work& w, index phase, index j0, index j1) {
    const index phases = C::two_phases ? 2 : 1, s = phase / phases;
    forward_part<C>(w, s, phase % phases, 0, w.order.active[s], j0, j1);
}
