// The user's weights into the order in which the products read them, zeros where a block is not full.
#pragma once

// Numbers in the registers of block j.
inline index lanes(index units, index j) { return units - j * W > NARROW ? W : NARROW; }

// [rows, gates · H] to [blocks, terms(rows), Count, lanes].
template <class C, int First, int Count>
void pack_rows(float* to, const float* from, index rows, index units, index part, index parts) {
    const index blocks = blocks_of(units), wide = C::x_count * units;
    for (index j = blocks * part / parts; j < blocks * (part + 1) / parts; ++j) {
        float* const block = to + j * terms(rows) * Count * W;
        const index n = lanes(units, j);
        for (index k = 0; k < terms(rows); ++k)
            for (int v = 0; v < Count; ++v)
                store_part(block + (k * Count + v) * n,
                           term(from + C::from[First + v] * units + j * W, k, rows, wide, units - j * W), n);
    }
}

// The same from [gates · H, rows], by squares.
template <class C, int First, int Count>
void pack_rows_by_gate(float* to, const float* from, index rows, index units, index part, index parts) {
    const index blocks = blocks_of(units);
    for (index j = blocks * part / parts; j < blocks * (part + 1) / parts; ++j)
        for (int v = 0; v < Count; ++v)
            for (index k = 0; k < rows; k += W) {
                const index high = less(W, rows - k), across = less(W, units - j * W);
                const float* corner = from + (C::from[First + v] * units + j * W) * rows + k;
                float square[W * W] = {};
                for (index i = 0; i < across; ++i) {
                    const vec part_of_row = load_part(corner + i * rows, high);
                    for (int r = 0; r < W; ++r) square[r * W + i] = part_of_row[r];
                }
                float* const block = to + j * terms(rows) * Count * W;
                const index n = lanes(units, j);
                for (index p = 0; p < terms(high); ++p)
                    store_part(block + ((terms(k) + p) * Count + v) * n, term(square, p, high, W, W), n);
            }
}

// [gates · H, rows] to [ceil(rows / W), blocks, Count, W, W]: the last axis counts rows.
template <class C, int First, int Count>
void pack_turned_by_gate(float* to, const float* from, index rows, index units, index part, index parts) {
    const index blocks = blocks_of(units), outs = blocks_of(rows);
    for (index o = outs * part / parts; o < outs * (part + 1) / parts; ++o)
        for (index j = 0; j < blocks; ++j)
            for (int v = 0; v < Count; ++v)
                for (index k = 0; k < W; ++k) {
                    const float* row = from + (C::from[First + v] * units + j * W + k) * rows + o * W;
                    store(to + (((o * blocks + j) * Count + v) * W + k) * W,
                          j * W + k < units ? load_part(row, rows - o * W) : broadcast(0.0f));
                }
}

// The same from [rows, gates · H].
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
    const auto fill = [&]<int First, int Count>(const float* rows_to, const float* turned_to, const float* from,
                                                index rows) {
        const auto along = w.by_gate ? pack_rows_by_gate<C, First, Count> : pack_rows<C, First, Count>;
        const auto across = w.by_gate ? pack_turned_by_gate<C, First, Count> : pack_turned<C, First, Count>;
        if (rows_to) along(out(rows_to), from, rows, units, part, parts);
        if (turned_to) across(out(turned_to), from, rows, units, part, parts);
    };
    fill.template operator()<C::x_first, C::x_count>(to.x, to.xt, w.W, inputs);
    fill.template operator()<C::h_first, C::h_count>(to.h, to.ht, w.U, units);
    if constexpr (C::two_phases) fill.template operator()<C::q_first, 1>(to.q, to.qt, w.U, units);
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
