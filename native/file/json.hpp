// Strict JSON, read in order and without a tree: what the schema does not ask for takes no memory. A rule that the text breaks
// ends the reading with `Refused`.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "refusal.hpp"

namespace ostinato::file {

constexpr int max_depth = 8;            // levels of nesting; the schema needs 7
constexpr std::size_t max_keys = 16384;  // in one object

// Refuses text whose keys repeat or hold escapes, or that nests too deep; the rest is left to `Json`. `what` is its name.
void check_json(std::string_view text, std::string_view what);

// Where the first byte is that does not belong to UTF-8 text, or npos.
std::size_t not_utf8(std::string_view text);

// A number without fraction or exponent; `fits`: it is one of 64 bits, else `value` is the nearest that is.
struct Whole {
    std::int64_t value;
    bool fits;
};

// A plain value, or a list of whole numbers.
struct Value {
    enum Kind { null, flag, whole, real, text, list } kind = null;
    bool on = false;
    std::int64_t number = 0;
    double fraction = 0;
    std::string words;
    std::vector<std::int64_t> numbers;
};

// A place in a text that `check_json` let pass. `code` and `rule` are of the refusal if a value is of another type than it is
// read as, `malformed` is the code if the text is no JSON.
class Json {
public:
    Json(std::string_view text, const char* malformed, const char* code, std::string_view rule)
        : at_(text.data()), end_(text.data() + text.size()), malformed_(malformed), code_(code), rule_(rule) {}

    // field(key) for each key of an object, which must read the value.
    template <class F>
    void object(F&& field) {
        open('{', "object");
        for (bool more = !close('}'); more; more = comma('}')) {
            const std::string_view name = key();
            field(name);
        }
    }
    // item() for each item of a list, which must read it.
    template <class F>
    void list(F&& item) {
        open('[', "list");
        for (bool more = !close(']'); more; more = comma(']')) item();
    }
    std::string text();
    Whole whole();
    bool null();             // whether null comes; it is read if so
    Value plain();           // a text, a number, true, false, null, or a list of whole numbers
    void setting();          // the same, but lists may hold texts and any numbers
    std::string_view skip(int depth = 0);  // any value, as it stands
    void end();              // nothing but spaces may follow

    [[noreturn]] void mismatch(std::string_view got) const;

private:
    struct Number {
        std::string_view text;
        bool whole;
    };
    char next();
    void open(char bracket, std::string_view what);
    bool close(char bracket);
    bool comma(char bracket);
    std::string_view key();
    void word(std::string_view expected);
    Number number();
    static Whole whole(std::string_view text);
    double real(std::string_view text) const;
    void string(std::string* to);
    std::uint32_t escaped();
    std::uint32_t hexadecimal();
    [[noreturn]] void broken(std::string_view got) const;

    const char *at_, *end_;
    const char *malformed_, *code_;
    std::string_view rule_;
};

}  // namespace ostinato::file
