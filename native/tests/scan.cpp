// Forward results against the formulas, for every cell, size, kind of rows, direction and engine.
#include "../scan.hpp"

#include "check.hpp"
#include "close.hpp"
#include "naive.hpp"

namespace ostinato {

TEST(results_are_those_of_the_formulas) {
    each_problem([](const Problem& p) {
        const naive::Answer truth = naive::answer(p);
        for (const Engine* e : all_engines()) {
            check::about() = p.text() + " " + e->name;
            const Found found = compute(*e, p, false, 2);
            CHECK(close(found.y, truth.y));
            CHECK(close(found.h, truth.h));
            CHECK(close(found.c, truth.c));
            const Found training = compute(*e, p, true, 2);
            CHECK(same_bits(found.y, training.y) && same_bits(found.h, training.h) && same_bits(found.c, training.c));
        }
    });
}

TEST(states_in_place_and_no_y) {  // as a stream of single steps is computed
    for (int cell = 0; cell < n_cells; ++cell) {
        const Problem p = problem({cell, 3, 1, 5, 17}, false);
        for (const Engine* e : all_engines()) {
            check::about() = p.text() + " " + e->name;
            const Found truth = compute(*e, p, false, 1);
            const auto weights = pack(*e, p, Packed::forward, 1);
            Floats h = p.h, c = p.c;
            Run(weights, p.shape, {p.x.data(), h.data(), data_or_null(c), nullptr, nullptr},
                          {nullptr, h.data(), data_or_null(c)}, false, 1);
            CHECK(same_bits(h, truth.h) && same_bits(c, truth.c));
        }
    }
}

TEST(numbers_that_are_not_finite_stay_in_their_row) {
    for (int cell = 0; cell < n_cells; ++cell) {
        const Problem p = problem({cell, 7, 4, 3, 17}, false);
        Problem bad = p;
        bad.x[2 * 12 + 3] = std::nanf(""), bad.x[4 * 12] = INFINITY, bad.x[5 * 12] = -1e30f;
        for (const Engine* e : all_engines()) {
            check::about() = p.text() + " " + e->name;
            const Found good = compute(*e, p, true, 1), found = compute(*e, bad, true, 1);
            for (const std::size_t row : {0, 1, 3, 6})
                for (std::size_t i = row * 68; i < row * 68 + 68; ++i) CHECK(found.y[i] == good.y[i]);
            for (std::size_t i = 2 * 68; i < 2 * 68 + 17; ++i) CHECK(found.y[i] == good.y[i]);
            if (cell != rnn_relu) CHECK(std::isnan(found.y[2 * 68 + 17]));
        }
    }
}

TEST(rows_without_steps) {
    for (int cell = 0; cell < n_cells; ++cell) {
        Problem p = problem({cell, 3, 3, 2, 5}, false);
        p.start.assign(3, 1), p.length.assign(3, 0);
        for (const Engine* e : all_engines()) {
            check::about() = p.text() + " " + e->name;
            const Found found = compute(*e, p, true, 2);
            CHECK(same_bits(found.h, p.h) && same_bits(found.c, p.c));
            CHECK(same_bits(found.dh, p.dh) && same_bits(found.dc, p.dc));
            for (const Floats* zeros : {&found.y, &found.dx, &found.dW, &found.dU, &found.db, &found.db_rec})
                CHECK(same_bits(*zeros, Floats(zeros->size(), 0.0f)));
        }
    }
}

}  // namespace ostinato
