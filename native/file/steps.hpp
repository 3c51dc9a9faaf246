// From a model file to the step machine's layers.
#pragma once
#include "contents.hpp"
#include "../machine_c.hpp"

namespace ostinato::file {

// What a step reads: so many numbers; or one whole number below `symbols`, whose vector in the embedding is so long.
struct Reading {
    index inputs, symbols;
};

// Refuses networks that cannot run step by step, and layers that the step machine does not have.
Reading reading_of(const Contents& contents);

// The layers with their numbers; the file's memory may go afterwards. Null if the numbers do not fit into memory.
std::unique_ptr<ostinato_stack> stack_of(const Contents& contents, const Reading& reading, const Engine& engine);

}  // namespace ostinato::file
