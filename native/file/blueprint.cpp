#include "blueprint.hpp"

#include <algorithm>
#include <array>

namespace ostinato::file {
namespace {

constexpr std::size_t most_axes = 8;

[[noreturn]] void unfit(const Part& part, std::string_view got) {
    throw Refused("layers", "layers must fit each other", got, "layer " + quote(part.name));
}

// The size of the last axis, which must be known.
std::int64_t features(const Part& part, const Shape& shape) {
    if (shape.empty() || shape.back() == open_size) unfit(part, "an input of unknown width");
    return shape.back();
}

void check_sequence(const Part& part, const Shape& shape) {
    if (shape.size() != 2) unfit(part, "an input that is no sequence of vectors");
    features(part, shape);
}

// A product of sizes, however large.
std::array<std::uint64_t, 5> product(const Shape& shape) {
    std::array<std::uint64_t, 5> limbs{1};
    for (const std::int64_t size : shape) {
        unsigned __int128 carry = 0;
        for (std::uint64_t& limb : limbs) {
            carry += static_cast<unsigned __int128>(limb) * std::uint64_t(size);
            limb = std::uint64_t(carry), carry >>= 64;
        }
    }
    return limbs;
}

bool is_open(const Shape& shape) { return std::find(shape.begin(), shape.end(), open_size) != shape.end(); }

// All sizes in one; what no layer may have is `largest` + 1.
std::int64_t flat(const Shape& shape) {
    const auto limbs = product(shape);
    const bool small = limbs[0] <= std::uint64_t(largest) && std::all_of(limbs.begin() + 1, limbs.end(), [](auto n) { return !n; });
    return small ? std::int64_t(limbs[0]) : largest + 1;
}

std::int64_t convolved(const Part& part, std::int64_t time) {
    const Made& m = part.made;
    const std::int64_t span = (m.whole("kernel_size") - 1) * m.whole("dilation_rate") + 1, strides = m.whole("strides");
    if (time == open_size) return time;
    if (m.text("padding") != "valid") return (time + strides - 1) / strides;
    if (time < span) unfit(part, "fewer steps than a window");
    return (time - span) / strides + 1;
}

Shape steps_of(const Part& part, const Shape& shape) {
    if (shape.size() < 2) unfit(part, "an input that is no sequence");
    return {shape.begin() + 1, shape.end()};
}

Shape map_after(const Part& part, const Shape& shape) {
    const Made& m = part.made;
    Shape after = shape;
    if (m.is("dense") || m.is("unembedding")) {
        features(part, shape);
        after.back() = m.whole("units");
    } else if (m.is("embedding")) {
        after.push_back(m.whole("output_dim"));
    } else if (m.is("layer_norm")) {
        features(part, shape);
    } else if (m.is("flatten")) {
        if (is_open(shape)) unfit(part, "an input of unknown length");
        after = {flat(shape)};
    } else if (m.is("reshape")) {
        after = m.option("target_shape").numbers;
        if (!is_open(shape) && product(shape) != product(after)) unfit(part, "another number of numbers");
    } else if (m.is("repeat_vector")) {
        if (shape.size() != 1) unfit(part, "an input that is no vector");
        after = {m.whole("n"), features(part, shape)};
    } else if (!m.is("activation") && !m.is("dropout")) {
        check_sequence(part, shape);
        if (m.is("conv1d")) after = {convolved(part, shape[0]), m.whole("filters")};
        if (m.is("max_pooling1d") && shape[0] != open_size) after[0] = shape[0] / m.whole("pool_size");
        if (m.kind->name.starts_with("global_") || (m.is("attention") && m.text("query") == "learned")) after = {shape[1]};
    }
    return after;
}

Weights map_weights(const Part& part, const Shape& shape) {
    const Made& m = part.made;
    Weights found;
    if (m.is("dense")) {
        found.push_back({"W", {features(part, shape), m.whole("units")}});
        if (m.flag("use_bias")) found.push_back({"b", {m.whole("units")}});
    } else if (m.is("unembedding")) {
        found = {{"table", {m.whole("units"), features(part, shape)}}, {"b", {m.whole("units")}}};
    } else if (m.is("embedding")) {
        found.push_back({"table", {m.whole("input_dim"), m.whole("output_dim")}});
    } else if (m.is("layer_norm")) {
        const std::int64_t n = features(part, shape);
        found = {{"gamma", {n}}, {"beta", {n}}};
    } else if (m.is("conv1d")) {
        check_sequence(part, shape);
        found.push_back({"W", {m.whole("kernel_size"), shape[1], m.whole("filters")}});
        if (m.flag("use_bias")) found.push_back({"b", {m.whole("filters")}});
    } else if (m.is("attention")) {
        check_sequence(part, shape);
        if (m.flag("use_scale")) found.push_back({"scale", {1}});
        if (m.text("query") == "learned") found.push_back({"query", {1, shape[1]}});
    }
    return found;
}

void add_cell(Weights& found, const Run& run, std::int64_t inputs, bool back, bool both) {
    const auto add = [&](std::string_view name, Shape shape, std::string_view forward, std::string_view backward) {
        found.emplace_back(!both ? name : back ? backward : forward, std::move(shape));
    };
#define ADD(name, ...) add(name, Shape __VA_ARGS__, "forward_" name, "backward_" name)
    const Made& cell = run.cell;
    const bool lstm = cell.kind->name.ends_with("lstm"), normal = cell.kind->name.starts_with("layer_norm");
    const bool simple = cell.kind->name.ends_with("simple_rnn");
    const std::int64_t n = run.units(), width = n * (lstm ? 4 : simple ? 1 : 3);
    ADD("W", {inputs, width});
    ADD("U", {n, width});
    ADD("b", {width});
    if (cell.is("gru_reset_after") || cell.is("layer_norm_gru")) ADD("b_rec", {width});
    if (normal && simple) ADD("gain", {width});
    if (normal && !simple) ADD("gain_x", {width}), ADD("gain_h", {width});
    if (normal && lstm) ADD("gain_c", {n}), ADD("shift_c", {n});
    if (run.learned()) ADD("start_h", {n});
    if (run.learned() && lstm) ADD("start_c", {n});
#undef ADD
}

void check_size(const Part& part, const Shape& shape) {
    const auto good = [](std::int64_t n) { return n == open_size || (n >= 1 && n <= largest); };
    if (shape.size() > most_axes || !std::all_of(shape.begin(), shape.end(), good))
        throw Refused("layers", "a layer's output must have at most 8 axes of 1 to 2147483647", "another shape",
                      "layer " + quote(part.name));
}

// The list of a file's tensors against what layers need.
class Tensors {
public:
    explicit Tensors(const Header& header) : header_(header), members_(header.manifest.members) {}

    void need(std::size_t layer, std::string_view weight, const Shape& shape) {
        std::string name = "layers/" + std::to_string(layer) + "/";
        name += weight;
        const bool matrix = shape.size() >= 2;
        const Entry& entry = check(name, shape, matrix);
        if (entry.type->name == "I8") check(name + "/scale", {shape.back()}, false);
    }

    // Nothing but what was asked for, and tensors of the task.
    void finish() const {
        for (const auto& [name, entry] : header_.tensors) {
            if (!name.starts_with("task/")) continue;
            if (!entry.type->of_tasks)
                throw Refused("task_tensor", "a task's tensors must be of F64, I64, F32, U8", entry.type->name, quote(name));
        }
        for (const auto& [name, entry] : header_.tensors)
            if (name.starts_with("task/") && !is_plain(name.substr(5)))
                throw Refused("task_tensor", "names of task tensors must be letters, digits and '_', parted by '/'", quote(name));
    }
    void count() const {
        const auto of_task = [](const auto& one) { return one.first.starts_with("task/"); };
        const auto others = std::count_if(header_.tensors.begin(), header_.tensors.end(), of_task);
        const std::size_t layers = header_.tensors.size() - std::size_t(others);
        if (layers != found_) wrong("some that no layer needs", {});
    }

private:
    const Entry& check(const std::string& name, const Shape& shape, bool matrix) {
        const auto at = header_.tensors.find(name);
        if (at == header_.tensors.end()) wrong("one missing", name);
        ++found_;
        const Entry& entry = at->second;
        const bool small = entry.type->name == "BF16" || entry.type->name == "I8";
        if (entry.type->name != "F32" && !(matrix && small))
            throw Refused("tensors", matrix ? "this weight must be of F32 or BF16 or I8" : "this weight must be of F32",
                          entry.type->name, quote(name));
        const std::size_t more = members_ > 1;
        const bool same = entry.shape.size() == shape.size() + more && (!more || entry.shape[0] == members_) &&
                          std::equal(shape.begin(), shape.end(), entry.shape.begin() + std::ptrdiff_t(more));
        if (!same) wrong("another shape", name);
        return entry;
    }

    [[noreturn]] static void wrong(std::string_view got, std::string_view name) {
        throw Refused("tensors", "a file must hold exactly the tensors of its layers", got, name.empty() ? "" : quote(name));
    }

    // Up to four words, parted by '/'.
    static bool is_plain(std::string_view name) {
        std::size_t words = 1, letters = 0;
        for (const char c : name) {
            if (c == '/' && letters) {
                ++words, letters = 0;
                continue;
            }
            const bool letter = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
            if (!letter || ++letters > 64) return false;
        }
        return letters && words <= 4;
    }

    const Header& header_;
    std::int64_t members_;
    std::size_t found_ = 0;
};

}  // namespace

Weights weights_of(const Part& part, const Shape& shape) {
    if (part.form == Part::map) return map_weights(part, shape);
    if (part.form == Part::time_distributed) return map_weights(part, steps_of(part, shape));
    check_sequence(part, shape);
    Weights found;
    for (std::size_t i = 0; i < part.runs.size(); ++i)
        add_cell(found, part.runs[i], shape[1], i == 1, part.form == Part::bidirectional);
    return found;
}

Shape shape_after(const Part& part, const Shape& shape) {
    if (part.form == Part::map) return map_after(part, shape);
    if (part.form == Part::time_distributed) {
        Shape after = map_after(part, steps_of(part, shape));
        after.insert(after.begin(), shape[0]);
        return after;
    }
    check_sequence(part, shape);
    std::int64_t units = part.runs[0].units();
    if (part.form == Part::bidirectional && part.made.text("merge_mode") == "concat") units += part.runs[1].units();
    return part.runs[0].sequences() ? Shape{shape[0], units} : Shape{units};
}

std::vector<Part> blueprint(const Header& header) {
    std::vector<Part> parts;
    for (const LayerSpec& spec : header.manifest.layers) parts.push_back(part_of(spec));
    std::vector<Weights> needed;
    Shape shape = header.manifest.input_shape;
    for (const Part& part : parts) {
        needed.push_back(weights_of(part, shape));
        shape = shape_after(part, shape);
        check_size(part, shape);
    }
    Tensors tensors(header);
    for (std::size_t i = 0; i < parts.size(); ++i)
        for (const auto& [name, weight] : needed[i]) tensors.need(i, name, weight);
    tensors.count();
    tensors.finish();
    return parts;
}

}  // namespace ostinato::file
