// Eight numbers in the lower half of an AVX-512 register. What an operation gives is the same as in a whole one.
#pragma once
#include "eight.hpp"

constexpr int ACCUMULATORS = 24;
