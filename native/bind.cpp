// The Python face: lists what there is, computes nothing. Arrays come as addresses; ostinato/runtime/native.py, the only
// caller, checks shapes, types and strides before it hands them over.
#include <nanobind/nanobind.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "composed.hpp"
#include "copy.hpp"
#include "machine.hpp"
#include "maps.hpp"
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

// A buffer of numbers that some Python object lends; the fast way in and out of a step.
class Lent {
public:
    Lent(nb::handle from, int flags) : there_(PyObject_GetBuffer(from.ptr(), &view_, flags) == 0) {
        if (!there_) PyErr_Clear();
    }
    ~Lent() {
        if (there_) PyBuffer_Release(&view_);
    }
    Lent(const Lent&) = delete;

    // Its numbers, if they are float32 of this shape, one after the other.
    float* floats(ostinato::index n) const {
        const bool good = there_ && view_.ndim == 1 && view_.shape[0] == n && view_.format && view_.format[0] == 'f' &&
                          view_.format[1] == 0;
        return good ? static_cast<float*>(view_.buf) : nullptr;
    }

    // Its numbers, if they are float32 in rows of n, in C order.
    float* rows(ostinato::index n) const {
        const bool good = there_ && view_.ndim == 2 && view_.shape[1] == n && view_.format && view_.format[0] == 'f' &&
                          view_.format[1] == 0;
        return good ? static_cast<float*>(view_.buf) : nullptr;
    }

    // The same if there are so many rows.
    float* floats(ostinato::index count, ostinato::index n) const {
        return there_ && view_.ndim == 2 && view_.shape[0] == count ? rows(n) : nullptr;
    }

    // Its numbers, if they are a row of int64, one after the other.
    std::int64_t* ints() const {
        const bool good = there_ && view_.ndim == 1 && view_.itemsize == 8 && view_.format &&
                          (view_.format[0] == 'l' || view_.format[0] == 'q') && view_.format[1] == 0;
        return good ? static_cast<std::int64_t*>(view_.buf) : nullptr;
    }
    ostinato::index length() const { return view_.shape[0]; }  // of what has `ints` or `rows`

    // n float32 in C order, whatever their shape.
    float* all(ostinato::index n, const char* what) const {
        if (!there_ || view_.len != n * ostinato::index(sizeof(float)))
            throw std::invalid_argument(std::string(what) + " must be contiguous float32 of another size");
        return static_cast<float*>(view_.buf);
    }

private:
    Py_buffer view_;
    const bool there_;
};

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

// A machine, and how to make a new array for what a step gives: empty(shape, dtype).
struct Stepping {
    ostinato::Machine machine;
    nb::object empty, shape, dtype;

    nb::object fresh(nb::handle shape) const {
        PyObject* const arguments[] = {shape.ptr(), dtype.ptr()};
        PyObject* const made = PyObject_Vectorcall(empty.ptr(), arguments, 2, nullptr);
        if (!made) throw nb::python_error();
        return nb::steal(made);
    }

    // One step of row 0: x is a contiguous float32 array, or an int. None if that or the numbers in it do not fit, and
    // nothing has happened.
    nb::object quick(nb::handle x, nb::handle out) {
        nb::object y = out.is_none() ? fresh(shape) : nb::borrow(out);
        const Lent to(y, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | PyBUF_WRITABLE);
        float* const results = to.floats(machine.stack().outputs());
        if (!results) return nb::none();
        const std::int64_t row = 0;
        if (machine.stack().symbols()) {
            if (!PyLong_CheckExact(x.ptr())) return nb::none();
            int overflow = 0;
            const std::int64_t id = PyLong_AsLongLongAndOverflow(x.ptr(), &overflow);
            return !overflow && stepped(&row, 1, &id, results) ? y : nb::none();
        }
        const Lent from(x, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT);
        const float* const numbers = from.floats(machine.stack().inputs());
        return numbers && stepped(&row, 1, numbers, results) ? y : nb::none();
    }

    // The same for several steps of row 0: x is contiguous float32 [time, inputs] or int64 [time].
    nb::object quick_run(nb::handle x, nb::handle out) {
        const Lent from(x, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT);
        const void* given = from.rows(machine.stack().inputs());
        if (machine.stack().symbols()) given = from.ints();
        if (!given) return nb::none();
        const ostinato::index time = from.length();
        nb::object y = out.is_none() ? fresh(nb::make_tuple(time, shape)) : nb::borrow(out);
        const Lent to(y, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | PyBUF_WRITABLE);
        float* const results = to.floats(time, machine.stack().outputs());
        if (!results) return nb::none();
        return ran(time, given, results) ? y : nb::none();
    }

    // The same for one step of different rows: int64 [n], x contiguous float32 [n, inputs] or int64 [n].
    nb::object quick_rows(nb::handle rows, nb::handle x, nb::handle out) {
        const Lent of(rows, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT), from(x, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT);
        const std::int64_t* const numbers = of.ints();
        if (!numbers) return nb::none();
        const ostinato::index n = of.length();
        const void* given = from.floats(n, machine.stack().inputs());
        if (machine.stack().symbols()) given = from.ints() && from.length() == n ? from.ints() : nullptr;
        if (!given) return nb::none();
        nb::object y = out.is_none() ? fresh(nb::make_tuple(n, shape)) : nb::borrow(out);
        const Lent to(y, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT | PyBUF_WRITABLE);
        float* const results = to.floats(n, machine.stack().outputs());
        if (!results) return nb::none();
        return stepped(numbers, n, given, results) ? y : nb::none();
    }

private:
    bool stepped(const std::int64_t* rows, ostinato::index n, const void* x, float* y) {
        const Unlocked unlocked(double(n) * machine.stack().work());  // ends before anything of Python is touched
        return machine.step(rows, n, x, y) == machine.done;
    }

    bool ran(ostinato::index time, const void* x, float* y) {
        const Unlocked unlocked(double(time) * machine.stack().work());
        return machine.run(0, time, x, y) == machine.done;
    }
};

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
    m.def("environment", [](const char* name) -> nb::object {  // Python's os.environ writes through to it
        const char* const text = std::getenv(name);
        return text ? nb::steal(PyUnicode_DecodeFSDefault(text)) : nb::none();
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
    nb::class_<ostinato::PackedAffine>(m, "Affine")
        .def("__init__",
             [](ostinato::PackedAffine* self, const std::string& engine, ostinato::index inputs, ostinato::index units,
                address W, address b) {
                 new (self) ostinato::PackedAffine(chosen(engine), inputs, units, at<const float>(W), at<const float>(b));
             })
        .def("apply",
             [](const ostinato::PackedAffine& self, nb::handle x, nb::handle y, ostinato::index rows, int function,
                int threads) {
                 const Lent from(x, PyBUF_C_CONTIGUOUS), to(y, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE);
                 const float* const in = from.all(rows * self.map.inputs, "x");
                 float* const out = to.all(rows * self.map.units, "y");
                 const Unlocked unlocked(double(rows) * double(self.map.inputs) * double(self.map.units));
                 self.apply(in, out, rows, function, threads);
             });
    m.def("activate", [](const std::string& engine, int function, nb::handle x, ostinato::index rows, ostinato::index width) {
        const Lent lent(x, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE);
        float* const numbers = lent.all(rows * width, "x");
        const Unlocked unlocked(double(rows) * double(width));
        ostinato::activate(chosen(engine), function, numbers, rows, width);
    });
    m.def("normalise", [](const std::string& engine, nb::handle gamma, nb::handle beta, float epsilon, nb::handle x,
                          ostinato::index rows, ostinato::index width) {
        const Lent one(gamma, PyBUF_C_CONTIGUOUS), two(beta, PyBUF_C_CONTIGUOUS), lent(x, PyBUF_C_CONTIGUOUS | PyBUF_WRITABLE);
        const float *const g = one.all(width, "gamma"), *const b = two.all(width, "beta");
        float* const numbers = lent.all(rows * width, "x");
        const Unlocked unlocked(double(rows) * double(width));
        ostinato::normalise(chosen(engine), g, b, epsilon, numbers, rows, width);
    });
    nb::class_<ostinato::Composed>(m, "Composed")
        .def("__init__",
             [](ostinato::Composed* self, const std::string& engine, int formula, ostinato::index inputs,
                ostinato::index units, int activation, int recurrent_activation, float epsilon,
                const std::vector<address>& given) {
                 const auto of = [&](std::size_t i) { return at<const float>(given.at(i)); };
                 new (self) ostinato::Composed(chosen(engine), formula, inputs, units,
                                               {activation, recurrent_activation, epsilon},
                                               {of(0), of(1), of(2), of(3), of(4), of(5), of(6), of(7)});
             });
    nb::class_<ostinato::Stack>(m, "Stack")
        .def("__init__",
             [](ostinato::Stack* self, const std::string& engine, ostinato::index inputs, ostinato::index symbols) {
                 new (self) ostinato::Stack(chosen(engine), inputs, symbols);
             })
        .def("embedding", [](ostinato::Stack& self, address table) { self.embedding(at<const float>(table)); })
        .def("recurrent",
             [](ostinato::Stack& self, const ostinato::Packed& cell, address h, address c) {
                 self.recurrent(cell, at<const float>(h), at<const float>(c));
             },
             nb::keep_alive<1, 2>())
        .def("recurrent",
             [](ostinato::Stack& self, const ostinato::Composed& cell, address h, address c) {
                 self.recurrent(cell, at<const float>(h), at<const float>(c));
             },
             nb::keep_alive<1, 2>())
        .def("zoneout", &ostinato::Stack::zoneout)
        .def("last_output", &ostinato::Stack::last_output)
        .def("masking", &ostinato::Stack::masking)
        .def("mask_zero", &ostinato::Stack::mask_zero)
        .def("silence", &ostinato::Stack::silence)
        .def("affine", &ostinato::Stack::affine, nb::keep_alive<1, 2>())
        .def("activation", &ostinato::Stack::activation)
        .def("normalisation", [](ostinato::Stack& self, address gamma, address beta, float epsilon) {
            self.normalisation(at<const float>(gamma), at<const float>(beta), epsilon);
        });
    nb::class_<Stepping>(m, "Machine")
        .def("__init__",
             [](Stepping* self, const ostinato::Stack& stack, ostinato::index capacity, int nonfinite, int threads,
                nb::object empty, nb::object shape, nb::object dtype) {
                 new (self) Stepping{{stack, capacity, ostinato::Nonfinite(nonfinite), threads}, empty, shape, dtype};
             },
             nb::keep_alive<1, 2>())
        .def("quick", &Stepping::quick, "x"_a.none(), "out"_a.none())
        .def("quick_run", &Stepping::quick_run, "x"_a.none(), "out"_a.none())
        .def("quick_rows", &Stepping::quick_rows, "rows"_a, "x"_a.none(), "out"_a.none())
        .def("step",
             [](Stepping& self, address rows, ostinato::index n, address x, address y) {
                 const Unlocked unlocked(double(n) * self.machine.stack().work());
                 return int(self.machine.step(at<const std::int64_t>(rows), n, at<const void>(x), at(y)));
             })
        .def("run",
             [](Stepping& self, ostinato::index row, ostinato::index time, address x, address y) {
                 const Unlocked unlocked(double(time) * self.machine.stack().work());
                 return int(self.machine.run(row, time, at<const void>(x), at(y)));
             })
        .def("reset", [](Stepping& self, ostinato::index row) { return int(self.machine.reset(row)); })
        .def("set_policy", [](Stepping& self, ostinato::index row, int nonfinite) {
            return int(self.machine.set_policy(row, ostinato::Nonfinite(nonfinite)));
        })
        .def("steps", [](Stepping& self, ostinato::index row) { return self.machine.steps(row); })
        .def("read",  // the steps that the row has made, or -1 if the machine is busy
             [](Stepping& self, ostinato::index row, address to) {
                 std::int64_t steps = 0;
                 return self.machine.read(row, at(to), &steps) == self.machine.done ? steps : -1;
             })
        .def("write", [](Stepping& self, ostinato::index row, std::int64_t steps, address from) {
            return int(self.machine.write(row, steps, at<const float>(from)));
        });
}
