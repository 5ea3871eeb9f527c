"""The learning rules once more, slow and obviously right: numbers from tests/reference.py alone.

Probabilities come from density matrices, derivatives from central differences with Richardson
extrapolation, expectations from adding up every spike sequence. Nothing here is shared with
`sqsnn`, and nothing here imports torch. The encoding's slope is the exact one: a current z <= 0
gives the angle 0, and its derivative is 0.

A shift (step, kind, index, angle) turns one gate at one step, both counted from 0, by an additional
angle. Of kind "gate", index counts the circuit's whole gate list, CZ included; of kind "encoding",
it counts the encoding's rotations in the order of their qubits, channels first.
"""

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
import reference
from numpy.typing import ArrayLike, NDArray
from reference import Gate, Neuron

Floats = NDArray[np.float64]
Shift = tuple[int, Literal["gate", "encoding"], int, float]
Shifts = Sequence[Shift]
Weights = Sequence[ArrayLike]  # one (N, H, P) per layer
Neurons = Sequence[Sequence[Neuron]]  # one per neuron of every layer

IMPOSSIBLE = 1e-15  # rounding leaves about this much of a probability that is 0


# One neuron, its spikes given


def shifted(neuron: Neuron, current: Floats, shifts: Shifts, step: int) -> Neuron:
    """The neuron of one step: currents (N,) and the shifts of that step written into its gates.

    The encoding becomes ordinary gates, so that a shift can place one where the current is <= 0.
    """
    extra: dict[str, dict[int, float]] = {"gate": {}, "encoding": {}}
    for when, kind, index, angle in shifts:
        if when == step:
            extra[kind][index] = extra[kind].get(index, 0.0) + angle
    drives = sorted(neuron.encoding, key=lambda drive: drive.qubit)
    for kind, length in (("gate", len(neuron.gates)), ("encoding", len(drives))):
        if not extra[kind].keys() <= set(range(length)):
            raise IndexError(f"{kind} shifts {extra[kind]}: there are {length}")
    gates = []
    for index, drive in enumerate(drives):
        phi = np.pi * max(float(current[drive.channel]), 0.0)
        if phi > 0 or index in extra["encoding"]:
            angle = drive.gain * phi + extra["encoding"].get(index, 0.0)
            gates.append(Gate("RX", (drive.qubit,), angle))
    for index, gate in enumerate(neuron.gates):
        if index in extra["gate"] and not gate.name.startswith(("R", "CR")):
            raise ValueError(f"gate {index}, {gate.name}, has no angle to shift")
        gates.append(gate._replace(angle=gate.angle + extra["gate"].get(index, 0.0)))
    return dataclasses.replace(neuron, encoding=(), gates=tuple(gates))


def _follow(
    neuron: Neuron, currents: Floats, spikes: Floats, shifts: Shifts, first: int = 0
) -> tuple[Floats, Floats]:
    """Marginals (T - first, N) and log p (T - first,), from memory |0..0> before step `first`."""
    memory, marginals, logs = reference.start(neuron), [], []
    for step in range(first, len(currents)):
        if logs and logs[-1] == -np.inf:
            raise ValueError(f"nothing follows the spikes of step {step - 1}: they cannot happen")
        current = currents[step]
        outcomes = reference.step(shifted(neuron, current, shifts, step), memory, current)
        law = np.einsum("sii->s", outcomes).real
        seen = reference.outcome_index(spikes[step])
        marginals.append(reference.marginals(law, neuron.channels))
        logs.append(np.log(law[seen]) if law[seen] >= IMPOSSIBLE else -np.inf)
        memory = outcomes[seen] / max(law[seen], IMPOSSIBLE)
    return np.array(marginals), np.array(logs)


def conditional(
    neuron: Neuron, currents: ArrayLike, spikes: ArrayLike, shifts: Shifts = ()
) -> tuple[Floats, Floats]:
    """Firing probabilities (T, N) given the own past, and log p(s_t | s_<t) (T,).

    `currents` and `spikes` are (T, N). Spikes that cannot happen have log-likelihood -inf at the
    last step; conditioning on them raises ValueError.
    """
    return _follow(neuron, np.asarray(currents, float), np.asarray(spikes, float), shifts)


def windowed(
    neuron: Neuron, currents: ArrayLike, spikes: ArrayLike, window: int, shifts: Shifts = ()
) -> tuple[Floats, Floats]:
    """As `conditional`, every step seen from memory |0..0> `window` - 1 steps before it.

    Only the window's spikes are conditioned on. The shifts count steps from the record's start.
    """
    if window < 1:
        raise ValueError(f"window is {window}: at least 1")
    currents, spikes = np.asarray(currents, float), np.asarray(spikes, float)
    seen = [
        _follow(neuron, currents[:end], spikes[:end], shifts, max(0, end - window))
        for end in range(1, len(currents) + 1)
    ]
    return np.array([p[-1] for p, _ in seen]), np.array([log[-1] for _, log in seen])


def joint_probability(
    name: str,
    channels: int,
    memory_qubits: int,
    angles: ArrayLike,
    gains: ArrayLike,
    currents: ArrayLike,
    spikes: ArrayLike,
    shifts: Shifts = (),
) -> float:
    """P(s_1..s_T) of a named circuit, chosen gates of chosen steps turned further.

    Shapes as for `objective`. A shifted encoding gate is placed even where the current is <= 0.
    """
    neuron = reference.named(name, channels, memory_qubits, np.asarray(angles), np.asarray(gains))
    currents, spikes = np.asarray(currents, float), np.asarray(spikes, float)
    if any(shift[0] not in range(len(spikes)) for shift in shifts):
        raise IndexError(f"{shifts}: there are {len(spikes)} steps")
    memory = reference.start(neuron)  # unnormalised: the trace is the probability so far
    for step, (current, spike) in enumerate(zip(currents, spikes, strict=True)):
        outcomes = reference.step(shifted(neuron, current, shifts, step), memory, current)
        memory = outcomes[reference.outcome_index(spike)]
    return float(np.trace(memory).real)


# Derivatives


def derivative(function: Callable[[float], float], scale: float = 1.0) -> float:
    """f'(0) from central differences at scale/64 .. scale/512, Richardson's extrapolation.

    Right to 1e-9 (1 + |f'|): the last two orders have to agree that well, or the steps shrink 4 and
    16 times, or ArithmeticError is raised, as at most kinks.
    """
    for finest in (9, 11, 13):
        steps = scale * 2.0 ** np.arange(3 - finest, -finest - 1, -1)
        before, column = [], [(function(h) - function(-h)) / (2 * h) for h in steps]
        for factor in (4, 16, 64):
            before = column
            column = [(factor * b - a) / (factor - 1) for a, b in itertools.pairwise(column)]
        if abs(column[0] - before[-1]) <= 1e-9 * (1 + abs(column[0])):
            return float(column[0])
    raise ArithmeticError("the derivative does not settle")


def _derivatives(function: Callable[[Floats], float], at: Floats, scale: float = 1.0) -> Floats:
    """df/dx_k, (K,), at a point (K,)."""
    unit = np.eye(len(at))
    return np.array([derivative(lambda h, e=e: function(at + h * e), scale) for e in unit])


def objective(
    name: str,
    channels: int,
    memory_qubits: int,
    angles: ArrayLike,
    gains: ArrayLike,
    currents: ArrayLike,
    spikes: ArrayLike,
    on_probability: ArrayLike,
    on_likelihood: ArrayLike,
    window: int | None = None,
    shifts: Shifts = (),
) -> float:
    """sum_t on_probability[t] . marginals[t] + on_likelihood[t] log_likelihood[t].

    `angles` (K,), `gains` (G,) with G = N + M for integrate_and_fire and 0 otherwise, `currents`,
    `spikes` and `on_probability` (T, N), `on_likelihood` (T,); `window` None conditions on the
    whole past. A step whose `on_likelihood` is 0 may have spikes that cannot happen.
    """
    neuron = reference.named(name, channels, memory_qubits, np.asarray(angles), np.asarray(gains))
    if window is None:
        marginals, logs = conditional(neuron, currents, spikes, shifts)
    else:
        marginals, logs = windowed(neuron, currents, spikes, window, shifts)
    weight = np.asarray(on_likelihood, float)
    on_logs = weight[weight != 0] @ logs[weight != 0]  # 0 times -inf is to be 0
    return float(np.sum(np.asarray(on_probability) * marginals) + on_logs)


def gradient(
    name: str,
    channels: int,
    memory_qubits: int,
    angles: ArrayLike,
    gains: ArrayLike,
    currents: ArrayLike,
    spikes: ArrayLike,
    on_probability: ArrayLike,
    on_likelihood: ArrayLike,
    window: int | None = None,
) -> tuple[Floats, Floats, Floats]:
    """The objective's derivatives: to the angles (K,), gains (G,) and currents (T, N).

    Each is right to 1e-9 (1 + its size). A current is moved by turning its encoding gates, which
    never meets the kink at 0; where it is <= 0 its derivative is 0.
    """
    angles, gains, currents = (np.asarray(x, float) for x in (angles, gains, currents))

    def value(angles: Floats, gains: Floats, shifts: Shifts = ()) -> float:
        scored = (currents, spikes, on_probability, on_likelihood, window, shifts)
        return objective(name, channels, memory_qubits, angles, gains, *scored)

    encoding = reference.named(name, channels, memory_qubits, angles, gains).encoding
    drives = sorted(encoding, key=lambda drive: drive.qubit)
    by_current = np.zeros_like(currents)
    for step, channel in np.argwhere(currents > 0):

        def turned(phi: float, step: int = int(step), channel: int = int(channel)) -> float:
            driven = [(i, drive.gain) for i, drive in enumerate(drives) if drive.channel == channel]
            return value(angles, gains, [(step, "encoding", i, gain * phi) for i, gain in driven])

        by_current[step, channel] = np.pi * derivative(turned)
    largest = np.pi * max(1.0, float(currents.max()))  # a gain moves its angle by that much
    return (
        _derivatives(lambda moved: value(moved, gains), angles),
        _derivatives(lambda moved: value(angles, moved), gains, 1 / largest),
        by_current,
    )


# A whole network


class History(NamedTuple):
    """One spike sequence of one neuron: spikes (T, N), its probability, marginals (T, N)."""

    spikes: Floats
    probability: float
    marginals: Floats


def histories(neuron: Neuron, currents: Floats) -> list[History]:
    """Every possible spike sequence under currents (T, N); marginals are given the own past."""
    found = [(reference.start(neuron), [], [])]  # unnormalised memory, spikes, marginals
    for current in currents:
        grown = []
        for memory, spikes, marginals in found:
            outcomes = reference.step(neuron, memory, current.tolist())
            weights = np.einsum("sii->s", outcomes).real
            p = reference.marginals(weights / np.trace(memory).real, neuron.channels)
            for s in np.flatnonzero(weights > IMPOSSIBLE):
                bits = reference.outcome_bits(s, neuron.channels)
                grown.append((outcomes[s], [*spikes, bits], [*marginals, p]))
        found = grown
    return [
        History(np.array(spikes, float), float(np.trace(memory).real), np.array(marginals))
        for memory, spikes, marginals in found
    ]


def synapse(weight: ArrayLike, spikes: Floats) -> Floats:
    """Currents (T, H, N) from weights (N, H, P) and spikes (T, P, N), or (T, P, 1) for all N."""
    weight = np.asarray(weight, float)
    fed = np.broadcast_to(spikes, (*spikes.shape[:2], len(weight)))
    return np.einsum("nhp,tpn->thn", weight, fed)


def expected_loss(weights: Weights, neurons: Neurons, inputs: ArrayLike, label: int) -> float:
    """E[cross-entropy] in nats of a feed-forward network, over all spikes of all its neurons.

    `weights`, one (N, H, P) per layer; `neurons`, one per neuron of every layer; `inputs` (T, P, 1)
    or (T, P, N). The logits are the output probabilities given the own past and the inputs, summed
    over steps and channels. A layer sees the spikes of the same step.
    """

    def after(layer: int, spikes: Floats) -> float:  # what layer receives, (T, P, N)
        currents = synapse(weights[layer], spikes)  # (T, H, N)
        each = [histories(neuron, currents[:, h]) for h, neuron in enumerate(neurons[layer])]
        total = 0.0
        for chosen in itertools.product(*each):  # independent, given what the layer receives
            if layer + 1 < len(neurons):
                loss = after(layer + 1, np.stack([history.spikes for history in chosen], 1))
            else:
                logits = np.array([history.marginals.sum() for history in chosen])
                loss = float(np.logaddexp.reduce(logits) - logits[label])
            total += loss * float(np.prod([history.probability for history in chosen]))
        return total

    return after(0, np.asarray(inputs, float))


def expected_loss_gradient(
    build: Callable[[Floats], tuple[Weights, Neurons]],
    parameters: ArrayLike,
    inputs: ArrayLike,
    label: int,
) -> Floats:
    """dE[loss]/d(parameters), (K,), to 1e-9; `build`: parameters (K,) -> (weights, neurons).

    Parameters move by 1/192 at most. No current may pass 0 on the way: ArithmeticError, mostly.
    """
    at = np.asarray(parameters, float)
    return _derivatives(lambda moved: expected_loss(*build(moved), inputs, label), at, 1 / 3)
