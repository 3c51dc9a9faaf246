// Which engines this build and this processor have, best first.
#include <cstring>
#include <vector>

#include "../scan.hpp"

namespace ostinato {

#if defined(OSTINATO_X86)
namespace avx512 {
extern const Engine engine;
}
namespace avx2 {
extern const Engine engine;
}
#endif
namespace baseline {
extern const Engine engine;
}

std::vector<const Engine*> engines() {
    std::vector<const Engine*> all;
#if defined(OSTINATO_X86)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512bw"))
        all.push_back(&avx512::engine);
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) all.push_back(&avx2::engine);
#endif
    all.push_back(&baseline::engine);
    return all;
}

const Engine* engine(const char* name) {
    for (const Engine* e : engines())
        if (!name || !*name || std::strcmp(name, e->name) == 0) return e;
    return nullptr;
}

}  // namespace ostinato
