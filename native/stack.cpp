#include "stack.hpp"

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "layout.hpp"

namespace ostinato {

Stack::Stack(const Engine& engine, index inputs, index symbols)
    : engine_(engine), inputs_(inputs), symbols_(symbols), width_(inputs) {
    if (!engine.maps) throw std::invalid_argument("Stack: this engine is for recurrent layers alone");
}

void Stack::embedding(const float* table) {
    if (!symbols_ || !layers_.empty()) throw std::invalid_argument("Stack: an embedding must be the first layer");
    layers_.push_back({.kind = is_embedding, .inputs = inputs_, .units = inputs_, .first = table});
}

void Stack::recurrent(const Packed& cell, const float* h, const float* c) {
    const Facts& facts = cell.engine.cells[cell.cell].facts;
    const bool symbols_only = symbols_ && std::all_of(layers_.begin(), layers_.end(), [](const Layer& before) {
        return before.kind == is_embedding || before.kind == is_mask_zero;
    });
    add_recurrent({.kind = is_recurrent, .units = cell.units, .cell = &cell}, cell.inputs, facts.has_c, facts.gates, h, c);
    // No more memory than the cell's weights take.
    if (symbols_only && symbols_ <= cell.inputs + cell.units) project_symbols(layers_.back());
}

// The sums as they would begin in each step, in the same order of additions: the same bits, for less reading.
void Stack::project_symbols(Layer& layer) {
    const Packed& cell = *layer.cell;
    const index W = cell.engine.width, blocks = up(cell.units, W) / W;
    const index sums = blocks * cell.engine.cells[cell.cell].facts.sums * W;
    float* table = nullptr;
    Layout layout;
    layout.add(table, symbols_ * sums);
    room_ = layout.place();
    const int row = 0, start = 0, length = 1;
    Work w{};
    w.inputs = cell.inputs, w.units = cell.units, w.blocks = blocks, w.weights = cell.panels;
    w.tail = cell.engine.tail(cell.cell, cell.units);
    w.order.batch = w.order.tokens = w.order.time = w.order.steps = 1;
    w.order.row = &row, w.order.start = &start, w.order.length = &length, w.order.offset = &no_offset;
    for (index i = 0; i < symbols_; ++i) {
        w.x = layers_.front().first + i * cell.inputs;
        w.tape.g = table + i * sums;
        loops(layer).project(w, 1);
    }
    layer.symbols = table;
}

void Stack::recurrent(const Composed& cell, const float* h, const float* c) {
    add_recurrent({.kind = is_composed, .units = cell.units, .composed = &cell}, cell.inputs, cell.has_c(), cell.gates(), h, c);
}

void Stack::add_recurrent(Layer layer, index inputs, bool has_c, int gates, const float* h, const float* c) {
    if (inputs != width_) throw std::invalid_argument("Stack: a recurrent layer of other inputs");
    const index at = index(starts_.size()), n = layer.units;
    layer.inputs = width_, layer.state = at;
    layers_.push_back(layer);
    starts_.resize(std::size_t(at + n * (has_c ? 2 : 1)), 0.0f);
    if (h) std::memcpy(starts_.data() + at, h, bytes(n));
    if (c && has_c) std::memcpy(starts_.data() + at + n, c, bytes(n));
    work_ += double(gates) * double(n) * double(width_ + n);
    width_ = n;
}

Stack::Layer& Stack::newest_recurrent() {
    if (layers_.empty() || (layers_.back().kind != is_recurrent && layers_.back().kind != is_composed))
        throw std::invalid_argument("Stack: the last layer must be a recurrent one");
    return layers_.back();
}

void Stack::zoneout(float share) {
    if (!(share >= 0 && share < 1)) throw std::invalid_argument("Stack: a share must be at least 0 and below 1");
    newest_recurrent().number = share;
}

void Stack::last_output() { newest_recurrent().last = true; }

void Stack::add(Kind kind, float number) {
    layers_.push_back({.kind = kind, .inputs = width_, .units = width_, .number = number});
    masked_ = true;
}

void Stack::masking(float value) { add(is_masking, value); }

void Stack::mask_zero() {
    if (!symbols_) throw std::invalid_argument("Stack: symbols must be read for symbol 0 to be padding");
    add(is_mask_zero);
}

void Stack::silence() { add(is_silence); }

void Stack::affine(const PackedAffine& map) {
    if (map.map.inputs != width_) throw std::invalid_argument("Stack: an affine layer of other inputs");
    layers_.push_back({.kind = is_affine, .inputs = width_, .units = map.map.units, .map = &map});
    work_ += double(width_) * double(map.map.units);
    width_ = map.map.units;
}

void Stack::activation(int function) {
    if (function < 0 || function >= n_functions) throw std::invalid_argument("Stack: no such function");
    layers_.push_back({.kind = is_activation, .inputs = width_, .units = width_, .function = function});
}

void Stack::normalisation(const float* gamma, const float* beta, float epsilon) {
    layers_.push_back({.kind = is_normalisation, .inputs = width_, .units = width_, .first = gamma, .second = beta,
                       .number = epsilon});
}

}  // namespace ostinato
