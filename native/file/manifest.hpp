// The JSON manifest of a model file: a closed schema without recursion.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "json.hpp"

namespace ostinato::file {

constexpr std::int64_t newest_format = 1;
constexpr std::int64_t largest = 2147483647;  // size, count or number of steps
constexpr std::int64_t open_size = -1;        // an axis of any length

using Options = std::vector<std::pair<std::string_view, Value>>;  // names lie in the manifest's text
using Shape = std::vector<std::int64_t>;

struct CellSpec {
    Options run, config;
    std::string kind;
};

struct LayerSpec {
    std::string name, kind, inner;
    Options config;
    std::vector<CellSpec> cells;
};

struct Manifest {
    std::string text;  // that names of options lie in
    std::string task, data_sha256;
    Shape input_shape;
    std::vector<LayerSpec> layers;
    std::int64_t members = 1;

    Manifest() = default;
    Manifest(const Manifest&) = delete;
    Manifest& operator=(const Manifest&) = delete;
};

// Fills a manifest from its text, whose keys `check_json` has seen. `data_sha256` is empty if there is none.
void read_manifest(std::string text, Manifest& to);

}  // namespace ostinato::file
