// What the reader says of bytes, for tests in other languages: 1 and its code, or 0 if it accepts them.
#include <cstring>

#include "../file/contents.hpp"

using namespace ostinato::file;

extern "C" int reader_answer(const void* bytes, std::size_t size, int numbers, char* code) {
    try {
        Contents contents(in_memory(bytes, size));
        if (numbers) contents.read_numbers();
        return 0;
    } catch (const Refused& error) {
        std::strcpy(code, error.code);
        return 1;
    }
}
