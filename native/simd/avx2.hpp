// Eight numbers in one AVX register, with fused multiply-add.
#pragma once
#include "eight.hpp"

constexpr int ACCUMULATORS = 12;
