// SHA-256 (FIPS 180-4).
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

namespace ostinato::file {

class Sha256 {
public:
    void add(const void* data, std::size_t size);
    // Of all that was added, as 64 lower-case digits; nothing may be added afterwards.
    std::string hex();

private:
    void block(const unsigned char* at);

    std::array<std::uint32_t, 8> h_{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab,
                                    0x5be0cd19};
    std::array<unsigned char, 64> rest_{};
    std::uint64_t size_ = 0;
};

}  // namespace ostinato::file
