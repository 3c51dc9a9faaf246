// A test is a function that registers itself under the name of its file; CHECK counts what is false and goes on.
#pragma once
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

namespace check {

struct Test {
    const char *file, *name;
    void (*body)();
};

inline std::vector<Test>& tests() {
    static std::vector<Test> all;
    return all;
}

inline int& failures() {
    static int n = 0;
    return n;
}

// What the checks are about at the moment; it is printed with a failure.
inline std::string& about() {
    static std::string text;
    return text;
}

struct Add {
    Add(const char* file, const char* name, void (*body)()) { tests().push_back({file, name, body}); }
};

inline bool record(bool good, const char* file, int line, const char* what, const std::string& more = "") {
    if (!good && ++failures() <= 20)
        std::fprintf(stderr, "%s:%d: %s is false %s [%s]\n", file, line, what, more.c_str(), about().c_str());
    return good;
}

}  // namespace check

#define TEST(name)                                            \
    static void name();                                       \
    static const check::Add add_##name{__FILE__, #name, name}; \
    static void name()
#define CHECK(...) check::record((__VA_ARGS__), __FILE__, __LINE__, #__VA_ARGS__)
