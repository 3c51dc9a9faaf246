// From the bytes of a model file's header to checked entries, in the order that the rules of the format give.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "manifest.hpp"

namespace ostinato::file {

constexpr std::uint64_t max_header = 1 << 20;
constexpr std::size_t max_manifest = 256 << 10;

struct Type {
    std::string_view name;
    std::int64_t size;  // bytes of an item
    bool of_tasks;      // whether a task's tensors may be of it
};
extern const Type types[6];

// A tensor: `shape` without open axes, and its first byte and last byte plus one in the data section.
struct Entry {
    const Type* type = nullptr;
    Shape shape;
    std::int64_t begin = 0, end = 0;
};

struct Header {
    Manifest manifest;
    std::map<std::string_view, Entry> tensors;  // names lie in the header's bytes
};

// Fills a header from its bytes, without the eight that hold its length; `data_size` bytes are behind it. The bytes must
// outlive it.
void parse_header(std::string_view raw, std::uint64_t data_size, Header& to);

}  // namespace ostinato::file
