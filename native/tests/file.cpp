// The reader of model files: its parts alone, a file of every kind of fault, and the files of the folders that the environment
// names: OSTINATO_ATTACKS holds NAME.CODE.safetensors, which must be refused with this code, OSTINATO_SEEDS any files.
#include "../include/ostinato/file.h"

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "../file/foreign.hpp"
#include "../file/json.hpp"
#include "check.hpp"
#include "model_file.hpp"

using namespace model_file;
using namespace std::literals;

namespace ostinato::file {
namespace {

const std::string cell = R"({"run":{"return_sequences":true,"reverse":false,"start":"zeros","dropout":0,"recurrent_dropout":0.0,)"
                         R"("weight_drop":0.0,"zoneout":0.0},"kind":"simple_rnn","config":{"units":1,"activation":"tanh"}})";

std::string tensor(const std::string& name, const std::string& shape, int begin, int end, const std::string& type = "F32") {
    return ",\"" + name + "\":{\"dtype\":\"" + type + "\",\"shape\":[" + shape + "],\"data_offsets\":[" + std::to_string(begin) + "," +
           std::to_string(end) + "]}";
}

// A network of one unit, which adds up what it reads.
Pieces network() {
    return {R"({"format":1,"ostinato":"0.1.0","task":"sequential","input_shape":[null,1],"layers":[{"name":"r","kind":"recurrent",)"
            R"("cells":[)" + cell + R"(]}],"data_sha256":"x"})",
            tensor("layers/0/U", "1,1", 0, 4) + tensor("layers/0/W", "1,1", 4, 8) + tensor("layers/0/b", "1", 8, 12) + "}",
            std::string("\0\0\x80\x3f\0\0\x80\x3f\0\0\0\0", 12)};
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
    const std::size_t at = text.find(from);
    CHECK(at != text.npos);
    return at == text.npos ? text : text.replace(at, from.size(), to);
}

// A file of this header alone.
std::string sized(const std::string& header) {
    std::string file(8, '\0');
    const std::uint64_t size = header.size();
    std::memcpy(file.data(), &size, 8);
    return file + header;
}

// The code with which bytes are refused, or "".
std::string answer(std::string_view bytes) {
    ostinato_stack* stack;
    ostinato_refusal why;
    if (ostinato_open(bytes.data(), bytes.size(), nullptr, &stack, &why) == OSTINATO_DONE) {
        ostinato_stack_free(stack);
        return "";
    }
    CHECK(stack == nullptr);
    CHECK(std::strlen(why.sentence) > 20);
    for (const char* c = why.sentence; *c; ++c) CHECK(*c >= ' ' && *c < 127);
    CHECK(ostinato_open(bytes.data(), bytes.size(), nullptr, &stack, nullptr) == OSTINATO_WRONG);
    return why.code;
}

std::string on_disk(const std::filesystem::path& path) {
    ostinato_stack* stack;
    ostinato_refusal why;
    if (ostinato_open_file(path.c_str(), nullptr, &stack, &why) != OSTINATO_DONE) return why.code;
    ostinato_stack_free(stack);
    return "";
}

std::string with_manifest(std::string_view from, std::string_view to) {
    Pieces pieces = network();
    pieces.manifest = replaced(pieces.manifest, from, to);
    return answer(joined(pieces));
}

std::string with_entries(std::string_view from, std::string_view to) {
    Pieces pieces = network();
    pieces.entries = replaced(pieces.entries, from, to);
    return answer(joined(pieces));
}

std::string bytes_of(const std::filesystem::path& path) {
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

template <class F>
void each_file(const char* variable, F&& use) {
    const char* const folder = std::getenv(variable);
    if (!folder) return;
    int count = 0;
    for (const auto& one : std::filesystem::directory_iterator(folder)) ++count, use(one.path());
    CHECK(count > 0);
}

}  // namespace

TEST(sha256_of_the_standard) {
    CHECK(hash("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    CHECK(hash("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    CHECK(hash("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
          "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    CHECK(hash(std::string(1000000, 'a')) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(sha256_in_pieces) {
    std::string text;
    for (int i = 0; i < 300; ++i) {
        text += char(i * 7);
        Sha256 sum;
        for (std::size_t at = 0; at < text.size(); at += 37) sum.add(text.data() + at, std::min<std::size_t>(37, text.size() - at));
        CHECK(sum.hex() == hash(text));
    }
}

TEST(a_file_gives_a_network) {
    const std::string bytes = joined(network());
    ostinato_stack* stack;
    CHECK(ostinato_open(bytes.data(), bytes.size(), nullptr, &stack, nullptr) == OSTINATO_DONE);
    CHECK(ostinato_inputs(stack) == 1 && ostinato_symbols(stack) == 0 && ostinato_outputs(stack) == 1);
    CHECK(ostinato_task(stack) == "sequential"sv);
    ostinato_machine* const machine = ostinato_machine_new(stack, 1, OSTINATO_REFUSE, 1);
    const float x = 0;
    float y = 1;
    CHECK(ostinato_step(machine, std::array{std::int64_t(0)}.data(), 1, &x, &y) == OSTINATO_DONE && y == 0);
    ostinato_machine_free(machine);
    ostinato_stack_free(stack);
    ostinato_refusal why;
    CHECK(ostinato_open(bytes.data(), bytes.size(), "none", &stack, &why) == OSTINATO_WRONG && why.code == "kernel"sv);
}

TEST(manifests) {
    const std::pair<std::string_view, std::string_view> schema[] = {
        {"\"format\":1", "\"format\":0"}, {"\"format\":1", "\"format\":1.0"}, {"\"format\":1", "\"format\":99999999999999999999"},
        {"\"format\":1,", ""}, {"\"0.1.0\"", "1"}, {"\"0.1.0\"", "nul"}, {"0.1.0", "\\q"}, {"0.1.0", "\\u12"}, {"0.1.0", "\\ud800"},
        {"0.1.0", "\\udc00"}, {"0.1.0", "\\ud800\\u0041"}, {"\"sequential\"", "\"Sequential\""},
        {"\"sequential\"", "\"\""}, {"[null,1]", "[null,1,1,1,1]"}, {"[null,1]", "[nul,1]"}, {"[null,1]", "[null 1]"},
        {"[null,1]", "[null,1,]"}, {"[null,1]", "{}"}, {"[null,1]", "[0,1]"}, {"\"data_sha256\":\"x\"", "\"more\":1"},
        {",\"data_sha256\":\"x\"", ""}, {"\"r\"", "\"\""}, {"{\"format\":1", "{1"}, {"\"format\":", "\"format\" "},
        {"\"layers\":[", "\"layers\":[1,"}, {"\"zoneout\":0.0", "\"zoneout\":1e400"}, {"\"zoneout\":0.0", "\"zoneout\":-1e400"},
        {"\"zoneout\":0.0", "\"zoneout\":{}"}, {"\"zoneout\":0.0", "\"zoneout\":01"}, {"\"zoneout\":0.0", "\"zoneout\":1."},
        {"\"zoneout\":0.0", "\"zoneout\":-"}, {"\"zoneout\":0.0", "\"zoneout\":x"}, {"\"zoneout\":0.0", "\"zoneout\":2147483648"},
        {"\"zoneout\":0.0", "\"zoneout\":[1,2,3,4,5,6,7,8,9]"}, {"\"format\":1", "\"format\":1,\"members\":0"},
        {"\"format\":1", "\"format\":1,\"options\":{\"a\":{}}"}, {"\"format\":1", "\"format\":1,\"options\":{\"a\":[true]}"},
        {"\"format\":1", "\"format\":1,\"options\":{\"a\":1e400}"}, {"\"format\":1", "\"format\":1,\"compiled\":{\"a\":99999999999999999999}"}};
    for (const auto& [from, to] : schema) {
        const std::string code = with_manifest(from, to);
        check::about() = std::string(to) + " gives " + code;
        CHECK(code == "manifest");
    }
    const std::pair<std::string_view, std::string_view> fine[] = {
        {"\"zoneout\":0.0", "\"zoneout\":1e-400"}, {"\"zoneout\":0.0", "\"zoneout\":5E-1"}, {"\"zoneout\":0.0", "\"zoneout\":0.0e5"},
        {"0.1.0", "\\u00e9\\u20ac\\ud83d\\ude00\\n\\/\\\\"}, {"0.1.0", "\\u0041"}, {"\"format\":1", " \"format\" : 1 "},
        {"\"format\":1", "\"format\":1,\"options\":{\"a\":[1,\"b\",0.5],\"c\":null,\"d\":true,\"e\":\"f\",\"g\":-0.5}"}};
    for (const auto& [from, to] : fine) {
        const std::string code = with_manifest(from, to);
        check::about() = std::string(to) + " gives " + code;
        CHECK(code.empty());
    }
    CHECK(with_manifest("\"format\":1", "\"format\":2,\"new\":{\"a\":[{}]}") == "newer_format");
    CHECK(with_manifest("0.1.0", "a\x01") == "json" && with_manifest("{\"format\"", "[\"format\"") == "json");
    CHECK(with_manifest("\"0.1.0\",", "\"x\",\"format\":2,") == "duplicate_key");
    CHECK(with_manifest("\"format\":1,\"ostinato\":\"0.1.0\"", "\"format\":2,\"ostinato\":\"x\"") == "newer_format");
}

TEST(layers) {
    CHECK(with_manifest("simple_rnn", "os.system") == "unknown_layer");
    CHECK(with_manifest("\"activation\":\"tanh\"", "\"activation\":\"code\"") == "options");
    CHECK(with_manifest(",\"activation\":\"tanh\"", "") == "options");
    CHECK(with_manifest("\"zoneout\":0.0", "\"more\":0.0") == "options");
    CHECK(with_manifest("\"start\":\"zeros\"", "\"start\":\"ones\"") == "options");
    CHECK(with_manifest("\"kind\":\"recurrent\"", "\"kind\":\"dense\"") == "options");
    CHECK(with_manifest("\"kind\":\"recurrent\"", "\"kind\":\"recurrent\",\"inner\":\"dense\"") == "options");
    CHECK(with_manifest("\"kind\":\"recurrent\"", "\"kind\":\"recurrent\",\"config\":{\"a\":1}") == "options");
    CHECK(with_manifest("[null,1]", "[1]") == "layers");
    CHECK(with_manifest("[null,1]", "[1,null]") == "layers");
    CHECK(with_manifest("\"zeros\"", "\"learned\"") == "tensors");
    CHECK(with_manifest("\"units\":1", "\"units\":2") == "tensors");
    CHECK(with_manifest("\"format\":1", "\"format\":1,\"members\":2") == "tensors");
    CHECK(with_manifest("\"reverse\":false", "\"reverse\":true") == "steps");
    CHECK(with_manifest("\"zoneout\":0.0", "\"zoneout\":0.999999999999") == "steps");
    CHECK(with_manifest("\"layers\":[", R"("layers":[{"name":"t","kind":"time_distributed","inner":"reshape","config":{"target_shape":[1,1]}},)") ==
          "layers");
}

// The answer to one layer without weights, or with those that `entries` name.
std::string of_layer(const std::string& layer, const std::string& shape = "[4,2]") {
    Pieces pieces{R"({"format":1,"ostinato":"0","task":"sequential","input_shape":)" + shape + R"(,"layers":[{"name":"a",)" + layer +
                      R"(}],"data_sha256":"x"})", "}", ""};
    return answer(joined(pieces));
}

std::string map_of(const std::string& kind, const std::string& config, const std::string& shape = "[4,2]") {
    return of_layer("\"kind\":\"" + kind + "\",\"config\":{" + config + "}", shape);
}

std::string each_step(const std::string& kind, const std::string& config, const std::string& shape = "[4,2]") {
    return of_layer("\"kind\":\"time_distributed\",\"inner\":\"" + kind + "\",\"config\":{" + config + "}", shape);
}

TEST(maps) {
    CHECK(map_of("flatten", "") == "steps" && map_of("flatten", "\"a\":1") == "options");
    CHECK(map_of("flatten", "", "[null,2]") == "layers" && map_of("flatten", "", "[2147483647,2]") == "layers");
    CHECK(map_of("flatten", "", "[2147483647,2147483647,2147483647,2147483647]") == "layers");
    CHECK(map_of("reshape", "\"target_shape\":[2,4]") == "steps" && map_of("reshape", "\"target_shape\":[2,5]") == "layers");
    CHECK(map_of("reshape", "\"target_shape\":[2,0]") == "options" && map_of("reshape", "\"target_shape\":2") == "options");
    CHECK(map_of("reshape", "\"target_shape\":[7]", "[null,2]") == "steps");
    CHECK(map_of("repeat_vector", "\"n\":2") == "layers" && map_of("repeat_vector", "\"n\":2", "[2]") == "steps");
    CHECK(map_of("max_pooling1d", "\"pool_size\":2", "[null,2]") == "steps" && map_of("max_pooling1d", "\"pool_size\":5") == "layers");
    CHECK(map_of("global_max_pooling1d", "") == "steps" && map_of("global_average_pooling1d", "", "[2]") == "layers");
    CHECK(map_of("attention", "\"query\":\"self\",\"use_scale\":false") == "steps");
    CHECK(map_of("attention", "\"query\":\"other\",\"use_scale\":false") == "options");
    CHECK(map_of("attention", "\"query\":\"learned\",\"use_scale\":true") == "tensors");
    CHECK(map_of("attention", "\"query\":1,\"use_scale\":true") == "options");
    CHECK(map_of("activation", "\"activation\":\"elu\"").empty() && map_of("activation", "\"activation\":1") == "options");
    CHECK(map_of("activation", "\"activation\":\"elu\"", "[2]") == "steps");
    CHECK(map_of("activation", "\"activation\":\"elu\"", "[4,null]") == "steps");
    CHECK(map_of("activation", "\"activation\":\"elu\"", "[4,2,2]") == "steps");
    CHECK(map_of("dense", "\"units\":2,\"activation\":\"elu\",\"use_bias\":false", "[]") == "layers");
    CHECK(map_of("dense", "\"units\":2,\"activation\":\"elu\",\"use_bias\":false") == "tensors");
    CHECK(map_of("dropout", "\"rate\":0.5,\"over_time\":true").empty() && map_of("dropout", "\"rate\":1,\"over_time\":true") == "options");
    CHECK(map_of("dropout", "\"rate\":-1,\"over_time\":true") == "options" && map_of("dropout", "\"rate\":\"\",\"over_time\":true") == "options");
    CHECK(map_of("activity_penalty", "\"alpha\":0,\"beta\":2").empty() && map_of("activity_penalty", "\"alpha\":-1,\"beta\":2") == "options");
    CHECK(map_of("layer_norm", "\"epsilon\":1e-5") == "tensors" && map_of("layer_norm", "\"epsilon\":0") == "options");
    CHECK(map_of("layer_norm", "\"epsilon\":-1") == "options" && map_of("layer_norm", "\"epsilon\":true") == "options");
    CHECK(map_of("masking", "\"mask_value\":-1.5").empty() && map_of("masking", "\"mask_value\":null") == "options");
    CHECK(map_of("embedding", "\"input_dim\":0,\"output_dim\":1,\"mask_zero\":true", "[null]") == "options");
    CHECK(map_of("embedding", "\"input_dim\":1,\"output_dim\":1,\"mask_zero\":1", "[null]") == "options");
    const auto conv = [](std::string_view strides, std::string_view padding, std::string_view dilation, const std::string& shape) {
        return map_of("conv1d", "\"filters\":1,\"kernel_size\":3,\"strides\":" + std::string(strides) + ",\"padding\":\"" + std::string(padding) +
                                    "\",\"dilation_rate\":" + std::string(dilation) + ",\"activation\":\"elu\",\"use_bias\":false", shape);
    };
    CHECK(conv("2", "valid", "2", "[9,2]") == "options" && conv("1", "full", "1", "[9,2]") == "options");
    CHECK(conv("1", "valid", "2", "[4,2]") == "layers" && conv("1", "valid", "2", "[5,2]") == "tensors");
    CHECK(conv("2", "causal", "1", "[4,2]") == "tensors" && conv("1", "valid", "1", "[null,2]") == "tensors");
    CHECK(each_step("reshape", "\"target_shape\":[2,1]") == "steps" && each_step("reshape", "\"target_shape\":[4]", "[1,2,2]").empty());
    CHECK(each_step("flatten", "", "[1,2,2]").empty() && each_step("flatten", "", "[2]") == "layers");
    CHECK(each_step("time_distributed", "") == "unknown_layer" && each_step("max_pooling1d", "\"pool_size\":1", "[4,2,2]") == "steps");
    CHECK(each_step("dropout", "\"rate\":0.5,\"over_time\":true").empty());
}

TEST(bidirectional) {
    const std::string back = replaced(cell, "\"reverse\":false", "\"reverse\":true"), wide = replaced(back, "\"units\":1", "\"units\":2");
    const auto both = [](const std::string& cells, const std::string& mode = "concat") {
        return of_layer(R"("kind":"bidirectional","config":{"merge_mode":")" + mode + R"("},"cells":[)" + cells + "]");
    };
    CHECK(both("") == "options" && both(cell + "," + back + "," + back) == "options");
    CHECK(both(cell) == "tensors" && both(cell + "," + back) == "tensors" && both(cell + "," + wide) == "tensors");
    CHECK(both(back) == "options" && both(cell + "," + cell) == "options" && both(cell + "," + wide, "sum") == "options");
    CHECK(both(cell + "," + back, "max") == "options");
    CHECK(both(cell + "," + replaced(back, "\"return_sequences\":true", "\"return_sequences\":false")) == "options");
}

TEST(entries) {
    const std::string entry = "\"dtype\":\"F32\",\"shape\":[1,1],\"data_offsets\":[0,4]";
    CHECK(with_entries("\"F32\"", "\"F16\"") == "dtype");
    CHECK(with_entries("\"F32\"", "32") == "header");
    CHECK(with_entries("[1,1]", "[1,1,1,1,1]") == "shape");
    CHECK(with_entries("[1,1]", "[1,2147483648]") == "shape");
    CHECK(with_entries("[1,1]", "[2147483647,2147483647,0]") == "shape");
    CHECK(with_entries("[1,1]", "[1,-1]") == "shape");
    CHECK(with_entries("[1,1]", "[1,-0]") == "header");
    CHECK(with_entries("[1,1]", "[1,1.0]") == "header");
    CHECK(with_entries("[0,4]", "[0,4,8]") == "header");
    CHECK(with_entries("[0,4]", "[0,8]") == "offsets");
    CHECK(with_entries("[0,4]", "[-4,0]") == "offsets");
    CHECK(with_entries("[0,4]", "[0,18446744073709551620]") == "offsets");
    CHECK(with_entries("[4,8]", "[0,4]") == "offsets");
    CHECK(with_entries("[4,8]", "[5,9]") == "offsets");
    CHECK(with_entries(entry, "\"more\":1," + entry) == "header");
    CHECK(with_entries(entry, "\"dtype\":\"F32\",\"shape\":[1,1]") == "header");
    CHECK(with_entries("[1,1]", "[[[[[[[[[1]]]]]]]]]") == "depth");
    CHECK(with_entries("layers/0/U", "layers/0/X") == "tensors");
    CHECK(with_entries("layers/0/U", "layers/0/W") == "duplicate_key");
    CHECK(with_entries("layers/0/U", "layers\\u002f0/U") == "json");
    CHECK(with_entries("layers/0/U", "\xff") == "utf8");
    CHECK(with_entries(entry, "") == "header");
    CHECK(with_entries("}", "} x") == "json");
    Pieces more = network();
    more.entries = replaced(more.entries, "[8,12]}", "[8,12]}" + tensor("task/a/b", "1", 12, 16)), more.data += "\0\0\0\0"s;
    CHECK(answer(joined(more)).empty());
    for (const std::string_view name : {"task/", "task//a", "task/a b", "task/a/b/c/d/e", "task/a/"}) {
        Pieces other = more;
        other.entries = replaced(other.entries, "task/a/b", name);
        CHECK(answer(joined(other)) == "task_tensor");
    }
    more.entries = replaced(more.entries, "\"F32\",\"shape\":[1],\"data_offsets\":[12", "\"I8\",\"shape\":[4],\"data_offsets\":[12");
    CHECK(answer(joined(more)) == "task_tensor");
    more.entries = replaced(more.entries, "task/a/b", "other");
    CHECK(answer(joined(more)) == "tensors");
}

TEST(numbers) {
    Pieces pieces = network();
    pieces.data.replace(0, 4, "\0\0\x80\x7f"sv);
    CHECK(answer(joined(pieces)) == "nonfinite");
    std::string bytes = joined(network());
    bytes.back() = '\1';
    CHECK(answer(bytes) == "digest");
    CHECK(answer(bytes + "x") == "trailing");
    CHECK(answer(std::string_view(bytes).substr(0, bytes.size() - 1)) == "truncated");
    for (std::size_t size = 0; size < bytes.size(); ++size) CHECK(!answer(std::string_view(bytes).substr(0, size)).empty());
}

TEST(headers) {
    const std::string bytes = joined(network());
    CHECK(answer({}) == "unsupported_format");
    CHECK(answer("\1\0\0\0\0\0\0\0\0\0"sv) == "header_length");
    CHECK(answer("\0\0\0\0\1\0\0\0{}"sv) == "header_length");
    CHECK(answer("\2\0\0\0\0\0\0\0{}"sv) == "unsupported_format");
    CHECK(answer("\2\0\0\0\0\0\0\0[]"sv) == "json");
    CHECK(answer("\2\0\0"sv) == "truncated");
    CHECK(answer(replaced(bytes, "header_sha256", "header_sha255")) == "header_digest");
    CHECK(answer(sized("{\"__metadata__\":{\"ostinato\":1}}")) == "header");
    CHECK(answer(sized("{\"__metadata__\":{\"ostinato\":\"\"}}")) == "header_digest");
    CHECK(answer(sized("{\"__metadata__\":{\"ostinato\":\"\"}} ")) == "header_length");
    CHECK(answer(sized("{\"a\":{}}")) == "unsupported_format");
    CHECK(answer("\x08\0\0\0\0\0\0\0{\"a\" :1x"sv) == "json");
    CHECK(answer("\x08\0\0\0\0\0\0\0{}}     "sv) == "json");
    CHECK(answer("\x08\0\0\0\0\0\0\0{\"a     "sv) == "json");
    CHECK(answer("\x08\0\0\0\0\0\0\0{[\"a\":1]"sv) == "json");
    std::string many = "{";
    for (int i = 0; i <= 16384; ++i) many += "\"" + std::to_string(i) + "\":1,";
    CHECK(answer(sized(many)) == "too_many");
}

TEST(other_files_are_named) {
    const std::pair<std::string_view, std::string_view> files[] = {
        {"", "an empty file"}, {"\x89HDF\r\n\x1a\n", "an HDF5 file (Keras .h5)"}, {"\x80\x04", "a pickle"}, {"\1\0\0\0TFL3"sv, "a TensorFlow Lite file"},
        {"\x08\x01\x12\x01", "an ONNX file, or another protocol buffer"}, {" {}", "a text file (JSON)"}, {"<p>", "a text file (HTML)"},
        {"\xef\xbb\xbfx", "a text file"}, {"caf\xc3", "a text file"}, {"a\xff long", ""}, {"a\x7f", ""}, {"PK\x05\x06", "a zip archive"}};
    for (const auto& [head, name] : files) CHECK(identify(head) == name);
    const auto zip = [](std::string_view name) {
        std::string head(30, '\0');
        head.replace(0, 4, "PK\x03\x04"), head[26] = char(name.size());
        return identify(head.append(name));
    };
    CHECK(zip("config.json") == "a .keras file (zip)" && zip("a/data.pkl") == "a torch file (zip with a pickle)");
    CHECK(zip("a.npy") == "a NumPy archive (.npz)" && zip("a") == "a zip archive");
}

TEST(utf8) {
    for (const std::string_view good : {"", "a", "\xc2\x80", "\xe0\xa0\x80", "\xed\x9f\xbf", "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf"})
        CHECK(not_utf8(good) == good.npos);
    for (const std::string_view bad : {"a\x80", "a\xc1\x80", "a\xe0\x9f\x80", "a\xed\xa0\x80", "a\xf0\x8f\x80\x80", "a\xf4\x90\x80\x80", "a\xf5",
                                       "a\xc2", "a\xc2\xc0", "a\xe0\xa0", "a\xe1\x80\x7f"})
        CHECK(not_utf8(bad) == 1);
}

TEST(quotes_are_printable) {
    CHECK(quote("a'\n\\\x7f\xc3") == "'a\\x27\\x0a\\x5c\\x7f\\xc3'");
    CHECK(quote("abc", 2) == "'ab'...");
}

TEST(paths) {
    CHECK(on_disk("/nowhere/at/all") == "read");
    CHECK(on_disk("/") == "not_a_file");
    CHECK(on_disk("/dev/null") == "not_a_file");
}

TEST(every_attack) {
    each_file("OSTINATO_ATTACKS", [](const std::filesystem::path& path) {
        if (path.extension() != ".safetensors") return;
        const std::string bytes = bytes_of(path), code = answer(bytes), expected = path.stem().extension().string().substr(1);
        check::about() = path.filename().string() + " gives " + code;
        // What only a task forbids is no fault of the file; the network may run step by step or not.
        const bool of_a_task = expected == "task" || expected == "vocabulary" || expected == "task_tensor";
        const bool later = expected == "digest" || expected == "nonfinite";  // after the layers were found to have no steps
        CHECK(code == expected || ((of_a_task || later) && (code.empty() || code == "steps" || code == "task")));
        CHECK(on_disk(path) == code);
    });
}

TEST(every_seed) {
    each_file("OSTINATO_SEEDS", [](const std::filesystem::path& path) { CHECK(on_disk(path) == answer(bytes_of(path))); });
}

}  // namespace ostinato::file
