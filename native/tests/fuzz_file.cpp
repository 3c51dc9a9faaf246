// Feeds damaged model files to the reader: raw bytes, and manifests, entries and numbers under checksums that are right again.
// An input must be accepted or refused, within the limits of time and memory that libFuzzer is given. See `make fuzz`.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "../file/contents.hpp"
#include "../include/ostinato/file.h"
#include "model_file.hpp"

using namespace std::literals;
using namespace model_file;
using ostinato::file::Contents;
using ostinato::file::Refused;

extern "C" std::size_t LLVMFuzzerMutate(std::uint8_t* data, std::size_t size, std::size_t most);

namespace {

using Rng = std::minstd_rand;

std::size_t below(Rng& rng, std::size_t n) { return n ? rng() % n : 0; }

constexpr std::string_view words[] = {
    "0", "1", "-1", "2", "3", "4", "5", "8", "9", "12", "1024", "2147483647", "2147483648", "4611686018427387904",
    "9223372036854775807", "9223372036854775808", "-0", "1e308", "1e400", "0.5", "1e-400", "null", "true", "false", "\"\"", "\"a\"", "[]", "{}",
    "[null]", "[2,3]", "\"lstm\"", "\"gru\"", "\"gru_reset_after\"", "\"simple_rnn\"", "\"layer_norm_lstm\"", "\"layer_norm_gru\"",
    "\"layer_norm_simple_rnn\"", "\"dense\"", "\"recurrent\"", "\"bidirectional\"", "\"time_distributed\"", "\"embedding\"",
    "\"unembedding\"", "\"masking\"", "\"flatten\"", "\"reshape\"", "\"conv1d\"", "\"attention\"", "\"repeat_vector\"",
    "\"max_pooling1d\"", "\"activation\"", "\"layer_norm\"", "\"dropout\"", "\"global_max_pooling1d\"", "\"kind\"", "\"config\"",
    "\"cells\"", "\"inner\"", "\"run\"", "\"units\"", "\"members\"", "\"options\"", "\"zoneout\"", "\"learned\"", "\"start\"",
    "\"F32\"", "\"BF16\"", "\"I8\"", "\"F64\"", "\"U8\"", "\"relu\"", "\"tanh\"", "\"softmax\"", "\"concat\"", "\"causal\"",
    "\"layers/0/W\"", "\"layers/0/W/scale\"", "\"task/x\"", "\"\\u0041\"", "\"\\ud800\"", "[[[[[[[[[]]]]]]]]]", ",", ":", "{", "}"};

// Where the words of JSON text begin and end.
std::vector<std::string_view> tokens(std::string_view text) {
    std::vector<std::string_view> found;
    for (std::size_t at = 0; at < text.size();) {
        std::size_t end = at + 1;
        if (text[at] == '"') {
            while (end < text.size() && text[end] != '"') ++end;
            end = std::min(end + 1, text.size());
        } else if (std::isalnum(static_cast<unsigned char>(text[at])) || text[at] == '-') {
            while (end < text.size() && (std::isalnum(static_cast<unsigned char>(text[end])) || text[end] == '.')) ++end;
        }
        found.push_back(text.substr(at, end - at));
        at = end;
    }
    return found;
}

// From a bracket to the one that closes it, or one word.
std::size_t group(const std::vector<std::string_view>& parts, std::size_t at) {
    int depth = 0;
    for (std::size_t i = at; i < parts.size(); ++i) {
        depth += parts[i] == "{" || parts[i] == "[" ? 1 : parts[i] == "}" || parts[i] == "]" ? -1 : 0;
        if (depth <= 0) return i + 1;
    }
    return parts.size();
}

std::string by_words(std::string_view text, Rng& rng) {
    std::vector<std::string_view> parts = tokens(text);
    for (std::size_t n = 1 + below(rng, 3); n-- && !parts.empty();) {
        const std::size_t at = below(rng, parts.size()), other = below(rng, parts.size());
        const auto place = [&](std::size_t i) { return parts.begin() + std::ptrdiff_t(i); };
        const std::vector<std::string_view> copy(place(other), place(group(parts, other)));
        switch (below(rng, 6)) {
            case 0:
            case 1: parts[at] = words[below(rng, std::size(words))]; break;
            case 2: parts[at] = parts[other]; break;
            case 3: parts.erase(place(at), place(group(parts, at))); break;
            case 4: parts.insert(place(at), copy.begin(), copy.end()); break;
            default:
                parts.erase(place(at), place(group(parts, at)));
                parts.insert(place(std::min(at, parts.size())), copy.begin(), copy.end());
        }
    }
    std::string made;
    for (const std::string_view part : parts) made += part;
    return made;
}

std::string by_bytes(std::string text) {
    const std::size_t size = text.size();
    text.resize(size + 16);
    text.resize(LLVMFuzzerMutate(reinterpret_cast<std::uint8_t*>(text.data()), size, text.size()));
    return text;
}

// As a file is read from a disk.
std::string streamed(const std::uint8_t* data, std::size_t size) {
    try {
        Contents contents({size, [at = data](void* to, std::size_t n) mutable { std::memcpy(to, at, n), at += n; }, nullptr});
        contents.read_numbers();
        return {};
    } catch (const Refused& error) {
        return error.code;
    }
}

std::string at_once(const std::uint8_t* data, std::size_t size) {
    try {
        Contents contents(ostinato::file::in_memory(data, size));
        contents.read_numbers();
        return {};
    } catch (const Refused& error) {
        return error.code;
    }
}

void demand(bool good, const char* what) {
    if (good) return;
    std::fprintf(stderr, "%s\n", what);
    std::abort();
}

// A network that was accepted takes steps.
void step(const ostinato_stack* stack) {
    const std::ptrdiff_t inputs = ostinato_inputs(stack), outputs = ostinato_outputs(stack), most = 1 << 16;
    if (inputs > most || outputs > most || ostinato_numbers(stack) > most) return;
    ostinato_machine* const machine = ostinato_machine_new(stack, 2, OSTINATO_REFUSE, 1);
    demand(machine, "no machine");
    std::vector<float> x(std::size_t(inputs) * 2, 0.5f), y(std::size_t(outputs) * 2);
    const std::int64_t rows[2] = {1, 0}, symbols[2] = {0, ostinato_symbols(stack) - 1};
    const void* const given = ostinato_symbols(stack) ? static_cast<const void*>(symbols) : x.data();
    for (int i = 0; i < 2; ++i) demand(ostinato_step(machine, rows, 2, given, y.data()) == OSTINATO_DONE, "a step was refused");
    ostinato_machine_free(machine);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    ostinato_stack* stack;
    ostinato_refusal why{};
    if (ostinato_open(data, size, nullptr, &stack, &why) == OSTINATO_DONE) {
        step(stack);
        ostinato_stack_free(stack);
    } else {
        demand(!stack && why.code[0] && std::strlen(why.sentence) > 20 && why.code != "memory"sv, "a refusal without a reason");
        for (const char* c = why.sentence; *c; ++c) demand(*c >= ' ' && *c < 127, "a sentence that is not printable");
    }
    if (hash({reinterpret_cast<const char*>(data), std::min<std::size_t>(size, 48)})[0] == '0')
        demand(streamed(data, size) == at_once(data, size), "another answer from a disk");
    return 0;
}

extern "C" std::size_t LLVMFuzzerCustomMutator(std::uint8_t* data, std::size_t size, std::size_t most, unsigned seed) {
    Rng rng(seed);
    Pieces pieces;
    if (below(rng, 8) == 0 || !cut({reinterpret_cast<const char*>(data), size}, pieces)) return LLVMFuzzerMutate(data, size, most);
    switch (below(rng, 8)) {
        case 0: pieces.manifest = by_bytes(pieces.manifest); break;
        case 1: pieces.entries = by_bytes(pieces.entries); break;
        case 2: pieces.data = by_bytes(pieces.data); break;
        case 3:
        case 4: pieces.entries = by_words(pieces.entries, rng); break;
        default: pieces.manifest = by_words(pieces.manifest, rng);
    }
    const std::string made = joined(std::move(pieces));
    if (made.size() > most) return LLVMFuzzerMutate(data, size, most);
    std::memcpy(data, made.data(), made.size());
    return made.size();
}
