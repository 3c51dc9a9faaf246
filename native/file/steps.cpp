#include "steps.hpp"

#include <algorithm>

#include "../include/ostinato/machine.h"

namespace ostinato::file {
namespace {

enum ostinato_function function_of(std::string_view name) {
    return ostinato_function(std::find(functions.begin(), functions.end(), name) - functions.begin());
}

[[noreturn]] void no_steps(const Part& part, std::string_view got) {
    const std::string kind(part.made.kind ? part.made.kind->name : "recurrent");
    throw Refused("steps", "the step machine must have every layer", got, "layer " + quote(part.name) + " (" + kind + ")",
                  "Run the model from Python.");
}

bool reshapes(const Part& part) {
    return part.form == Part::time_distributed && (part.made.is("flatten") || part.made.is("reshape"));
}

bool is_embedding(const Part& part) { return part.form == Part::map && part.made.is("embedding"); }

// Refuses a layer that needs later steps, or of earlier ones more than its state.
void check_stepwise(const Part& part) {
    static constexpr std::string_view steps[] = {"activation", "activity_penalty", "dense", "dropout", "embedding",
                                                 "layer_norm", "masking",          "unembedding"};
    if (part.form == Part::time_distributed) return;
    if (part.form == Part::bidirectional) no_steps(part, "one that needs more than one step");
    if (part.form == Part::recurrent && part.runs[0].reverse()) no_steps(part, "one that runs from the last step to the first");
    if (part.form == Part::map && std::find(std::begin(steps), std::end(steps), part.made.kind->name) == std::end(steps))
        no_steps(part, "one that needs more than one step");
}

// Refuses a layer that is not the step machine's; `axes` is what a step has.
void check_layer(const Part& part, const Shape& axes, bool first) {
    static constexpr std::string_view known[] = {"activation", "activity_penalty", "dense",      "dropout",
                                                 "layer_norm", "masking",          "unembedding"};
    if (reshapes(part)) return;
    if (is_embedding(part)) {
        if (!first || !axes.empty()) no_steps(part, "an embedding that is not of one symbol a step, as the first layer");
        return;
    }
    if (axes.size() != 1) no_steps(part, "more than one row of numbers a step");
    if (part.form == Part::recurrent) {
        if (!(float(part.runs[0].options.number("zoneout")) < 1)) no_steps(part, "a zoneout that is 1 in float32");
        return;
    }
    if (std::find(std::begin(known), std::end(known), part.made.kind->name) == std::end(known))
        no_steps(part, "one without native code");
}

// Whether steps may be unreal behind this layer, if they may be before it.
bool mask_after(const Part& part, bool masked) {
    if (part.form == Part::recurrent) return masked && part.runs[0].sequences();
    return masked || part.made.is("masking") || (part.made.is("embedding") && part.made.flag("mask_zero"));
}

// Whether a layer takes what lies at unreal steps for zeros; recurrent layers and masks see to it themselves.
bool silences(const Part& part) {
    return part.form == Part::time_distributed || (part.form == Part::map && !part.made.is("dropout") && !part.made.is("masking"));
}

// Adds the layers of a file to a stack.
class Builder {
public:
    Builder(const Contents& contents, ostinato_stack& stack) : contents_(contents), stack_(&stack) {}

    // Whether all numbers fitted into memory.
    bool build() {
        bool masked = false;
        for (; layer_ < contents_.parts().size(); ++layer_) {
            const Part& part = contents_.parts()[layer_];
            if (masked && silences(part)) add(ostinato_silence(stack_));
            part.form == Part::recurrent ? recurrent(part.runs[0]) : map(part.made);
            if (masked && part.form == Part::recurrent && !part.runs[0].sequences()) add(ostinato_last_output(stack_));
            masked = mask_after(part, masked);
        }
        return good_;
    }

private:
    using Numbers = std::vector<float>;
    void add(int answer) { good_ = good_ && answer == OSTINATO_DONE; }
    Numbers weight(std::string_view name) const { return contents_.weight(layer_, name); }
    static const float* at(const Numbers& numbers) { return numbers.empty() ? nullptr : numbers.data(); }
    const float* kept(Numbers numbers) {
        stack_->numbers.push_back(std::move(numbers));
        return stack_->numbers.back().data();
    }

    void recurrent(const Run& run) {
        const Numbers W = weight("W"), U = weight("U"), b = weight("b"), b_rec = weight("b_rec"), h = weight("start_h"),
                      c = weight("start_c");
        const int cell = quick_cell(run.cell);
        if (cell >= 0) {
            add(ostinato_recurrent(stack_, ostinato_cell(cell), run.units(), at(W), at(U), at(b), at(b_rec), at(h), at(c)));
        } else {
            const Made& made = run.cell;
            Numbers gain_x = weight("gain_x"), gain_h = weight("gain_h"), gain_c = weight("gain_c"), shift_c = weight("shift_c");
            if (made.is("layer_norm_simple_rnn")) gain_h = weight("gain");
            const ostinato_cell_weights w{at(W), at(U), at(b), at(b_rec), at(gain_x), at(gain_h), at(gain_c), at(shift_c)};
            const auto function = [&](std::string_view name, ostinato_function usual) {
                return made.has(name) ? function_of(made.text(name)) : usual;
            };
            const float epsilon = made.has("epsilon") ? float(made.number("epsilon")) : 0.0f;
            add(ostinato_recurrent_of(stack_, formula(made), run.units(), function("activation", OSTINATO_TANH),
                                      function("recurrent_activation", OSTINATO_SIGMOID), epsilon, &w, at(h), at(c)));
        }
        const auto zoneout = float(run.options.number("zoneout"));
        if (zoneout > 0) add(ostinato_zoneout(stack_, zoneout));
    }

    // enum ostinato_cell, or -1 if only ostinato_recurrent_of has this cell.
    static int quick_cell(const Made& cell) {
        if (cell.is("simple_rnn"))
            return cell.text("activation") == "tanh" ? OSTINATO_RNN_TANH : cell.text("activation") == "relu" ? OSTINATO_RNN_RELU : -1;
        if (cell.kind->name.starts_with("layer_norm") || cell.text("activation") != "tanh" ||
            cell.text("recurrent_activation") != "sigmoid")
            return -1;
        return cell.is("lstm") ? OSTINATO_LSTM : cell.is("gru") ? OSTINATO_GRU : OSTINATO_GRU_RESET_AFTER;
    }

    static enum ostinato_formula formula(const Made& cell) {
        static constexpr std::string_view names[] = {"simple_rnn", "lstm", "gru", "gru_reset_after", "layer_norm_simple_rnn",
                                                     "layer_norm_lstm", "layer_norm_gru"};
        return ostinato_formula(std::find(std::begin(names), std::end(names), cell.kind->name) - std::begin(names));
    }

    void map(const Made& map) {
        if (map.is("embedding")) {
            add(ostinato_embedding(stack_, kept(weight("table"))));
            if (map.flag("mask_zero")) add(ostinato_mask_zero(stack_));
        } else if (map.is("masking")) {
            add(ostinato_masking(stack_, float(map.number("mask_value"))));
        } else if (map.is("dense")) {
            add(ostinato_dense(stack_, map.whole("units"), at(weight("W")), at(weight("b"))));
        } else if (map.is("unembedding")) {
            add(ostinato_dense(stack_, map.whole("units"), at(turned(weight("table"), map.whole("units"))), at(weight("b"))));
        } else if (map.is("layer_norm")) {
            const float *const gamma = kept(weight("gamma")), *const beta = kept(weight("beta"));
            add(ostinato_layer_norm(stack_, gamma, beta, float(map.number("epsilon"))));
        }
        if (map.has("activation") && map.text("activation") != "linear")
            add(ostinato_activation(stack_, function_of(map.text("activation"))));
    }

    // A matrix with its axes exchanged.
    static Numbers turned(const Numbers& from, std::int64_t rows) {
        Numbers to(from.size());
        const std::size_t n = std::size_t(rows), m = from.size() / n;
        for (std::size_t i = 0; i < n; ++i)
            for (std::size_t j = 0; j < m; ++j) to[j * n + i] = from[i * m + j];
        return to;
    }

    const Contents& contents_;
    ostinato_stack* stack_;
    std::size_t layer_ = 0;
    bool good_ = true;
};

index product(const Shape& shape) {
    index n = 1;
    for (const std::int64_t size : shape) n = n > largest ? n : n * size;
    return n;
}

}  // namespace

Reading reading_of(const Contents& contents) {
    const Manifest& manifest = contents.manifest();
    const std::vector<Part>& parts = contents.parts();
    if (manifest.members > 1)
        throw Refused("task", "the model must be one network", std::to_string(manifest.members) + ", whose outputs are averaged", {},
                      "Train with one member.");
    for (const Part& part : parts) check_stepwise(part);
    const bool symbols = !parts.empty() && is_embedding(parts[0]);
    const Shape& input = manifest.input_shape;
    Shape axes(input.begin() + !input.empty(), input.end());
    if ((!symbols && axes.empty()) || std::find(axes.begin(), axes.end(), open_size) != axes.end())
        throw Refused("steps", "a stream must be of a network that reads sequences of known width", "another input_shape", {},
                      "Run the model from Python.");
    const index inputs = symbols ? index(parts[0].made.whole("output_dim")) : product(axes);
    for (const Part& part : parts) {
        check_layer(part, axes, &part == &parts[0]);
        Shape shape = axes;
        shape.insert(shape.begin(), open_size);
        shape = shape_after(part, shape);
        axes.assign(shape.begin() + (!shape.empty() && shape[0] == open_size), shape.end());
    }
    if (axes.size() != 1)
        throw Refused("steps", "a step must give one row of numbers", std::to_string(axes.size()) + " axes", {},
                      "Run the model from Python.");
    return {inputs, symbols ? index(parts[0].made.whole("input_dim")) : 0};
}

std::unique_ptr<ostinato_stack> stack_of(const Contents& contents, const Reading& reading, const Engine& engine) {
    std::unique_ptr<ostinato_stack> stack(ostinato_stack_new(engine.name, reading.inputs, reading.symbols));
    if (!stack) return nullptr;
    stack->task = contents.manifest().task;
    return Builder(contents, *stack).build() ? std::move(stack) : nullptr;
}

}  // namespace ostinato::file
