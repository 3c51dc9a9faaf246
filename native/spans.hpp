// What kind of mask is it?
#pragma once
#include <cstring>

#include "include/ostinato/work.hpp"

namespace ostinato {

enum class Spans { all, some, holes };

// `all`: every step is real. `some`: the real steps of each row are `length` in a row from `start` on. `holes`: they are
// not; `start` and `length` (number of real steps) are then of no use as places.
inline Spans spans(const bool* mask, index batch, index time, int* start, int* length) {
    bool full = true, holes = false;
    for (index i = 0; i < batch; ++i, mask += time) {
        const void* first = std::memchr(mask, 1, std::size_t(time));
        const index from = first ? static_cast<const bool*>(first) - mask : 0;
        index end = from, count = 0;
        while (end < time && mask[end]) ++end;
        for (index t = from; t < time; ++t) count += mask[t];
        start[i] = int(from), length[i] = int(count);
        full = full && count == time;
        holes = holes || count != end - from;
    }
    return full ? Spans::all : holes ? Spans::holes : Spans::some;
}

}  // namespace ostinato
