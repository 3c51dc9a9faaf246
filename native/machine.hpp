// The step machine: a whole stack of layers, one call a step. Knows neither cells nor instruction sets nor Python.
#pragma once
#include <atomic>
#include <cstdint>
#include <vector>

#include "memory.hpp"
#include "stack.hpp"

namespace ostinato {

// What is done about NaN and infinities in x: `refuse` the call, `hold` each feature's last finite number in their place
// (zero before the first), or `propagate` them.
enum class Nonfinite : unsigned char { refuse, hold, propagate };

// The states of `capacity` sequences (rows), which move on by steps. All memory is taken by the constructor: nothing else
// takes memory. Calls for work on one thread make no system call and take no lock. One thread at a time: a call that finds
// another one at work returns `busy` and does nothing.
class Machine {
public:
    enum Answer { done, refused, busy };

    // `nonfinite` is for rows that have no policy of their own.
    Machine(const Stack& stack, index capacity, Nonfinite nonfinite, int threads);

    // One step of `n` different rows. x [n, inputs], or int64 [n] that are below `symbols`; y [n, outputs]. If a row refuses its
    // numbers no row has moved.
    Answer step(const std::int64_t* rows, index n, const void* x, float* y) noexcept;
    // `time` steps of one row: x [time, inputs] or int64 [time], y [time, outputs].
    Answer run(std::int64_t row, index time, const void* x, float* y) noexcept;

    // The numbers that a row carries [numbers], and how many steps it has made.
    Answer read(index row, float* to, std::int64_t* steps = nullptr) const noexcept;
    Answer write(index row, std::int64_t steps, const float* from) noexcept;
    Answer reset(index row) noexcept;
    // What a row does from now on; it keeps that when it is reset.
    Answer set_policy(index row, Nonfinite nonfinite) noexcept;
    std::int64_t steps(index row) const noexcept { return steps_[std::size_t(row)]; }

    const Stack& stack() const { return stack_; }
    index capacity() const { return capacity_; }

private:
    struct Place {   // what a layer writes
        Work work{};          // of a packed cell
        float *y, *c, *room;  // c and room of a composed cell
        index ldy;
    };
    struct Lane {    // room for the rows that a thread moves on together
        std::vector<Place> places;
        float* x;
        index ldx;
        std::vector<char> real;  // which of the rows' steps are
        Room room;
    };
    class Turn;

    void prepare(Lane& lane);
    float* carried(index row) const noexcept { return state_ + row * stride_; }
    bool fits(const std::int64_t* rows, index n, const void* x) const noexcept;
    bool fits(Nonfinite nonfinite, index n, const void* x) const noexcept;
    void share(Lane& lane, const std::int64_t* rows, index n, const void* x, float* y) noexcept;
    void advance(Lane& lane, const std::int64_t* rows, index n, const void* x, float* y) noexcept;
    void enter(Lane& lane, const std::int64_t* rows, index n, const float* x) noexcept;
    template <class F>
    void by_blocks(index n, index weights, index blocks, F&& work) noexcept;
    void apply(const PackedAffine& map, const float* x, index ldx, const Place& place, index n) noexcept;
    void step_layer(const Stack::Layer& layer, const Place& place, index n, bool back) noexcept;
    static bool any_real(const Lane& lane, index n) noexcept;
    void mask(const Stack::Layer& layer, Lane& lane, index n, const void* symbols, float* x, index ldx) noexcept;
    void recur(const Stack::Layer& layer, Lane& lane, Place& place, const std::int64_t* rows, index n, const void* symbols,
               const float* x, index ldx) noexcept;
    void compose(const Stack::Layer& layer, Lane& lane, Place& place, const std::int64_t* rows, index n, const float* x,
                 index ldx) noexcept;
    void settle(const Stack::Layer& layer, Lane& lane, const std::int64_t* rows, index n, float* h, const float* c,
                index ld) noexcept;

    const Stack& stack_;
    const index capacity_, together_;
    const Nonfinite nonfinite_;
    const int threads_;
    index stride_ = 0;
    float* state_ = nullptr;
    Room room_;
    std::vector<std::int64_t> steps_;
    std::vector<Nonfinite> policies_;
    index others_ = 0;  // rows with another policy than nonfinite_
    std::vector<Lane> lanes_;
    mutable std::atomic<bool> working_{false};
};

}  // namespace ostinato
