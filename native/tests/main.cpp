// native_tests NAME runs the tests of NAME.cpp.
#include "check.hpp"

int main(int count, char** arguments) {
    int ran = 0;
    for (const check::Test& t : check::tests()) {
        const char* slash = std::strrchr(t.file, '/');
        const std::string file = slash ? slash + 1 : t.file;
        if (count != 2 || file != std::string(arguments[1]) + ".cpp") continue;
        const int before = check::failures();
        check::about() = t.name;
        t.body();
        std::printf("%s %s\n", check::failures() == before ? "ok    " : "FAILED", t.name);
        ++ran;
    }
    if (!ran) std::fprintf(stderr, "no such test file\n");
    return ran == 0 || check::failures() > 0;
}
