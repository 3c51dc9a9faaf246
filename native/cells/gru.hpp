// r, z = sigmoid of their sums; n = tanh(x part + (r h) U_n); h' = h + z (n - h). The product with r h is a second phase.
#pragma once

struct gru : facts<3> {
    static constexpr int from[3] = {0, 1, 2};  // sums r, z, n
    static constexpr int x_first = 0, x_count = 3;
    static constexpr int h_first = 0, h_count = 2;
    static constexpr bool has_c = false, two_phases = true;
    static constexpr int q_first = 2;  // the sum that the second phase completes

    // First phase: returns q = r h, which the second product takes; tape[2] is the unfinished sum of n.
    static inline vec forward(const vec* sum, vec h, vec& c, vec* tape) {
        tape[0] = sigmoid(sum[0]);
        tape[1] = sigmoid(sum[1]);
        tape[2] = sum[2];
        return tape[0] * h;
    }

    static inline vec finish(vec sum, vec h, vec* tape) {
        tape[2] = tanh(sum);
        return fma(tape[1], tape[2] - h, h);
    }

    // Slopes of the sums of z and n; r still stands in tape[0].
    static inline vec backward(vec* tape, vec h, vec c, vec dh, vec& dc) {
        const vec one = broadcast(1.0f), z = tape[1], n = tape[2];
        tape[1] = dh * (n - h) * (z * (one - z));
        tape[2] = dh * z * (one - n * n);
        return dh * (one - z);
    }

    // With dq, the slope of r h: the slope of the sum of r, and what reaches h beside U_r and U_z.
    static inline vec backward_finish(vec* tape, vec h, vec dq, vec direct) {
        const vec r = tape[0];
        tape[0] = dq * h * (r * (broadcast(1.0f) - r));
        return fma(dq, r, direct);
    }
};
