#include "threads.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>

#if defined(__unix__) || defined(__APPLE__)
#include <dlfcn.h>
#include <unistd.h>
#endif
#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace ostinato {
namespace {

long process() {
#if defined(__unix__) || defined(__APPLE__)
    return getpid();
#else
    return 0;
#endif
}

class Helpers {
public:
    const long owner = process();

    // False if they are busy.
    bool run(int n, void (*task)(void*, int), void* context) {
        std::unique_lock busy(calls_, std::try_to_lock);
        if (!busy) return false;
        while (threads_ < n - 1 && add()) {
        }
        std::unique_lock lock(mutex_);
        task_ = task, context_ = context, next_ = 0, n_ = n, done_.store(0, std::memory_order_relaxed);
        round_.fetch_add(1, std::memory_order_release);
        if (asleep_ > 0) wake_.notify_all();
        work(lock);
        lock.unlock();
        for (int spins = 0; done_.load(std::memory_order_acquire) < n; ++spins) {
            pause();
            if (spins > 2000) std::this_thread::yield();
        }
        return true;
    }

private:
    bool add() {
        try {
            std::thread([this] { wait(); }).detach();
        } catch (const std::system_error&) {  // no more threads here: fewer do the same work
            return false;
        }
        ++threads_;
        return true;
    }

    void work(std::unique_lock<std::mutex>& lock) {
        while (next_ < n_) {
            const int i = next_++;
            const auto task = task_;
            void* const context = context_;
            lock.unlock();
            task(context, i);
            done_.fetch_add(1, std::memory_order_release);
            lock.lock();
        }
    }

    void wait() {
        using clock = std::chrono::steady_clock;
        for (unsigned seen = 0;;) {
            const auto until = clock::now() + std::chrono::microseconds(50);
            for (int spins = 0; round_.load(std::memory_order_acquire) == seen; ++spins) {
                pause();
                if (spins % 64 == 63 && clock::now() > until) break;
            }
            std::unique_lock lock(mutex_);
            ++asleep_;
            wake_.wait(lock, [&] { return round_.load(std::memory_order_relaxed) != seen; });
            --asleep_;
            seen = round_.load(std::memory_order_relaxed);
            work(lock);
        }
    }

    std::mutex calls_, mutex_;
    std::condition_variable wake_;
    std::atomic<unsigned> round_{0};
    std::atomic<int> done_{0};
    void (*task_)(void*, int) = nullptr;
    void* context_ = nullptr;
    int next_ = 0, n_ = 0, asleep_ = 0, threads_ = 0;
};

std::atomic<Helpers*> helpers{nullptr};

// Those of this process. A forked child has none of its parent's threads, so it starts its own; the old object stays, since
// its locks may be held for ever.
Helpers& ours() {
    Helpers* now = helpers.load(std::memory_order_acquire);
    while (!now || now->owner != process()) {
        Helpers* fresh = new Helpers;
        if (helpers.compare_exchange_strong(now, fresh, std::memory_order_acq_rel)) return *fresh;
        delete fresh;
    }
    return *now;
}

// OpenMP's entry for a parallel region, of a library that somebody else in this process uses.
using Region = void (*)(void (*)(void*), void*, unsigned, unsigned);
std::atomic<Region> region{nullptr};
std::atomic<long> region_owner{0};

struct Claims {
    void (*task)(void*, int);
    void* context;
    int n;
    std::atomic<int> next{0};
};

void claim(void* p) {
    Claims& c = *static_cast<Claims*>(p);
    for (int i; (i = c.next.fetch_add(1, std::memory_order_relaxed)) < c.n;) c.task(c.context, i);
}

}  // namespace

void pause() {
#if defined(__x86_64__)
    _mm_pause();
#else
    std::this_thread::yield();
#endif
}

bool share_openmp(const char* library) {
#if defined(__unix__) || defined(__APPLE__)
    void* const loaded = dlopen(library, RTLD_LAZY | RTLD_NOLOAD);
    const Region found = loaded ? reinterpret_cast<Region>(dlsym(loaded, "GOMP_parallel")) : nullptr;
    if (!found) return false;
    region_owner = process();
    region = found;
    return true;
#else
    return false;
#endif
}

void parallel(int n, void (*task)(void*, int), void* context) {
    if (n > 1) {
        const Region shared = region.load(std::memory_order_acquire);
        if (shared && region_owner == process()) {  // a forked child has none of that library's threads either
            Claims claims{task, context, n};
            return shared(claim, &claims, unsigned(n), 0);
        }
        if (ours().run(n, task, context)) return;
    }
    for (int i = 0; i < n; ++i) task(context, i);
}

}  // namespace ostinato
