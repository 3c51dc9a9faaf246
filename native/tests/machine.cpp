// The step machine: the bits of whole runs, alone and in a pool; policies; and steps that take no memory and call nobody.
#include "../machine.hpp"

#include <atomic>
#include <memory>
#include <thread>

#include "check.hpp"
#include "problem.hpp"

#if defined(__linux__)
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#endif

// Counts what is taken from the heap.
static std::atomic<long> taken{0};
#if defined(OSTINATO_SANITIZED)
extern "C" int __sanitizer_install_malloc_and_free_hooks(void (*)(const volatile void*, std::size_t),
                                                         void (*)(const volatile void*));
static const int counting = __sanitizer_install_malloc_and_free_hooks([](const volatile void*, std::size_t) { ++taken; },
                                                                      [](const volatile void*) {});
#elif defined(__GLIBC__)
extern "C" void* __libc_malloc(std::size_t);
extern "C" void* malloc(std::size_t n) {
    ++taken;
    return __libc_malloc(n);
}
static const int counting = 1;
#else
static const int counting = 0;
#endif

namespace ostinato {

namespace {

// Two recurrent layers with their start states and all sorts of layers between and behind them.
struct Network {
    Network(const Engine& engine, int cell, index inputs, index units, const Engine* maps = nullptr)
        : one(problem({cell, 1, 1, inputs, units}, false, 3)), two(problem({cell, 1, 1, 5, 7}, false, 4)),
          W(Random(5).numbers(units * 5, 0.3f)), b(Random(6).numbers(5, 0.3f)), gamma(Random(7).numbers(7, 1)),
          beta(Random(8).numbers(7, 1)), first(pack(engine, one, Packed::forward, 1)),
          second(pack(engine, two, Packed::forward, 1)), middle(maps ? *maps : engine, units, 5, W.data(), b.data()),
          stack(maps ? *maps : engine, inputs) {
        stack.recurrent(first, one.h.data(), data_or_null(one.c));
        stack.affine(middle);
        stack.activation(silu_function);
        stack.recurrent(second, nullptr, nullptr);
        stack.normalisation(gamma.data(), beta.data(), 1e-3f);
        stack.activation(softmax_function);
    }

    // The same by whole runs along time.
    Floats whole(const Floats& x, index time) const {
        Floats h = one.h, c = one.c, y(std::size_t(time * one.shape.units)), mid(std::size_t(time * 5)), out(std::size_t(time * 7));
        Shape shape = one.shape;
        shape.time = time;
        Run(first, shape, {x.data(), h.data(), data_or_null(c), nullptr, nullptr}, {y.data(), h.data(), data_or_null(c)}, false, 1);
        middle.apply(y.data(), mid.data(), time, silu_function, 2);
        Floats h2(7, 0.0f), c2(7, 0.0f);
        shape = two.shape, shape.time = time;
        Run(second, shape, {mid.data(), h2.data(), c2.data(), nullptr, nullptr}, {out.data(), h2.data(), c2.data()}, false, 1);
        normalise(middle.engine, gamma.data(), beta.data(), 1e-3f, out.data(), time, 7);
        activate(middle.engine, softmax_function, out.data(), time, 7);
        return out;
    }

    Problem one, two;
    Floats W, b, gamma, beta;
    Packed first, second;
    PackedAffine middle;
    Stack stack;
};

// Masks before a packed cell with zoneout and a composed one; behind the last recurrent layer every step is real again.
struct Masked {
    explicit Masked(const Engine& engine)
        : one(problem({lstm_cell, 1, 1, 3, 9}, false, 3)), two(problem({gru_cell, 1, 1, 5, 7}, false, 4)),
          W(Random(5).numbers(9 * 5, 0.3f)), b(Random(6).numbers(5, 0.3f)), first(pack(engine, one, Packed::forward, 1)),
          second(engine, gru_formula, 5, 7, {softsign_function, hard_sigmoid_function, 0},
                 {two.W.data(), two.U.data(), two.b.data(), nullptr, nullptr, nullptr, nullptr, nullptr}),
          middle(engine, 9, 5, W.data(), b.data()), stack(engine, 3) {
        stack.masking(0);
        stack.recurrent(first, one.h.data(), one.c.data());
        stack.zoneout(0.25f);
        stack.silence();
        stack.affine(middle);
        stack.activation(softplus_function);
        stack.recurrent(second, nullptr, nullptr);
        stack.last_output();
    }

    Problem one, two;
    Floats W, b;
    Packed first;
    Composed second;
    PackedAffine middle;
    Stack stack;
};

const std::int64_t row0 = 0;

template <class F>
void each_network(const F& f) {
    const index sizes[][2] = {{1, 1}, {3, 17}, {5, 64}, {20, 130}};  // the last ones are larger than the first cache
    for (int cell = 0; cell < n_cells; ++cell)
        for (const auto& [inputs, units] : sizes)
            for (const Engine* e : all_engines()) {
                check::about() = std::string(name_of[cell]) + " H" + std::to_string(units) + " " + e->name;
                f(*e, cell, inputs, units);
            }
}

}  // namespace

TEST(steps_are_a_whole_run) {
    each_network([](const Engine& e, int cell, index inputs, index units) {
        const Network net(e, cell, inputs, units);
        const index time = 6;
        const Floats x = Random(9).numbers(time * inputs, 2), want = net.whole(x, time);
        Machine machine(net.stack, 1, Nonfinite::refuse, 1);
        Floats y(want.size(), std::nanf(""));
        for (index t = 0; t < time; ++t)
            CHECK(machine.step(&row0, 1, x.data() + t * inputs, y.data() + t * 7) == Machine::done);
        CHECK(same_bits(y, want) && machine.steps(0) == time);
        machine.reset(0);
        CHECK(machine.run(0, time, x.data(), y.data()) == Machine::done && same_bits(y, want));
        Floats kept(std::size_t(net.stack.numbers()));
        machine.read(0, kept.data());
        Machine other(net.stack, 3, Nonfinite::refuse, 1);
        other.write(2, 6, kept.data());
        Floats again(7), next(7);
        const std::int64_t row2 = 2;
        machine.step(&row0, 1, x.data(), next.data()), other.step(&row2, 1, x.data(), again.data());
        CHECK(same_bits(next, again) && other.steps(2) == 7 && other.steps(0) == 0);
    });
}

TEST(a_pool_gives_each_row_its_own_bits) {
    each_network([](const Engine& e, int cell, index inputs, index units) {
        const Network net(e, cell, inputs, units);
        const index rows = 101, time = 3;
        Machine pool(net.stack, rows, Nonfinite::refuse, 3), alone(net.stack, 1, Nonfinite::refuse, 1);
        std::vector<std::int64_t> order;
        for (index r = 0; r < rows; ++r) order.push_back(r * 37 % rows);
        const Floats x = Random(9).numbers(time * rows * inputs, 2);
        Floats y(std::size_t(time * rows * 7), std::nanf("")), one(7);
        for (index t = 0; t < time; ++t) pool.step(order.data(), rows, x.data() + t * rows * inputs, y.data() + t * rows * 7);
        bool good = true;
        for (index r = 0; r < rows; ++r) {
            alone.reset(0);
            for (index t = 0; t < time; ++t) {
                alone.step(&row0, 1, x.data() + (t * rows + r) * inputs, one.data());
                good = good && std::memcmp(one.data(), y.data() + (t * rows + r) * 7, 7 * sizeof(float)) == 0;
            }
        }
        CHECK(good);
    });
}

TEST(symbols_and_their_range) {
    const Engine& e = *engines()[0];
    const Problem p = problem({lstm_cell, 1, 1, 4, 5}, false);
    const Packed cell = pack(e, p, Packed::forward, 1);
    const Floats table = Random(1).numbers(6 * 4, 1);
    Stack ids(e, 4, 6), numbers(e, 4);
    ids.embedding(table.data()), ids.recurrent(cell, nullptr, nullptr), numbers.recurrent(cell, nullptr, nullptr);
    Machine a(ids, 1, Nonfinite::refuse, 1), b(numbers, 1, Nonfinite::refuse, 1);
    Floats ya(5), yb(5);
    for (const std::int64_t id : {5, 0, 3}) {
        CHECK(a.step(&row0, 1, &id, ya.data()) == Machine::done);
        b.step(&row0, 1, table.data() + id * 4, yb.data());
        CHECK(same_bits(ya, yb));
    }
    for (const std::int64_t id : {std::int64_t(-1), std::int64_t(6), std::int64_t(1) << 40})
        CHECK(a.step(&row0, 1, &id, ya.data()) == Machine::refused && a.steps(0) == 3);
}

TEST(policies) {
    const Engine& e = *engines()[0];
    const Network net(e, gru_cell, 3, 17);
    Floats x = Random(9).numbers(4 * 3, 1), held, y(4 * 7), want(4 * 7), before(std::size_t(net.stack.numbers())), after = before;
    x[0] = std::nanf(""), x[7] = INFINITY;
    held = x, held[0] = 0, held[7] = x[4];
    Machine refuse(net.stack, 1, Nonfinite::refuse, 1), hold(net.stack, 1, Nonfinite::hold, 1);
    refuse.read(0, before.data());
    CHECK(refuse.run(0, 4, x.data(), y.data()) == Machine::refused);
    CHECK(refuse.step(&row0, 1, x.data(), y.data()) == Machine::refused);
    refuse.read(0, after.data());
    CHECK(same_bits(before, after) && refuse.steps(0) == 0);
    refuse.run(0, 4, held.data(), want.data());
    CHECK(hold.run(0, 4, x.data(), y.data()) == Machine::done && same_bits(y, want));
    Machine propagate(net.stack, 1, Nonfinite::propagate, 1);
    CHECK(propagate.run(0, 4, x.data(), y.data()) == Machine::done && std::isnan(y[0]) && std::isnan(y[27]));
}

TEST(policies_of_rows) {
    const Network net(*engines()[0], gru_cell, 3, 17);
    for (const Nonfinite first : {Nonfinite::refuse, Nonfinite::hold, Nonfinite::propagate}) {
        Machine machine(net.stack, 3, first, 1), alone(net.stack, 1, Nonfinite::refuse, 1);
        machine.set_policy(0, Nonfinite::refuse), machine.set_policy(1, Nonfinite::hold), machine.set_policy(2, Nonfinite::propagate);
        Floats x = Random(9).numbers(3 * 3, 1), y(3 * 7), want(7);
        const Floats good = x;
        const std::int64_t rows[] = {2, 0, 1};  // x [0:3] is row 2's
        x[0] = std::nanf(""), x[7] = INFINITY;
        CHECK(machine.step(rows, 3, x.data(), y.data()) == Machine::done && std::isnan(y[0]));
        alone.step(&row0, 1, x.data() + 3, want.data());
        CHECK(std::equal(want.begin(), want.end(), y.begin() + 7));
        const Floats held = {x[6], 0, x[8]};
        alone.reset(0), alone.step(&row0, 1, held.data(), want.data());
        CHECK(std::equal(want.begin(), want.end(), y.begin() + 14));
        x[4] = INFINITY;  // now the row that refuses has one
        CHECK(machine.step(rows, 3, x.data(), y.data()) == Machine::refused && machine.steps(1) == 1);
        CHECK(machine.run(0, 1, x.data(), y.data()) == Machine::refused && machine.run(1, 1, x.data(), y.data()) == Machine::done);
        for (const index row : {0, 1, 2}) machine.reset(row), machine.set_policy(row, first);  // all the same again
        CHECK((machine.step(rows, 3, x.data(), y.data()) == Machine::refused) == (first == Nonfinite::refuse));
        CHECK(machine.step(rows, 3, good.data(), y.data()) == Machine::done);
    }
}

TEST(steps_that_are_not_real_leave_no_trace) {
    for (const Engine* e : all_engines()) {
        check::about() = e->name;
        const Masked net(*e);
        const Floats x = Random(9).numbers(6 * 3, 1);
        Machine plain(net.stack, 1, Nonfinite::refuse, 1), padded(net.stack, 30, Nonfinite::refuse, 1);
        std::vector<std::int64_t> rows(30);
        for (int r = 0; r < 30; ++r) rows[std::size_t(r)] = r;
        Floats want(7), y(30 * 7), before(std::size_t(net.stack.numbers())), after = before;
        std::vector<index> at(30, 0);
        for (index t = 0; t < 12; ++t) {
            Floats given(30 * 3, 0.0f);
            for (index r = 0; r < 30; ++r)  // row r rests at some steps, with zeros of either sign
                if ((t + r) % 3 && at[std::size_t(r)] < 6)
                    std::memcpy(given.data() + r * 3, x.data() + at[std::size_t(r)]++ * 3, 3 * sizeof(float));
                else
                    given[std::size_t(r * 3 + 1)] = -0.0f;
            CHECK(padded.step(rows.data(), 30, given.data(), y.data()) == Machine::done);
            for (index r = 0; r < 30; ++r) {
                const index n = at[std::size_t(r)];
                if (n == 0) continue;
                plain.reset(0);
                for (index k = 0; k < n; ++k) plain.step(&row0, 1, x.data() + k * 3, want.data());
                plain.read(0, after.data()), padded.read(r, before.data());
                CHECK(same_bits(before, after) && std::memcmp(want.data(), y.data() + r * 7, 7 * sizeof(float)) == 0);
            }
        }
    }
}

TEST(zoneout_keeps_a_share) {
    const Engine& e = *engines()[0];
    const Problem p = problem({lstm_cell, 1, 1, 3, 9}, false);
    const Packed cell = pack(e, p, Packed::forward, 1);
    Stack with(e, 3), without(e, 3);
    with.recurrent(cell, p.h.data(), p.c.data()), with.zoneout(0.25f), without.recurrent(cell, p.h.data(), p.c.data());
    Machine a(with, 1, Nonfinite::refuse, 1), b(without, 1, Nonfinite::refuse, 1);
    Floats ya(9), yb(9), before(std::size_t(with.numbers())), sa = before, sb = before;
    a.read(0, before.data());
    a.step(&row0, 1, p.x.data(), ya.data()), b.step(&row0, 1, p.x.data(), yb.data());
    a.read(0, sa.data()), b.read(0, sb.data());
    for (std::size_t i = 0; i < 18; ++i) CHECK(sa[i] == sb[i] + 0.25f * (before[i] - sb[i]));
    CHECK(std::memcmp(ya.data(), sa.data(), 9 * sizeof(float)) == 0 && !same_bits(ya, yb));
    bool refused = false;
    try {
        with.zoneout(1.0f);
    } catch (const std::invalid_argument&) {
        refused = true;
    }
    CHECK(refused);
}

TEST(tiny_numbers_count_as_zero) {
#if defined(__SSE2__) || defined(__aarch64__)
    for (const Engine* e : all_engines()) {
        check::about() = e->name;
        const float weight = 1, tiny = 1e-40f;
        const PackedAffine same(*e, 1, 1, &weight, nullptr);
        Stack stack(*e, 1);
        stack.affine(same);
        Machine machine(stack, 1, Nonfinite::refuse, 1);
        float y = 1;
        CHECK(machine.step(&row0, 1, &tiny, &y) == Machine::done && y == 0);
        volatile float mine = tiny;
        CHECK(mine * 0.5f > 0);  // outside they are what they were
    }
#endif
}

TEST(steps_take_no_memory) {
    if (!counting) return;
    each_network([](const Engine& e, int cell, index inputs, index units) {
        const Network net(e, cell, inputs, units);
        Machine machine(net.stack, 20, Nonfinite::hold, 1);
        const Floats x = Random(9).numbers(20 * inputs, 1);
        Floats y(20 * 7);
        std::vector<std::int64_t> rows;
        for (int r = 0; r < 20; ++r) rows.push_back(r);
        const long before = taken;
        for (int i = 0; i < 3; ++i) machine.step(rows.data(), 20, x.data(), y.data());
        machine.run(0, 20, x.data(), y.data()), machine.reset(3), machine.step(&row0, 1, x.data(), y.data());
        machine.set_policy(3, Nonfinite::refuse), machine.step(rows.data(), 20, x.data(), y.data());
        CHECK(taken == before);
    });
    {
        const Masked net(*engines()[0]);
        Machine machine(net.stack, 20, Nonfinite::hold, 1);
        const Floats x(20 * 3, 1.0f), padding(20 * 3, 0.0f);
        Floats y(20 * 7);
        const long before = taken;
        machine.run(0, 20, x.data(), y.data()), machine.run(0, 20, padding.data(), y.data());
        CHECK(taken == before);
    }
    const long before = taken;
    int* volatile number = new int(1);  // which no compiler may leave out
    CHECK(taken > before);  // it does count
    delete number;
}

#if defined(__linux__) && !defined(OSTINATO_SANITIZED)
TEST(steps_make_no_system_call) {
    const Network net(*engines()[0], lstm_cell, 16, 64);
    const Masked masked(*engines()[0]);
    Machine machine(net.stack, 4, Nonfinite::refuse, 1), other(masked.stack, 4, Nonfinite::refuse, 1);
    const Floats x = Random(9).numbers(4 * 16, 1);
    Floats y(4 * 7);
    const std::int64_t rows[] = {2, 0, 3, 1};
    for (const bool call : {false, true}) {
        const pid_t child = fork();
        if (child == 0) {  // from now on any call but read, write and exit kills this process
            if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0) _exit(7);
            for (int i = 0; i < 1000; ++i) {
                machine.step(rows, 4, x.data(), y.data()), machine.step(&row0, 1, x.data(), y.data());
                other.step(rows, 4, x.data(), y.data());
            }
            if (call) syscall(SYS_getpid);
            syscall(SYS_exit, 0);
        }
        int status = 0;
        waitpid(child, &status, 0);
        if (WIFEXITED(status) && WEXITSTATUS(status) == 7) return;  // this system has no such mode
        CHECK(call ? WIFSIGNALED(status) : WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
}
#endif

TEST(one_thread_at_a_time) {
    const Network net(*engines()[0], lstm_cell, 16, 64);
    Machine machine(net.stack, 1, Nonfinite::refuse, 1);
    const Floats x = Random(9).numbers(16, 1);
    std::atomic<long> made{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i)
        threads.emplace_back([&] {
            Floats y(7);
            for (int k = 0; k < 2000; ++k) made += machine.step(&row0, 1, x.data(), y.data()) == Machine::done;
        });
    for (std::thread& t : threads) t.join();
    CHECK(made == machine.steps(0) && made > 0);
}

TEST(machines_of_one_stack_in_several_threads) {
    const Network net(*engines()[0], gru_cell, 20, 130);
    const Masked masked(*engines()[0]);
    const Floats x = Random(9).numbers(50 * 20, 1);
    const auto outputs = [&](const Stack& stack, int threads) {
        Machine machine(stack, 50, Nonfinite::refuse, threads);
        std::vector<std::int64_t> rows;
        for (std::int64_t r = 0; r < 50; ++r) rows.push_back(r);
        Floats y(50 * 7);
        for (int k = 0; k < 5; ++k) machine.step(rows.data(), 50, x.data(), y.data());
        return y;
    };
    const Floats one = outputs(net.stack, 1), two = outputs(masked.stack, 1);
    std::atomic<int> wrong{0};
    std::vector<std::thread> threads;
    for (int id = 0; id < 4; ++id)
        threads.emplace_back([&, id] {
            for (int k = 0; k < 10; ++k)
                wrong += !same_bits(outputs(net.stack, 1 + id), one) || !same_bits(outputs(masked.stack, 1 + id), two);
        });
    for (std::thread& t : threads) t.join();
    CHECK(wrong == 0);
}

// The last block of the units is a narrow one where the engine has such.
TEST(one_row_of_many_weights_is_shared_by_threads) {
    const Floats x = Random(9).numbers(3 * 24, 1), W = Random(5).numbers(520 * 600, 0.05f), b = Random(6).numbers(600, 0.3f);
    for (int cell = 0; cell < n_cells; ++cell)
        for (const Engine* e : all_engines()) {
            check::about() = std::string(name_of[cell]) + " " + e->name;
            const Problem p = problem({cell, 1, 1, 24, 520}, false, 3);
            const auto packed = pack(*e, p, Packed::forward, 1);
            const PackedAffine map(*e, 520, 600, W.data(), b.data());
            Stack stack(*e, 24);
            stack.recurrent(packed, p.h.data(), data_or_null(p.c));
            stack.affine(map);
            const auto outputs = [&](int threads) {
                Machine machine(stack, 1, Nonfinite::refuse, threads);
                Floats y(3 * 600);
                machine.run(0, 3, x.data(), y.data());
                return y;
            };
            const Floats one = outputs(1);
            CHECK(same_bits(outputs(2), one));
            CHECK(same_bits(outputs(3), one));
        }
}

TEST(bf16) {
    if (!bf16_engine()) return;
    for (int cell = 0; cell < n_cells; ++cell) {
        check::about() = name_of[cell];
        const Network net(*bf16_engine(), cell, 20, 70, engines()[0]);
        const Floats x = Random(9).numbers(5 * 20, 1), want = net.whole(x, 5);
        Machine machine(net.stack, 1, Nonfinite::refuse, 1);
        Floats y(want.size());
        machine.run(0, 5, x.data(), y.data());
        CHECK(same_bits(y, want));
    }
}

}  // namespace ostinato
