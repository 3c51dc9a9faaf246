// Is it right but for rounding?
#pragma once
#include <algorithm>
#include <cmath>
#include <vector>

#include "problem.hpp"

namespace ostinato {

// Within 64 units of rounding of the largest number (at least 1): some dozens of roundings lie behind each of them.
inline bool close(const Floats& got, const std::vector<double>& truth) {
    if (got.size() != truth.size()) return false;
    double largest = 1, worst = 0;
    for (std::size_t i = 0; i < got.size(); ++i) {
        largest = std::max(largest, std::abs(truth[i]));
        const double error = std::abs(double(got[i]) - truth[i]);
        worst = error <= worst ? worst : error;  // NaN is the worst
    }
    return worst <= 64 * 0x1p-24 * largest;
}

}  // namespace ostinato
