// The same steps from the last to the first: the cell's slopes, then their product with the transposed weights. The slopes
// of the sums take the place of the gates in the tape.
#pragma once

// out[r][block o] = (out if Add) + sum over blocks j of slopes[r][j] · transposed weights.
struct turned {
    const float* slopes;     // of row 0: [blocks, …, row, …]
    index row_stride, block_stride, blocks;
    const float* weights;    // [out blocks, blocks, terms, W]
    index terms;             // W of each sum
    index units;             // the last block may hold fewer than W
    float* out;
    index ldo;
};

// Does h reach the next h beside U?
template <class C>
constexpr bool reaches_h = !C::has_c && C::sums > 1;

template <bool Add>
struct turn {
    template <int MR, int NG>
    static void run(const turned& t, index r, index o) {
        float* out = t.out + r * t.ldo + o * W;
        vec sums[MR][NG][1];
#pragma GCC unroll 8
        for (int m = 0; m < MR; ++m)
#pragma GCC unroll 8
            for (int g = 0; g < NG; ++g) sums[m][g][0] = Add ? load(out + m * t.ldo + g * W) : broadcast(0.0f);
        const float* a = t.slopes + r * t.row_stride;
        const float* w = t.weights + o * t.blocks * t.terms * W;
        const index whole = t.units / W, rest = t.units % W, stride = t.blocks * t.terms * W;
        for (index j = 0; j < whole; ++j, a += t.block_stride, w += t.terms * W)
            product<0, 1, 1>(sums, a, t.row_stride, 1, w, stride, t.terms);
        for (index v = 0; rest && v < t.terms; v += W)
            product<0, 1, 1>(sums, a + v, t.row_stride, 1, w + v * W, stride, rest);
#pragma GCC unroll 8
        for (int m = 0; m < MR; ++m)
#pragma GCC unroll 8
            for (int g = 0; g < NG; ++g) store(out + m * t.ldo + g * W, sums[m][g][0]);
    }
};

// Slopes of the sums of step s from those of the state after it, which stand in h_last and c_last.
template <class C>
void slopes(const Work& w, index s, index r0, index r1, index j0, index j1) {
    const Order& o = w.order;
    const Tape& tape = w.tape;
    const index before = o.reverse ? w.units : -w.units;  // to the dy of the next step to be computed
    for (index r = r0; r < r1; ++r) {
        const index token = o.token(s, r);
        const float* h = tape.a + token * tape.lda + tape.h_at;
        const float* dy = w.dy ? w.dy + (o.row[r] * o.time + o.at(s, r)) * w.units : nullptr;
        for (index j = j0; j < j1; ++j) {
            const index at = r * tape.ldc + j * W;
            vec slope = load(tape.h_last + at);
            if (dy) {
                slope += load_part(dy + j * W, w.units - j * W);
                __builtin_prefetch(dy + before + j * W);  // rows lie too far apart for the processor to guess
            }
            vec slope_c = broadcast(0.0f), c = broadcast(0.0f);
            if (C::has_c) {
                slope_c = load(tape.c_last + at);
                c = load(tape.c + token * tape.ldc + j * W);
            }
            vec kept[C::sums];
            float* g = tape.g + (j * o.tokens + token) * C::sums * W;
            for (int v = 0; v < C::sums; ++v) kept[v] = load(g + v * W);
            const vec rest = C::backward(kept, load(h + j * W), c, slope, slope_c);
            for (int v = 0; v < C::sums; ++v) store(g + v * W, kept[v]);
            if (C::has_c) store(tape.c_last + at, slope_c);
            if (reaches_h<C>) store(tape.h_last + at, rest);
        }
    }
}

// The second phase's product, and what had to wait for it. Its slopes pass through c_last: the q of the step itself is
// still needed for its weights.
template <class C>
void slopes_of_q(const Work& w, index s, index r0, index r1, index j0, index j1) {
    const Order& o = w.order;
    const Tape& tape = w.tape;
    const index row = C::sums * W;
    const float* slopes = tape.g + o.offset[s] * row + C::q_first * W;
    tiles<turn<false>, 1>::run(
        turned{slopes, row, o.tokens * row, w.blocks, w.weights.qt, W, w.units, tape.c_last, tape.ldc}, r0, r1, j0, j1);
    for (index r = r0; r < r1; ++r) {
        const index token = o.token(s, r);
        const float* h = tape.a + token * tape.lda + tape.h_at;
        for (index j = j0; j < j1; ++j) {
            const index at = r * tape.ldc + j * W;
            float* g = tape.g + (j * o.tokens + token) * row;
            vec kept[C::sums];
            for (int v = 0; v < C::sums; ++v) kept[v] = load(g + v * W);
            store(tape.h_last + at,
                  C::backward_finish(kept, load(h + j * W), load(tape.c_last + at), load(tape.h_last + at)));
            store(g, kept[0]);
        }
    }
}

// Slopes of the state before step s.
template <class C>
void slopes_of_h(const Work& w, index s, index r0, index r1, index j0, index j1) {
    const index row = C::sums * W;
    tiles<turn<reaches_h<C>>, 1>::run(turned{w.tape.g + w.order.offset[s] * row + C::h_first * W, row, w.order.tokens * row,
                                             w.blocks, w.weights.ht, C::h_count * W, w.units, w.tape.h_last, w.tape.ldc},
                                      r0, r1, j0, j1);
}

template <class C>
void backward(const Work& w, index r0, index r1) {
    for (index s = w.order.steps - 1; s >= 0; --s) {
        const index end = less(r1, w.order.active[s]);
        if (end <= r0) continue;
        slopes<C>(w, s, r0, end, 0, w.blocks);
        if constexpr (C::two_phases) slopes_of_q<C>(w, s, r0, end, 0, w.blocks);
        slopes_of_h<C>(w, s, r0, end, 0, w.blocks);
    }
}

// A step's last part reads the slopes of all blocks and writes those that only its own blocks read next: it shares a phase
// with the first part of the step before.
template <class C>
void backward_phase(const Work& w, index phase, index j0, index j1) {
    const Order& o = w.order;
    const index phases = C::two_phases ? 2 : 1, s = o.steps - 1 - phase / phases;
    if constexpr (C::two_phases)
        if (phase % 2 == 1) return slopes_of_q<C>(w, s, 0, o.active[s], j0, j1);
    if (s + 1 < o.steps) slopes_of_h<C>(w, s + 1, 0, o.active[s + 1], j0, j1);
    if (s >= 0) slopes<C>(w, s, 0, o.active[s], j0, j1);
}
