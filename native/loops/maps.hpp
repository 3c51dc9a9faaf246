// Layers without state: the affine product, functions of one number, softmax and layer normalisation. Formulas as in
// ostinato/maps/. What is summed over a row is summed by lanes in one order, whatever other rows there are.
#pragma once

struct affine_rows {
    const Affine& map;
    const float* x;
    index ldx;
    float* y;
    index ldy;
};

struct affine_tile {
    template <int MR, int NG>
    static void run(const affine_rows& t, index r, index j) {
        const Affine& map = t.map;
        vec sums[MR][NG][1];
#pragma GCC unroll 8
        for (int g = 0; g < NG; ++g) {
            const vec b = load(map.bias + (j + g) * W);
#pragma GCC unroll 8
            for (int m = 0; m < MR; ++m) sums[m][g][0] = b;
        }
        product<0, 1, 1>(sums, t.x + r * t.ldx, t.ldx, 1, map.panel + j * map.inputs * W, map.inputs * W, map.inputs);
#pragma GCC unroll 8
        for (int m = 0; m < MR; ++m)
#pragma GCC unroll 8
            for (int g = 0; g < NG; ++g)
                store_part(t.y + (r + m) * t.ldy + (j + g) * W, sums[m][g][0], map.units - (j + g) * W);
    }
};

inline void affine(const Affine& map, const float* x, index ldx, float* y, index ldy, index rows) {
    tiles<affine_tile, 1>::run(affine_rows{map, x, ldx, y, ldy}, 0, rows, 0, blocks_of(map.units));
}

inline void pack_affine(const Affine& to, const float* from, const float* b) {
    for (index j = 0; j < blocks_of(to.units); ++j) {
        const index n = to.units - j * W;
        for (index k = 0; k < to.inputs; ++k)
            store(to.panel + (j * to.inputs + k) * W, load_part(from + k * to.units + j * W, n));
        store(to.bias + j * W, b ? load_part(b + j * W, n) : broadcast(0.0f));
    }
}

struct of_relu { static vec of(vec x) { return relu(x); } };
struct of_relu6 { static vec of(vec x) { return minimum(broadcast(6.0f), maximum(broadcast(0.0f), x)); } };
struct of_leaky_relu { static vec of(vec x) { return x > broadcast(0.0f) ? x : x * broadcast(0.2f); } };
struct of_tanh { static vec of(vec x) { return tanh(x); } };
struct of_sigmoid { static vec of(vec x) { return sigmoid(x); } };
struct of_hard_sigmoid {
    static vec of(vec x) {
        return minimum(broadcast(1.0f), maximum(broadcast(0.0f), x / broadcast(6.0f) + broadcast(0.5f)));
    }
};
struct of_softsign { static vec of(vec x) { return x / (broadcast(1.0f) + absolute(x)); } };
struct of_elu { static vec of(vec x) { return x > broadcast(0.0f) ? x : less_than_one(minimum(broadcast(0.0f), x)); } };
struct of_selu {
    static vec of(vec x) {
        const vec below = broadcast(1.6732632423543772f) * less_than_one(minimum(broadcast(0.0f), x));
        return broadcast(1.0507009873554805f) * (x > broadcast(0.0f) ? x : below);
    }
};
struct of_silu { static vec of(vec x) { return x * sigmoid(x); } };
struct of_exponential { static vec of(vec x) { return exponential_of(x); } };
struct of_softplus { static vec of(vec x) { return softplus(x); } };

template <class F>
void each_number(float* x, index ldx, index rows, index width) {
    for (index r = 0; r < rows; ++r, x += ldx) {
        index i = 0;
        for (; i + W <= width; i += W) store(x + i, F::of(load(x + i)));
        if (i < width) store_part(x + i, F::of(load_part(x + i, width - i)), width - i);
    }
}

// The first n numbers at p, then `rest`.
inline vec load_or(const float* p, index n, float rest) {
    if (n >= W) return load(p);
    float all[W];
    for (index i = 0; i < W; ++i) all[i] = i < n ? p[i] : rest;
    return load(all);
}

inline float total(vec x) {
    float all[W], sum = 0;
    store(all, x);
    for (int i = 0; i < W; ++i) sum += all[i];
    return sum;
}

inline void softmax(float* x, index ldx, index rows, index width) {
    const float low = -__builtin_inff();
    for (index r = 0; r < rows; ++r, x += ldx) {
        vec most = broadcast(low);
        for (index i = 0; i < width; i += W) {
            const vec v = load_or(x + i, width - i, low);
            most = v > most ? v : most;
        }
        float all[W], top = low;
        store(all, most);
        for (int i = 0; i < W; ++i) top = all[i] > top ? all[i] : top;
        vec sum = broadcast(0.0f);
        for (index i = 0; i < width; i += W) {
            const vec e = exponential_of(load_or(x + i, width - i, low) - broadcast(top));
            store_part(x + i, e, width - i);
            sum += load_or(x + i, width - i, 0.0f);
        }
        const vec whole = broadcast(total(sum));
        for (index i = 0; i < width; i += W) store_part(x + i, load_or(x + i, width - i, 0.0f) / whole, width - i);
    }
}

inline void activate(int function, float* x, index ldx, index rows, index width) {
    switch (function) {
        case relu_function: return each_number<of_relu>(x, ldx, rows, width);
        case relu6_function: return each_number<of_relu6>(x, ldx, rows, width);
        case leaky_relu_function: return each_number<of_leaky_relu>(x, ldx, rows, width);
        case tanh_function: return each_number<of_tanh>(x, ldx, rows, width);
        case sigmoid_function: return each_number<of_sigmoid>(x, ldx, rows, width);
        case hard_sigmoid_function: return each_number<of_hard_sigmoid>(x, ldx, rows, width);
        case softsign_function: return each_number<of_softsign>(x, ldx, rows, width);
        case elu_function: return each_number<of_elu>(x, ldx, rows, width);
        case selu_function: return each_number<of_selu>(x, ldx, rows, width);
        case silu_function: return each_number<of_silu>(x, ldx, rows, width);
        case exponential_function: return each_number<of_exponential>(x, ldx, rows, width);
        case softmax_function: return softmax(x, ldx, rows, width);
        case softplus_function: return each_number<of_softplus>(x, ldx, rows, width);
        default: return;
    }
}

inline void normalise(const float* gamma, const float* beta, float epsilon, float* x, index ldx, index rows, index width) {
    const float n = float(width);
    for (index r = 0; r < rows; ++r, x += ldx) {
        vec sum = broadcast(0.0f), squares = broadcast(0.0f);
        for (index i = 0; i < width; i += W) sum += load_part(x + i, width - i);
        const float mean = total(sum) / n;
        for (index i = 0; i < width; i += W) {
            const vec off = load_or(x + i, width - i, mean) - broadcast(mean);
            squares = fma(off, off, squares);
        }
        const vec spread = broadcast(__builtin_sqrtf(total(squares) / n + epsilon));
        for (index i = 0; i < width; i += W) {
            const vec off = load_part(x + i, width - i) - broadcast(mean);
            const vec y = fma(off / spread, load_part(gamma + i, width - i), load_part(beta + i, width - i));
            store_part(x + i, y, width - i);
        }
    }
}

constexpr Maps maps{affine, pack_affine, activate, normalise};
