// Model files taken apart and put together again with right checksums.
#pragma once
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "../file/sha256.hpp"

namespace model_file {

inline constexpr std::size_t head = 8;
inline const std::string zeros(64, '0');

inline std::string hash(std::string_view text) {
    ostinato::file::Sha256 sum;
    sum.add(text.data(), text.size());
    return sum.hex();
}

// What a file consists of: JSON without escapes, and numbers.
struct Pieces {
    std::string manifest, entries, data;
};

inline bool cut(std::string_view file, Pieces& to) {
    if (file.size() < head + 2) return false;
    std::uint64_t length = 0;
    std::memcpy(&length, file.data(), head);
    if (length > file.size() - head) return false;
    const std::string_view header = file.substr(head, length), key = "\"ostinato\":\"";
    const std::size_t found = header.find(key);
    if (found == header.npos) return false;
    std::size_t at = found + key.size();
    to.manifest.reserve(header.size());
    for (; at < header.size() && header[at] != '"'; ++at) {
        if (header[at] == '\\' && ++at == header.size()) return false;
        to.manifest += header[at];
    }
    const std::size_t end = header.find('}', at);
    if (end == header.npos) return false;
    to.entries = header.substr(end + 1);
    to.data = file.substr(head + length);
    return true;
}

inline std::string joined(Pieces pieces) {
    constexpr std::string_view key = "\"data_sha256\":";
    if (const std::size_t at = pieces.manifest.find(key); at != key.npos) {
        const std::size_t begin = pieces.manifest.find('"', at + key.size());
        const std::size_t end = begin == key.npos ? key.npos : pieces.manifest.find('"', begin + 1);
        if (end != key.npos) pieces.manifest.replace(begin + 1, end - begin - 1, hash(pieces.data));
    }
    std::string header;
    header.reserve(2 * pieces.manifest.size() + pieces.entries.size() + 256);
    header = "{\"__metadata__\":{\"header_sha256\":\"" + zeros + "\",\"ostinato\":\"";
    for (const char c : pieces.manifest) {
        if (c == '"' || c == '\\') header += '\\';
        header += c;
    }
    header += "\"}" + pieces.entries;
    header.resize((header.size() + 7) / 8 * 8, ' ');
    header.replace(header.find(zeros), 64, hash(header));
    std::string file(head, '\0');
    const std::uint64_t length = header.size();
    std::memcpy(file.data(), &length, head);
    return file + header + pieces.data;
}

}  // namespace model_file
