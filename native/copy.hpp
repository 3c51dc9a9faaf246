// What some arrays held at one moment, to find out later whether they still hold the same bits.
#pragma once
#include <cstring>
#include <utility>
#include <vector>

#include "memory.hpp"

namespace ostinato {

class Copy {
public:
    struct Piece {
        const float* at;
        std::size_t numbers;
    };

    explicit Copy(const std::vector<Piece>& pieces) {
        std::size_t total = 0;
        for (const Piece& p : pieces) total += p.numbers;
        room_ = Room(total);
        float* to = room_.data();
        for (const Piece& p : pieces) {
            std::memcpy(to, p.at, p.numbers * sizeof(float));
            to += p.numbers;
            sizes_.push_back(p.numbers);
        }
    }

    // Whether the arrays at these addresses, of the sizes that were copied, hold the same bits.
    bool same(const std::vector<const float*>& arrays) const {
        if (arrays.size() != sizes_.size()) return false;
        const float* mine = room_.data();
        for (std::size_t i = 0; i < arrays.size(); mine += sizes_[i++])
            if (std::memcmp(mine, arrays[i], sizes_[i] * sizeof(float)) != 0) return false;
        return true;
    }

private:
    Room room_;
    std::vector<std::size_t> sizes_;
};

}  // namespace ostinato
