"""One step of a small real circuit on separate amplitudes, with its adjoint written by hand.

The same law as `instrument.py`, for speed: every amplitude of the register is a tensor of its own,
`(batch, neurons)`; matrix elements that the circuit's structure makes zero are never multiplied.
Both functions are free of autograd and change nothing but `out`.

    x = u(phi) (x) R(phi) m,   psi = V' x,   q_s = |psi_s|^2,   m' = W psi_s / sqrt(q_s)

Adjoint, with g~ the gradient with respect to g, r = 1 / sqrt(q_s) and s the measured outcome:

    psi_s~ = r W^T (m'~ - (m'~ . m') m' + 2 l~ m') + 2 p_s~ psi_s      l = log q_s

and the gradient with respect to an orthogonal matrix V = V' or W is projected on the directions in
which it can move, dV = A V with A antisymmetric: only A~_ij = (psi_i~ psi_j - psi_j~ psi_i) / 2 is
summed, over the planes (i, j), i < j, that V turns in: less than half as many as it has elements.
"""

from collections.abc import Sequence
from functools import cache, reduce
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from sqsnn.placing import bounded, smallest_probability
from sqsnn.quantum.circuit import Circuit, pattern

MAX_ELEMENTS = 64  # Beyond this many non-zero elements of V', batched matrix products win.

Amplitudes = list[Tensor]  # (batch, neurons) each
Matrix = Sequence[Sequence[Tensor]]  # elements of V' or W, (neurons,) each
Pattern = tuple[tuple[bool, ...], ...]
Planes = tuple[tuple[int, ...], ...]


class Layout(NamedTuple):
    """The structure of a circuit, the same for all its angles."""

    channels: int  # N
    dim: int  # 2**M
    body: Pattern  # which elements of V' can be non-zero
    tail: Pattern  # which elements of W can be non-zero
    body_planes: Planes  # the pairs (i, j), i < j, in whose planes V' can turn
    tail_planes: Planes  # the same of W
    turned: tuple[int, ...]  # memory qubits that the encoding rotates, as strides in their index


class Measured(NamedTuple):
    """The results of one step, written into tensors of the caller."""

    bits: Tensor  # (batch, neurons, channels)
    marginals: Tensor  # (batch, neurons, channels)
    log_likelihood: Tensor  # log q_s of the measured outcome, (batch, neurons)


class Saved(NamedTuple):
    """All that the adjoint of a step needs; it computes the rest again."""

    cosines: list[Tensor]  # cos(angle / 2) of each encoding rotation
    sines: list[Tensor]
    before: Amplitudes  # the memory
    inverse_norm: Tensor  # r
    after: Amplitudes  # the memory


class Adjoints(NamedTuple):
    """Gradients with respect to the inputs of a step, written into tensors of the caller.

    The planes, `(batch, neurons)` each, gather 2 A~_ij over the steps: to sum over the batch at
    every step would cost more than all the rest.
    """

    angles: list[Tensor]  # (batch, neurons) each
    body_planes: list[Tensor]
    tail_planes: list[Tensor]


@cache
def layout(circuit: Circuit) -> Layout | None:
    """The circuit's layout, or None if it is complex or too large to be unrolled."""
    if not circuit.is_real or 2**circuit.qubits > MAX_ELEMENTS:
        return None
    body, tail = circuit.split_memory_tail()
    elements = pattern(body, circuit.qubits)
    if elements.sum() > MAX_ELEMENTS:
        return None
    inner = pattern(tail, circuit.memory_qubits)
    planes = _planes(elements), _planes(inner)
    nested = tuple(map(tuple, elements.tolist())), tuple(map(tuple, inner.tolist()))
    on_memory = circuit.encoding[circuit.channels :]
    turned = tuple(2 ** (circuit.qubits - 1 - rotation.qubit) for rotation in on_memory)
    return Layout(circuit.channels, 2**circuit.memory_qubits, *nested, *planes, turned)


def forward(
    shape: Layout,
    body: Matrix,
    tail: Matrix | None,
    memory: Amplitudes,
    angles: list[Tensor],
    uniforms: Tensor | None,
    observed: Tensor | None,
    out: Measured,
) -> Saved:
    """One step: rotate (channels first), evolve, measure or take the observed bits, collapse."""
    channels, dim = shape.channels, shape.dim
    halves = [angle * 0.5 for angle in angles]
    cosines, sines = [half.cos() for half in halves], [half.sin() for half in halves]
    psi = _multiply(body, shape.body, _registers(shape, memory, cosines, sines)[-1])
    branches = [psi[start : start + dim] for start in range(0, len(psi), dim)]
    weights = [_dot(branch, branch) for branch in branches]

    reached = weights[-1:]  # weight of all outcomes >= s
    for weight in reversed(weights[:-1]):
        reached = [weight + reached[0], *reached]
    tiny = smallest_probability(weights[0])
    marginals = [_share(weights, n, channels, tiny) for n in range(channels)]
    if uniforms is not None:
        # For N = 1 the edge is the marginal itself: a spike iff u < p(1), to the last bit.
        edges = marginals if channels == 1 else [weight / reached[0] for weight in reached[1:]]
        above = [(uniforms < edge).to(edge.dtype) for edge in edges]
        picked = [1 - above[0], *(low - high for low, high in pairwise(above)), above[-1]]
    elif observed is not None:
        picked = [_indicator(outcome, observed.unbind(-1)) for outcome in range(len(weights))]
    else:
        raise ValueError("give uniforms, to draw outcomes, or the observed ones")

    weight = _dot(picked, weights)
    inverse_norm = weight.clamp_min(tiny).rsqrt()
    if observed is not None:
        # After an impossible event the memory is 0, and so is all that follows; never NaN.
        possible = weight >= tiny
        weight, inverse_norm = weight * possible, inverse_norm * possible
    collapsed = [_dot(picked, list(same)) * inverse_norm for same in zip(*branches, strict=True)]
    after = collapsed if tail is None else _multiply(tail, shape.tail, collapsed)
    for n in range(channels):
        out.bits[..., n].copy_(_firing(picked, n, channels))
        out.marginals[..., n].copy_(marginals[n])
    out.log_likelihood.copy_(weight.log())
    return Saved(cosines, sines, memory, inverse_norm, after)


def backward(
    shape: Layout,
    body: Matrix,
    tail: Matrix | None,
    saved: Saved,
    bits: Tensor,
    memory: Amplitudes,
    marginals: Tensor | None,
    log_likelihood: Tensor | None,
    out: Adjoints,
) -> Amplitudes:
    """The adjoint of `forward`: from gradients with respect to its results to those of its inputs.

    The gradient with respect to the memory is returned; None as a gradient stands for 0.
    """
    channels, after = shape.channels, saved.after
    radial = _dot(memory, after)
    if log_likelihood is not None:
        radial = radial - 2 * log_likelihood
    memory = [
        torch.addcmul(gradient, radial, a, value=-1)
        for gradient, a in zip(memory, after, strict=True)
    ]
    _add_turning(out.tail_planes, shape.tail_planes, memory, after)
    if tail is not None:
        memory = _multiply_transposed(tail, shape.tail, memory)
    chosen = [bounded(gradient * saved.inverse_norm) for gradient in memory]

    registers = _registers(shape, saved.before, saved.cosines, saved.sines)
    amplitudes = _multiply(body, shape.body, registers.pop())
    psi: Amplitudes = []
    for outcome in range(2**channels):
        picked = _indicator(outcome, bits.unbind(-1))
        branch = [picked * gradient for gradient in chosen]
        if marginals is not None and outcome > 0:
            fired = [m for n, m in enumerate(marginals.unbind(-1)) if _bit(outcome, n, channels)]
            firing = reduce(torch.add, fired)
            for gradient, amplitude in zip(branch, amplitudes[len(psi) :], strict=False):
                gradient.addcmul_(firing, amplitude, value=2)
        psi += branch
    _add_turning(out.body_planes, shape.body_planes, psi, amplitudes)
    x = _multiply_transposed(body, shape.body, psi)

    for channel in range(channels):
        c, s = saved.cosines[channel], saved.sines[channel]
        before, zero, one = registers.pop(), x[: len(x) // 2], x[len(x) // 2 :]
        turning = (c * _dot(one, before)).addcmul_(s, _dot(zero, before), value=-1)
        out.angles[channel].copy_(0.5 * turning)
        x = [(c * low).addcmul_(s, high) for low, high in zip(zero, one, strict=True)]
    for rotation, stride in reversed(list(enumerate(shape.turned, start=channels))):
        # The transpose; rotation and generator commute.
        x = _rotate(x, stride, saved.cosines[rotation], -saved.sines[rotation])
        out.angles[rotation].copy_(0.5 * _turning(x, registers.pop(), stride))
    return x


def _registers(
    shape: Layout, memory: Amplitudes, cosines: list[Tensor], sines: list[Tensor]
) -> list[Amplitudes]:
    """The register before and after each rotation: memory qubits, then channels, the last first."""
    registers = [memory]
    for rotation, stride in enumerate(shape.turned, start=shape.channels):
        registers.append(_rotate(registers[-1], stride, cosines[rotation], sines[rotation]))
    for channel in reversed(range(shape.channels)):
        c, s = cosines[channel], sines[channel]
        registers.append([c * a for a in registers[-1]] + [s * a for a in registers[-1]])
    return registers


def _multiply(matrix: Matrix, nonzero: Pattern, x: Amplitudes) -> Amplitudes:
    return [
        _inner([(element, a) for element, a, keep in zip(row, x, keeps, strict=True) if keep])
        for row, keeps in zip(matrix, nonzero, strict=True)
    ]


def _multiply_transposed(matrix: Matrix, nonzero: Pattern, y: Amplitudes) -> Amplitudes:
    return _multiply(list(zip(*matrix, strict=True)), tuple(zip(*nonzero, strict=True)), y)


def _add_turning(
    totals: list[Tensor], planes: Planes, gradient: Amplitudes, vector: Amplitudes
) -> None:
    for total, (i, j) in zip(totals, planes, strict=True):
        total.addcmul_(gradient[i], vector[j]).addcmul_(gradient[j], vector[i], value=-1)


def _inner(pairs: list[tuple[Tensor, Tensor]]) -> Tensor:
    first, *rest = pairs
    total = first[0] * first[1]
    for element, amplitude in rest:
        total.addcmul_(element, amplitude)
    return total


def _dot(left: Amplitudes, right: Amplitudes) -> Tensor:
    return _inner(list(zip(left, right, strict=True)))


def _rotate(x: Amplitudes, stride: int, c: Tensor, s: Tensor) -> Amplitudes:
    """RY on one memory qubit: (a0, a1) -> (c a0 - s a1, s a0 + c a1)."""
    return [
        (c * a).addcmul_(s, x[i ^ stride], value=1 if i & stride else -1) for i, a in enumerate(x)
    ]


def _turning(gradient: Amplitudes, x: Amplitudes, stride: int) -> Tensor:
    """Gradient with respect to the angle of RY on one memory qubit, before or after it."""
    ones = [i for i in range(len(x)) if i & stride]
    total = _dot([gradient[i] for i in ones], [x[i ^ stride] for i in ones])
    for i in ones:
        total.addcmul_(gradient[i ^ stride], x[i], value=-1)
    return total


def _indicator(outcome: int, bits: Sequence[Tensor]) -> Tensor:
    """1 where the bits are those of the outcome, else 0."""
    factors = [bit if _bit(outcome, n, len(bits)) else 1 - bit for n, bit in enumerate(bits)]
    return reduce(torch.mul, factors)


def _share(weights: list[Tensor], channel: int, channels: int, tiny: float) -> Tensor:
    """A channel's marginal; firing / (firing + silent) is at most 1, however the sums round."""
    firing, silent = (_firing(weights, channel, channels, fires) for fires in (1, 0))
    return firing / (silent + firing).clamp_min_(tiny)


def _firing(of_outcomes: list[Tensor], channel: int, channels: int, fires: int = 1) -> Tensor:
    """The sum over all outcomes in which a channel fires, or with `fires` = 0 does not."""
    chosen = [value for s, value in enumerate(of_outcomes) if _bit(s, channel, channels) == fires]
    return reduce(torch.add, chosen)


def _planes(elements: np.ndarray) -> Planes:
    shares_a_column = elements @ elements.T
    return tuple(map(tuple, np.argwhere(np.triu(shares_a_column, 1)).tolist()))


def _bit(outcome: int, channel: int, channels: int) -> int:
    return outcome >> (channels - 1 - channel) & 1
