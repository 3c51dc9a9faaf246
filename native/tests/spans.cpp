// All masks of small arrays.
#include "../spans.hpp"

#include <memory>
#include <vector>

#include "check.hpp"

namespace ostinato {

TEST(every_mask) {
    for (index batch = 0; batch <= 3; ++batch)
        for (index time = 0; time <= 4; ++time)
            for (unsigned bits = 0; bits < 1u << (batch * time); ++bits) {
                const std::unique_ptr<bool[]> mask(new bool[std::size_t(batch * time)]);
                for (index i = 0; i < batch * time; ++i) mask[std::size_t(i)] = bits >> i & 1;
                std::vector<int> start(std::size_t(batch), -1), length(std::size_t(batch), -1);
                const auto kind = spans(mask.get(), batch, time, start.data(), length.data());
                bool all = true, holes = false;
                for (index r = 0; r < batch; ++r) {
                    int count = 0, first = -1, last = -1;
                    for (index t = 0; t < time; ++t)
                        if (mask[std::size_t(r * time + t)]) ++count, first = first < 0 ? int(t) : first, last = int(t);
                    all = all && count == time;
                    holes = holes || (count && last - first + 1 != count);
                    CHECK(length[std::size_t(r)] == count);
                    CHECK(start[std::size_t(r)] == (count ? first : 0));
                }
                                CHECK(kind == (all ? Spans::all : holes ? Spans::holes : Spans::some));
            }
}

}  // namespace ostinato
