// Slopes against those of the formulas, and parts of them against the whole.
#include <stdexcept>

#include "../scan.hpp"
#include "check.hpp"
#include "close.hpp"
#include "naive.hpp"

namespace ostinato {

TEST(slopes_are_those_of_the_formulas) {
    each_problem([](const Problem& p) {
        const naive::Answer truth = naive::answer(p);
        for (const Engine* e : all_engines()) {
            check::about() = p.text() + " " + e->name;
            const Found found = compute(*e, p, true, 2);
            CHECK(close(found.dx, truth.dx));
            CHECK(close(found.dW, truth.dW));
            CHECK(close(found.dU, truth.dU));
            CHECK(close(found.db, truth.db));
            CHECK(close(found.db_rec, truth.db_rec));
            CHECK(close(found.dh, truth.dh));
            CHECK(close(found.dc, truth.dc));
        }
    });
}

TEST(only_what_is_wanted_and_once) {
    for (int cell = 0; cell < n_cells; ++cell) {
        const Problem p = problem({cell, 7, 3, 5, 17}, true);
        Problem still = p;  // only the last h has a slope
        still.dy.assign(still.dy.size(), 0.0f), still.dc.assign(still.dc.size(), 0.0f);
        for (const Engine* e : all_engines()) {
            check::about() = p.text() + " " + e->name;
            const Found whole = compute(*e, p, true, 1), last = compute(*e, still, true, 1);
            const auto weights = pack(*e, p, Packed::forward, 1);
            const auto turned = pack(*e, p, Packed::backward, 1);
            const auto turned_inputs = pack(*e, p, Packed::backward_inputs, 1);
            const auto run = [&] {
                Floats h = p.h, c = p.c;
                return Run(weights, p.shape, arrays(p), {nullptr, h.data(), data_or_null(c)}, true, 1);
            };
            Found f;
            f.dx = unknown(p.x), f.dh = unknown(p.h), f.dc = unknown(p.c), f.dW = unknown(p.W), f.dU = unknown(p.U);
            f.db = unknown(p.b), f.db_rec = unknown(p.b_rec);
            Run first = run();
            first.backward(turned_inputs, {p.dy.data(), p.dh.data(), data_or_null(p.dc)},
                           {f.dx.data(), {}, nullptr, nullptr}, 1);
            CHECK(same_bits(f.dx, whole.dx));
            Run second = run();
            second.backward(turned, {nullptr, p.dh.data(), nullptr},
                            {nullptr, {f.dW.data(), f.dU.data(), f.db.data(), data_or_null(f.db_rec)}, f.dh.data(),
                             data_or_null(f.dc)},
                            1);
            CHECK(same_bits(f.dW, last.dW) && same_bits(f.dU, last.dU) && same_bits(f.db, last.db));
            CHECK(same_bits(f.db_rec, last.db_rec) && same_bits(f.dh, last.dh) && same_bits(f.dc, last.dc));
            bool refused = false;
            try {
                second.backward(turned, {nullptr, p.dh.data(), nullptr}, {}, 1);
            } catch (const std::logic_error&) {
                refused = true;
            }
            CHECK(refused);
        }
    }
}

TEST(more_tokens_than_a_chunk) {  // sums of 256 tokens are added up apart
    for (int cell = 0; cell < n_cells; ++cell) {
        const Problem p = problem({cell, 3, 100, 2, 3}, false);
        const naive::Answer truth = naive::answer(p);
        for (const Engine* e : all_engines()) {
            check::about() = p.text() + " " + e->name;
            const Found found = compute(*e, p, true, 1);
            CHECK(close(found.dW, truth.dW) && close(found.dU, truth.dU) && close(found.db, truth.db));
        }
    }
}

}  // namespace ostinato
