// A few threads that wait for work.
#pragma once

namespace ostinato {

// Runs task(context, i) for i in [0, n), on this thread and up to n - 1 waiting ones, and returns when all are done. Safe
// after fork and from several threads at once: while the helpers are busy for one caller, another does its tasks alone.
void parallel(int n, void (*task)(void* context, int i), void* context);

// From now on take the threads of this OpenMP library (GNU's, or one with its interface), if it is loaded already: OpenMP's
// threads keep their cores busy for a while after each region, so that other threads would have to wait for them.
bool share_openmp(const char* library);

// Tells the processor that this is a waiting loop.
void pause();

template <class F>
void parallel(int n, F&& f) {
    parallel(n, [](void* context, int i) { (*static_cast<F*>(context))(i); }, &f);
}

}  // namespace ostinato
