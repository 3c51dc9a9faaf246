// The same steps from the last to the first: the cell's slopes, then their product with the transposed weights. The slopes
// of the sums take the place of the gates in the tape.
#pragma once

// out[r][block o] = (out if Add) + sum over blocks j of slopes[r][j] · transposed weights.
struct turned {
    const float* slopes;     // of row 0: [blocks, …, row, …]
    index row_stride, block_stride, blocks;
    const float* weights;    // [out blocks, blocks, terms, W]
    index terms;
    float* out;
    index ldo;
};

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
        for (index j = 0; j < t.blocks; ++j, a += t.block_stride, w += t.terms * W)
            product<0, 1, 1>(sums, a, t.row_stride, 1, w, t.blocks * t.terms * W, t.terms);
#pragma GCC unroll 8
        for (int m = 0; m < MR; ++m)
#pragma GCC unroll 8
            for (int g = 0; g < NG; ++g) store(out + m * t.ldo + g * W, sums[m][g][0]);
    }
};

template <class C>
void backward(const Work& w, index r0, index r1) {
    const Order& o = w.order;
    const Tape& tape = w.tape;
    const index row = C::sums * W, panel = o.tokens * row;
    float* const dh = tape.h_last;  // slopes of the states after the step, then before it
    float* const dc = tape.c_last;
    constexpr bool direct = !C::has_c && C::sums > 1;  // does h reach the next h beside U?
    for (index s = o.steps - 1; s >= 0; --s) {
        const index end = less(r1, o.active[s]);
        if (end <= r0) continue;
        float* const gates = tape.g + o.offset[s] * row;
        for (index r = r0; r < end; ++r) {
            const index token = o.token(s, r);
            const float* h = tape.a + token * tape.lda + tape.h_at;
            const float* dy = w.dy ? w.dy + (o.row[r] * o.time + o.at(s, r)) * w.units : nullptr;
            for (index j = 0; j < w.blocks; ++j) {
                const index at = r * tape.ldc + j * W;
                vec slope = load(dh + at);
                if (dy) slope += load_part(dy + j * W, w.units - j * W);
                vec slope_c = broadcast(0.0f), c = broadcast(0.0f);
                if (C::has_c) {
                    slope_c = load(dc + at);
                    c = load(tape.c + token * tape.ldc + j * W);
                }
                vec kept[C::sums];
                float* g = gates + j * panel + r * row;
                for (int v = 0; v < C::sums; ++v) kept[v] = load(g + v * W);
                const vec rest = C::backward(kept, load(h + j * W), c, slope, slope_c);
                for (int v = 0; v < C::sums; ++v) store(g + v * W, kept[v]);
                if (C::has_c) store(dc + at, slope_c);
                if (direct) store(dh + at, rest);
            }
        }
        if constexpr (C::two_phases) {
            // The slope of q passes through a row of scratch: the q of the step itself is still needed for its weights.
            float* const dq = reinterpret_cast<float*>(tape.c_last);
            tiles<turn<false>, 1>::run(turned{gates + C::q_first * W, row, panel, w.blocks, w.weights.qt, W, dq, tape.ldc},
                                       r0, end, 0, w.blocks);
            for (index r = r0; r < end; ++r) {
                const float* h = tape.a + o.token(s, r) * tape.lda + tape.h_at;
                for (index j = 0; j < w.blocks; ++j) {
                    const index at = r * tape.ldc + j * W;
                    float* g = gates + j * panel + r * row;
                    vec kept[C::sums];
                    for (int v = 0; v < C::sums; ++v) kept[v] = load(g + v * W);
                    store(dh + at, C::backward_finish(kept, load(h + j * W), load(dq + at), load(dh + at)));
                    store(g, kept[0]);
                }
            }
        }
        tiles<turn<direct>, 1>::run(turned{gates + C::h_first * W, row, panel, w.blocks, w.weights.ht, C::h_count * W, dh,
                                           tape.ldc},
                                    r0, end, 0, w.blocks);
    }
    if (!w.dx) return;
    const index outs = blocks_of(w.inputs), ldx = outs * W;
    for (index r = r0; r < r1; ++r) {
        float* dx = w.dx + o.row[r] * o.time * w.inputs;
        zero(dx, o.start[r] * w.inputs);
        const index end = o.start[r] + o.length[r];
        zero(dx + end * w.inputs, (o.time - end) * w.inputs);
    }
    for (index s = 0; s < o.steps; ++s) {
        const index end = less(r1, o.active[s]);
        if (end <= r0) break;
        tiles<turn<false>, 1>::run(turned{tape.g + o.offset[s] * row + C::x_first * W, row, panel, w.blocks, w.weights.xt,
                                          C::x_count * W, w.dx_rows, ldx},
                                   r0, end, 0, outs);
        for (index r = r0; r < end; ++r)
            copy_row(w.dx + (o.row[r] * o.time + o.at(s, r)) * w.inputs, w.dx_rows + r * ldx, w.inputs);
    }
}
