#include "maps.hpp"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "flush.hpp"
#include "layout.hpp"
#include "threads.hpp"

namespace ostinato {

PackedAffine::PackedAffine(const Engine& engine, index inputs, index units, const float* W, const float* b) : engine(engine) {
    if (!engine.maps) throw std::invalid_argument("PackedAffine: " + std::string(engine.name) + " has no such product");
    const index wide = up(units, engine.width);
    map.inputs = inputs, map.units = units;
    Layout layout;
    layout.add(map.bias, wide);
    layout.add(map.panel, inputs * wide);
    room_ = layout.place();
    engine.maps->pack(map, W, b);
}

void PackedAffine::apply(const float* x, float* y, index rows, int function, int threads) const {
    const double work = double(rows) * double(map.inputs) * double(map.units);
    const index n = std::max<index>(1, std::min({index(threads), rows, index(work / 1e6) + 1}));
    // Rows whose results are still in the cache when the function is applied to them.
    const index most = std::max<index>(6, 65536 / (map.units + map.inputs) / 6 * 6);
    parallel(int(n), [&](int i) {
        const Flush flush;
        for (index r = rows * i / n, last = rows * (i + 1) / n; r < last; r += most) {
            const index some = std::min(most, last - r);
            engine.maps->affine(map, x + r * map.inputs, map.inputs, y + r * map.units, map.units, some);
            engine.maps->activate(function, y + r * map.units, map.units, some, map.units);
        }
    });
}

void activate(const Engine& engine, int function, float* x, index rows, index width) {
    const Flush flush;
    engine.maps->activate(function, x, width, rows, width);
}

void normalise(const Engine& engine, const float* gamma, const float* beta, float epsilon, float* x, index rows, index width) {
    const Flush flush;
    engine.maps->normalise(gamma, beta, epsilon, x, width, rows, width);
}

}  // namespace ostinato
