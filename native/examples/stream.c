/* Reads numbers, one step a line, and writes what the network in model.h says after each. See `make example`. */
#include <stdio.h>
#include <stdlib.h>

#include "model.h"

int main(int count, char** arguments) {
    ostinato_stack* const stack = model_stack(count > 1 ? arguments[1] : NULL);
    ostinato_machine* const machine = stack ? ostinato_machine_new(stack, 1, OSTINATO_REFUSE, 1) : NULL;
    if (!machine) return fprintf(stderr, "no memory, or no such instruction set\n"), 1;
    const ptrdiff_t outputs = ostinato_outputs(stack);
    float x[MODEL_INPUTS], *const y = malloc((size_t)outputs * sizeof(float));
    const int64_t row = 0;
    for (ptrdiff_t i = 0; y && scanf("%f", &x[i]) == 1;) {
        if (++i < MODEL_INPUTS) continue;
        i = 0;
        if (ostinato_step(machine, &row, 1, x, y) != OSTINATO_DONE) {
            fprintf(stderr, "a number is not finite\n");
            continue;
        }
        for (ptrdiff_t k = 0; k < outputs; ++k) printf("%.9g%c", y[k], k + 1 < outputs ? ' ' : '\n');
    }
    free(y);
    ostinato_machine_free(machine);
    ostinato_stack_free(stack);
    return 0;
}
