// Slopes of x: one product over all tokens, some tokens at a time.
#pragma once

constexpr index together = 32;  // tokens

inline index inputs_room(index inputs) { return together * blocks_of(inputs) * W; }

template <class C>
void inputs(const Work& w, float* room, index part, index parts) {
    const Order& o = w.order;
    const index row = C::sums * W, outs = blocks_of(w.inputs), ldx = outs * W;
    const index end = o.tokens * (part + 1) / parts;
    index s = 0;
    for (index k = o.tokens * part / parts; k < end; k += together) {
        const index n = less(together, end - k);
        tiles<turn<false>, 1>::run(turned{w.tape.g + k * row + C::x_first * W, row, o.tokens * row, w.blocks, w.weights.xt,
                                          C::x_count * W, w.units, room, ldx},
                                   0, n, 0, outs);
        for (index i = 0; i < n; ++i) {
            while (k + i >= o.offset[s] + o.active[s]) ++s;
            const index r = k + i - o.offset[s];
            copy_row(w.dx + (o.row[r] * o.time + o.at(s, r)) * w.inputs, room + i * ldx, w.inputs);
        }
    }
}
