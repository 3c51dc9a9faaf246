#include "memory.hpp"

#include <mutex>
#include <new>
#include <utility>
#include <vector>

#if defined(__linux__)
#include <sys/mman.h>
#endif
#if defined(OSTINATO_GUARDS)
#include <sanitizer/asan_interface.h>

#include <cstring>
#endif

namespace ostinato {
namespace {

constexpr std::size_t page = std::size_t(1) << 21, line = 64, keep_bytes = std::size_t(512) << 20, keep_pieces = 64;

struct Shelf {
    std::mutex mutex;
    std::vector<std::pair<void*, std::size_t>> pieces;
    std::size_t bytes = 0;
};

Shelf& shelf() {
    static Shelf* const it = new Shelf;  // outlives everything that may still hand memory back at exit
    return *it;
}

std::size_t alignment(std::size_t bytes) { return bytes >= page ? page : line; }

// Shuts all of a piece of memory, or opens it.
void shut(const void* at, std::size_t bytes) {
#if defined(OSTINATO_GUARDS)
    __asan_poison_memory_region(at, bytes);
#endif
}

void unshut(const void* at, std::size_t bytes) {
#if defined(OSTINATO_GUARDS)
    __asan_unpoison_memory_region(at, bytes);
#endif
}

void give_back(void* at, std::size_t bytes) {
    unshut(at, bytes);
    ::operator delete(at, std::align_val_t(alignment(bytes)));
}

}  // namespace

void Room::forbid(std::size_t at, std::size_t numbers) const { shut(data() + at, numbers * sizeof(float)); }

// With guards: what nobody has written yet is NaN, and what nobody asked for is shut.
void Room::open(std::size_t need) const {
#if defined(OSTINATO_GUARDS)
    unshut(at_, bytes_);
    std::memset(at_, 0xff, need);
    shut(static_cast<char*>(at_) + need, bytes_ - need);
#endif
}

Room::Room(std::size_t numbers) {
    const std::size_t need = (numbers ? numbers : 1) * sizeof(float);
    const std::size_t unit = alignment(need) == page ? page : 4096;
    bytes_ = (need + unit - 1) / unit * unit;
    Shelf& s = shelf();
    // Only tried: a lock that another thread held while this process was forked is never released.
    if (std::unique_lock lock(s.mutex, std::try_to_lock); lock) {
        std::size_t best = s.pieces.size();
        for (std::size_t i = 0; i < s.pieces.size(); ++i) {
            const std::size_t size = s.pieces[i].second;
            if (size >= bytes_ && size <= bytes_ + bytes_ / 4 && (best == s.pieces.size() || size < s.pieces[best].second))
                best = i;
        }
        if (best < s.pieces.size()) {
            at_ = s.pieces[best].first, bytes_ = s.pieces[best].second;
            s.pieces.erase(s.pieces.begin() + std::ptrdiff_t(best));
            s.bytes -= bytes_;
            open(need);
            return;
        }
    }
    at_ = ::operator new(bytes_, std::align_val_t(alignment(bytes_)));
#if defined(__linux__) && defined(MADV_HUGEPAGE)
    if (bytes_ >= page) madvise(at_, bytes_, MADV_HUGEPAGE);
#endif
    open(need);
}

Room& Room::operator=(Room&& other) noexcept {
    std::swap(at_, other.at_);
    std::swap(bytes_, other.bytes_);
    return *this;
}

Room::~Room() {
    if (!at_) return;
    Shelf& s = shelf();
    if (std::unique_lock lock(s.mutex, std::try_to_lock); lock && bytes_ <= keep_bytes) {
        shut(at_, bytes_);
        s.pieces.emplace_back(at_, bytes_);
        s.bytes += bytes_;
        while (s.bytes > keep_bytes || s.pieces.size() > keep_pieces) {  // the oldest go first
            const auto [old, size] = s.pieces.front();
            s.pieces.erase(s.pieces.begin());
            s.bytes -= size;
            give_back(old, size);
        }
        return;
    }
    give_back(at_, bytes_);
}

}  // namespace ostinato
