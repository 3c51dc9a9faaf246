// From a checked header to layers, and the proof that the file's tensors are exactly those that the layers need.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "catalogue.hpp"
#include "header.hpp"

namespace ostinato::file {

// Names and shapes of weights.
using Weights = std::vector<std::pair<std::string_view, Shape>>;

// What a layer needs for inputs of `shape`, and the shape of what it gives; no batch axis. Refuses inputs that do not fit.
Weights weights_of(const Part& part, const Shape& shape);
Shape shape_after(const Part& part, const Shape& shape);

// The layers of a file, after its list of tensors was checked against them; no number is read.
std::vector<Part> blueprint(const Header& header);

}  // namespace ostinato::file
