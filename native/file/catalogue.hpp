// The layers, cells and maps of the format, with their options: the closed list that a model file chooses from.
#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>
#include <vector>

#include "manifest.hpp"

namespace ostinato::file {

// What an option must be.
enum class Rule {
    count, flag, function, rate, size, positive, number, sizes,  // a rate is in [0, 1), a size at least 0, sizes a list of counts
    start, query, padding, merge                                 // a word out of a list
};

struct Option {
    std::string_view name;
    Rule rule;
};

struct Kind {
    std::string_view name;
    std::vector<Option> options;
};

// A kind with valid options.
struct Made {
    const Kind* kind = nullptr;
    std::vector<Value> values;  // in the order of kind->options

    const Value& option(std::string_view name) const;
    std::int64_t whole(std::string_view name) const { return option(name).number; }
    double number(std::string_view name) const;
    bool flag(std::string_view name) const { return option(name).on; }
    std::string_view text(std::string_view name) const { return option(name).words; }
    bool is(std::string_view name) const { return kind && kind->name == name; }
    bool has(std::string_view name) const;
};

// A cell along time.
struct Run {
    Made options, cell;

    bool reverse() const { return options.flag("reverse"); }
    bool sequences() const { return options.flag("return_sequences"); }
    bool learned() const { return options.text("start") == "learned"; }
    std::int64_t units() const { return cell.whole("units"); }
};

// A layer: a map; or one that runs one or two cells.
struct Part {
    enum Form { map, time_distributed, recurrent, bidirectional } form = map;
    Made made;              // the map; of time_distributed the inner one, of bidirectional its options
    std::vector<Run> runs;  // of bidirectional always two
    std::string name;
};

// A layer of the manifest. Refuses unknown kinds and options that do not fit.
Part part_of(const LayerSpec& spec);

// The names of functions, in the order of enum ostinato_function.
extern const std::vector<std::string_view> functions;

}  // namespace ostinato::file
