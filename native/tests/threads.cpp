// The same bits on any number of threads, from several callers at once, and after fork.
#include "../threads.hpp"

#include <atomic>
#include <memory>
#include <thread>

#include "../scan.hpp"
#include "check.hpp"
#include "problem.hpp"

#if defined(__unix__)
#include <dlfcn.h>
#include <sys/wait.h>
#include <unistd.h>
#endif

namespace ostinato {

namespace {

bool same(const Found& a, const Found& b) {
    std::vector<const Floats*> all;
    bool good = true;
    a.each([&](const char*, const Floats& v) { all.push_back(&v); });
    std::size_t i = 0;
    b.each([&](const char*, const Floats& v) { good = good && same_bits(*all[i++], v); });
    return good;
}

// Enough work for several threads: many rows, ragged rows, few rows of many units, many inputs.
std::vector<Problem> large(int cell) {
    return {problem({cell, 20, 12, 20, 50}, false), problem({cell, 21, 12, 20, 50, true}, true),
            problem({cell, 2, 4, 9, 260}, false), problem({cell, 3, 5, 9, 260, true}, true),
            problem({cell, 6, 18, 300, 33}, true)};
}

void any_number_of_threads() {
    for (int cell = 0; cell < n_cells; ++cell)
        for (const Problem& p : large(cell))
            for (const Engine* e : all_engines()) {
                const Found one = compute(*e, p, true, 1);
                for (const int n : {2, 3, 8}) {
                    check::about() = p.text() + " " + e->name + " " + std::to_string(n) + " threads";
                    CHECK(same(compute(*e, p, true, n), one));
                    CHECK(same_bits(compute(*e, p, false, n).y, one.y));
                }
            }
}

}  // namespace

TEST(every_task_is_done_once) {
    for (int round = 0; round < 200; ++round)
        for (const int n : {0, 1, 2, 5, 40}) {
            std::unique_ptr<std::atomic<int>[]> done(new std::atomic<int>[std::size_t(n)]());
            parallel(n, [&](int i) { ++done[std::size_t(i)]; });
            for (int i = 0; i < n; ++i) CHECK(done[std::size_t(i)] == 1);
        }
}

TEST(tasks_within_tasks) {
    std::atomic<int> done{0};
    parallel(3, [&](int) { parallel(4, [&](int) { ++done; }); });
    CHECK(done == 12);
}

TEST(threads_change_no_bit) { any_number_of_threads(); }

TEST(several_callers_at_once) {
    std::vector<Problem> problems;
    for (int cell = 0; cell < n_cells; ++cell)
        for (const Problem& p : large(cell)) problems.push_back(p);
    const Engine& e = *engines().front();
    std::vector<Found> alone;
    for (const Problem& p : problems) alone.push_back(compute(e, p, true, 1));
    std::atomic<int> wrong{0};
    std::vector<std::thread> callers;
    for (std::size_t id = 0; id < 4; ++id)
        callers.emplace_back([&, id] {
            for (std::size_t k = 0; k < problems.size(); ++k) {
                const std::size_t i = (k + 5 * id) % problems.size();
                wrong += !same(compute(e, problems[i], true, 3), alone[i]);
            }
        });
    for (std::thread& t : callers) t.join();
    CHECK(wrong == 0);
}

TEST(one_packing_for_several_callers) {
    for (int cell = 0; cell < n_cells; ++cell) {
        const Problem p = problem({cell, 7, 5, 5, 33}, true);
        const Engine& e = *engines().front();
        const auto weights = pack(e, p, Packed::forward, 1);
        const Found truth = compute(e, p, false, 1);
        std::atomic<int> wrong{0};
        std::vector<std::thread> callers;
        for (int id = 0; id < 4; ++id)
            callers.emplace_back([&] {
                for (int k = 0; k < 20; ++k) {
                    Floats y = unknown(p.dy), h = unknown(p.h), c = unknown(p.c);
                    Run(weights, p.shape, arrays(p), {y.data(), h.data(), data_or_null(c)}, false, 2);
                    wrong += !same_bits(y, truth.y) || !same_bits(h, truth.h) || !same_bits(c, truth.c);
                }
            });
        for (std::thread& t : callers) t.join();
        CHECK(wrong == 0);
    }
}

TEST(engines_by_name) {
    for (const Engine* e : engines()) {
        CHECK(engine(e->name) == e);
        CHECK(std::isfinite(e->peak(100)));
    }
    CHECK(engine("avx1024") == nullptr);
}

#if defined(__unix__) && !defined(OSTINATO_THREAD_SANITIZER)  // which allows no threads after fork, and knows no OpenMP
TEST(a_forked_process_computes_too) {
    const Problem p = large(lstm_cell)[0];
    const Engine& e = *engines().front();
    const Found before = compute(e, p, true, 3);
    const pid_t child = fork();
    if (child == 0) _exit(same(compute(e, p, true, 3), before) ? 0 : 3);
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK(same(compute(e, p, true, 3), before));
}

TEST(threads_of_openmp) {  // last: there is no way back
    CHECK(!share_openmp("libnotthere.so"));
    const char* const library = "libgomp.so.1";
    if (!dlopen(library, RTLD_LAZY)) return;  // a machine without it
    CHECK(share_openmp(library));
    any_number_of_threads();
}
#endif

}  // namespace ostinato
