// h' = f(sum), f = tanh or relu.
#pragma once

template <bool Relu>
struct simple_rnn : facts<1> {
    static constexpr int from[1] = {0};
    static constexpr int x_first = 0, x_count = 1;
    static constexpr int h_first = 0, h_count = 1;
    static constexpr bool has_c = false, two_phases = false;

    static inline vec forward(const vec* sum, vec h, vec& c, vec* tape) {
        tape[0] = Relu ? relu(sum[0]) : tanh(sum[0]);
        return tape[0];
    }

    static inline vec backward(vec* tape, vec h, vec c, vec dh, vec& dc) {
        const vec y = tape[0];
        if (Relu)
            tape[0] = y > broadcast(0.0f) ? dh : broadcast(0.0f);
        else
            tape[0] = dh * (broadcast(1.0f) - y * y);
        return broadcast(0.0f);
    }
};
