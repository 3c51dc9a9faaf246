#include "foreign.hpp"

#include <algorithm>

#include "json.hpp"

namespace ostinato::file {
namespace {

using namespace std::literals;

struct Magic {
    std::string_view begin, name;
};
constexpr Magic magic[] = {
    {"\x89HDF\r\n\x1a\n"sv, "an HDF5 file (Keras .h5)"},
    {"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19"sv, "a legacy torch file (pickle)"},
    {"\x93NUMPY"sv, "a NumPy array (.npy)"},
    {"\x1f\x8b"sv, "a gzip file"},
    {"BZh"sv, "a bzip2 file"},
    {"\xfd\x37zXZ\x00"sv, "an xz file"},
    {"\x28\xb5\x2f\xfd"sv, "a zstd file"},
    {"GGUF"sv, "a GGUF file"},
    {"PAR1"sv, "a Parquet file"},
    {"SQLite format 3\x00"sv, "a SQLite file"},
    {"\x7f\x45LF"sv, "a program"},
    {"MZ"sv, "a program"},
    {"version https://git-lfs"sv, "a Git LFS pointer, not the file itself (run: git lfs pull)"},
};

unsigned byte(std::string_view head, std::size_t i) { return i < head.size() ? static_cast<unsigned char>(head[i]) : 0u; }

std::string_view zip(std::string_view head) {
    const std::size_t length = byte(head, 26) | byte(head, 27) << 8;
    const std::string_view name = head.size() > 30 ? head.substr(30, length) : ""sv;
    if (name == "metadata.json" || name == "config.json" || name == "model.weights.h5") return "a .keras file (zip)";
    for (const std::string_view end : {"data.pkl"sv, "/version"sv, "/.format_version"sv, "/byteorder"sv})
        if (name.ends_with(end)) return "a torch file (zip with a pickle)";
    return name.ends_with(".npy") ? "a NumPy archive (.npz)" : "a zip archive";
}

std::string_view text(std::string_view head) {
    const std::size_t other = not_utf8(head);
    if (other != head.npos && other + 3 < head.size()) return {};  // else the head ends within a character
    const auto control = [](char c) {
        return (static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\n' && c != '\r') || c == 0x7f;
    };
    if (std::any_of(head.begin(), head.end(), control)) return {};
    if (head.starts_with("\xef\xbb\xbf")) head.remove_prefix(3);
    head.remove_prefix(std::min(head.find_first_not_of(" \t\n\r\f\v"), head.size()));
    if (head.starts_with('{') || head.starts_with('[')) return "a text file (JSON)";
    return head.starts_with('<') ? "a text file (HTML)" : "a text file";
}

}  // namespace

std::string_view identify(std::string_view head) {
    if (head.empty()) return "an empty file";
    for (const Magic& one : magic)
        if (head.starts_with(one.begin)) return one.name;
    if (head.starts_with("PK\x03\x04") || head.starts_with("PK\x05\x06")) return zip(head);
    if (byte(head, 0) == 0x80 && byte(head, 1) >= 2 && byte(head, 1) < 6) return "a pickle";
    if (head.size() >= 8 && head.substr(4, 4) == "TFL3") return "a TensorFlow Lite file";
    if (head.size() > 3 && byte(head, 0) == 0x08 && byte(head, 1) < 0x20 && byte(head, 2) == 0x12)
        return "an ONNX file, or another protocol buffer";
    return text(head);
}

}  // namespace ostinato::file
