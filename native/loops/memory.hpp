// Rows in and out of registers. No function of the standard library is used in the loops, so that no template compiled for
// one processor can end up in the code for another.
#pragma once

template <int N>
struct facts {
    static constexpr int sums = N;
};

inline index blocks_of(index n) { return (n + W - 1) / W; }

inline void copy_row(float* to, const float* from, index n) {
    index i = 0;
    for (; i + W <= n; i += W) store(to + i, load(from + i));
    for (; i < n; ++i) to[i] = from[i];
}

inline void zero(float* to, index n) { __builtin_memset(to, 0, size_t(n) * sizeof(float)); }

// The first n numbers at p, then zeros.
inline vec load_part(const float* p, index n) {
    if (n >= W) return load(p);
    float all[W] = {};
    for (index i = 0; i < n; ++i) all[i] = p[i];
    return load(all);
}

inline void store_part(float* p, vec x, index n) {
    if (n >= W) return store(p, x);
    float all[W];
    store(all, x);
    for (index i = 0; i < n; ++i) p[i] = all[i];
}

inline index less(index a, index b) { return a < b ? a : b; }
