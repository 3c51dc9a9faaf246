// While one of these lives, this thread's numbers below 1.2e-38 count as zero: what fades out would otherwise be computed
// with such numbers for a long time, which many processors do in a hundred times the time.
#pragma once
#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

namespace ostinato {

class Flush {
public:
#if defined(__SSE2__)
    Flush() : before_(_mm_getcsr()) { _mm_setcsr(before_ | 0x8040); }
    ~Flush() { _mm_setcsr(before_); }

private:
    const unsigned before_;
#elif defined(__aarch64__)
    Flush() {
        __asm__ __volatile__("mrs %0, fpcr" : "=r"(before_));
        __asm__ __volatile__("msr fpcr, %0" : : "r"(before_ | (1ul << 24)));
    }
    ~Flush() { __asm__ __volatile__("msr fpcr, %0" : : "r"(before_)); }

private:
    unsigned long before_;
#else
    Flush() {}
#endif
public:
    Flush(const Flush&) = delete;
    Flush& operator=(const Flush&) = delete;
};

}  // namespace ostinato
