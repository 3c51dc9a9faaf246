// Rooms: aligned, never shared by two owners, used again.
#include "../memory.hpp"

#include <cstdint>
#include <thread>
#include <utility>
#include <vector>

#include "check.hpp"

namespace ostinato {

TEST(aligned_apart_and_writable) {
    std::vector<Room> rooms;
    std::vector<std::size_t> sizes;
    for (const std::size_t n : {0, 1, 15, 1000, 1024, 1025, 524288, 700001, 3}) {
        rooms.emplace_back(n), sizes.push_back(n);
        CHECK(reinterpret_cast<std::uintptr_t>(rooms.back().data()) % 64 == 0);
        for (std::size_t i = 0; i < n; ++i) rooms.back().data()[i] = float(sizes.size());
    }
    for (std::size_t k = 0; k < rooms.size(); ++k) {
        bool good = true;
        for (std::size_t i = 0; i < sizes[k]; ++i) good = good && rooms[k].data()[i] == float(k + 1);
        CHECK(good);
    }
}

TEST(used_again) {
    for (const std::size_t n : {5000, 2000000}) {
        float* first;
        {
            const Room room(n);
            first = room.data();
        }
        const Room again(n), other(n);
        CHECK(again.data() == first);
        CHECK(other.data() != first);
        const Room small(n / 8);  // far too large a piece is not taken for it
        CHECK(small.data() != first);
    }
}

TEST(moved) {
    Room a(100), b(200);
    float *const pa = a.data(), *const pb = b.data();
    Room c(std::move(a));
    CHECK(c.data() == pa);
    c = std::move(b);
    CHECK(c.data() == pb);
    c = Room(300);
    CHECK(c.data() != pa && c.data() != pb);
    const Room empty;
    CHECK(empty.data() == nullptr);
}

TEST(more_than_is_kept) {
    std::vector<Room> rooms;
    for (std::size_t i = 0; i < 200; ++i) rooms.emplace_back(1000 + 100 * i);
    rooms.clear();
    for (std::size_t i = 0; i < 200; ++i) {
        rooms.emplace_back(1000 + 100 * i);
        rooms.back().data()[1000 + 100 * i - 1] = 1;
    }
    CHECK(rooms.size() == 200);
}

TEST(several_threads) {
    std::vector<std::thread> threads;
    std::vector<int> wrong(4, 0);
    for (int id = 0; id < 4; ++id)
        threads.emplace_back([id, &wrong] {
            for (int k = 0; k < 300; ++k) {
                const std::size_t n = std::size_t(1 + (k * 37 + id) % 3000);
                const Room room(n);
                for (std::size_t i = 0; i < n; ++i) room.data()[i] = float(id);
                for (std::size_t i = 0; i < n; ++i) wrong[std::size_t(id)] += room.data()[i] != float(id);
            }
        });
    for (std::thread& t : threads) t.join();
    CHECK(wrong == std::vector<int>(4, 0));
}

}  // namespace ostinato
