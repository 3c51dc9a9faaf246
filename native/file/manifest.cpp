#include "manifest.hpp"

#include <algorithm>

namespace ostinato::file {
namespace {

Json reading(std::string_view text) { return {text, "manifest", "manifest", "the manifest must follow its schema"}; }

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
bool is_word(char c) { return is_digit(c) || is_lower(c) || (c >= 'A' && c <= 'Z') || c == '_'; }

std::size_t characters(std::string_view text) {
    return std::size_t(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

// A number of ostinato's release, such as 1.4.0.
bool is_release(std::string_view text) {
    std::size_t at = 0, parts = 0;
    const auto run = [&](auto&& good, std::size_t most) {
        const std::size_t from = at;
        while (at < text.size() && at - from < most && good(text[at])) ++at;
        return at > from;
    };
    if (!run(is_digit, 4)) return false;
    while (at < text.size() && text[at] == '.' && ++parts <= 4)
        if (++at, !run(is_word, 8)) return false;
    return at == text.size();
}

std::string limited(Json& json, std::size_t least, std::size_t most) {
    std::string text = json.text();
    if (characters(text) < least || characters(text) > most) json.mismatch("a text that is too short or too long");
    return text;
}

std::int64_t between(Json& json, std::int64_t least, std::int64_t most) {
    const Whole found = json.whole();
    if (!found.fits || found.value < least || found.value > most) json.mismatch("a number that is too small or too large");
    return found.value;
}

Options options(Json& json) {
    Options found;
    const auto small = [](std::int64_t n) { return -largest <= n && n <= largest; };
    json.object([&](std::string_view name) {
        found.emplace_back(name, json.plain());
        const Value& value = found.back().second;
        if (!small(value.number) || !std::all_of(value.numbers.begin(), value.numbers.end(), small))
            json.mismatch("a number that is too small or too large");
    });
    return found;
}

// Reads the fields of an object that must be there and may be there: read(name) says whether it knows the name.
template <class F>
void fields(Json& json, std::initializer_list<std::string_view> needed, F&& read) {
    std::vector<std::string_view> missing = needed;
    json.object([&](std::string_view name) {
        if (!read(name)) json.mismatch("an unknown field " + quote(name));
        std::erase(missing, name);
    });
    if (!missing.empty()) json.mismatch("no field " + quote(missing[0]));
}

CellSpec cell(Json& json) {
    CellSpec spec;
    fields(json, {"run", "kind", "config"}, [&](std::string_view name) {
        if (name == "run") return spec.run = options(json), true;
        if (name == "kind") return spec.kind = limited(json, 0, 64), true;
        if (name == "config") return spec.config = options(json), true;
        return false;
    });
    return spec;
}

LayerSpec layer(Json& json) {
    LayerSpec spec;
    fields(json, {"name", "kind"}, [&](std::string_view name) {
        if (name == "name") return spec.name = limited(json, 1, 128), true;
        if (name == "kind") return spec.kind = limited(json, 0, 64), true;
        if (name == "inner") return spec.inner = limited(json, 0, 64), true;
        if (name == "config") return spec.config = options(json), true;
        if (name == "cells") return json.list([&] { spec.cells.push_back(cell(json)); }), true;
        return false;
    });
    return spec;
}

std::string task(Json& json) {
    std::string text = json.text();
    const auto good = [](char c) { return is_lower(c) || is_digit(c) || c == '_'; };
    if (text.empty() || text.size() > 64 || !is_lower(text[0]) || !std::all_of(text.begin(), text.end(), good))
        json.mismatch("a task that is no name");
    return text;
}

std::string digest(Json& json) {
    std::string text = json.text();
    const auto good = [](char c) { return is_digit(c) || (c >= 'a' && c <= 'f'); };
    if (text.size() != 64 || !std::all_of(text.begin(), text.end(), good)) json.mismatch("a digest that is none");
    return text;
}

// What every format, also a later one, says about itself.
void check_version(std::string_view text) {
    Json json = reading(text);
    Whole format{0, true};
    std::string version;
    bool known = false;
    json.object([&](std::string_view name) {
        if (name == "format")
            format = json.whole(), known = format.fits;
        else if (name == "ostinato")
            version = json.text();
        else
            json.skip();
    });
    json.end();
    if (!known) json.mismatch("no format");
    if (format.value < 1) throw Refused("manifest", "the format must be a number of at least 1", std::to_string(format.value));
    if (format.value <= newest_format) return;
    const std::string needed = is_release(version) ? ">= " + version : "of a later version";
    throw Refused("newer_format", "the file's format must be at most 1 here; it needs ostinato " + needed,
                  "format " + std::to_string(format.value), {}, "Use a later version of this library.");
}

}  // namespace

void read_manifest(std::string text, Manifest& to) {
    check_version(text);
    to.text = std::move(text);
    Json json = reading(to.text);
    fields(json, {"format", "ostinato", "task", "input_shape", "layers"}, [&](std::string_view name) {
        if (name == "format") return between(json, 1, newest_format), true;
        if (name == "ostinato") return limited(json, 0, 64), true;
        if (name == "task") return to.task = task(json), true;
        if (name == "input_shape") {
            json.list([&] {
                to.input_shape.push_back(json.null() ? open_size : between(json, 1, largest));
                if (to.input_shape.size() > 4) json.mismatch("more than 4 sizes of the input");
            });
            return true;
        }
        if (name == "layers") return json.list([&] { to.layers.push_back(layer(json)); }), true;
        if (name == "data_sha256") return to.data_sha256 = digest(json), true;
        if (name == "members") return to.members = between(json, 1, 1024), true;
        if (name == "options" || name == "compiled") return json.object([&](std::string_view) { json.setting(); }), true;
        return false;
    });
    json.end();
}

}  // namespace ostinato::file
