// r, z = sigmoid of their sums; n = tanh(x part + r (h U_n + b_rec)); h' = n + z (h - n).
#pragma once

struct gru_reset_after : facts<4> {
    static constexpr int from[4] = {2, 0, 1, 2};  // sums: x part of n, r, z, h part of n
    static constexpr int x_first = 0, x_count = 3;
    static constexpr int h_first = 1, h_count = 3;
    static constexpr bool has_c = false, two_phases = false;

    static inline vec forward(const vec* sum, vec h, vec& c, vec* tape) {
        tape[1] = sigmoid(sum[1]);
        tape[2] = sigmoid(sum[2]);
        tape[3] = sum[3];
        tape[0] = tanh(fma(tape[1], sum[3], sum[0]));
        return fma(tape[2], h - tape[0], tape[0]);
    }

    static inline vec backward(vec* tape, vec h, vec c, vec dh, vec& dc) {
        const vec one = broadcast(1.0f), n = tape[0], r = tape[1], z = tape[2], u = tape[3];
        const vec dn = dh * (one - z) * (one - n * n);
        tape[0] = dn;
        tape[1] = dn * u * (r * (one - r));
        tape[2] = dh * (h - n) * (z * (one - z));
        tape[3] = dn * r;
        return dh * z;
    }
};
