/* The step machine for C: a network as one call a step. Shapes are in brackets, rows first; all numbers are float32.
 *
 * A stack is the network's layers; it packs recurrent and dense weights into memory of its own, and keeps pointers to an
 * embedding's table and to a normalisation's gamma and beta, which must outlive it. A machine holds the states of `capacity`
 * sequences (rows); the stack must outlive it. Everything but the functions that end in _new and the layers takes no memory
 * and, on one thread, no lock, and makes no system call. One thread at a time may use a machine.
 *
 * Functions that return int give 0, or why not: see enum ostinato_answer. Nothing throws.
 */
#ifndef OSTINATO_MACHINE_H
#define OSTINATO_MACHINE_H
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ostinato_stack ostinato_stack;
typedef struct ostinato_machine ostinato_machine;

enum ostinato_answer {
    OSTINATO_DONE = 0,
    OSTINATO_REFUSED = 1, /* x holds NaN or an infinity, or a symbol that is not there; no row has moved */
    OSTINATO_BUSY = 2,    /* another thread is at work; nothing was done */
    OSTINATO_WRONG = 3    /* a layer that does not fit, or no memory */
};
enum ostinato_cell { OSTINATO_RNN_TANH, OSTINATO_RNN_RELU, OSTINATO_LSTM, OSTINATO_GRU, OSTINATO_GRU_RESET_AFTER };
enum ostinato_function {
    OSTINATO_LINEAR, OSTINATO_RELU, OSTINATO_RELU6, OSTINATO_LEAKY_RELU, OSTINATO_TANH, OSTINATO_SIGMOID,
    OSTINATO_HARD_SIGMOID, OSTINATO_SOFTSIGN, OSTINATO_ELU, OSTINATO_SELU, OSTINATO_SILU, OSTINATO_EXPONENTIAL,
    OSTINATO_SOFTMAX, OSTINATO_SOFTPLUS
};
/* Cells of any functions, and with layer normalisation; see struct ostinato_cell_weights. */
enum ostinato_formula {
    OSTINATO_ANY_RNN, OSTINATO_ANY_LSTM, OSTINATO_ANY_GRU, OSTINATO_ANY_GRU_RESET_AFTER, OSTINATO_LAYER_NORM_RNN,
    OSTINATO_LAYER_NORM_LSTM, OSTINATO_LAYER_NORM_GRU
};
/* What is done about NaN and infinities in x: refuse the call, repeat each feature's last finite number, compute on. */
enum ostinato_nonfinite { OSTINATO_REFUSE, OSTINATO_HOLD, OSTINATO_PROPAGATE };

/* A step is `inputs` numbers; or one whole number below `symbols`, if that is not 0: then the first layer must be an
 * embedding, of `inputs` numbers. `isa` is an instruction set ("avx512", "avx2", "sse2", "neon"), NULL for the best one. NULL
 * if it is not there. */
ostinato_stack* ostinato_stack_new(const char* isa, ptrdiff_t inputs, ptrdiff_t symbols);
void ostinato_stack_free(ostinato_stack* stack);

/* Layers, first one first. */
int ostinato_embedding(ostinato_stack* stack, const float* table); /* [symbols, inputs] */
/* W [features, gates * units], U [units, gates * units], b and b_rec [gates * units]; b_rec is for gru_reset_after alone. h and
 * c [units] are the states to start from, NULL for zeros. */
int ostinato_recurrent(ostinato_stack* stack, enum ostinato_cell cell, ptrdiff_t units, const float* W, const float* U,
                       const float* b, const float* b_rec, const float* h, const float* c);
/* b_rec is for ANY_GRU_RESET_AFTER and LAYER_NORM_GRU; gain_x for LAYER_NORM_LSTM and LAYER_NORM_GRU; gain_h for all three
 * with layer normalisation (that of LAYER_NORM_RNN is of both sums together); gain_c and shift_c for LAYER_NORM_LSTM. */
struct ostinato_cell_weights {
    const float *W, *U;                          /* [features, gates * units], [units, gates * units] */
    const float *b, *b_rec, *gain_x, *gain_h;    /* [gates * units] */
    const float *gain_c, *shift_c;               /* [units] */
};
/* As ostinato_recurrent, with the functions of the states and of the gates, and what is added to variances. */
int ostinato_recurrent_of(ostinato_stack* stack, enum ostinato_formula formula, ptrdiff_t units,
                          enum ostinato_function activation, enum ostinato_function recurrent_activation, float epsilon,
                          const struct ostinato_cell_weights* weights, const float* h, const float* c);
/* Of the recurrent layer that was added last: the share of its old states that a step keeps, at least 0 and below 1; and that
 * it gives its last output where a step is not real, in place of zeros, and ends the mask. */
int ostinato_zoneout(ostinato_stack* stack, float share);
int ostinato_last_output(ostinato_stack* stack);
/* Masks: behind these a step is real if any of its numbers differs from `value`, or if its symbol is not 0. Recurrent layers
 * keep their states where it is not, and give zeros. `silence` puts zeros there in place of what another layer gave. */
int ostinato_masking(ostinato_stack* stack, float value);
int ostinato_mask_zero(ostinato_stack* stack);
int ostinato_silence(ostinato_stack* stack);
int ostinato_dense(ostinato_stack* stack, ptrdiff_t units, const float* W, const float* b); /* [features, units], [units] */
int ostinato_activation(ostinato_stack* stack, enum ostinato_function function);
int ostinato_layer_norm(ostinato_stack* stack, const float* gamma, const float* beta, float epsilon); /* [features] */

ptrdiff_t ostinato_inputs(const ostinato_stack* stack);  /* as they were given */
ptrdiff_t ostinato_symbols(const ostinato_stack* stack);
ptrdiff_t ostinato_outputs(const ostinato_stack* stack); /* numbers that a step gives */
ptrdiff_t ostinato_numbers(const ostinato_stack* stack); /* numbers that a row carries from step to step */

/* `nonfinite` is for rows without a policy of their own; `threads` is the most that a step of many rows may use. NULL: there is
 * no memory. */
ostinato_machine* ostinato_machine_new(const ostinato_stack* stack, ptrdiff_t capacity, enum ostinato_nonfinite nonfinite,
                                       int threads);
void ostinato_machine_free(ostinato_machine* machine);

/* One step of n different rows: x float [n, inputs] or int64_t [n], y [n, outputs]. */
int ostinato_step(ostinato_machine* machine, const int64_t* rows, ptrdiff_t n, const void* x, float* y);
/* `time` steps of one row: x float [time, inputs] or int64_t [time], y [time, outputs]. */
int ostinato_run(ostinato_machine* machine, int64_t row, ptrdiff_t time, const void* x, float* y);
int ostinato_reset(ostinato_machine* machine, int64_t row); /* it starts anew */
/* What a row does about NaN and infinities from now on; it keeps that when it is reset. */
int ostinato_set_policy(ostinato_machine* machine, int64_t row, enum ostinato_nonfinite nonfinite);
/* A row's numbers [numbers], out and in again: a snapshot. */
int ostinato_read(const ostinato_machine* machine, int64_t row, float* to);
int ostinato_write(ostinato_machine* machine, int64_t row, const float* from);

#ifdef __cplusplus
}
#endif
#endif
