#include "contents.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <new>

#include "foreign.hpp"
#include "sha256.hpp"

namespace ostinato::file {
namespace {

static_assert(std::endian::native == std::endian::little, "model files are read as they lie in memory");

constexpr std::uint64_t chunk = 1 << 20;
constexpr float most_scale = std::numeric_limits<float>::max() / 128;

template <class T>
T load(const unsigned char* at) {
    T value;
    std::memcpy(&value, at, sizeof value);
    return value;
}

// How many numbers of type T at `from` have an exponent that says NaN or infinity.
template <class T>
std::int64_t nonfinite(const unsigned char* from, std::int64_t bytes, T exponent) {
    std::int64_t count = 0;
    for (std::int64_t i = 0; i < bytes; i += std::int64_t(sizeof(T))) count += (load<T>(from + i) & exponent) == exponent;
    return count;
}

std::uint64_t length_of(std::string_view head) {
    std::uint64_t length = 0;
    for (std::size_t i = std::min<std::size_t>(8, head.size()); i-- > 0;) length = length << 8 | static_cast<unsigned char>(head[i]);
    return length;
}

// The length and the header, or what the file is instead.
std::string start_of(const Source& source) {
    std::string start(std::size_t(std::min<std::uint64_t>(source.size, needed_head)), '\0');
    source.read(start.data(), start.size());
    const std::uint64_t length = length_of(start);
    if (source.size < 9 || length > max_header || start[8] != '{') {
        const std::string_view foreign = identify(start);
        if (!foreign.empty())
            throw Refused("unsupported_format", "a model file must be a safetensors file with ostinato's manifest", foreign, {},
                          foreign.find("eras") != foreign.npos ? "Convert it first: ostinato convert FILE OUT.safetensors."
                                                               : "Pass a file that ostinato saved.");
        if (source.size < 9) throw Refused("truncated", "a model file must have at least 9 bytes", std::to_string(source.size));
        if (length > max_header)
            throw Refused("header_length", "the header must be at most 1048576 bytes", std::to_string(length));
    }
    if (length < 2) throw Refused("header_length", "the header must be at least 2 bytes", std::to_string(length));
    if (8 + length > source.size)
        throw Refused("truncated", "the file must hold its header of " + std::to_string(length) + " bytes",
                      std::to_string(source.size) + " bytes in all");
    const std::size_t read = start.size();
    if (read < 8 + length) {
        start.resize(std::size_t(8 + length));
        source.read(start.data() + read, start.size() - read);
    }
    return start;
}

}  // namespace

Contents::Contents(Source source) : source_(std::move(source)), start_(start_of(source_)) {
    const std::uint64_t length = length_of(start_), data_size = source_.size - 8 - length;
    parse_header(std::string_view(start_).substr(8, std::size_t(length)), data_size, header_);
    parts_ = blueprint(header_);
}

void Contents::read_numbers() {
    const std::uint64_t begin = 8 + length_of(start_), size = source_.size - begin;
    if (size > std::numeric_limits<std::size_t>::max() / 2) throw std::bad_alloc();
    Sha256 hash;
    if (source_.all) {
        data_ = source_.all + begin;
        hash.add(data_, std::size_t(size));
    } else {
        own_ = std::make_unique_for_overwrite<unsigned char[]>(std::size_t(size));
        data_ = own_.get();
        // The first read may have gone beyond the header.
        const std::uint64_t read = std::min<std::uint64_t>(start_.size() - begin, size);
        std::memcpy(own_.get(), start_.data() + begin, std::size_t(read));
        hash.add(data_, std::size_t(read));
        for (std::uint64_t at = read; at < size; at += chunk) {
            const auto n = std::size_t(std::min(chunk, size - at));
            source_.read(own_.get() + at, n);
            hash.add(data_ + at, n);
        }
    }
    const std::string found = hash.hex(), &expected = header_.manifest.data_sha256;
    if (found != expected)
        throw Refused("digest", "the data's SHA-256 must be " + expected.substr(0, 12) + "...", found.substr(0, 12) + "...");
    check_finite();
}

void Contents::check_finite() const {
    for (const auto& [name, entry] : header_.tensors) {
        const std::int64_t bytes = entry.end - entry.begin;
        const std::string_view type = entry.type->name;
        std::int64_t bad = 0;
        if (type == "F64") bad = nonfinite<std::uint64_t>(at(entry), bytes, 0x7ff0000000000000u);
        if (type == "F32") bad = nonfinite<std::uint32_t>(at(entry), bytes, 0x7f800000u);
        if (type == "BF16") bad = nonfinite<std::uint16_t>(at(entry), bytes, 0x7f80u);
        if (type == "I8") {
            const Entry& scale = header_.tensors.find(std::string(name) + "/scale")->second;
            for (const unsigned char* s = at(scale); s < data_ + scale.end; s += 4) bad += !(std::abs(load<float>(s)) <= most_scale);
        }
        if (bad) throw Refused("nonfinite", "all numbers of a model must be finite", "NaN or infinite ones", quote(name));
    }
}

std::vector<float> Contents::weight(std::size_t layer, std::string_view name) const {
    const std::string path = "layers/" + std::to_string(layer) + "/" + std::string(name);
    const auto found = header_.tensors.find(path);
    if (found == header_.tensors.end()) return {};
    const Entry& entry = found->second;
    const unsigned char* from = at(entry);
    std::vector<float> numbers(std::size_t((entry.end - entry.begin) / entry.type->size));
    if (entry.type->name == "F32") {
        std::memcpy(numbers.data(), from, numbers.size() * sizeof(float));
    } else if (entry.type->name == "BF16") {
        for (std::size_t i = 0; i < numbers.size(); ++i)
            numbers[i] = std::bit_cast<float>(std::uint32_t(load<std::uint16_t>(from + 2 * i)) << 16);
    } else {
        const unsigned char* const scale = at(header_.tensors.find(path + "/scale")->second);
        const auto columns = std::size_t(entry.shape.back());
        for (std::size_t i = 0; i < numbers.size(); ++i)
            numbers[i] = load<float>(scale + 4 * (i % columns)) * float(static_cast<signed char>(from[i]));
    }
    return numbers;
}

Source in_memory(const void* bytes, std::size_t size) {
    const auto* const all = static_cast<const unsigned char*>(bytes);
    auto read = [at = all](void* to, std::size_t n) mutable {
        if (n) std::memcpy(to, at, n);
        at += n;
    };
    return {size, read, all};
}

}  // namespace ostinato::file
