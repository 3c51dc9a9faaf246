#include "header.hpp"

#include <algorithm>
#include <optional>

#include "sha256.hpp"

namespace ostinato::file {

const Type types[6] = {{"F64", 8, true}, {"I64", 8, true},   {"F32", 4, true},
                       {"U8", 1, true},  {"BF16", 2, false}, {"I8", 1, false}};

namespace {

constexpr std::size_t max_rank = 4;

struct Metadata {
    std::optional<std::string> manifest;
    std::string digest;
    bool others = false, sealed = false;
};

void check_text(std::string_view raw) {
    const std::size_t other = not_utf8(raw);
    if (other != raw.npos) throw Refused("utf8", "the header must be UTF-8 text", "another byte at " + std::to_string(other));
    if (!raw.starts_with('{')) throw Refused("json", "the header must begin with '{'", quote(raw.substr(0, 1)));
    check_json(raw, "header");
}

Metadata read_metadata(std::string_view text) {
    Metadata found;
    Json json(text, "header", "header", "the header's metadata must be texts");
    json.object([&](std::string_view name) {
        std::string value = json.text();
        if (name == "ostinato")
            found.manifest = std::move(value);
        else if (name == "header_sha256")
            found.digest = std::move(value), found.sealed = true;
        else
            found.others = true;
    });
    return found;
}

// The header's SHA-256 is taken with zeros in place of its own digits.
void check_digest(std::string_view raw, const std::string& digest) {
    const auto good = [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); };
    if (digest.size() != 64 || !std::all_of(digest.begin(), digest.end(), good))
        throw Refused("header_digest", "the header must hold its SHA-256 as 64 digits", quote(digest, 70));
    const std::size_t at = raw.find(digest);
    Sha256 hash;
    hash.add(raw.data(), std::min(at, raw.size()));
    if (at != raw.npos) {
        hash.add(std::string(64, '0').data(), 64);
        hash.add(raw.data() + at + 64, raw.size() - at - 64);
    }
    const std::string found = hash.hex();
    if (found != digest)
        throw Refused("header_digest", "the header's SHA-256 must be " + digest.substr(0, 12) + "...", found.substr(0, 12) + "...");
}

void manifest(std::string_view raw, Metadata metadata, Manifest& to) {
    if (!metadata.manifest)
        throw Refused("unsupported_format", "a model file must hold ostinato's manifest", "a plain safetensors file", {},
                      "A state_dict of torch can be converted: ostinato convert FILE OUT.safetensors.");
    if (raw.size() % 8)
        throw Refused("header_length", "the header's length must be a multiple of 8", std::to_string(raw.size()));
    if (metadata.manifest->size() > max_manifest)
        throw Refused("manifest_size", "the manifest must be at most 262144 bytes", std::to_string(metadata.manifest->size()));
    check_digest(raw, metadata.digest);
    check_json(*metadata.manifest, "manifest");
    read_manifest(std::move(*metadata.manifest), to);
    if (metadata.others || !metadata.sealed) throw Refused("header", "the metadata must hold two entries only", "others");
    if (to.data_sha256.empty()) throw Refused("manifest", "the manifest must hold the digest of the data", "none");
}

// An entry as it stands, before its numbers are looked at.
struct Raw {
    std::string_view name;
    std::string type;
    Shape shape;
    std::size_t rank = 0;
    Whole begin{0, true}, end{0, true};
};

Raw read_entry(std::string_view name, std::string_view text) {
    Raw raw;
    raw.name = name;
    int fields = 0;
    Json json(text, "header", "header", "a tensor must have dtype, shape and data_offsets only");
    json.object([&](std::string_view field) {
        ++fields;
        if (field == "dtype") {
            raw.type = json.text();
        } else if (field == "shape") {
            json.list([&] {
                const Whole size = json.whole();
                if (++raw.rank <= max_rank) raw.shape.push_back(size.value);
            });
        } else if (field == "data_offsets") {
            int n = 0;
            json.list([&] { ++n == 1 ? raw.begin = json.whole() : raw.end = json.whole(); });
            if (n != 2) json.mismatch("another number of offsets than 2");
        } else {
            json.mismatch("an unknown field " + quote(field));
        }
    });
    if (fields != 3) json.mismatch("a field too few");
    return raw;
}

const Type* type_of(const Raw& raw) {
    for (const Type& type : types)
        if (type.name == raw.type) return &type;
    throw Refused("dtype", "types must be among F64, I64, F32, U8, BF16, I8", quote(raw.type), quote(raw.name));
}

void check_shape(const Raw& raw) {
    if (raw.rank > max_rank)
        throw Refused("shape", "tensors must have at most 4 axes", std::to_string(raw.rank), quote(raw.name));
    std::int64_t product = 1;
    for (const std::int64_t size : raw.shape) {
        if (size < 0 || size > largest) throw Refused("shape", "sizes must be in 0 ... 2147483647", "another size", quote(raw.name));
        // An empty array has strides, too.
        if (__builtin_mul_overflow(product, size ? size : 1, &product) || product >= std::int64_t(1) << 60)
            product = std::int64_t(1) << 60;
    }
    if (product >= std::int64_t(1) << 60)
        throw Refused("shape", "sizes other than 0 must multiply to less than 2**60", "more", quote(raw.name));
}

std::int64_t size_of(const Entry& entry) {
    std::int64_t product = entry.type->size;
    for (const std::int64_t size : entry.shape) product *= size;  // below 2**63, by check_shape
    return product;
}

// One tensor after the other, each where its numbers are aligned, from byte 0 to the end of the file.
void check_offsets(const std::map<std::string_view, Entry>& tensors, std::uint64_t data_size) {
    std::vector<const std::pair<const std::string_view, Entry>*> order;
    for (const auto& one : tensors) order.push_back(&one);
    std::sort(order.begin(), order.end(), [](auto* a, auto* b) {
        return std::pair(a->second.begin, a->second.end) < std::pair(b->second.begin, b->second.end);
    });
    std::int64_t position = 0;
    for (const auto* one : order) {
        const auto& [name, entry] = *one;
        if (entry.end - entry.begin != size_of(entry))
            throw Refused("offsets", "offsets must span the tensor's shape", std::to_string(entry.end - entry.begin) + " bytes",
                          quote(name));
        if (entry.begin != position)
            throw Refused("offsets", "tensors must follow each other", entry.begin < position ? "an overlap" : "a gap", quote(name));
        if (entry.begin % entry.type->size)
            throw Refused("offsets", "tensors must begin at a multiple of their item size", "byte " + std::to_string(entry.begin),
                          quote(name));
        position = entry.end;
    }
    if (std::uint64_t(position) == data_size) return;
    throw Refused(std::uint64_t(position) > data_size ? "truncated" : "trailing",
                  "the data section must have " + std::to_string(position) + " bytes", std::to_string(data_size));
}

}  // namespace

void parse_header(std::string_view raw, std::uint64_t data_size, Header& to) {
    check_text(raw);
    std::vector<std::pair<std::string_view, std::string_view>> values;
    std::string_view metadata = "{}";
    Json json(raw, "json", "header", "the header must be an object of objects");
    json.object([&](std::string_view name) {
        const std::string_view value = json.skip();
        if (name == "__metadata__")
            metadata = value;
        else
            values.emplace_back(name, value);
    });
    json.end();
    manifest(raw, read_metadata(metadata), to.manifest);
    for (const auto& [name, value] : values)
        if (value.find("-0") != value.npos)
            throw Refused("header", "whole numbers must have no sign", "-0, which readers of safetensors refuse");
    std::vector<Raw> entries;
    entries.reserve(values.size());
    for (const auto& [name, value] : values) entries.push_back(read_entry(name, value));
    for (const Raw& entry : entries) to.tensors.emplace(entry.name, Entry{type_of(entry), entry.shape, entry.begin.value, entry.end.value});
    for (const Raw& entry : entries) check_shape(entry);
    for (const Raw& entry : entries)
        if (!entry.begin.fits || !entry.end.fits || entry.begin.value < 0 || entry.begin.value > entry.end.value)
            throw Refused("offsets", "offsets must be two ordered numbers of at least 0", "others", quote(entry.name));
    check_offsets(to.tensors, data_size);
}

}  // namespace ostinato::file
