// How many multiply-adds a second one core does when nothing is read or written: what all speeds are measured against.
#pragma once

inline float peak(index rounds) {
    vec sums[ACCUMULATORS];
    const vec a = broadcast(rounds > 0 ? 1.0f : 0.5f), b = broadcast(1e-9f);
#pragma GCC unroll 32
    for (int i = 0; i < ACCUMULATORS; ++i) sums[i] = broadcast(float(i));
    for (index k = 0; k < rounds; ++k) {
#pragma GCC unroll 32
        for (int i = 0; i < ACCUMULATORS; ++i) sums[i] = fma(sums[i], a, b);
    }
    vec total = broadcast(0.0f);
#pragma GCC unroll 32
    for (int i = 0; i < ACCUMULATORS; ++i) total += sums[i];
    return total[0];
}
