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
#if defined(OSTINATO_BF16)
namespace avx512_bf16 {
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

const Engine* bf16_engine() {
#if defined(OSTINATO_BF16)
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512bf16") && engines()[0] == &avx512::engine) return &avx512_bf16::engine;
#endif
    return nullptr;
}

const char* without_bf16() {
#if defined(OSTINATO_BF16)
    return "this processor has no bf16 products (AVX512-BF16)";
#elif defined(OSTINATO_X86)
    return "the compiler of this build does not know bf16 products (AVX512-BF16)";
#else
    return "there are bf16 products for x86 processors only (AVX512-BF16)";
#endif
}

const Engine* engine(const char* name) {
    for (const Engine* e : engines())
        if (std::strcmp(name, e->name) == 0) return e;
    const Engine* const pairs = bf16_engine();
    return pairs && std::strcmp(name, pairs->name) == 0 ? pairs : nullptr;
}

}  // namespace ostinato
