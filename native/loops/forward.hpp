// All rows of a share through all steps. For each step: one product per tile, then the cell on the sums while they are
// still in registers.
#pragma once

struct at_step {
    const Work& w;
    index s, token;  // token of row 0
};

// The x part of the sums alone, kept in the tape's gates.
template <class C>
struct project {
    template <int MR, int NG>
    static void run(const at_step& t, index r, index j) {
        const Work& w = t.w;
        vec sums[MR][NG][C::sums];
        for (int m = 0; m < MR; ++m)
            for (int g = 0; g < NG; ++g)
                for (int v = 0; v < C::sums; ++v) sums[m][g][v] = load(w.weights.bias + ((j + g) * C::sums + v) * W);
        product<C::x_first, C::x_count, C::x_count>(sums, w.tape.a + (t.token + r) * w.tape.lda, w.tape.lda, 1,
                                                    w.weights.x + j * terms(w.inputs) * C::x_count * W,
                                                    terms(w.inputs) * C::x_count * W, w.inputs);
        for (int m = 0; m < MR; ++m)
            for (int g = 0; g < NG; ++g) {
                float* gates = w.tape.g + ((j + g) * w.order.tokens + t.token + r + m) * C::sums * W;
                for (int v = 0; v < C::sums; ++v) store(gates + v * W, sums[m][g][v]);
            }
    }
};

template <class C>
struct first_phase {
    template <int MR, int NG>
    static void run(const at_step& t, index r, index j) {
        const Work& w = t.w;
        const Tape& tape = w.tape;
        const index token = t.token + r, stride = w.order.tokens * C::sums * W;
        const float* a = tape.a + token * tape.lda;
        float* gates = tape.g + (j * w.order.tokens + token) * C::sums * W;
        vec sums[MR][NG][C::sums];
        if (w.projected) {
#pragma GCC unroll 8
            for (int m = 0; m < MR; ++m)
#pragma GCC unroll 8
                for (int g = 0; g < NG; ++g)
#pragma GCC unroll 8
                    for (int v = 0; v < C::sums; ++v) sums[m][g][v] = load(gates + g * stride + (m * C::sums + v) * W);
        } else {
#pragma GCC unroll 8
            for (int g = 0; g < NG; ++g)
#pragma GCC unroll 8
                for (int v = 0; v < C::sums; ++v) {
                    const vec b = load(w.weights.bias + ((j + g) * C::sums + v) * W);
#pragma GCC unroll 8
                    for (int m = 0; m < MR; ++m) sums[m][g][v] = b;
                }
            product<C::x_first, C::x_count, C::x_count>(sums, a, tape.lda, 1,
                                                        w.weights.x + j * terms(w.inputs) * C::x_count * W,
                                                        terms(w.inputs) * C::x_count * W, w.inputs);
        }
        product<C::h_first, C::h_count, C::h_count>(sums, a + tape.h_at, tape.lda, 1,
                                                    w.weights.h + j * terms(w.units) * C::h_count * W,
                                                    terms(w.units) * C::h_count * W, w.units);
#pragma GCC unroll 8
        for (int m = 0; m < MR; ++m)
#pragma GCC unroll 8
            for (int g = 0; g < NG; ++g) {
                const index at = (j + g) * W;
                const vec h = load(a + m * tape.lda + tape.h_at + at);
                vec c = C::has_c ? load(tape.c + (token + m) * tape.ldc + at) : broadcast(0.0f);
                vec kept[C::sums];
                const vec out = C::forward(sums[m][g], h, c, kept);
                if (w.training || C::two_phases) {
#pragma GCC unroll 8
                    for (int v = 0; v < C::sums; ++v) store(gates + g * stride + (m * C::sums + v) * W, kept[v]);
                }
                if (C::has_c) store(tape.c_next[r + m] + at, c);
                store(C::two_phases ? tape.q + (token + m) * tape.ldc + at : tape.h_next[r + m] + at, out);
            }
    }
};

template <class C>
struct second_phase {
    template <int MR, int NG>
    static void run(const at_step& t, index r, index j) {
        const Work& w = t.w;
        const Tape& tape = w.tape;
        const index token = t.token + r, stride = w.order.tokens * C::sums * W;
        float* gates = tape.g + (j * w.order.tokens + token) * C::sums * W;
        vec sums[MR][NG][1];
#pragma GCC unroll 8
        for (int m = 0; m < MR; ++m)
#pragma GCC unroll 8
            for (int g = 0; g < NG; ++g) sums[m][g][0] = load(gates + g * stride + (m * C::sums + C::q_first) * W);
        product<0, 1, 1>(sums, tape.q + token * tape.ldc, tape.ldc, 1, w.weights.q + j * terms(w.units) * W,
                         terms(w.units) * W, w.units);
#pragma GCC unroll 8
        for (int m = 0; m < MR; ++m)
#pragma GCC unroll 8
            for (int g = 0; g < NG; ++g) {
                const index at = (j + g) * W;
                vec kept[C::sums];
#pragma GCC unroll 8
                for (int v = 0; v < C::sums; ++v) kept[v] = load(gates + g * stride + (m * C::sums + v) * W);
                const vec h = load(tape.a + (token + m) * tape.lda + tape.h_at + at);
                store(tape.h_next[r + m] + at, C::finish(sums[m][g][0], h, kept));
                if (w.training) store(gates + g * stride + (m * C::sums + C::q_first) * W, kept[C::q_first]);
            }
    }
};

// x of step s of rows [r0, r1) into the tape.
inline void fetch(const Work& w, index s, index r0, index r1) {
    for (index r = r0; r < r1; ++r)
        copy_row(w.tape.a + w.order.token(s, r) * w.tape.lda,
                 w.x + (w.order.row[r] * w.order.time + w.order.at(s, r)) * w.inputs, w.inputs);
}

template <class C>
void forward(const Work& w, index r0, index r1) {
    const Order& o = w.order;
    const Tape& tape = w.tape;
    for (index r = r0; w.y && r < r1; ++r) {
        float* y = w.y + o.row[r] * o.time * w.units;
        zero(y, o.start[r] * w.units);
        const index end = o.start[r] + o.length[r];
        zero(y + end * w.units, (o.time - end) * w.units);
    }
    for (index s = 0; s < o.steps; ++s) {
        const index end = less(r1, o.active[s]);
        if (end <= r0) break;
        const at_step here{w, s, o.offset[s]};
        if (!w.projected) {
            fetch(w, s, r0, end);
        } else if (s % stretch == 0) {
            const index last = less(s + stretch, o.steps);
            for (index t = s; t < last; ++t) fetch(w, t, r0, less(r1, o.active[t]));
            const int ng = tiles<project<C>, C::sums>::blocks_at_once(end - r0);
            for (index j = 0; j < w.blocks; j += ng)
                for (index t = s; t < last; ++t)
                    tiles<project<C>, C::sums>::run(at_step{w, t, o.offset[t]}, r0, less(r1, o.active[t]), j,
                                                    less(j + ng, w.blocks));
        }
        const index next = s + 1 < o.steps ? less(r1, o.active[s + 1]) : 0;
        for (index r = r0; r < end; ++r) {
            const bool more = r < next;
            const index token = more ? o.token(s + 1, r) : 0;
            tape.h_next[r] = more ? tape.a + token * tape.lda + tape.h_at : tape.h_last + r * tape.ldc;
            if (C::has_c) tape.c_next[r] = more ? tape.c + token * tape.ldc : tape.c_last + r * tape.ldc;
        }
        tiles<first_phase<C>, C::sums>::run(here, r0, end, 0, w.blocks);
        if constexpr (C::two_phases) tiles<second_phase<C>, 1>::run(here, r0, end, 0, w.blocks);
        if (w.y)
            for (index r = r0; r < end; ++r)
                copy_row(w.y + (o.row[r] * o.time + o.at(s, r)) * w.units, tape.h_next[r], w.units);
    }
}
