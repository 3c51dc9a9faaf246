// Names what a file is that is no model file, from its first bytes; it is only named, never opened.
#pragma once
#include <string_view>

namespace ostinato::file {

constexpr std::size_t needed_head = 512;  // how many first bytes `identify` wants

// What a file that begins with `head` looks like; empty if nothing is recognised.
std::string_view identify(std::string_view head);

}  // namespace ostinato::file
