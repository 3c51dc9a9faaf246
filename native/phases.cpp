#include "phases.hpp"

#include <thread>

#include "threads.hpp"

namespace ostinato {

Phases::Phases(std::ptrdiff_t phases, int slices) : phases_(phases), slices_(slices), places_(new Place[std::size_t(slices)]) {}

void Phases::wait(std::ptrdiff_t phase) const {
    for (int spins = 0; now() == phase; ++spins) {
        pause();
        if (spins > 500) std::this_thread::yield();
    }
}

}  // namespace ostinato
