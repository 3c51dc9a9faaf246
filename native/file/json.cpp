#include "json.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>
#include <set>

namespace ostinato::file {
namespace {

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

[[noreturn]] void no_json(std::string_view what, std::string_view got) {
    throw Refused("json", "the " + std::string(what) + " must be valid JSON", got);
}

using Keys = std::optional<std::set<std::string_view>>;

void add_key(std::vector<Keys>& open, std::string_view key, std::string_view what) {
    const std::string name(what);
    if (open.empty() || !open.back()) no_json(what, "a key outside of an object");
    if (key.find('\\') != key.npos) throw Refused("json", "keys of the " + name + " must be plain text", "a key with an escape");
    if (!open.back()->insert(key).second) throw Refused("duplicate_key", "keys of the " + name + " must differ", quote(key));
    if (open.back()->size() > max_keys)
        throw Refused("too_many", "an object of the " + name + " must have at most 16384 keys", "more");
}

// The end of the string that begins at `at` (its closing quotation mark), or npos.
std::size_t end_of_string(std::string_view text, std::size_t at) {
    while (++at < text.size() && text[at] != '"')
        if (text[at] == '\\') ++at;
    return at < text.size() ? at : text.npos;
}

// A power of ten that is at least as large as a number.
std::int64_t magnitude(std::string_view text) {
    std::int64_t power = 0, exponent = 0;
    const std::size_t e = std::min(text.find_first_of("eE"), text.size());
    const std::string_view digits = text.substr(0, e);
    const std::size_t point = std::min(digits.find('.'), e), first = digits.find_first_of("123456789");
    if (first == digits.npos) return std::numeric_limits<std::int64_t>::min();
    power = first < point ? std::int64_t(point - first) : -std::int64_t(first - point - 1);
    if (e < text.size()) {
        const bool negative = text[e + 1] == '-';
        for (const char c : text.substr(e + 1))
            if (is_digit(c)) exponent = std::min<std::int64_t>(exponent * 10 + (c - '0'), 1'000'000'000);
        power += negative ? -exponent : exponent;
    }
    return power;
}

void append_utf8(std::string& to, std::uint32_t c) {
    if (c < 0x80) {
        to += char(c);
    } else if (c < 0x800) {
        to += char(0xc0 | c >> 6);
        to += char(0x80 | (c & 63));
    } else if (c < 0x10000) {
        to += char(0xe0 | c >> 12);
        to += char(0x80 | (c >> 6 & 63));
        to += char(0x80 | (c & 63));
    } else {
        to += char(0xf0 | c >> 18);
        to += char(0x80 | (c >> 12 & 63));
        to += char(0x80 | (c >> 6 & 63));
        to += char(0x80 | (c & 63));
    }
}

}  // namespace

void check_json(std::string_view text, std::string_view what) {
    std::vector<Keys> open;
    for (std::size_t at = 0; at < text.size(); ++at) {
        const char c = text[at];
        if (c == '{' || c == '[') {
            open.push_back(c == '{' ? Keys(std::in_place) : Keys());
            if (open.size() > std::size_t(max_depth))
                throw Refused("depth", "the " + std::string(what) + " must nest at most 8 levels deep", "more");
        } else if (c == '}' || c == ']') {
            if (open.empty()) no_json(what, "a bracket that closes nothing");
            open.pop_back();
        } else if (c == '"') {
            const std::size_t end = end_of_string(text, at);
            if (end == text.npos) no_json(what, "a string without an end");
            const std::string_view whole = text.substr(at + 1, end - at - 1);
            const std::size_t after = std::min(text.find_first_not_of(" \t\n\r\f\v", end + 1), text.size());
            at = end;
            if (after < text.size() && text[after] == ':') add_key(open, whole, what);
        }
    }
}

std::size_t not_utf8(std::string_view text) {
    for (std::size_t at = 0; at < text.size();) {
        const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
        const unsigned first = byte(at);
        const std::size_t more = first < 0x80 ? 0 : first >= 0xc2 && first < 0xe0 ? 1 : first >= 0xe0 && first < 0xf0 ? 2
                               : first >= 0xf0 && first < 0xf5 ? 3 : 4;
        if (more == 4) return at;
        const unsigned least = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;  // no longer than needed
        const unsigned most = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;   // no surrogates; at most 10ffff
        for (std::size_t i = 1; i <= more; ++i)
            if (byte(at + i) < (i == 1 ? least : 0x80) || byte(at + i) > (i == 1 ? most : 0xbf)) return at;
        at += more + 1;
    }
    return text.npos;
}

void Json::mismatch(std::string_view got) const { throw Refused(code_, rule_, got); }

void Json::broken(std::string_view got) const { throw Refused(malformed_, "the text must be valid JSON", got); }

char Json::next() {
    while (at_ < end_ && is_space(*at_)) ++at_;
    if (at_ == end_) broken("its end in the middle");
    return *at_;
}

void Json::open(char bracket, std::string_view what) {
    if (next() != bracket) {
        skip();  // what is no JSON at all is called so
        mismatch("another value than a " + std::string(what));
    }
    ++at_;
}

bool Json::close(char bracket) {
    if (next() != bracket) return false;
    ++at_;
    return true;
}

bool Json::comma(char bracket) {
    if (close(bracket)) return false;
    if (*at_ != ',') broken("no comma between two values");
    ++at_;
    return true;
}

std::string_view Json::key() {
    if (next() != '"') broken("a key that is no string");
    const char* const begin = at_ + 1;
    string(nullptr);
    const std::string_view found(begin, std::size_t(at_ - 1 - begin));
    if (next() != ':') broken("a key without a colon");
    ++at_;
    return found;
}

void Json::word(std::string_view expected) {
    if (std::string_view(at_, std::size_t(end_ - at_)).substr(0, expected.size()) != expected) broken("an unknown word");
    at_ += expected.size();
}

Json::Number Json::number() {
    const char* const begin = at_;
    const auto digits = [&] {
        if (at_ == end_ || !is_digit(*at_)) broken("an incomplete number");
        while (at_ < end_ && is_digit(*at_)) ++at_;
    };
    bool whole = true;
    if (*at_ == '-') ++at_;
    if (at_ < end_ && *at_ == '0') {
        ++at_;
        if (at_ < end_ && is_digit(*at_)) broken("a number that begins with 0");
    } else {
        digits();
    }
    if (at_ < end_ && *at_ == '.') whole = false, ++at_, digits();
    if (at_ < end_ && (*at_ == 'e' || *at_ == 'E')) {
        whole = false, ++at_;
        if (at_ < end_ && (*at_ == '+' || *at_ == '-')) ++at_;
        digits();
    }
    return {{begin, std::size_t(at_ - begin)}, whole};
}

Whole Json::whole(std::string_view text) {
    std::int64_t value = 0;
    if (std::from_chars(text.data(), text.data() + text.size(), value).ec == std::errc()) return {value, true};
    using Limits = std::numeric_limits<std::int64_t>;
    return {text[0] == '-' ? Limits::min() : Limits::max(), false};
}

double Json::real(std::string_view text) const {
    double value = 0;
    const bool fits = std::from_chars(text.data(), text.data() + text.size(), value).ec == std::errc();
    const bool large = magnitude(text) > 0;
    if ((!fits && large) || value > std::numeric_limits<double>::max() || value < std::numeric_limits<double>::lowest())
        mismatch("a number that is too large");
    return fits ? value : 0.0;
}

// Four hexadecimal digits behind \u.
std::uint32_t Json::hexadecimal() {
    std::uint32_t value = 0;
    if (end_ - at_ < 4 || std::from_chars(at_, at_ + 4, value, 16).ptr != at_ + 4) broken("an escape that is none");
    at_ += 4;
    return value;
}

// The character of an escape, whose backslash was read.
std::uint32_t Json::escaped() {
    static constexpr std::string_view names = "\"\\/bfnrt", meant = "\"\\/\b\f\n\r\t";
    if (at_ == end_) broken("a string without an end");
    const char name = *at_++;
    if (const std::size_t i = names.find(name); i != names.npos) return static_cast<unsigned char>(meant[i]);
    if (name != 'u') broken("an escape that is none");
    const std::uint32_t first = hexadecimal();
    if (first < 0xd800 || first > 0xdfff) return first;
    if (first > 0xdbff || end_ - at_ < 2 || at_[0] != '\\' || at_[1] != 'u') broken("half of a character");
    at_ += 2;
    const std::uint32_t second = hexadecimal();
    if (second < 0xdc00 || second > 0xdfff) broken("half of a character");
    return 0x10000 + ((first - 0xd800) << 10 | (second - 0xdc00));
}

void Json::string(std::string* to) {
    for (++at_; at_ < end_ && *at_ != '"';) {
        const char c = *at_++;
        if (static_cast<unsigned char>(c) < 0x20) broken("a control character in a string");
        if (c != '\\') {
            if (to) *to += c;
            continue;
        }
        const std::uint32_t found = escaped();
        if (to) append_utf8(*to, found);
    }
    if (at_ == end_) broken("a string without an end");
    ++at_;
}

std::string_view Json::skip(int depth) {
    const char first = next(), *const begin = at_;
    if (depth > max_depth) broken("too many levels");
    if (first == '{' || first == '[') {
        const char last = first == '{' ? '}' : ']';
        ++at_;
        for (bool more = !close(last); more; more = comma(last)) {
            if (first == '{') key();
            skip(depth + 1);
        }
    } else if (first == '"') {
        string(nullptr);
    } else if (first == '-' || is_digit(first)) {
        number();
    } else {
        word(first == 't' ? "true" : first == 'f' ? "false" : "null");
    }
    return {begin, std::size_t(at_ - begin)};
}

std::string Json::text() {
    if (next() != '"') skip(), mismatch("another value than a text");
    std::string found;
    string(&found);
    return found;
}

Whole Json::whole() {
    const char first = next();
    if (first != '-' && !is_digit(first)) skip(), mismatch("another value than a whole number");
    const Number found = number();
    if (!found.whole) mismatch("another value than a whole number");
    return whole(found.text);
}

bool Json::null() {
    if (next() != 'n') return false;
    word("null");
    return true;
}

Value Json::plain() {
    Value value;
    switch (const char first = next()) {
        case '"':
            value.kind = Value::text, value.words = text();
            break;
        case 't':
        case 'f':
            word(first == 't' ? "true" : "false");
            value.kind = Value::flag, value.on = first == 't';
            break;
        case 'n': word("null"); break;
        case '[':
            value.kind = Value::list;
            list([&] {
                value.numbers.push_back(whole().value);
                if (value.numbers.size() > 8) mismatch("a list of more than 8 numbers");
            });
            break;
        case '{': mismatch("an object");
        default:
            if (first != '-' && !is_digit(first)) broken("an unknown word");
            const Number found = number();
            if (found.whole)
                value.kind = Value::whole, value.number = whole(found.text).value;
            else
                value.kind = Value::real, value.fraction = real(found.text);
    }
    return value;
}

void Json::setting() {
    const auto one = [&](bool inside) {
        const char first = next();
        if (first == '-' || is_digit(first)) {
            const Number found = number();
            if (found.whole ? !whole(found.text).fits : (real(found.text), false)) mismatch("a number that is too large");
        } else if (first == '"') {
            string(nullptr);
        } else if (inside || first == '{') {
            skip(), mismatch("a value that no setting has");
        } else {
            skip();
        }
    };
    if (next() == '[')
        list([&] { one(true); });
    else
        one(false);
}

void Json::end() {
    while (at_ < end_ && is_space(*at_)) ++at_;
    if (at_ < end_) broken("more text behind it");
}

}  // namespace ostinato::file
