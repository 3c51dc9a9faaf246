// exp, sigmoid and tanh on registers: one range reduction, one polynomial, at most one division. No branches, no libm.
//
// exp(y) = 2^n exp(r) with n = round(y / ln 2) and |r| <= ln(2) / 2. exp(r) - 1 = r + r² q(r); q of degree 4 is a minimax fit
// with error 3e-9. Infinities saturate and NaN stays NaN.
#pragma once

struct exponential {
    vec scale;    // 2^n
    vec rest;     // exp(r) - 1
};

inline exponential split_exp(vec y) {
    const vec magic = broadcast(12582912.0f);  // 1.5 · 2^23: adding it rounds to a whole number, kept in the low bits
    const vec t = fma(y, broadcast(1.44269504088896341f), magic);
    const vec n = t - magic;
    vec r = fma(n, broadcast(-0.693359375f), y);
    r = fma(n, broadcast(2.12194440054690583e-4f), r);
    vec q = broadcast(0.0013950540451332927f);
    q = fma(q, r, broadcast(0.008368917740881443f));
    q = fma(q, r, broadcast(0.04166620597243309f));
    q = fma(q, r, broadcast(0.166665181517601f));
    q = fma(q, r, broadcast(0.5f));
    const ivec bits = ((ivec)t << 23) + (ivec)broadcast(1.0f);
    return {(vec)bits, fma(r * r, q, r)};
}

// 1 / (1 + exp(-x)); relative error about 1e-7.
inline vec sigmoid(vec x) {
    const vec y = minimum(broadcast(87.0f), maximum(broadcast(-87.0f), -x));
    const exponential e = split_exp(y);
    return broadcast(1.0f) / fma(e.scale, e.rest, e.scale + broadcast(1.0f));
}

// -(exp(y) - 1) / (exp(y) + 1) at y = -2|x|, with the sign of x; relative error about 1e-7, near zero too.
inline vec tanh(vec x) {
    const ivec sign = (ivec)x & (ivec)broadcast(-0.0f);
    const vec size = (vec)((ivec)x ^ sign);
    const vec y = maximum(broadcast(-20.0f), size * broadcast(-2.0f));
    const exponential e = split_exp(y);
    const vec less = fma(e.scale, e.rest, e.scale - broadcast(1.0f));  // exp(y) - 1
    return (vec)((ivec)(-less / (less + broadcast(2.0f))) ^ sign);
}

inline vec relu(vec x) { return x > broadcast(0.0f) ? x : broadcast(0.0f); }

inline vec absolute(vec x) { return (vec)((ivec)x & ~(ivec)broadcast(-0.0f)); }

// As the square of exp(x / 2), which reaches infinity and zero by itself; relative error about 2e-7.
inline vec exponential_of(vec x) {
    const exponential e = split_exp(minimum(broadcast(87.0f), maximum(broadcast(-87.0f), x * broadcast(0.5f))));
    const vec root = fma(e.scale, e.rest, e.scale);
    return root * root;
}

// exp(x) - 1 for x <= 0.
inline vec less_than_one(vec x) {
    const exponential e = split_exp(maximum(broadcast(-87.0f), x));
    return fma(e.scale, e.rest, e.scale - broadcast(1.0f));
}
