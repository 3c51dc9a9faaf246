/* Opens a model file that ostinato saved, reads numbers, one step a line, and writes what the network says after each:
 * open FILE.safetensors [INSTRUCTION_SET]. See `make example`. */
#include <ostinato/file.h>
#include <stdio.h>
#include <stdlib.h>

/* A step of floats, or of one symbol; 0 at the end of the input. */
static int next(const ostinato_stack* stack, float* x, int64_t* symbol) {
    if (ostinato_symbols(stack)) return scanf("%lld", (long long*)symbol) == 1;
    for (ptrdiff_t i = 0; i < ostinato_inputs(stack); ++i)
        if (scanf("%f", &x[i]) != 1) return 0;
    return 1;
}

int main(int count, char** arguments) {
    if (count < 2) return fprintf(stderr, "usage: open FILE.safetensors [INSTRUCTION_SET]\n"), 2;
    struct ostinato_refusal why;
    ostinato_stack* stack;
    if (ostinato_open_file(arguments[1], count > 2 ? arguments[2] : NULL, &stack, &why) != OSTINATO_DONE)
        return fprintf(stderr, "[%s] %s\n", why.code, why.sentence), 1;
    ostinato_machine* const machine = ostinato_machine_new(stack, 1, OSTINATO_REFUSE, 1);
    const ptrdiff_t outputs = ostinato_outputs(stack);
    float *const x = malloc((size_t)ostinato_inputs(stack) * sizeof(float)), *const y = malloc((size_t)outputs * sizeof(float));
    if (!machine || !x || !y) return fprintf(stderr, "no memory\n"), 1;
    int64_t row = 0, symbol = 0;
    while (next(stack, x, &symbol)) {
        const void* const step = ostinato_symbols(stack) ? (const void*)&symbol : x;
        if (ostinato_step(machine, &row, 1, step, y) != OSTINATO_DONE) {
            fprintf(stderr, "a number is not finite, or no symbol\n");
            continue;
        }
        for (ptrdiff_t k = 0; k < outputs; ++k) printf("%.9g%c", y[k], k + 1 < outputs ? ' ' : '\n');
    }
    free(x);
    free(y);
    ostinato_machine_free(machine);
    ostinato_stack_free(stack);
    return 0;
}
