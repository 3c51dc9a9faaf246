// A model file, checked in full: everything but its numbers before memory is taken for them.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "blueprint.hpp"
#include "header.hpp"

namespace ostinato::file {

// Where a file's bytes come from, in order.
struct Source {
    std::uint64_t size;
    std::function<void(void* to, std::size_t n)> read;
    const unsigned char* all = nullptr;  // all of them, if they lie in memory; they must outlive what is read
};

class Contents {
public:
    // Reads and checks the header and the list of tensors.
    explicit Contents(Source source);
    // Reads the numbers and checks them.
    void read_numbers();

    const Manifest& manifest() const { return header_.manifest; }
    const std::vector<Part>& parts() const { return parts_; }
    // A weight as float32, row by row; empty if the file has none of that name.
    std::vector<float> weight(std::size_t layer, std::string_view name) const;

private:
    void check_finite() const;
    const unsigned char* at(const Entry& entry) const { return data_ + entry.begin; }

    Source source_;
    std::string start_;
    Header header_;
    std::vector<Part> parts_;
    std::unique_ptr<unsigned char[]> own_;
    const unsigned char* data_ = nullptr;
};

// A file that lies in memory.
Source in_memory(const void* bytes, std::size_t size);

}  // namespace ostinato::file
