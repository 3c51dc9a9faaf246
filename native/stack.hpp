// The layers that the step machine runs, and their weights. Knows neither cells nor instruction sets nor Python.
#pragma once
#include <cstddef>
#include <vector>

#include "composed.hpp"
#include "maps.hpp"
#include "memory.hpp"
#include "scan.hpp"

namespace ostinato {

constexpr index no_offset = 0;  // of the one step that a Work of a step machine has

inline std::size_t bytes(index numbers) { return std::size_t(numbers) * sizeof(float); }

// The layers of a network, as one step sees them. Weights are not copied: they must live as long as the stack.
class Stack {
public:
    // A step is `inputs` numbers; or, if `symbols` is not 0, one whole number below it.
    Stack(const Engine& engine, index inputs, index symbols = 0);

    // Layers, first one first. The x part of a packed cell behind an embedding is computed here for all symbols, if they are
    // few.
    void embedding(const float* table);                                   // [symbols, inputs]; only as the first one
    void recurrent(const Packed& cell, const float* h, const float* c);   // start states [H], null: zeros
    void recurrent(const Composed& cell, const float* h, const float* c);
    void affine(const PackedAffine& map);
    void activation(int function);
    void normalisation(const float* gamma, const float* beta, float epsilon);  // [width]

    // Options of the recurrent layer that was added last: the share of its old states that a step keeps; and that it gives its
    // last output where a step is not real, in place of zeros, and ends the mask.
    void zoneout(float share);
    void last_output();

    // From here on a step is real if any number differs from `value`, or if its symbol is not 0; others are zeros here.
    // Recurrent layers keep their states where a step is not real, and give zeros.
    void masking(float value);
    void mask_zero();
    void silence();  // zeros where a step is not real

    index inputs() const { return inputs_; }
    index symbols() const { return symbols_; }
    index outputs() const { return width_; }
    index numbers() const { return index(starts_.size()) + (symbols_ ? 0 : inputs_); }  // that a row carries: states, held
    double work() const { return work_; }                                               // multiply-adds a step

private:
    friend class Machine;
    enum Kind {
        is_embedding, is_recurrent, is_composed, is_affine, is_activation, is_normalisation, is_masking, is_mask_zero,
        is_silence
    };
    struct Layer {
        Kind kind;
        index inputs = 0, units = 0, state = 0;  // state: where its states are among the numbers of a row
        const Packed* cell = nullptr;
        const Composed* composed = nullptr;
        const PackedAffine* map = nullptr;
        const float *first = nullptr, *second = nullptr;  // table, or gamma and beta
        float number = 0;    // epsilon, share of zoneout, or what padding holds
        bool last = false;   // gives its last output where a step is not real
        int function = 0;
        const float* symbols = nullptr;  // [symbols, sums of the packed cell]: the x part of its sums, for each symbol
    };
    void add_recurrent(Layer layer, index inputs, bool has_c, int gates, const float* h, const float* c);
    void add(Kind kind, float number = 0);
    void project_symbols(Layer& layer);
    Layer& newest_recurrent();
    const Loops& loops(const Layer& layer) const { return layer.cell->engine.cells[layer.cell->cell]; }

    const Engine& engine_;
    index inputs_, symbols_, width_;
    double work_ = 0;
    bool masked_ = false;  // some steps may not be real
    std::vector<Layer> layers_;
    std::vector<float> starts_;
    Room room_;  // of the projected symbols
};

}  // namespace ostinato
