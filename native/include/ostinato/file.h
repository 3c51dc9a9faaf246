/* Opens a model file that ostinato saved (*.safetensors), without Python: its network becomes a stack of the step machine.
 *
 * The file is taken to be hostile: everything that it says is checked, in the order of docs/model-file.md, before memory is
 * taken for its numbers. Memory stays below twice the file's size and 16 MB while it can be refused for what it says. Nothing
 * throws, nothing but the file is touched, and nothing of a refused file is used.
 *
 * A file of another task than "sequential" gives its network alone: what the task does before and behind it (scaling,
 * vocabularies, sampling) is up to the caller.
 */
#ifndef OSTINATO_FILE_H
#define OSTINATO_FILE_H
#include <ostinato/machine.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Why a file was refused. `code` is one of those in docs/model-file.md; beyond these "steps": the network cannot run step by
 * step, or the step machine has not this layer; and "kernel": there is no such instruction set. */
struct ostinato_refusal {
    char code[24];
    char sentence[512]; /* on one line, printable ASCII */
};

/* `bytes` may go afterwards. `isa` as for ostinato_stack_new. `why` may be NULL. OSTINATO_WRONG if it is refused; then *stack
 * is NULL. */
int ostinato_open(const void* bytes, size_t size, const char* isa, ostinato_stack** stack, struct ostinato_refusal* why);
int ostinato_open_file(const char* path, const char* isa, ostinato_stack** stack, struct ostinato_refusal* why);

/* The task that the file was saved for; "" of a stack that was not read from a file. */
const char* ostinato_task(const ostinato_stack* stack);

#ifdef __cplusplus
}
#endif
#endif
