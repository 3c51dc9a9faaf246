// The Python face: lists what there is, computes nothing. Arrays come as addresses; ostinato/runtime/native.py, the only
// caller, checks shapes, types and strides before it hands them over.
#include <nanobind/nanobind.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "copy.hpp"
#include "scan.hpp"
#include "spans.hpp"
#include "threads.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using address = std::uintptr_t;

template <class T = float>
T* at(address a) {
    return reinterpret_cast<T*>(a);
}

const ostinato::Engine& chosen(const std::string& name) {
    const ostinato::Engine* engine = ostinato::engine(name.c_str());
    if (!engine) throw std::invalid_argument("this build or this processor has no instruction set '" + name + "'");
    return *engine;
}

// Gives Python's lock back for work that takes long enough for others to gain from it.
class Unlocked {
public:
    explicit Unlocked(double multiplications) {
        if (multiplications > 2e6) release_.emplace();
    }

private:
    std::optional<nb::gil_scoped_release> release_;
};

double size(const ostinato::Packed& p, ostinato::index batch, ostinato::index time) {
    return double(batch) * double(time) * double(p.units) * double(p.inputs + p.units);
}

}  // namespace

NB_MODULE(_native, m) {
    nb::set_leak_warnings(false);  // a graph of the user that is alive at exit is no leak of ours
    m.attr("version") = OSTINATO_VERSION;
    m.def("engines", [] {
        std::vector<std::string> names;
        for (const ostinato::Engine* e : ostinato::engines()) names.emplace_back(e->name);
        return names;
    });
    m.def("bf16_engine", [] { return std::string(ostinato::bf16_engine() ? ostinato::bf16_engine()->name : ""); });
    m.def("without_bf16", &ostinato::without_bf16);
    m.def("peak", [](const std::string& name) {  // GF/s of one core
        const ostinato::Engine& e = chosen(name);
        const ostinato::index rounds = 2000000;
        const auto began = std::chrono::steady_clock::now();
        static volatile float result;
        result = e.peak(rounds);
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
        return 2e-9 * double(rounds) * e.accumulators * e.width * e.depth / took.count();
    });
    m.def("share_openmp", [](const std::string& library) { return ostinato::share_openmp(library.c_str()); });
    m.def("spans", [](address mask, ostinato::index batch, ostinato::index time, address start, address length) {
        return int(ostinato::spans(at<const bool>(mask), batch, time, at<int>(start), at<int>(length)));
    });
    nb::class_<ostinato::Copy>(m, "Copy")
        .def("__init__",
             [](ostinato::Copy* self, const std::vector<std::pair<address, std::size_t>>& arrays) {
                 std::vector<ostinato::Copy::Piece> pieces;
                 for (const auto& [a, numbers] : arrays) pieces.push_back({at<const float>(a), numbers});
                 new (self) ostinato::Copy(pieces);
             })
        .def("same", [](const ostinato::Copy& self, const std::vector<address>& arrays) {
            std::vector<const float*> places;
            for (const address a : arrays) places.push_back(at<const float>(a));
            return self.same(places);
        });
    nb::class_<ostinato::Packed>(m, "Packed")
        .def("__init__",
             [](ostinato::Packed* self, const std::string& engine, int cell, ostinato::index inputs, ostinato::index units,
                address W, address U, address b, address b_rec, int what, int threads, bool by_gate) {
                 new (self) ostinato::Packed(chosen(engine), cell, inputs, units,
                                             {at<const float>(W), at<const float>(U), at<const float>(b),
                                              at<const float>(b_rec), by_gate},
                                             ostinato::Packed::What(what), threads);
             },
             "engine"_a, "cell"_a, "inputs"_a, "units"_a, "W"_a, "U"_a, "b"_a, "b_rec"_a, "what"_a, "threads"_a,
             "by_gate"_a = false)
        .def_prop_ro("engine", [](const ostinato::Packed& p) { return p.engine.name; });
    nb::class_<ostinato::Run>(m, "Run")
        .def("__init__",
             [](ostinato::Run* self, const ostinato::Packed& p, ostinato::index batch, ostinato::index time, bool reverse,
                address x, address h, address c, address start, address length, address y, address h_last,
                address c_last, bool training, int threads) {
                 const Unlocked unlocked(size(p, batch, time));
                 new (self) ostinato::Run(p, {p.cell, batch, time, p.inputs, p.units, reverse},
                                          {at<const float>(x), at<const float>(h), at<const float>(c),
                                           at<const int>(start), at<const int>(length)},
                                          {at(y), at(h_last), at(c_last)}, training, threads);
             },
             "weights"_a, "batch"_a, "time"_a, "reverse"_a, "x"_a, "h"_a, "c"_a, "start"_a, "length"_a, "y"_a, "h_last"_a,
             "c_last"_a, "training"_a, "threads"_a)
        .def_ro("spent", &ostinato::Run::spent)
        .def_ro("slices", &ostinato::Run::slices)
        .def("backward",
             [](ostinato::Run& run, const ostinato::Packed& p, address y, address h, address c, address dx, address W,
                address U, address b, address b_rec, address h_first, address c_first, int threads, bool by_gate) {
                 const Unlocked unlocked(size(p, run.shape.batch, run.shape.time));
                 run.backward(p, {at<const float>(y), at<const float>(h), at<const float>(c)},
                              {at(dx), {at(W), at(U), at(b), at(b_rec), by_gate}, at(h_first), at(c_first)}, threads);
             });
}
