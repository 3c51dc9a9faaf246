// The step machine: a whole stack of layers, one call a step. Knows neither cells nor instruction sets nor Python.
#pragma once
#include <atomic>
#include <cstdint>
#include <vector>

#include "maps.hpp"
#include "scan.hpp"

namespace ostinato {

// The layers of a network, as one step sees them. Weights are not copied: they must live as long as the stack.
class Stack {
public:
    // A step is `inputs` numbers; or, if `symbols` is not 0, one whole number below it.
    Stack(const Engine& engine, index inputs, index symbols = 0);

    // Layers, first one first.
    void embedding(const float* table);                                   // [symbols, inputs]; only as the first one
    void recurrent(const Packed& cell, const float* h, const float* c);   // start states [H], null: zeros
    void affine(const PackedAffine& map);
    void activation(int function);
    void normalisation(const float* gamma, const float* beta, float epsilon);  // [width]

    index inputs() const { return inputs_; }
    index symbols() const { return symbols_; }
    index outputs() const { return width_; }
    index numbers() const { return index(starts_.size()) + (symbols_ ? 0 : inputs_); }  // that a row carries: states, held
    double work() const { return work_; }                                               // multiply-adds a step

private:
    friend class Machine;
    enum Kind { is_embedding, is_recurrent, is_affine, is_activation, is_normalisation };
    struct Layer {
        Kind kind;
        index inputs = 0, units = 0, state = 0;  // state: where its states are among the numbers of a row
        const Packed* cell = nullptr;
        const PackedAffine* map = nullptr;
        const float *first = nullptr, *second = nullptr;  // table, or gamma and beta
        float epsilon = 0;
        int function = 0;
    };
    const Loops& loops(const Layer& layer) const { return layer.cell->engine.cells[layer.cell->cell]; }

    const Engine& engine_;
    index inputs_, symbols_, width_;
    double work_ = 0;
    std::vector<Layer> layers_;
    std::vector<float> starts_;
};

// What is done about NaN and infinities in x: `refuse` the call, `hold` each feature's last finite number in their place
// (zero before the first), or `propagate` them.
enum class Nonfinite { refuse, hold, propagate };

// The states of `capacity` sequences (rows), which move on by steps. All memory is taken by the constructor: nothing else
// takes memory. Calls for work on one thread make no system call and take no lock. One thread at a time: a call that finds
// another one at work returns `busy` and does nothing.
class Machine {
public:
    enum Answer { done, refused, busy };

    Machine(const Stack& stack, index capacity, Nonfinite nonfinite, int threads);

    // One step of `n` different rows. x [n, inputs], or int64 [n] that are below `symbols`; y [n, outputs]. If it is refused
    // no row has moved.
    Answer step(const std::int64_t* rows, index n, const void* x, float* y) noexcept;
    // `time` steps of one row: x [time, inputs] or int64 [time], y [time, outputs].
    Answer run(std::int64_t row, index time, const void* x, float* y) noexcept;

    // How many steps a row has made, and the numbers that it carries [numbers].
    std::int64_t steps(index row) const noexcept { return steps_[std::size_t(row)]; }
    void read(index row, float* to) const noexcept;
    void write(index row, std::int64_t steps, const float* from) noexcept;
    void reset(index row) noexcept;

    const Stack& stack() const { return stack_; }
    index capacity() const { return capacity_; }

private:
    struct Place {   // what a layer writes
        Work work{};
        float* y;
        index ldy;
    };
    struct Lane {    // room for the rows that a thread moves on together
        std::vector<Place> places;
        float* x;
        index ldx;
        Room room;
    };
    class Turn;

    void prepare(Lane& lane);
    float* carried(index row) const noexcept { return state_ + row * stride_; }
    bool finite(const void* x, index n) const noexcept;
    void share(Lane& lane, const std::int64_t* rows, index n, const void* x, float* y) noexcept;
    void advance(Lane& lane, const std::int64_t* rows, index n, const void* x, float* y) noexcept;
    void enter(Lane& lane, const std::int64_t* rows, index n, const float* x) noexcept;
    template <class F>
    void by_blocks(index n, index weights, index blocks, F&& work) noexcept;
    void apply(const PackedAffine& map, const float* x, index ldx, const Place& place, index n) noexcept;
    void recur(const Stack::Layer& layer, Place& place, const std::int64_t* rows, index n, const float* x, index ldx) noexcept;

    const Stack& stack_;
    const index capacity_, together_;
    const Nonfinite nonfinite_;
    const int threads_;
    index stride_ = 0;
    float* state_ = nullptr;
    Room room_;
    std::vector<std::int64_t> steps_;
    std::vector<Lane> lanes_;
    std::atomic<bool> working_{false};
};

}  // namespace ostinato
