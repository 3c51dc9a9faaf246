// A recurrence along time, on plain arrays. Knows neither cells nor instruction sets nor Python.
#pragma once
#include <memory>
#include <vector>

#include "include/ostinato/work.hpp"
#include "memory.hpp"

namespace ostinato {

// The engine with that name; null if this processor or this build lacks it.
const Engine* engine(const char* name);
// Those that compute in float32 alone, best first.
std::vector<const Engine*> engines();
// The one that multiplies in bf16, for inference; null if there is none, for the reason `without_bf16`.
const Engine* bf16_engine();
const char* without_bf16();

struct Shape {
    int cell;
    index batch, time, inputs, units;
    bool reverse = false;
};

// Weights, packed for one engine. `backward` adds what slopes of the states need, `inputs` what the slope of x needs.
class Packed {
public:
    enum What { forward, backward, backward_inputs };
    Packed(const Engine& engine, int cell, index inputs, index units, const Weights<const float>& w, What what, int threads);

    const Engine& engine;
    const int cell;
    const index inputs, units;
    Panels panels{};

private:
    Room room_;
};

struct Arrays {
    const float* x;                 // [B, T, I]
    const float *h, *c;             // [B, H] start states
    const int *start, *length;      // [B] first real step and number of real steps; null: all steps are real
};

struct Results {
    float* y;       // [B, T, H] or null
    float *h, *c;   // [B, H] final states
};

struct Slopes {
    const float *y;       // [B, T, H] or null
    const float *h, *c;   // [B, H] or null
};

struct Wanted {
    float* x;             // [B, T, I] or null
    Weights<float> w;     // all or, if W is null, none
    float *h, *c;         // [B, H]
};

// One run of a recurrence and what its backward pass needs.
class Run {
public:
    Run(const Packed& weights, const Shape& shape, const Arrays& in, const Results& out, bool training, int threads);

    // Once: it uses up the tape.
    void backward(const Packed& weights, const Slopes& in, const Wanted& out, int threads);

    bool spent = false;
    const Shape shape;
    // Slices of the units that threads compute in phases; 0: they share out the rows.
    int slices = 0;

private:
    void order(const int* start, const int* length);
    void place();
    index total() const;
    int useful(int threads) const;
    int choose_slices(int threads) const;
    template <class Rows, class Blocks>
    void run(int threads, index phases, Rows&& rows, Blocks&& blocks);
    void blank(float* to, index width) const;

    const Engine& engine_;
    Work work_{};
    std::vector<int> numbers_;
    std::vector<index> offsets_;
    Room room_;
};

}  // namespace ostinato
