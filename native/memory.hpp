// Large arrays that are handed back and forth between calls, since fresh pages cost more than the arithmetic on them.
#pragma once
#include <cstddef>

namespace ostinato {

// Numbers to forbid behind each array of a Room: some in a build with AddressSanitizer, none in all others.
#if defined(OSTINATO_GUARDS)
constexpr std::ptrdiff_t guard = 16;
#else
constexpr std::ptrdiff_t guard = 0;
#endif

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

    // Cuts off `numbers` of them from `at` on: reading or writing there is an error that AddressSanitizer sees.
    void forbid(std::size_t at, std::size_t numbers) const;

private:
    void open(std::size_t need) const;

    void* at_ = nullptr;
    std::size_t bytes_ = 0;
};

}  // namespace ostinato
