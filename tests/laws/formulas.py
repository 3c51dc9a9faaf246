"""The published formulas, written a second time: plain NumPy, gate by gate, straight from the papers and manuals.

Each takes `x [batch, time, features]`, the weights by name and the start states, and returns outputs and final states.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Arrays = tuple[np.ndarray, ...]


def _sigma(v: np.ndarray) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-v))


def _run(x: np.ndarray, state: Arrays, step: Callable[[np.ndarray, Arrays], Arrays]) -> tuple[np.ndarray, Arrays]:
    ys = []
    for t in range(x.shape[1]):
        state = step(x[:, t], state)
        ys.append(state[0])
    return np.stack(ys, axis=1), state


def simple_rnn(x: np.ndarray, w: dict[str, np.ndarray], state: Arrays) -> tuple[np.ndarray, Arrays]:
    """h' = tanh(W_xh x + W_hh h + b) (Elman 1990)."""
    return _run(x, state, lambda x_t, s: (np.tanh(x_t @ w["W"] + s[0] @ w["U"] + w["b"]),))


def lstm(x: np.ndarray, w: dict[str, np.ndarray], state: Arrays) -> tuple[np.ndarray, Arrays]:
    """i, f, o = sigma(W [h, x] + b); c~ = tanh(W_c [h, x] + b_c); c' = f c + i c~; h' = o tanh(c') (Gers 2000)."""
    (Wi, Wf, Wc, Wo), (Ui, Uf, Uc, Uo), (bi, bf, bc, bo) = (np.split(w[k], 4, axis=-1) for k in ("W", "U", "b"))

    def step(x_t: np.ndarray, s: Arrays) -> Arrays:
        h, c = s
        i, f, o = _sigma(x_t @ Wi + h @ Ui + bi), _sigma(x_t @ Wf + h @ Uf + bf), _sigma(x_t @ Wo + h @ Uo + bo)
        c = f * c + i * np.tanh(x_t @ Wc + h @ Uc + bc)
        return o * np.tanh(c), c

    return _run(x, state, step)


def gru(x: np.ndarray, w: dict[str, np.ndarray], state: Arrays) -> tuple[np.ndarray, Arrays]:
    """r, z = sigma(W [h, x] + b); h~ = tanh(W_h [r h, x] + b_h); h' = (1 - z) h + z h~."""
    (Wr, Wz, Wn), (Ur, Uz, Un), (br, bz, bn) = (np.split(w[k], 3, axis=-1) for k in ("W", "U", "b"))

    def step(x_t: np.ndarray, s: Arrays) -> Arrays:
        (h,) = s
        r, z = _sigma(x_t @ Wr + h @ Ur + br), _sigma(x_t @ Wz + h @ Uz + bz)
        new = np.tanh(x_t @ Wn + (r * h) @ Un + bn)
        return ((1.0 - z) * h + z * new,)

    return _run(x, state, step)


def gru_reset_after(x: np.ndarray, w: dict[str, np.ndarray], state: Arrays) -> tuple[np.ndarray, Arrays]:
    """h~ = tanh(W_n x + b_n + r (U_n h + b_rec_n)); h' = (1 - z) h~ + z h (the manual of torch.nn.GRU)."""
    parts = (np.split(w[k], 3, axis=-1) for k in ("W", "U", "b", "b_rec"))
    (Wr, Wz, Wn), (Ur, Uz, Un), (br, bz, bn), (cr, cz, cn) = parts

    def step(x_t: np.ndarray, s: Arrays) -> Arrays:
        (h,) = s
        r, z = _sigma(x_t @ Wr + br + h @ Ur + cr), _sigma(x_t @ Wz + bz + h @ Uz + cz)
        new = np.tanh(x_t @ Wn + bn + r * (h @ Un + cn))
        return ((1.0 - z) * new + z * h,)

    return _run(x, state, step)


def _ln(v: np.ndarray, gain: np.ndarray, shift: np.ndarray | float = 0.0) -> np.ndarray:
    return gain * (v - v.mean(1, keepdims=True)) / np.sqrt(v.var(1, keepdims=True) + 1e-5) + shift


def layer_norm_simple_rnn(x: np.ndarray, w: dict[str, np.ndarray], state: Arrays) -> tuple[np.ndarray, Arrays]:
    """a = W_hh h + W_xh x; h' = tanh(g/sigma (a - mu) + b) (Ba et al. 2016, equation 4)."""
    return _run(x, state, lambda x_t, s: (np.tanh(_ln(s[0] @ w["U"] + x_t @ w["W"], w["gain"], w["b"])),))


def layer_norm_lstm(x: np.ndarray, w: dict[str, np.ndarray], state: Arrays) -> tuple[np.ndarray, Arrays]:
    """Gates = LN(W_h h) + LN(W_x x) + b; c' = sigma(f) c + sigma(i) tanh(g); h' = sigma(o) tanh(LN(c')) (Ba et al.)."""

    def step(x_t: np.ndarray, s: Arrays) -> Arrays:
        h, c = s
        gates = _ln(h @ w["U"], w["gain_h"]) + _ln(x_t @ w["W"], w["gain_x"]) + w["b"]
        i, f, g, o = np.split(gates, 4, axis=1)
        c = _sigma(f) * c + _sigma(i) * np.tanh(g)
        return _sigma(o) * np.tanh(_ln(c, w["gain_c"], w["shift_c"])), c

    return _run(x, state, step)


def layer_norm_gru(x: np.ndarray, w: dict[str, np.ndarray], state: Arrays) -> tuple[np.ndarray, Arrays]:
    """r, z = sigma(LN(W_h h) + LN(W_x x)); h~ = tanh(LN(W x) + r LN(U h)); h' = (1 - z) h + z h~ (Ba et al.)."""

    def step(x_t: np.ndarray, s: Arrays) -> Arrays:
        (h,) = s
        n2 = 2 * h.shape[1]

        def sums(v: np.ndarray, weight: str, gain: str, shift: str, part: slice) -> np.ndarray:
            return _ln(v @ w[weight][:, part], w[gain][part], w[shift][part])

        gates, rest = slice(0, n2), slice(n2, None)
        both = sums(h, "U", "gain_h", "b_rec", gates) + sums(x_t, "W", "gain_x", "b", gates)
        r, z = np.split(_sigma(both), 2, axis=1)
        new = np.tanh(sums(x_t, "W", "gain_x", "b", rest) + r * sums(h, "U", "gain_h", "b_rec", rest))
        return ((1.0 - z) * h + z * new,)

    return _run(x, state, step)


def keras_gru_reset_before(
    x: np.ndarray, kernel: np.ndarray, recurrent_kernel: np.ndarray, bias: np.ndarray, h: np.ndarray
) -> np.ndarray:
    """What Keras documents for `GRU(reset_after=False)`: gate order z, r, h; z weighs the OLD state."""
    units = h.shape[1]
    ys = []
    for t in range(x.shape[1]):
        matrix_x = x[:, t] @ kernel + bias
        inner = h @ recurrent_kernel[:, : 2 * units]
        z = _sigma(matrix_x[:, :units] + inner[:, :units])
        r = _sigma(matrix_x[:, units : 2 * units] + inner[:, units:])
        candidate = np.tanh(matrix_x[:, 2 * units :] + (r * h) @ recurrent_kernel[:, 2 * units :])
        h = z * h + (1.0 - z) * candidate
        ys.append(h)
    return np.stack(ys, axis=1)


FORMULAS: dict[str, Callable[..., tuple[np.ndarray, Arrays]]] = {
    f.__name__: f
    for f in (simple_rnn, lstm, gru, gru_reset_after, layer_norm_simple_rnn, layer_norm_lstm, layer_norm_gru)
}
"""By the name of the cell's file."""
