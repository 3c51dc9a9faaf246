// The C face of the reader of model files; see include/ostinato/file.h.
#include "include/ostinato/file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include "file/steps.hpp"

using namespace ostinato;
using namespace ostinato::file;

namespace {

constexpr std::string_view check_path = "Check the path and the permissions.";

[[noreturn]] void unreadable(int error) {
    throw Refused("read", "the model file must be readable", std::strerror(error), {}, check_path);
}

void check_regular(const struct stat& status) {
    if (S_ISREG(status.st_mode)) return;
    throw Refused("not_a_file", "the path must lead to a regular file",
                  S_ISDIR(status.st_mode) ? "a folder" : S_ISFIFO(status.st_mode) ? "a pipe" : "a device or a socket", {},
                  "Pass the file's path.");
}

// A regular file, open for reading.
class File {
public:
    explicit File(const char* path) {
        struct stat status;
        // Asked before opening as well, since opening a device can already have effects.
        if (stat(path, &status)) unreadable(errno);
        check_regular(status);
        file_ = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (file_ < 0) unreadable(errno);
    }
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    ~File() { close(file_); }

    Source source() {
        struct stat status;
        if (fstat(file_, &status)) unreadable(errno);
        check_regular(status);
        return {std::uint64_t(status.st_size), [this](void* to, std::size_t n) { fill(static_cast<char*>(to), n); }};
    }

private:
    void fill(char* to, std::size_t n) {
        while (n > 0) {
            const ssize_t done = read(file_, to, n);
            if (done < 0 && errno == EINTR) continue;
            if (done < 0) unreadable(errno);
            if (done == 0) throw Refused("truncated", "the file must not shrink while it is read", "its end");
            to += done, n -= std::size_t(done);
        }
    }

    int file_;
};

void put(char* to, std::size_t size, std::string_view text) {
    const std::size_t n = std::min(size - 1, text.size());
    std::memcpy(to, text.data(), n);
    to[n] = '\0';
}

int refused(ostinato_refusal* why, std::string_view code, std::string_view sentence) {
    if (!why) return OSTINATO_WRONG;
    put(why->code, sizeof why->code, code);
    put(why->sentence, sizeof why->sentence, sentence);
    return OSTINATO_WRONG;
}

template <class F>
int opened(const char* isa, ostinato_stack** stack, ostinato_refusal* why, F&& source) noexcept {
    *stack = nullptr;
    try {
        const Engine* const chosen = isa ? engine(isa) : engines()[0];
        if (!chosen || !chosen->maps)
            return refused(why, "kernel", "isa must name an instruction set that is there, got another. Pass NULL.");
        Contents contents(source());
        const Reading reading = reading_of(contents);
        contents.read_numbers();
        if (auto made = stack_of(contents, reading, *chosen)) return *stack = made.release(), OSTINATO_DONE;
    } catch (const Refused& error) {
        return refused(why, error.code, error.sentence);
    } catch (const std::exception&) {  // no memory
    }
    return refused(why, "memory", "the model must fit into memory, got too little. Load it on a larger machine.");
}

}  // namespace

int ostinato_open(const void* bytes, size_t size, const char* isa, ostinato_stack** stack, struct ostinato_refusal* why) {
    return opened(isa, stack, why, [&] { return in_memory(bytes, size); });
}

int ostinato_open_file(const char* path, const char* isa, ostinato_stack** stack, struct ostinato_refusal* why) {
    std::optional<File> file;
    return opened(isa, stack, why, [&] { return file.emplace(path).source(); });
}

const char* ostinato_task(const ostinato_stack* s) { return s->task.c_str(); }
