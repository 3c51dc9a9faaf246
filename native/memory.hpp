// Large arrays that are handed back and forth between calls, since fresh pages cost more than the arithmetic on them.
#pragma once
#include <cstddef>

namespace ostinato {

// Numbers aligned to 64 bytes, not initialised.
class Room {
public:
    Room() = default;
    explicit Room(std::size_t numbers);
    Room(Room&& other) noexcept : at_(other.at_), bytes_(other.bytes_) { other.at_ = nullptr; }
    Room& operator=(Room&& other) noexcept;
    Room(const Room&) = delete;
    Room& operator=(const Room&) = delete;
    ~Room();

    float* data() const { return static_cast<float*>(at_); }

private:
    void* at_ = nullptr;
    std::size_t bytes_ = 0;
};

}  // namespace ostinato
