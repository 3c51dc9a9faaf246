// Several arrays in one piece of memory.
#pragma once
#include <vector>

#include "include/ostinato/work.hpp"
#include "memory.hpp"

namespace ostinato {

inline index up(index n, index unit) { return (n + unit - 1) / unit * unit; }

// Rows of n numbers, apart by an odd number of cache lines, so that they do not compete for the same places in the cache.
inline index apart(index n) { return (up(n, 16) / 16 | 1) * 16; }

// Pieces of one Room: first all sizes, then the places.
class Layout {
public:
    template <class T>
    void add(T*& pointer, index n) {
        pieces_.push_back({const_cast<float**>(&pointer), size_, n});
        size_ += up(n, 16) + guard;
    }
    Room place() const {
        Room room{std::size_t(size_)};
        for (const Piece& p : pieces_) {
            *p.pointer = room.data() + p.at;
            if (guard > 0) room.forbid(std::size_t(p.at + p.n), std::size_t(up(p.n, 16) - p.n + guard));
        }
        return room;
    }

private:
    struct Piece {
        float** pointer;
        index at, n;
    };
    std::vector<Piece> pieces_;
    index size_ = 0;
};

}  // namespace ostinato
