// Functions on registers; sigmoid and tanh are each a quotient with one division. No branches, no libm. Infinities saturate
// and NaN stays NaN. In a tile they cost about a cycle an operation, many of them being under way at once: few operations
// matter more than a short chain. Errors are below 2.5 units in the last place with fused multiply-adds, below 4.3 without.
#pragma once

// 1 / (1 + exp(-x)). With n = round(-x / ln 2) and r = x + n ln 2, |r| <= ln(2) / 2, exp(-x) is 2^n (R - r) / (R + r), where
// R = r coth(r / 2) = 2 + r² / 6 - …; the minimax fit of two terms leaves 5e-10. Then the result is
// (R + r) / (R + r + 2^n (R - r)).
inline vec sigmoid(vec x) {
    const vec magic = broadcast(12582912.0f);  // 1.5 · 2^23: adding it rounds to a whole number, kept in the low bits
    const vec y = minimum(broadcast(87.0f), maximum(broadcast(-87.0f), x));
    const vec t = fma(y, broadcast(-1.44269504088896341f), magic);
    const vec n = t - magic;
    vec r = fma(n, broadcast(0.693359375f), y);
    r = fma(n, broadcast(-2.12194440054690583e-4f), r);
    const vec u = r * r;
    const vec R = fma(fma(u, broadcast(-0.0027659582375055675f), broadcast(0.16666617469058173f)), u, broadcast(2.0f));
    const vec scale = (vec)(((ivec)t << 23) + (ivec)broadcast(1.0f));  // 2^n
    const vec above = R + r;
    return above / fma(scale, R - r, above);
}

// (1 - exp(-2x)) / (1 + exp(-2x)). With n = round(-2x / ln 2) and r = x + n ln(2) / 2, |r| <= ln(2) / 4, exp(-2x) is
// 2^n (C - r) / (C + r), where C = r coth(r) = 1 + r² / 3 - …; the fit leaves 2e-9. Written with 1 - 2^n and 1 + 2^n the
// quotient has no cancellation: near zero, where 2^n is 1, it is r / C.
inline vec tanh(vec x) {
    const vec magic = broadcast(12582912.0f), one = broadcast(1.0f);
    const vec y = minimum(broadcast(10.0f), maximum(broadcast(-10.0f), x));
    const vec t = fma(y, broadcast(-2.88539008177792681f), magic);
    const vec r = fma(t - magic, broadcast(0.34657359027997264f), y);
    const vec u = r * r;
    const vec C = fma(fma(u, broadcast(-0.0221335838591111f), broadcast(0.33333250700385697f)), u, one);
    const vec scale = (vec)(((ivec)t << 23) + (ivec)one);  // 2^n
    const vec less = one - scale, more = one + scale;
    return fma(C, less, r * more) / fma(C, more, r * less);
}

inline vec relu(vec x) { return x > broadcast(0.0f) ? x : broadcast(0.0f); }

inline vec absolute(vec x) { return (vec)((ivec)x & ~(ivec)broadcast(-0.0f)); }

// exp(y) = scale (1 + rest): scale is 2^n with n = round(y / ln 2), rest is exp(r) - 1 = r + r² q(r) with |r| <= ln(2) / 2; q of
// degree 4 is a minimax fit with error 3e-9.
struct exponential {
    vec scale, rest;
};

inline exponential split_exp(vec y) {
    const vec magic = broadcast(12582912.0f);  // as in sigmoid
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

// log(1 + x) for 0 <= x <= 1, as 2 artanh(s) with s = x / (2 + x) <= 1/3: artanh(s) = s + s³ q(s²); q of degree 3 leaves 2e-8.
inline vec log_of_one_plus(vec x) {
    const vec s = x / (x + broadcast(2.0f)), u = s * s;
    vec q = broadcast(0.1342574954032898f);
    q = fma(q, u, broadcast(0.14118309319019318f));
    q = fma(q, u, broadcast(0.20003780722618103f));
    q = fma(q, u, broadcast(0.33333319425582886f));
    const vec twice = s + s;
    return fma(twice * u, q, twice);
}

// log(1 + exp(x)), without overflow.
inline vec softplus(vec x) { return relu(x) + log_of_one_plus(exponential_of(broadcast(0.0f) - absolute(x))); }
