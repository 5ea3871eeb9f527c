"""One step of a small real circuit on separate amplitudes, with its adjoint written by hand.

The same law as `instrument.py`, for speed: every amplitude of the register is a tensor of its own,
`(batch, neurons)`; matrix elements that the circuit's structure makes zero are never multiplied.
Both functions are pure and free of autograd, so that torch.compile fuses each into few loops.

    x = u(phi) (x) R(phi) m,   psi = V' x,   q_s = |psi_s|^2,   m' = W psi_s / sqrt(q_s)

The adjoint of the collapse, for the measured s and with r = 1 / sqrt(q_s), y = psi_s r:
    psi_s~ = r (y~ - (y~ . y) y + 2 l~ y) + 2 p_s~ psi_s,   l = log q_s, p_s~ by the marginals.
"""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from sqsnn.quantum.circuit import Circuit, pattern

MAX_ELEMENTS = 64  # Beyond this many non-zero elements of V', batched matrix products win.

Amplitudes = list[Tensor]
Matrix = Sequence[Sequence[Tensor]]


class Layout(NamedTuple):
    """What is known of a circuit before any number is.

    channels: N.
    dim: 2**M.
    body, tail: Which elements of V' and W can be non-zero; tail is None without W.
    turned: The memory qubits that the encoding rotates, as strides in the memory index.
    """

    channels: int
    dim: int
    body: tuple[tuple[bool, ...], ...]
    tail: tuple[tuple[bool, ...], ...] | None
    turned: tuple[int, ...]


class Saved(NamedTuple):
    """What one step leaves for its adjoint."""

    cosines: list[Tensor]  # cos(angle / 2) of each encoding rotation
    sines: list[Tensor]
    memory: Amplitudes  # before the step
    psi: Amplitudes  # all branches, 2**N * 2**M
    reached: list[Tensor]  # for s = 1.., 1 where the outcome is >= s, else 0
    collapsed: Amplitudes  # y = psi_s / sqrt(q_s), before W
    inverse_norm: Tensor  # r


class Measured(NamedTuple):
    """What one step yields."""

    bits: list[Tensor]  # a channel each
    marginals: list[Tensor]  # a channel each
    log_likelihood: Tensor  # log q_s of the measured outcome
    memory: Amplitudes


class Adjoints(NamedTuple):
    """Gradients with respect to what went into a step."""

    memory: Amplitudes
    angles: list[Tensor]
    body: list[Tensor]  # one `(neurons,)` a non-zero element, row by row
    tail: list[Tensor]


@cache
def layout(circuit: Circuit) -> Layout | None:
    """The circuit's layout, or None if it is complex or too large to be unrolled."""
    if not circuit.is_real or 2**circuit.qubits > MAX_ELEMENTS:
        return None
    body, tail = circuit.split_memory_tail()
    elements = pattern(body, circuit.qubits)
    if elements.sum() > MAX_ELEMENTS:
        return None
    turned = tuple(
        2 ** (circuit.qubits - 1 - rotation.qubit)
        for rotation in circuit.encoding
        if rotation.qubit >= circuit.channels
    )
    return Layout(
        circuit.channels,
        2**circuit.memory_qubits,
        _nested(elements),
        _nested(pattern(tail, circuit.memory_qubits)) if tail else None,
        turned,
    )


def forward(
    shape: Layout,
    body: Matrix,
    tail: Matrix | None,
    memory: Amplitudes,
    angles: list[Tensor],
    uniforms: Tensor | None,
    observed: list[Tensor] | None,
) -> tuple[Measured, Saved]:
    """One step: rotate, evolve, measure (or take the observed bits), collapse.

    Args:
        shape: The circuit's layout.
        body: Elements of V', each `(neurons,)`.
        tail: Elements of W, or None.
        memory: 2**M amplitudes in the real frame, each `(batch, neurons)`.
        angles: One tensor `(batch, neurons)` a rotation: channels first, then memory qubits.
        uniforms: `(batch, neurons)`, or None where `observed` is given.
        observed: The bits of each channel, `(batch, neurons)`, or None.
    """
    channels, dim = shape.channels, shape.dim
    halves = [angle * 0.5 for angle in angles]
    cosines, sines = [half.cos() for half in halves], [half.sin() for half in halves]
    x = memory
    for rotation, stride in enumerate(shape.turned, start=channels):
        x = _rotate(x, stride, cosines[rotation], sines[rotation])
    for c, s in zip(reversed(cosines[:channels]), reversed(sines[:channels]), strict=True):
        x = [c * a for a in x] + [s * a for a in x]
    psi = _multiply(body, shape.body, x)
    branches = [psi[start : start + dim] for start in range(0, len(psi), dim)]
    weights = [_dot(branch, branch) for branch in branches]

    totals = weights[-1:]  # sums from the highest outcome downward
    for weight in reversed(weights[:-1]):
        totals = [weight + totals[0], *totals]
    marginals = [
        _sum([w for s, w in enumerate(weights) if _bit(s, n, channels)]) / totals[0]
        for n in range(channels)
    ]
    if observed is None:
        # For N = 1 the edge is the marginal itself: a spike iff u < p(1), to the last bit.
        edges = marginals if channels == 1 else [total / totals[0] for total in totals[1:]]
        conditions = [uniforms < edge for edge in edges]
    else:
        index = _sum([bit * 2 ** (channels - 1 - n) for n, bit in enumerate(observed)])
        conditions = [index >= s for s in range(1, len(weights))]
    chosen, weight = branches[0], weights[0]
    for s, condition in enumerate(conditions, start=1):
        chosen = [
            torch.where(condition, new, old) for new, old in zip(branches[s], chosen, strict=True)
        ]
        weight = torch.where(condition, weights[s], weight)
    reached = [condition.to(weight.dtype) for condition in conditions]

    # An observed event of probability 0 leaves the memory at 0, and never NaN.
    inverse_norm = weight.clamp_min(torch.finfo(weight.dtype).tiny).rsqrt()
    collapsed = [inverse_norm * amplitude for amplitude in chosen]
    after = collapsed if tail is None else _multiply(tail, shape.tail, collapsed)
    measured = Measured(_bits(reached, channels), marginals, weight.log(), after)
    return measured, Saved(cosines, sines, memory, psi, reached, collapsed, inverse_norm)


def backward(
    shape: Layout,
    body: Matrix,
    tail: Matrix | None,
    saved: Saved,
    memory: Amplitudes,
    marginals: list[Tensor] | None,
    log_likelihood: Tensor | None,
) -> Adjoints:
    """The adjoint of `forward`, given the gradients with respect to what it measured.

    Args:
        shape: The circuit's layout.
        body: Elements of V'.
        tail: Elements of W, or None.
        saved: From `forward`.
        memory: Gradient with respect to the memory after the step.
        marginals: Gradient with respect to each channel's marginal, or None.
        log_likelihood: Gradient with respect to the log-likelihood of the outcome, or None.
    """
    channels, dim, y = shape.channels, shape.dim, saved.collapsed
    tail_gradient: list[Tensor] = []
    if tail is not None:
        tail_gradient = _outer(memory, y, shape.tail)
        memory = _multiply_transposed(tail, shape.tail, memory)

    radial = _dot(memory, y)
    if log_likelihood is not None:
        radial = radial - 2 * log_likelihood
    chosen = [
        torch.addcmul(gradient, radial, a, value=-1) * saved.inverse_norm
        for gradient, a in zip(memory, y, strict=True)
    ]
    psi = _branch_gradients(chosen, saved, marginals, channels)

    registers = [saved.memory]  # the register after each encoding rotation, memory qubits first
    for rotation, stride in enumerate(shape.turned, start=channels):
        c, s = saved.cosines[rotation], saved.sines[rotation]
        registers.append(_rotate(registers[-1], stride, c, s))
    for channel in reversed(range(channels)):
        c, s = saved.cosines[channel], saved.sines[channel]
        registers.append([c * a for a in registers[-1]] + [s * a for a in registers[-1]])
    body_gradient = _outer(psi, registers.pop(), shape.body)
    x = _multiply_transposed(body, shape.body, psi)

    angles: list[Tensor] = []
    for channel in range(channels):
        c, s = saved.cosines[channel], saved.sines[channel]
        before, zero, one = registers.pop(), x[: len(x) // 2], x[len(x) // 2 :]
        angles.append(0.5 * torch.addcmul(c * _dot(one, before), s, _dot(zero, before), value=-1))
        x = [torch.addcmul(c * low, s, high) for low, high in zip(zero, one, strict=True)]
    turned: list[Tensor] = []
    for position in reversed(range(len(shape.turned))):
        stride = shape.turned[position]
        c, s = saved.cosines[channels + position], saved.sines[channels + position]
        x = _rotate(x, stride, c, -s)  # the transpose; generator and rotation commute
        turned.append(0.5 * _generator(x, registers.pop(), stride))
    return Adjoints(x, angles + turned[::-1], body_gradient, tail_gradient)


def _branch_gradients(
    chosen: Amplitudes, saved: Saved, marginals: list[Tensor] | None, channels: int
) -> Amplitudes:
    """Gradients of all branches: through the collapse for the measured one, through the marginals
    for each in which some channel fires."""
    dim = len(chosen)
    parts = [chosen] + [[r * gradient for gradient in chosen] for r in saved.reached]
    psi: Amplitudes = []
    for s, part in enumerate(parts):
        if s + 1 < len(parts):
            part = [low - high for low, high in zip(part, parts[s + 1], strict=True)]
        if marginals is not None and s > 0:
            firing = _sum([g for n, g in enumerate(marginals) if _bit(s, n, channels)])
            amplitudes = saved.psi[s * dim : (s + 1) * dim]
            part = [
                torch.addcmul(g, firing, a, value=2) for g, a in zip(part, amplitudes, strict=True)
            ]
        psi += part
    return psi


def _multiply(matrix: Matrix, nonzero: tuple[tuple[bool, ...], ...], x: Amplitudes) -> Amplitudes:
    return [
        _inner([(element, a) for element, a, keep in zip(row, x, keeps, strict=True) if keep])
        for row, keeps in zip(matrix, nonzero, strict=True)
    ]


def _multiply_transposed(
    matrix: Matrix, nonzero: tuple[tuple[bool, ...], ...], y: Amplitudes
) -> Amplitudes:
    return _multiply(list(zip(*matrix, strict=True)), tuple(zip(*nonzero, strict=True)), y)


def _outer(rows: Amplitudes, columns: Amplitudes, nonzero: tuple[tuple[bool, ...], ...]) -> list:
    """Sums over the batch of row * column for each non-zero element."""
    return [
        (row * column).sum(0)
        for row, keeps in zip(rows, nonzero, strict=True)
        for column, keep in zip(columns, keeps, strict=True)
        if keep
    ]


def _inner(pairs: list[tuple[Tensor, Tensor]]) -> Tensor:
    first, *rest = pairs
    total = first[0] * first[1]
    for element, amplitude in rest:
        total = torch.addcmul(total, element, amplitude)
    return total


def _dot(left: Amplitudes, right: Amplitudes) -> Tensor:
    return _inner(list(zip(left, right, strict=True)))


def _rotate(x: Amplitudes, stride: int, c: Tensor, s: Tensor) -> Amplitudes:
    """RY on one memory qubit: (a0, a1) -> (c a0 - s a1, s a0 + c a1)."""
    return [
        torch.addcmul(c * a, s, x[i ^ stride], value=1 if i & stride else -1)
        for i, a in enumerate(x)
    ]


def _generator(gradient: Amplitudes, x: Amplitudes, stride: int) -> Tensor:
    """gradient . G x with G = [[0, -1], [1, 0]] on one memory qubit."""
    terms = [(g, x[i ^ stride] if i & stride else -x[i ^ stride]) for i, g in enumerate(gradient)]
    return _inner(terms)


def _bits(reached: list[Tensor], channels: int) -> list[Tensor]:
    """Bit n is 1 between each odd and even multiple of 2**(N-1-n) that the outcome has reached."""
    bits = []
    for n in range(channels):
        step = 2 ** (channels - 1 - n)
        edges = [reached[s - 1] for s in range(step, 2**channels, step)]
        total = edges[0]
        for sign, edge in enumerate(edges[1:]):
            total = total + edge if sign % 2 else total - edge
        bits.append(total)
    return bits


def _bit(outcome: int, channel: int, channels: int) -> int:
    return outcome >> (channels - 1 - channel) & 1


def _sum(tensors: list[Tensor]) -> Tensor:
    total = tensors[0]
    for tensor in tensors[1:]:
        total = total + tensor
    return total


def _nested(elements: np.ndarray) -> tuple[tuple[bool, ...], ...]:
    return tuple(tuple(bool(element) for element in row) for row in elements)
