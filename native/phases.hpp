// Threads that meet after each phase of a piece of work.
#pragma once
#include <atomic>
#include <cstddef>
#include <memory>

namespace ostinato {

// `phases` phases of `slices` slices each; a phase begins when all slices of the one before are done. Threads come to it as
// they are free: each takes its own slice while nobody else has, then any other that is left. So nobody ever waits for a
// thread that has not begun, however few there are.
class Phases {
public:
    Phases(std::ptrdiff_t phases, int slices);

    // Works until all is done; `mine` is the slice that this thread prefers, whose memory it then keeps close.
    template <class F>
    void run(int mine, F&& slice) {
        for (std::ptrdiff_t phase; (phase = now()) < phases_;) {
            for (int i = mine, left = slices_; left > 0; --left, i = i + 1 < slices_ ? i + 1 : 0)
                if (claim(i, phase)) {
                    slice(phase, i);
                    done_.fetch_add(1, std::memory_order_release);
                }
            wait(phase);
        }
    }

private:
    std::ptrdiff_t now() const { return done_.load(std::memory_order_acquire) / slices_; }
    bool claim(int i, std::ptrdiff_t phase) {
        std::atomic<std::ptrdiff_t>& next = places_[std::size_t(i)].next;
        return next.load(std::memory_order_relaxed) == phase && next.compare_exchange_strong(phase, phase + 1);
    }
    // Until the phase is over: spins for some microseconds, then lets others have the core.
    void wait(std::ptrdiff_t phase) const;

    struct alignas(64) Place {
        std::atomic<std::ptrdiff_t> next{0};  // phase whose slice is to be taken
    };
    const std::ptrdiff_t phases_;
    const int slices_;
    const std::unique_ptr<Place[]> places_;
    alignas(64) std::atomic<std::ptrdiff_t> done_{0};  // slices of all phases
};

}  // namespace ostinato
