// How the reader of model files says no: one exception, with the code and the sentence of Python's ModelFileError.
#pragma once
#include <cstdint>
#include <exception>
#include <string>
#include <string_view>

namespace ostinato::file {

inline constexpr std::string_view damaged =
    "The file is damaged or was changed by other software: fetch it again, or save the model again.";
inline constexpr std::string_view other_version = "Load the file with the version of ostinato that wrote it, or a later one.";

// A broken rule. Texts of the file must come through `quote`.
class Refused : public std::exception {
public:
    // Args: code as in docs/model-file.md, the rule, what came instead, where, and what to do about it.
    Refused(const char* code, std::string_view rule, std::string_view got, std::string_view where = {},
            std::string_view fix = damaged)
        : code(code), sentence(rule) {
        sentence.append(", got ").append(got);
        if (!where.empty()) sentence.append(" at ").append(where);
        sentence.append(". ").append(fix);
    }

    const char* what() const noexcept override { return sentence.c_str(); }

    const char* code;
    std::string sentence;
};

// Text of a file for a message: short, in quotation marks, printable ASCII alone.
inline std::string quote(std::string_view text, std::size_t most = 60) {
    static constexpr char digits[] = "0123456789abcdef";
    std::string found = "'";
    for (const char c : text.substr(0, most)) {
        if (c >= ' ' && c < '\x7f' && c != '\'' && c != '\\') {
            found += c;
            continue;
        }
        const auto byte = static_cast<unsigned char>(c);
        found.append("\\x").append({digits[byte >> 4], digits[byte & 15]});
    }
    return found + (text.size() > most ? "'..." : "'");
}

}  // namespace ostinato::file
