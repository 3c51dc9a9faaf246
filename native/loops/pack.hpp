// The user's weights into the order in which the products read them, zeros where a block is not full.
#pragma once

// [rows, gates · H] to [blocks, terms(rows), Count, W].
template <class C, int First, int Count>
void pack_rows(float* to, const float* from, index rows, index units, index part, index parts) {
    const index blocks = blocks_of(units), wide = C::x_count * units;
    for (index j = blocks * part / parts; j < blocks * (part + 1) / parts; ++j)
        for (index k = 0; k < terms(rows); ++k)
            for (int v = 0; v < Count; ++v)
                store(to + ((j * terms(rows) + k) * Count + v) * W,
                      term(from + C::from[First + v] * units + j * W, k, rows, wide, units - j * W));
}

// [rows, gates · H] to [ceil(rows / W), blocks, Count, W, W]: the last axis counts rows.
template <class C, int First, int Count>
void pack_turned(float* to, const float* from, index rows, index units, index part, index parts) {
    const index blocks = blocks_of(units), outs = blocks_of(rows), wide = C::x_count * units;
    for (index o = outs * part / parts; o < outs * (part + 1) / parts; ++o)
        for (index j = 0; j < blocks; ++j)
            for (int v = 0; v < Count; ++v) {
                float* square = to + ((o * blocks + j) * Count + v) * W * W;
                const index high = less(W, rows - o * W), across = less(W, units - j * W);
                if (high < W || across < W) zero(square, W * W);
                const float* corner = from + o * W * wide + C::from[First + v] * units + j * W;
                if (high == W && across == W) {
                    for (int i = 0; i < W; ++i)
                        for (int k = 0; k < W; ++k) square[k * W + i] = corner[i * wide + k];
                } else {
                    for (index i = 0; i < high; ++i)
                        for (index k = 0; k < across; ++k) square[k * W + i] = corner[i * wide + k];
                }
            }
}

template <class C>
void pack(const Panels& to, const Weights<const float>& w, index inputs, index units, index part, index parts) {
    const auto out = [](const float* p) { return const_cast<float*>(p); };
    if (to.x) pack_rows<C, C::x_first, C::x_count>(out(to.x), w.W, inputs, units, part, parts);
    if (to.h) pack_rows<C, C::h_first, C::h_count>(out(to.h), w.U, units, units, part, parts);
    if (to.xt) pack_turned<C, C::x_first, C::x_count>(out(to.xt), w.W, inputs, units, part, parts);
    if (to.ht) pack_turned<C, C::h_first, C::h_count>(out(to.ht), w.U, units, units, part, parts);
    if constexpr (C::two_phases) {
        if (to.q) pack_rows<C, C::q_first, 1>(out(to.q), w.U, units, units, part, parts);
        if (to.qt) pack_turned<C, C::q_first, 1>(out(to.qt), w.U, units, units, part, parts);
    }
    const index blocks = blocks_of(units);
    for (index j = blocks * part / parts; to.bias && j < blocks * (part + 1) / parts; ++j)
        for (int v = 0; v < C::sums; ++v) {
            const index at = C::from[v] * units + j * W;
            vec b = broadcast(0.0f);
            if (v >= C::x_first && v < C::x_first + C::x_count) b = load_part(w.b + at, units - j * W);
            if (w.b_rec && v >= C::h_first && v < C::h_first + C::h_count) b += load_part(w.b_rec + at, units - j * W);
            store(out(to.bias) + (j * C::sums + v) * W, b);
        }
}
