// What the C face hands out.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "machine.hpp"

struct ostinato_stack {
    const ostinato::Engine& engine;
    ostinato::Stack stack;
    std::vector<std::unique_ptr<ostinato::Packed>> cells;
    std::vector<std::unique_ptr<ostinato::Composed>> composed;
    std::vector<std::unique_ptr<ostinato::PackedAffine>> maps;
    std::vector<std::vector<float>> numbers;  // of a file, that the stack points to
    std::string task;                         // of a file
};
