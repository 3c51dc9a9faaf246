// One step of some rows, for the step machine: the work's order has one step.
#pragma once

// One row reads each weight once a step. If they do not all fit the first cache (of 32 KiB), each step begins with the
// blocks that the one before ended with, which are still there: a few at once, so many that there are at least three sums to
// add to in turn.
template <class Tile, int NA>
void step_blocks(const at_step& here, index rows, index j0, index j1, bool large, bool back) {
    constexpr index group = (3 + NA) / NA;
    const index end = whole(here.w, j1), blocks = end - j0;
    if (rows > 1 || !large || group >= blocks) return tiles<Tile, NA>::run(here, 0, rows, j0, end);
    for (index i = 0; i < blocks; i += group) {
        const index j = j0 + (back ? (blocks - 1) / group * group - i : i);
        tiles<Tile, NA>::run(here, 0, rows, j, less(j + group, end));
    }
}

// `back` is for every other step of a row; the results are the same either way.
template <class C>
void step(const Work& w, index phase, index rows, index j0, index j1, bool back) {
    const at_step here{w, 0};
    const index x_terms = w.projected ? 0 : terms(w.inputs) * C::x_count;
    const index numbers = (j1 - j0) * W * (x_terms + terms(w.units) * (C::h_count + C::two_phases));
    const bool large = numbers > 8192;
    const bool narrow = whole(w, j1) < j1;
    if (phase == 0) {
        step_blocks<first_phase<C>, C::sums>(here, rows, j0, j1, large, back);
        if (narrow) w.tail->first(w, 0, 0, rows);
    } else if constexpr (C::two_phases) {
        step_blocks<second_phase<C>, 1>(here, rows, j0, j1, large, back);
        if (narrow) w.tail->second(w, 0, 0, rows);
    }
}

// The x part of many steps of one row.
template <class C>
void project_row(const Work& w, index steps) {
    const index end = whole(w, w.blocks);
    tiles<project<C>, C::sums>::run(of_row{w, 0, 0}, 0, steps, 0, end);
    if (end < w.blocks) w.tail->project(w, 0, 0, steps);
}
