// How a product is cut into pieces that fit the registers.
#pragma once

// Cuts `rows` × `blocks` into tiles that fit the registers and runs Tile::run<MR, NG>(arguments…, row, block) on each.
template <class Tile, int NA>
struct tiles {
    static constexpr int most_rows = NA == 1 ? ACCUMULATORS / 4 : (ACCUMULATORS / NA < 8 ? ACCUMULATORS / NA : 8);
    static constexpr int most_blocks = 4;

    static constexpr int rows_beside(int ng) {
        const int n = ACCUMULATORS / (NA * ng);
        return n < most_rows ? n : most_rows;
    }

    static int blocks_at_once(index rows) {
        const int n = rows < most_rows ? int(rows) : most_rows;
        for (int ng = most_blocks; ng > 1; --ng)
            if (rows_beside(ng) >= n) return ng;
        return 1;
    }

    template <class Args>
    static void run(const Args& args, index row0, index row1, index block0, index block1) {
        const index n = row1 - row0;
        if (n <= 0) return;
        const int ng = blocks_at_once(n);
        const index pieces = (n + rows_beside(ng) - 1) / rows_beside(ng);
        for (index j = block0; j < block1; j += ng) {
            const int g = block1 - j < ng ? int(block1 - j) : ng;
            for (index p = 0; p < pieces; ++p) {
                const index r = row0 + n * p / pieces, end = row0 + n * (p + 1) / pieces;
                blocks<Args>(args, int(end - r), g, r, j);
            }
        }
    }

private:
    template <class Args>
    static void blocks(const Args& args, int mr, int ng, index r, index j) {
        switch (ng) {
            case 1: return rows<Args, 1>(args, mr, r, j);
            case 2: return rows<Args, 2>(args, mr, r, j);
            case 3: return rows<Args, 3>(args, mr, r, j);
            default: return rows<Args, 4>(args, mr, r, j);
        }
    }

    template <class Args, int NG>
    static void rows(const Args& args, int mr, index r, index j) {
        switch (mr) {
            case 1: return one<Args, NG, 1>(args, r, j);
            case 2: return one<Args, NG, 2>(args, r, j);
            case 3: return one<Args, NG, 3>(args, r, j);
            case 4: return one<Args, NG, 4>(args, r, j);
            case 5: return one<Args, NG, 5>(args, r, j);
            case 6: return one<Args, NG, 6>(args, r, j);
            case 7: return one<Args, NG, 7>(args, r, j);
            default: return one<Args, NG, 8>(args, r, j);
        }
    }

    template <class Args, int NG, int MR>
    static void one(const Args& args, index r, index j) {
        if constexpr (MR <= rows_beside(1) && MR * NG * NA <= ACCUMULATORS) Tile::template run<MR, NG>(args, r, j);
    }
};
