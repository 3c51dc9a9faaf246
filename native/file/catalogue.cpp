#include "catalogue.hpp"

#include <algorithm>

namespace ostinato::file {

const std::vector<std::string_view> functions = {
    "linear",   "relu", "relu6", "leaky_relu", "tanh",        "sigmoid", "hard_sigmoid",
    "softsign", "elu",  "selu",  "silu",       "exponential", "softmax", "softplus"};

namespace {

using enum Rule;

const std::vector<Kind> maps = {
    {"activation", {{"activation", function}}},
    {"activity_penalty", {{"alpha", size}, {"beta", size}}},
    {"attention", {{"query", query}, {"use_scale", flag}}},
    {"conv1d",
     {{"filters", count}, {"kernel_size", count}, {"strides", count}, {"padding", padding}, {"dilation_rate", count},
      {"activation", function}, {"use_bias", flag}}},
    {"dense", {{"units", count}, {"activation", function}, {"use_bias", flag}}},
    {"dropout", {{"rate", rate}, {"over_time", flag}}},
    {"embedding", {{"input_dim", count}, {"output_dim", count}, {"mask_zero", flag}}},
    {"flatten", {}},
    {"global_average_pooling1d", {}},
    {"global_max_pooling1d", {}},
    {"layer_norm", {{"epsilon", positive}}},
    {"masking", {{"mask_value", number}}},
    {"max_pooling1d", {{"pool_size", count}}},
    {"repeat_vector", {{"n", count}}},
    {"reshape", {{"target_shape", sizes}}},
    {"unembedding", {{"units", count}}},
};

const std::vector<Kind> cells = {
    {"gru", {{"units", count}, {"activation", function}, {"recurrent_activation", function}}},
    {"gru_reset_after", {{"units", count}, {"activation", function}, {"recurrent_activation", function}}},
    {"layer_norm_gru", {{"units", count}, {"epsilon", positive}}},
    {"layer_norm_lstm", {{"units", count}, {"epsilon", positive}, {"unit_forget_bias", flag}}},
    {"layer_norm_simple_rnn", {{"units", count}, {"activation", function}, {"epsilon", positive}}},
    {"lstm", {{"units", count}, {"activation", function}, {"recurrent_activation", function}, {"unit_forget_bias", flag}}},
    {"simple_rnn", {{"units", count}, {"activation", function}}},
};

const Kind along_time = {"recurrent",
                         {{"return_sequences", flag}, {"reverse", flag}, {"start", start}, {"dropout", rate},
                          {"recurrent_dropout", rate}, {"weight_drop", rate}, {"zoneout", rate}}};
const Kind both_ways = {"bidirectional", {{"merge_mode", merge}}};

bool among(std::string_view word, std::initializer_list<std::string_view> words) {
    return std::find(words.begin(), words.end(), word) != words.end();
}

bool fits(const Value& value, Rule rule) {
    const bool numeric = value.kind == Value::whole || value.kind == Value::real;
    const double x = value.kind == Value::whole ? double(value.number) : value.fraction;
    const auto word = [&](std::initializer_list<std::string_view> words) {
        return value.kind == Value::text && among(value.words, words);
    };
    switch (rule) {
        case count: return value.kind == Value::whole && value.number >= 1;
        case flag: return value.kind == Value::flag;
        case function:
            return value.kind == Value::text && std::find(functions.begin(), functions.end(), value.words) != functions.end();
        case rate: return numeric && x >= 0 && x < 1;
        case size: return numeric && x >= 0;
        case positive: return numeric && x > 0;
        case number: return numeric;
        case sizes:
            return value.kind == Value::list &&
                   std::all_of(value.numbers.begin(), value.numbers.end(), [](std::int64_t n) { return n >= 1; });
        case start: return word({"zeros", "learned"});
        case query: return word({"self", "learned"});
        case padding: return word({"valid", "same", "causal"});
        case merge: return word({"concat", "sum", "mul", "ave"});
    }
    return false;
}

// The parts of one layer of the manifest, and its refusals.
class Maker {
public:
    explicit Maker(const LayerSpec& spec) : spec_(spec) {}

    Part part() const {
        Part part;
        part.name = spec_.name;
        if (spec_.kind == "recurrent" || spec_.kind == "bidirectional") return running(std::move(part));
        if (spec_.kind == "time_distributed") {
            no_cells();
            part.form = Part::time_distributed;
            part.made = made(find(maps, spec_.inner), spec_.config);
        } else {
            const Kind& kind = find(maps, spec_.kind);
            if (!spec_.inner.empty()) wrong("a layer of this kind must have no 'inner'", "one");
            no_cells();
            part.made = made(kind, spec_.config);
        }
        check_strides(part.made);
        return part;
    }

private:
    Part running(Part part) const {
        if (!spec_.inner.empty()) wrong("a layer of this kind must have no 'inner'", "one");
        const bool both = spec_.kind == "bidirectional";
        if (!both && !spec_.config.empty()) wrong("a layer of kind 'recurrent' must have no 'config'", "one");
        if (spec_.cells.empty() || spec_.cells.size() > (both ? 2 : 1))
            wrong(both ? "a bidirectional layer must have 1 to 2 cells" : "a recurrent layer must have 1 cell",
                  std::to_string(spec_.cells.size()));
        for (const CellSpec& cell : spec_.cells) {
            Made inner = made(find(cells, cell.kind), cell.config);
            part.runs.push_back({made(along_time, cell.run), std::move(inner)});
        }
        part.form = both ? Part::bidirectional : Part::recurrent;
        if (both) check_directions(part);
        return part;
    }

    void check_directions(Part& part) const {
        part.made = made(both_ways, spec_.config);
        const bool mirrored = part.runs.size() == 1;
        if (mirrored) part.runs.push_back(part.runs[0]);
        const Run &one = part.runs[0], &two = part.runs[1];
        if (one.reverse() || (!mirrored && !two.reverse()))
            wrong("a bidirectional layer must have a layer that runs forward and one that runs backward", "others");
        if (one.sequences() != two.sequences()) wrong("both directions must have the same return_sequences", "others");
        if (part.made.text("merge_mode") != "concat" && one.units() != two.units())
            wrong("this merge_mode must have directions of equal width", "others");
    }

    void check_strides(const Made& map) const {
        if (map.is("conv1d") && map.whole("strides") > 1 && map.whole("dilation_rate") > 1)
            wrong("strides and dilation_rate must not both be above 1", "both");
    }

    void no_cells() const {
        if (!spec_.cells.empty()) wrong("a layer of this kind must have no cells", std::to_string(spec_.cells.size()));
    }

    const Kind& find(const std::vector<Kind>& catalogue, std::string_view name) const {
        for (const Kind& kind : catalogue)
            if (kind.name == name) return kind;
        std::string known;
        for (const Kind& kind : catalogue) known.append(known.empty() ? "" : ", ").append(kind.name);
        throw Refused("unknown_layer", "layers, cells and inner maps must be known: " + known, quote(name), where(), other_version);
    }

    Made made(const Kind& kind, const Options& config) const {
        Made made{&kind, std::vector<Value>(kind.options.size())};
        if (config.size() != kind.options.size()) throw others(kind);
        for (const auto& [name, value] : config) {  // whose names differ, by check_json
            const auto is = [&, &n = name](const Option& option) { return option.name == n; };
            const auto at = std::find_if(kind.options.begin(), kind.options.end(), is);
            if (at == kind.options.end()) throw others(kind);
            made.values[std::size_t(at - kind.options.begin())] = value;
        }
        for (std::size_t i = 0; i < made.values.size(); ++i)
            if (!fits(made.values[i], kind.options[i].rule))
                wrong("options must be valid", "another " + std::string(kind.options[i].name));
        return made;
    }

    Refused others(const Kind& kind) const {
        std::string names;
        for (const Option& option : kind.options) names.append(names.empty() ? "" : ", ").append(option.name);
        return {"options", "options must be exactly " + (names.empty() ? "none" : names), "others", where(), other_version};
    }

    [[noreturn]] void wrong(std::string_view rule, std::string_view got) const {
        throw Refused("options", rule, got, where(), "Save the model again.");
    }

    std::string where() const { return "layer " + quote(spec_.name); }

    const LayerSpec& spec_;
};

}  // namespace

const Value& Made::option(std::string_view name) const {
    std::size_t i = 0;
    while (kind->options[i].name != name) ++i;
    return values[i];
}

double Made::number(std::string_view name) const {
    const Value& value = option(name);
    return value.kind == Value::whole ? double(value.number) : value.fraction;
}

bool Made::has(std::string_view name) const {
    return std::any_of(kind->options.begin(), kind->options.end(), [&](const Option& option) { return option.name == name; });
}

Part part_of(const LayerSpec& spec) { return Maker(spec).part(); }

}  // namespace ostinato::file
