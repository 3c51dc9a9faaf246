#include "machine.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

#include "flush.hpp"
#include "layout.hpp"
#include "threads.hpp"

namespace ostinato {
namespace {

constexpr index own_weights = 1 << 17;  // that a thread must read in one row's step to be worth waiting for; measured
constexpr index most_together = 48;  // rows of a lane: their numbers and the weights of a layer share the first caches

void copy_rows(float* to, index ldto, const float* from, index ldfrom, index rows, index width) {
    for (index r = 0; r < rows; ++r) std::memcpy(to + r * ldto, from + r * ldfrom, bytes(width));
}

std::uint32_t bits(float x) { return std::bit_cast<std::uint32_t>(x); }

bool is_finite(float x) { return (bits(x) & 0x7f800000u) != 0x7f800000u; }

// x == y, by their bits: numbers that count as zero in products are others than zero here, as in NumPy.
bool equal(float x, float y) {
    if (bits(x) == bits(y)) return (bits(x) & 0x7fffffffu) <= 0x7f800000u;  // NaN equals nothing
    return ((bits(x) | bits(y)) & 0x7fffffffu) == 0;
}

}  // namespace

// A call's right to work; nobody has it twice at once.
class Machine::Turn {
public:
    explicit Turn(std::atomic<bool>& working) : working_(working), mine(!working.exchange(true, std::memory_order_acquire)) {}
    ~Turn() {
        if (mine) working_.store(false, std::memory_order_release);
    }

private:
    std::atomic<bool>& working_;

public:
    const bool mine;
};

Machine::Machine(const Stack& stack, index capacity, Nonfinite nonfinite, int threads)
    : stack_(stack), capacity_(capacity), together_(std::min(capacity, most_together)), nonfinite_(nonfinite),
      threads_(std::max(threads, 1)), steps_(std::size_t(capacity), 0), policies_(std::size_t(capacity), nonfinite) {
    stride_ = up(std::max<index>(stack.numbers(), 1), 16);
    Layout layout;
    layout.add(state_, capacity * stride_);
    room_ = layout.place();
    std::memset(state_, 0, bytes(capacity * stride_));
    for (index row = 0; row < capacity; ++row) reset(row);
    const index shares = (capacity + together_ - 1) / together_;
    lanes_.resize(std::size_t(std::clamp<index>(threads, 1, shares)));
    for (Lane& lane : lanes_) prepare(lane);
}

// Takes a lane's memory, zeros at first: the products never read what lies behind a row, but the cells compute with it.
void Machine::prepare(Lane& lane) {
    lane.places.resize(stack_.layers_.size()), lane.real.assign(std::size_t(together_), 1);
    Layout layout;
    lane.ldx = apart(std::max<index>(stack_.inputs_, 1));
    layout.add(lane.x, together_ * lane.ldx);
    for (std::size_t i = 0; i < lane.places.size(); ++i) {
        const Stack::Layer& layer = stack_.layers_[i];
        Place& place = lane.places[i];
        place.ldy = apart(layer.units);
        if (layer.kind == Stack::is_affine || layer.kind == Stack::is_composed) layout.add(place.y, together_ * place.ldy);
        if (layer.kind == Stack::is_composed)
            layout.add(place.c, together_ * place.ldy), layout.add(place.room, layer.composed->room(together_));
        if (layer.kind != Stack::is_recurrent) continue;
        const Facts& f = stack_.loops(layer).facts;
        Work& w = place.work;
        Tape& t = w.tape;
        w.inputs = layer.inputs, w.units = layer.units, w.weights = layer.cell->panels;
        const index width = layer.cell->engine.width, wide = up(layer.units, width);
        w.blocks = wide / width;
        w.tail = layer.cell->engine.tail(layer.cell->cell, layer.units);
        w.projected = layer.symbols;
        w.order.batch = w.order.tokens = together_, w.order.time = w.order.steps = 1, w.order.offset = &no_offset;
        t.h_at = up(layer.inputs, 16), t.lda = apart(t.h_at + wide), t.ldc = apart(wide);
        layout.add(t.a, together_ * t.lda);
        layout.add(t.h_last, together_ * t.ldc);
        if (f.has_c) layout.add(t.c, together_ * t.ldc);
        if (f.two_phases) layout.add(t.q, together_ * t.ldc);
        if (f.two_phases || w.projected) layout.add(t.g, w.blocks * together_ * f.sums * width);
        place.ldy = t.ldc;
    }
    lane.room = layout.place();
    const auto zero = [](float* at, index numbers) {
        if (at) std::memset(at, 0, bytes(numbers));
    };
    zero(lane.x, together_ * lane.ldx);
    for (std::size_t i = 0; i < lane.places.size(); ++i) {
        Place& place = lane.places[i];
        Tape& t = place.work.tape;
        if (stack_.layers_[i].kind == Stack::is_affine) zero(place.y, together_ * place.ldy);
        if (stack_.layers_[i].kind != Stack::is_recurrent) continue;
        zero(t.a, together_ * t.lda), zero(t.h_last, together_ * t.ldc), zero(t.c, together_ * t.ldc);
        zero(t.q, together_ * t.ldc);
        const Packed& cell = *stack_.layers_[i].cell;
        zero(t.g, place.work.blocks * together_ * cell.engine.cells[cell.cell].facts.sums * cell.engine.width);
        t.c_last = t.c, place.y = t.h_last;  // a block reads its own c alone, before it writes it
    }
}

Machine::Answer Machine::reset(index row) noexcept {
    const Turn turn(working_);
    if (!turn.mine) return busy;
    float* const to = carried(row);
    std::copy(stack_.starts_.begin(), stack_.starts_.end(), to);
    std::fill(to + stack_.starts_.size(), to + stack_.numbers(), 0.0f);
    steps_[std::size_t(row)] = 0;
    return done;
}

Machine::Answer Machine::read(index row, float* to, std::int64_t* steps) const noexcept {
    const Turn turn(working_);
    if (!turn.mine) return busy;
    std::memcpy(to, carried(row), bytes(stack_.numbers()));
    if (steps) *steps = steps_[std::size_t(row)];
    return done;
}

Machine::Answer Machine::write(index row, std::int64_t steps, const float* from) noexcept {
    const Turn turn(working_);
    if (!turn.mine) return busy;
    std::memcpy(carried(row), from, bytes(stack_.numbers()));
    steps_[std::size_t(row)] = steps;
    return done;
}

Machine::Answer Machine::set_policy(index row, Nonfinite nonfinite) noexcept {
    const Turn turn(working_);
    if (!turn.mine) return busy;
    Nonfinite& policy = policies_[std::size_t(row)];
    others_ += index(nonfinite != nonfinite_) - index(policy != nonfinite_);
    policy = nonfinite;
    return done;
}

// Whether a step of these rows may be computed.
bool Machine::fits(const std::int64_t* rows, index n, const void* x) const noexcept {
    if (!others_ || stack_.symbols_) return fits(nonfinite_, n, x);
    const float* const numbers = static_cast<const float*>(x);
    for (index r = 0; r < n; ++r)
        if (!fits(policies_[std::size_t(rows[r])], 1, numbers + r * stack_.inputs_)) return false;
    return true;
}

bool Machine::fits(Nonfinite nonfinite, index n, const void* x) const noexcept {
    if (stack_.symbols_) {
        const std::int64_t* const ids = static_cast<const std::int64_t*>(x);
        return std::all_of(ids, ids + n, [this](std::int64_t id) { return id >= 0 && id < stack_.symbols_; });
    }
    if (nonfinite != Nonfinite::refuse) return true;
    const float* const numbers = static_cast<const float*>(x);
    bool bad = false;
    for (index i = 0; i < n * stack_.inputs_; ++i) bad |= !is_finite(numbers[i]);
    return !bad;
}

// x of some rows into the lane, by the policy.
void Machine::enter(Lane& lane, const std::int64_t* rows, index n, const float* x) noexcept {
    const index width = stack_.inputs_;
    if (!others_ && nonfinite_ != Nonfinite::hold) return copy_rows(lane.x, lane.ldx, x, width, n, width);
    for (index r = 0; r < n; ++r) {
        if (policies_[std::size_t(rows[r])] != Nonfinite::hold) {
            std::memcpy(lane.x + r * lane.ldx, x + r * width, bytes(width));
            continue;
        }
        float* const held = carried(rows[r]) + stack_.starts_.size();
        for (index i = 0; i < width; ++i) held[i] = is_finite(x[r * width + i]) ? x[r * width + i] : held[i];
        std::memcpy(lane.x + r * lane.ldx, held, bytes(width));
    }
}

// Which steps are real from here on; zeros where they are not.
void Machine::mask(const Stack::Layer& layer, Lane& lane, index n, const void* symbols, float* x, index ldx) noexcept {
    for (index r = 0; r < n; ++r) {
        float* const row = x + r * ldx;
        char& real = lane.real[std::size_t(r)];
        if (layer.kind == Stack::is_mask_zero)
            real = real && static_cast<const std::int64_t*>(symbols)[r] != 0;
        else if (layer.kind == Stack::is_masking)
            real = real && !std::all_of(row, row + layer.units, [&](float v) { return equal(v, layer.number); });
        if (!real && layer.kind != Stack::is_mask_zero) std::memset(row, 0, bytes(layer.units));
    }
}

bool Machine::any_real(const Lane& lane, index n) noexcept {
    return std::any_of(lane.real.begin(), lane.real.begin() + n, [](char real) { return real != 0; });
}

// work(j0, j1) for all blocks of a layer. One row with many weights takes the time to read them: then several threads read a
// part each.
template <class F>
void Machine::by_blocks(index n, index weights, index blocks, F&& work) noexcept {
    const index parts = n > 1 ? 1 : std::min({index(threads_), weights / own_weights, blocks});
    if (parts < 2) return work(0, blocks);
    parallel(int(parts), [&](int i) {
        const Flush flush;
        work(blocks * i / parts, blocks * (i + 1) / parts);
    });
}

void Machine::apply(const PackedAffine& map, const float* x, index ldx, const Place& place, index n) noexcept {
    const Affine& whole = map.map;
    const index W = map.engine.width;
    by_blocks(n, whole.inputs * whole.units, up(whole.units, W) / W, [&](index j0, index j1) {
        const Affine part{whole.inputs, std::min(j1 * W, whole.units) - j0 * W, whole.bias + j0 * W,
                          whole.panel + j0 * whole.inputs * W};
        stack_.engine_.maps->affine(part, x, ldx, place.y + j0 * W, place.ldy, n);
    });
}

// The new states of a recurrent layer, whose x and states stand in the tape. `back`: see Loops::step.
void Machine::step_layer(const Stack::Layer& layer, const Place& place, index n, bool back) noexcept {
    const Loops& loops = stack_.loops(layer);
    const index weights = index(loops.facts.gates) * layer.units * (layer.units + (layer.symbols ? 0 : layer.inputs));
    for (index phase = 0; phase < loops.facts.phases(); ++phase)
        by_blocks(n, weights, place.work.blocks,
                  [&](index j0, index j1) { loops.step(place.work, phase, n, j0, j1, back); });
}

void Machine::recur(const Stack::Layer& layer, Lane& lane, Place& place, const std::int64_t* rows, index n,
                    const void* symbols, const float* x, index ldx) noexcept {
    const Tape& t = place.work.tape;
    const std::size_t size = bytes(layer.units);
    const index block = stack_.loops(layer).facts.sums * layer.cell->engine.width, blocks = place.work.blocks;
    for (index r = 0; r < n; ++r) {
        const float* const state = carried(rows[r]) + layer.state;
        if (layer.symbols)
            copy_rows(t.g + r * block, together_ * block,
                      layer.symbols + static_cast<const std::int64_t*>(symbols)[r] * blocks * block, block, blocks, block);
        else
            std::memcpy(t.a + r * t.lda, x + r * ldx, bytes(layer.inputs));
        std::memcpy(t.a + r * t.lda + t.h_at, state, size);
        if (t.c) std::memcpy(t.c + r * t.ldc, state + layer.units, size);
    }
    if (any_real(lane, n)) step_layer(layer, place, n, steps_[std::size_t(rows[0])] & 1);
    settle(layer, lane, rows, n, t.h_last, t.c, t.ldc);
}

void Machine::compose(const Stack::Layer& layer, Lane& lane, Place& place, const std::int64_t* rows, index n, const float* x,
                      index ldx) noexcept {
    const Composed& cell = *layer.composed;
    float* const c = cell.has_c() ? place.c : nullptr;
    for (index r = 0; r < n; ++r) {
        const float* const state = carried(rows[r]) + layer.state;
        std::memcpy(place.y + r * place.ldy, state, bytes(layer.units));
        if (c) std::memcpy(c + r * place.ldy, state + layer.units, bytes(layer.units));
    }
    if (any_real(lane, n)) cell.step(x, ldx, place.y, c, place.ldy, place.room, n);
    settle(layer, lane, rows, n, place.y, c, place.ldy);
}

// New states h and c (or null) into the rows where the step is real, by zoneout; h becomes what the layer gives.
void Machine::settle(const Stack::Layer& layer, Lane& lane, const std::int64_t* rows, index n, float* h, const float* c,
                     index ld) noexcept {
    const index width = layer.units;
    const float share = layer.number;
    for (index r = 0; r < n; ++r) {
        float* const state = carried(rows[r]) + layer.state;
        float* const y = h + r * ld;
        char& real = lane.real[std::size_t(r)];
        if (!real) {
            if (layer.last)
                std::memcpy(y, state, bytes(width)), real = 1;
            else
                std::memset(y, 0, bytes(width));
            continue;
        }
        if (share == 0) {
            std::memcpy(state, y, bytes(width));
            if (c) std::memcpy(state + width, c + r * ld, bytes(width));
            continue;
        }
        const auto blend = [&](float* old, const float* now) {
            for (index i = 0; i < width; ++i) old[i] = now[i] + share * (old[i] - now[i]);
        };
        blend(state, y);
        if (c) blend(state + width, c + r * ld);
        std::memcpy(y, state, bytes(width));
    }
}

// Up to `together_` rows through all layers. Functions of what a layer wrote are computed in its place.
void Machine::advance(Lane& lane, const std::int64_t* rows, index n, const void* x, float* y) noexcept {
    const Maps& maps = *stack_.engine_.maps;
    if (!stack_.symbols_) enter(lane, rows, n, static_cast<const float*>(x));
    if (stack_.masked_) std::fill_n(lane.real.begin(), n, char(1));
    float* at = lane.x;
    index ld = lane.ldx;
    for (std::size_t i = 0; i < stack_.layers_.size(); ++i) {
        const Stack::Layer& layer = stack_.layers_[i];
        Place& place = lane.places[i];
        switch (layer.kind) {
            case Stack::is_embedding:
                for (index r = 0; r < n; ++r)
                    std::memcpy(at + r * ld, layer.first + static_cast<const std::int64_t*>(x)[r] * layer.units,
                                bytes(layer.units));
                break;
            case Stack::is_recurrent:
                recur(layer, lane, place, rows, n, x, at, ld);
                at = place.y, ld = place.ldy;
                break;
            case Stack::is_composed:
                compose(layer, lane, place, rows, n, at, ld);
                at = place.y, ld = place.ldy;
                break;
            case Stack::is_affine:
                apply(*layer.map, at, ld, place, n);
                at = place.y, ld = place.ldy;
                break;
            case Stack::is_activation:
                maps.activate(layer.function, at, ld, n, layer.units);
                break;
            case Stack::is_normalisation:
                maps.normalise(layer.first, layer.second, layer.number, at, ld, n, layer.units);
                break;
            default: mask(layer, lane, n, x, at, ld);
        }
    }
    copy_rows(y, stack_.width_, at, ld, n, stack_.width_);
    for (index r = 0; r < n; ++r) ++steps_[std::size_t(rows[r])];
}

// Any number of rows, on this thread.
void Machine::share(Lane& lane, const std::int64_t* rows, index n, const void* x, float* y) noexcept {
    const Flush flush;
    const index size = stack_.symbols_ ? index(sizeof(std::int64_t)) : stack_.inputs_ * index(sizeof(float));
    for (index r = 0; r < n; r += together_)
        advance(lane, rows + r, std::min(together_, n - r), static_cast<const char*>(x) + r * size, y + r * stack_.width_);
}

Machine::Answer Machine::step(const std::int64_t* rows, index n, const void* x, float* y) noexcept {
    const Turn turn(working_);
    if (!turn.mine) return busy;
    if (!fits(rows, n, x)) return refused;
    const index shares = std::min({index(lanes_.size()), (n + 5) / 6, index(double(n) * stack_.work_ / 5e5) + 1});
    if (shares < 2) {
        share(lanes_[0], rows, n, x, y);
        return done;
    }
    const index size = stack_.symbols_ ? index(sizeof(std::int64_t)) : stack_.inputs_ * index(sizeof(float));
    parallel(int(shares), [&](int i) {
        const index from = n * i / shares, to = n * (i + 1) / shares;
        share(lanes_[std::size_t(i)], rows + from, to - from, static_cast<const char*>(x) + from * size,
              y + from * stack_.width_);
    });
    return done;
}

Machine::Answer Machine::run(std::int64_t row, index time, const void* x, float* y) noexcept {
    const Turn turn(working_);
    if (!turn.mine) return busy;
    if (!fits(policies_[std::size_t(row)], time, x)) return refused;
    const Flush flush;
    const index size = stack_.symbols_ ? index(sizeof(std::int64_t)) : stack_.inputs_ * index(sizeof(float));
    for (index t = 0; t < time; ++t)
        advance(lanes_[0], &row, 1, static_cast<const char*>(x) + t * size, y + t * stack_.width_);
    return done;
}

}  // namespace ostinato
