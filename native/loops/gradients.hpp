// Slopes of the weights: one product over all tokens, shared out by weights, so that each number is one sum in one order
// whatever the number of threads. Sums of 128 tokens are added up apart: their slopes stay in the first cache, and rounding
// errors stay small.
#pragma once

constexpr index chunk = 128;

struct outer {
    const float* a;    // [tokens of the chunk, lda]
    index lda;
    const float* g;    // [blocks, tokens, sums, W], at the chunk
    index block_stride, tokens;
    float* out;        // [blocks, rows, count, W]
    index rows;
    bool first;        // the first chunk starts the sums
};

template <class C, int First, int Count>
struct outer_tile {
    template <int MR, int NG>
    static void run(const outer& t, index m0, index j) {
        vec sums[MR][NG][Count];
#pragma GCC unroll 8
        for (int m = 0; m < MR; ++m)
#pragma GCC unroll 8
            for (int g = 0; g < NG; ++g)
#pragma GCC unroll 8
                for (int v = 0; v < Count; ++v) sums[m][g][v] = broadcast(0.0f);
        product<0, Count, C::sums>(sums, t.a + m0, 1, t.lda, t.g + j * t.block_stride + First * W, t.block_stride,
                                   t.tokens);
#pragma GCC unroll 8
        for (int m = 0; m < MR; ++m)
#pragma GCC unroll 8
            for (int g = 0; g < NG; ++g)
#pragma GCC unroll 8
                for (int v = 0; v < Count; ++v) {
                    float* out = t.out + (((j + g) * t.rows + m0 + m) * Count + v) * W;
                    store(out, t.first ? sums[m][g][v] : load(out) + sums[m][g][v]);
                }
    }
};

// Rows × groups of blocks of one weight, as one range that can be cut anywhere.
template <class C, int First, int Count>
void outer_share(const outer& t, index blocks, index part, index parts) {
    using tile = tiles<outer_tile<C, First, Count>, Count>;
    const index ng = tile::blocks_at_once(t.rows), groups = (blocks + ng - 1) / ng, total = groups * t.rows;
    index at = total * part / parts;
    const index end = total * (part + 1) / parts;
    while (at < end) {
        const index group = at / t.rows, m0 = at % t.rows, m1 = less(t.rows, m0 + end - at);
        tile::run(t, m0, m1, group * ng, less(group * ng + ng, blocks));
        at += m1 - m0;
    }
}

// Sums of the slopes themselves, for the biases.
template <class C>
void sum_share(const outer& t, index blocks, index part, index parts) {
    for (index j = blocks * part / parts; j < blocks * (part + 1) / parts; ++j) {
        vec sums[C::sums];
        for (int v = 0; v < C::sums; ++v) sums[v] = broadcast(0.0f);
        const float* g = t.g + j * t.block_stride;
        for (index k = 0; k < t.tokens; ++k, g += C::sums * W)
            for (int v = 0; v < C::sums; ++v) sums[v] += load(g + v * W);
        for (int v = 0; v < C::sums; ++v) {
            float* out = t.out + (j * C::sums + v) * W;
            store(out, t.first ? sums[v] : load(out) + sums[v]);
        }
    }
}

// [blocks, rows, count, W] to the user's [rows, gates · H] or, by gate, [gates · H, rows]; the same share as `outer_share`.
template <class C, int First, int Count>
void unpack_share(float* out, const float* from, index rows, index units, bool by_gate, index part, index parts) {
    using tile = tiles<outer_tile<C, First, Count>, Count>;
    const index blocks = blocks_of(units), ng = tile::blocks_at_once(rows), groups = (blocks + ng - 1) / ng;
    const index total = groups * rows, wide = C::x_count * units;
    for (index at = total * part / parts; at < total * (part + 1) / parts; ++at) {
        const index m = at % rows, first = at / rows * ng;
        for (index j = first; j < less(first + ng, blocks); ++j)
            for (int v = 0; v < Count; ++v) {
                const float* slopes = from + ((j * rows + m) * Count + v) * W;
                const index unit = C::from[First + v] * units + j * W, n = less(W, units - j * W);
                if (by_gate)
                    for (index i = 0; i < n; ++i) out[(unit + i) * rows + m] = slopes[i];
                else
                    copy_row(out + m * wide + unit, slopes, n);
            }
    }
}

template <class C>
index gradient_room(index inputs, index units) {
    const index blocks = blocks_of(units);
    return blocks * W * (inputs * C::x_count + units * C::h_count + (C::two_phases ? units : 0) + C::sums);
}

template <class C>
void gradients(const Work& w, const Weights<float>& out, float* room, index part, index parts) {
    const index tokens = w.order.tokens, n = w.blocks;
    float* const sx = room;
    float* const sh = sx + n * w.inputs * C::x_count * W;
    float* const sq = sh + n * w.units * C::h_count * W;
    float* const sb = sq + (C::two_phases ? n * w.units * W : 0);
    for (index k = 0; k < tokens; k += chunk) {
        const index count = less(chunk, tokens - k);
        outer t{w.tape.a + k * w.tape.lda, w.tape.lda, w.tape.g + k * C::sums * W, tokens * C::sums * W, count, sx,
                w.inputs, k == 0};
        outer_share<C, C::x_first, C::x_count>(t, n, part, parts);
        t.a += w.tape.h_at, t.out = sh, t.rows = w.units;
        outer_share<C, C::h_first, C::h_count>(t, n, part, parts);
        t.out = sb;
        sum_share<C>(t, n, part, parts);
        if constexpr (C::two_phases) {
            t.a = w.tape.q + k * w.tape.ldc, t.lda = w.tape.ldc, t.out = sq;
            outer_share<C, C::q_first, 1>(t, n, part, parts);
        }
    }
    if (tokens == 0 && part == 0) zero(room, gradient_room<C>(w.inputs, w.units));
    if (tokens == 0 && part > 0) return;
    const index share = tokens ? part : 0, shares = tokens ? parts : 1;
    unpack_share<C, C::x_first, C::x_count>(out.W, sx, w.inputs, w.units, out.by_gate, share, shares);
    unpack_share<C, C::h_first, C::h_count>(out.U, sh, w.units, w.units, out.by_gate, share, shares);
    if constexpr (C::two_phases)
        unpack_share<C, C::q_first, 1>(out.U, sq, w.units, w.units, out.by_gate, share, shares);
    for (index j = n * share / shares; j < n * (share + 1) / shares; ++j)
        for (int v = 0; v < C::sums; ++v) {
            const float* from = sb + (j * C::sums + v) * W;
            const index at = C::from[v] * w.units + j * W, size = less(W, w.units - j * W);
            if (v >= C::x_first && v < C::x_first + C::x_count) copy_row(out.b + at, from, size);
            if (out.b_rec && v >= C::h_first && v < C::h_first + C::h_count) copy_row(out.b_rec + at, from, size);
        }
}
