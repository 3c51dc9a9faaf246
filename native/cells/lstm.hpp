// c' = f c + i c~, h' = o tanh(c'), with i, f, o = sigmoid and c~ = tanh of the four sums.
#pragma once

struct lstm : facts<4> {
    static constexpr int from[4] = {0, 1, 2, 3};  // sums i, f, c, o are the gates of the weights, in order
    static constexpr int x_first = 0, x_count = 4;
    static constexpr int h_first = 0, h_count = 4;
    static constexpr bool has_c = true, two_phases = false;

    static inline vec forward(const vec* sum, vec h, vec& c, vec* tape) {
        tape[0] = sigmoid(sum[0]);
        tape[1] = sigmoid(sum[1]);
        tape[2] = tanh(sum[2]);
        tape[3] = sigmoid(sum[3]);
        c = fma(tape[1], c, tape[0] * tape[2]);
        return tape[3] * tanh(c);
    }

    // In: gates, the state before the step, and the slopes dh, dc of the state after it. Out: slopes of the sums in
    // `tape`, the slope of c before the step in `dc`; the part of h's slope that does not pass through U is returned.
    static inline vec backward(vec* tape, vec h, vec c, vec dh, vec& dc) {
        const vec one = broadcast(1.0f), i = tape[0], f = tape[1], n = tape[2], o = tape[3];
        const vec y = tanh(fma(f, c, i * n));
        dc = fma(dh * o, one - y * y, dc);
        tape[0] = dc * n * (i * (one - i));
        tape[1] = dc * c * (f * (one - f));
        tape[2] = dc * i * (one - n * n);
        tape[3] = dh * y * (o * (one - o));
        dc = dc * f;
        return broadcast(0.0f);
    }
};
