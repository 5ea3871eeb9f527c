"""Quantum neurons in PennyLane, and its quantum functions as their circuits (extra `pennylane`).

law = sqsnn.interop.pennylane.to_pennylane(neurons);   law(currents)[0].log().backward()

A neuron's T steps are gates, measurements with reset in the middle of the circuit, and, where own
spikes reset a leaky drive, rotations under conditions: channel n turns at step t by one of 2^k
angles, chosen by its last k spikes. The angles come from the drive that the simulator runs, gates
from the circuit's list; R_P(a) = exp(-i a P/2) on both sides, and wire q is qubit q of
`quantum/circuit.py`.

Source: Bergholm et al., PennyLane, arXiv:1811.04968.
"""

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import reduce
from operator import and_, index
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

try:
    import pennylane
except ImportError as error:
    raise ImportError(
        "sqsnn.interop.pennylane needs pennylane: pip install 'sqsnn[pennylane]'"
    ) from error

from sqsnn.checks import check_positive_int, check_same_device, check_shape
from sqsnn.neurons import SQSNeurons
from sqsnn.neurons.drive import Leaky
from sqsnn.neurons.population import Population
from sqsnn.quantum.circuit import Circuit
from sqsnn.quantum.instrument import MAX_SEQUENCE_BITS, outcome_bits
from sqsnn.quantum.placements import Encoded, Normal

qml: Any = pennylane  # whose types know no tensors of torch

# A limit: up to 2^5 angles per rotation and step, each under a condition of its own.
MAX_REMEMBERED = 5

# PennyLane's names of our gates.
_GATES = {name: name for name in ("RX", "RY", "RZ", "CRX", "CRY", "CRZ", "CZ")} | {
    "RXX": "IsingXX",
    "RYY": "IsingYY",
    "RZZ": "IsingZZ",
    "CX": "CNOT",
    "H": "Hadamard",
}
# The parameter-shift rule of RX, which holds under a condition on measured bits; of its own accord
# PennyLane would take finite differences there, which shots drown.
_SHIFT_RULE = [[[0.5, 1, math.pi / 2], [-0.5, 1, -math.pi / 2]]]


def to_pennylane(
    neurons: Population, *, neuron: int = 0, device: Any = None, **options: Any
) -> Any:
    """Make a QNode of a neuron: currents in, the joint law of all its spikes out.

    The QNode takes currents `(T, N)` and gives what `sequence_probabilities` does, `(2**(N T),)`
    with step 1 as the most significant digit: to rounding the same law and the same gradients, by
    backpropagation and by parameter shifts. It reads the neuron's parameters at every call;
    `angles`, `gains`, `beta`, `reset` and `bias` by name replace them, each the row of one neuron.

    Example:
        >>> generator = torch.Generator().manual_seed(0)
        >>> neurons = SQSNeurons(3, generator=generator, dtype=torch.float64)
        >>> law = to_pennylane(neurons, neuron=2)
        >>> probabilities = law(torch.full((4, 1), 0.5, dtype=torch.float64))
        >>> probabilities.shape, round(probabilities.sum().item(), 9)
        (torch.Size([16]), 1.0)

    Args:
        neurons: Quantum neurons without noise.
        neuron: Which of them.
        device: A device of PennyLane; None makes a `default.qubit`.
        **options: Of `qml.QNode`, such as diff_method, mcm_method and shots.

    Raises:
        TypeError: If these are other neurons.
        ValueError: If they have noise; from the QNode, if an argument does not fit, or the law has
            too many sequences or conditions.
    """
    neurons = _checked(neurons, neuron)

    def law(currents: Tensor, **parameters: Any) -> Any:
        bits = len(currents) * neurons.channels
        if bits > MAX_SEQUENCE_BITS:
            raise ValueError(
                f"currents have {len(currents)} steps of {neurons.channels} channels, 2**{bits} "
                f"spike sequences; the law is built up to steps * channels = {MAX_SEQUENCE_BITS}"
            )
        spikes = apply_neuron(neurons, currents, neuron=neuron, **parameters)
        return qml.probs(op=[spike for step in spikes for spike in step])

    device = qml.device("default.qubit") if device is None else device
    return qml.QNode(law, device, interface="torch", **options)


def apply_neuron(
    neurons: Population,
    currents: Tensor,
    *,
    neuron: int = 0,
    wires: Sequence[Any] | None = None,
    **parameters: Tensor,
) -> list[list[Any]]:
    """Place T steps of a neuron in a quantum function; give its spikes as measurement values.

    For QNodes of your own: `qml.sample(op=...)` draws the spikes, observables on the memory's
    wires see it after the last step.

    Args:
        neurons: Quantum neurons without noise.
        currents: Currents of this neuron, `(T, N)`.
        neuron: Which of them.
        wires: N + M wires, the channels first; None for 0, 1, and so on.
        **parameters: Rows that replace the neuron's own: angles, gains, beta, reset, bias.

    Returns:
        T rows of N measurement values.

    Raises:
        TypeError: If these are other neurons.
        ValueError: If they have noise, an argument does not fit, or the membrane remembers more
            spikes than conditions are built for.
    """
    neurons = _checked(neurons, neuron)
    circuit = neurons.circuit
    wires = range(circuit.qubits) if wires is None else wires
    if len(wires) != circuit.qubits:
        raise ValueError(f"wires are {list(wires)}; the neuron has {circuit.qubits} qubits")
    own = _parameters(neurons, neuron, parameters)
    _check_currents(neurons, currents)
    kept = _remembered(neurons, len(currents))
    turns = _turns(neurons, currents, own, kept)
    measured: list[list[Any]] = []
    for t in range(len(currents)):
        past = measured[max(t - kept, 0) :]
        for e, rotation in enumerate(circuit.encoding):
            if rotation.is_gate:
                bits = [row[rotation.channel] for row in past]
                _encode(turns[t, :, e], bits, t, kept, wires[rotation.qubit])
        for gate in circuit.gates:
            angle = own["angles"][gate.parameter] if gate.parameter is not None else gate.angle
            placed = getattr(qml, _GATES[gate.name])
            placed(*(() if angle is None else (angle,)), wires=[wires[q] for q in gate.qubits])
        measured.append([qml.measure(wires[n], reset=True) for n in range(circuit.channels)])
    return measured


def from_pennylane(
    function: Callable[..., Any],
    *arguments: Any,
    channels: int = 1,
    memory_qubits: int = 1,
    encoding: Sequence[Encoded] | None = None,
    name: str = "custom",
) -> Circuit:
    """Read V(theta) from a quantum function, such as a template; wire q is qubit q.

    An angle that requires a gradient becomes a parameter of its own, which starts at its value;
    other angles are fixed. Gates that circuits do not have are decomposed; a global phase is left
    out.

    Example:
        >>> weights = torch.full((1, 2, 3), 0.3, requires_grad=True)
        >>> circuit = from_pennylane(qml.StronglyEntanglingLayers, weights, range(2))
        >>> circuit.parameters, circuit.gate_counts()
        (6, {'RZ': 4, 'RY': 2, 'CX': 2, 'RX': 1})

    Args:
        function: The quantum function, without measurements; the neuron adds its own.
        *arguments: What it is called with.
        channels: N, 1..8; N + M may be up to 10.
        memory_qubits: M, 0..6.
        encoding: Which qubits the currents rotate, as in `Circuit.build`.
        name: What to call the circuit.

    Raises:
        ValueError: If an operation does not decompose into gates of circuits, or a wire or number
            of qubits does not fit.
    """
    ours = {theirs: gate for gate, theirs in _GATES.items()}
    tape = qml.tape.make_qscript(function)(*arguments)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of what is refused below
        (tape,), _ = qml.transforms.decompose(tape, gate_set={*ours, "GlobalPhase"})
    if tape.measurements:
        raise ValueError(
            f"the quantum function measures ({tape.measurements[0]}); the neuron measures its "
            "channels itself: leave that out"
        )
    placements = []
    for operation in tape.operations:
        if operation.name == "GlobalPhase":
            continue
        try:
            qubits = tuple(map(index, operation.wires))
        except TypeError as error:
            raise ValueError(
                f"{operation.name} is on wires {operation.wires.tolist()}; wires must be the "
                f"numbers of qubits, 0..{channels + memory_qubits - 1}"
            ) from error
        if operation.name not in ours:
            raise ValueError(
                f"the quantum function holds {operation.name}; a circuit may hold "
                f"{', '.join(ours)}, and what decomposes into these (the neuron itself measures)"
            )
        angles = [
            Normal(float(qml.math.detach(angle))) if qml.math.requires_grad(angle) else float(angle)
            for angle in operation.data
        ]
        placements.append((ours[operation.name], qubits, *angles))
    return replace(Circuit.build(channels, memory_qubits, placements, encoding), name=name)


def _checked(neurons: Population, neuron: int) -> SQSNeurons:
    """Refuse what is no quantum neuron without noise."""
    if not isinstance(neurons, SQSNeurons):
        raise TypeError(
            f"neurons is a {type(neurons).__name__}; it must be SQSNeurons, such as "
            "network.populations['output']"
        )
    if neurons.noise is not None:
        raise ValueError(
            "neurons have noise, which is not converted; give those with noise=None and add "
            "PennyLane's own channels or device"
        )
    check_positive_int("neuron", neuron, low=0, high=neurons.size - 1)
    return neurons


def _check_currents(neurons: SQSNeurons, currents: Tensor) -> None:
    """Refuse currents other than those of one neuron and one sample, `(T, N)`."""
    check_shape("currents", currents, ("steps", neurons.channels))
    if not len(currents):
        raise ValueError("currents has 0 steps; it needs at least 1")
    steps, channels = currents.shape
    neurons.check_currents(currents[:, None].expand(steps, neurons.size, channels), "steps")


def _parameters(neurons: SQSNeurons, neuron: int, given: dict[str, Tensor]) -> dict[str, Tensor]:
    """The rows of one neuron's parameters, given or its own."""
    neurons.check_parameters()
    names = ["angles", "gains"]
    if isinstance(neurons.drive, Leaky):
        names += ["beta", "reset", "bias"]
    own = {name: getattr(neurons, name)[neuron] for name in names}
    for name, values in given.items():
        if name not in own:
            raise ValueError(f"{name} is no parameter of these neurons, which have {names}")
        check_shape(name, values, own[name].shape)
        check_same_device(**{name: values}, parameters=own[name])
        if values.dtype != own[name].dtype:
            raise ValueError(
                f"{name} has dtype {values.dtype}; the neurons' have {own[name].dtype}"
            )
    return own | given


def _remembered(neurons: SQSNeurons, steps: int) -> int:
    """How many of a channel's last spikes choose its angle, at most."""
    if not isinstance(neurons.drive, Leaky):
        return 0
    reset_steps = neurons.drive.reset_steps
    if reset_steps is None and steps > MAX_REMEMBERED + 1:
        raise ValueError(
            f"currents have {steps} steps, and the membrane remembers all own spikes: conditions "
            f"on them go up to {MAX_REMEMBERED + 1} steps; Leaky(reset_steps=3) has no such limit"
        )
    return min(steps - 1, steps if reset_steps is None else reset_steps)


class _Drive(nn.Module):
    """From currents and spikes to the angles of every rotation, by the neurons' own code."""

    def __init__(self, like: SQSNeurons) -> None:
        super().__init__()
        self.neurons = SQSNeurons(
            1,
            channels=like.channels,
            memory_qubits=like.memory_qubits,
            circuit=like.circuit,
            drive=like.drive,
            encoding_slope=like.encoding_slope,
            generator=torch.Generator(),
            dtype=like.angles.dtype,
            device=like.angles.device,
        )

    def forward(self, currents: Tensor, spikes: Tensor) -> Tensor:
        control = self.neurons.controller(currents, observed=spikes)
        state, angles = control.start, []
        for t, fired in enumerate(spikes):
            turns, state = control.turns(t, state)
            state = control.settle(state, fired, None)
            angles.append(torch.stack(list(turns.angles), dim=-1).squeeze(1))
        return torch.stack(angles)  # (T, histories, rotations)


def _turns(
    neurons: SQSNeurons, currents: Float[Tensor, "T N"], own: dict[str, Tensor], kept: int
) -> Float[Tensor, "T histories rotations"]:
    """The angle of each rotation at every step, for all that a channel may have fired before.

    Bit k of a history stands for the spikes of all steps t with t mod `kept` = k, so that every
    pattern of the last `kept` spikes is in it at every step.
    """
    table = outcome_bits(kept, currents.device).to(currents.dtype)  # (2**kept, kept)
    steps, histories, channels = len(currents), len(table), neurons.channels
    fired = [table[:, t % kept] if kept else table.new_zeros(1) for t in range(steps)]
    shape = (steps, histories, 1, channels)
    spikes = torch.stack(fired)[..., None, None].expand(shape)
    values = {f"neurons.{name}": row[None] for name, row in own.items() if row.numel()}
    given = currents[:, None, None].expand(shape), spikes
    return torch.func.functional_call(_Drive(neurons), values, given)


def _encode(
    turns: Float[Tensor, "histories"], bits: Sequence[Any], t: int, kept: int, wire: Any
) -> None:
    """Place one rotation of step t, by an angle that the channel's last spikes choose."""
    if not bits:
        qml.RX(turns[0], wires=wire)
        return
    places = [(t - len(bits) + place) % kept for place in range(len(bits))]
    for history in outcome_bits(len(bits), turns.device).tolist():
        agree = [bit if value else ~bit for bit, value in zip(bits, history, strict=True)]
        column = sum(value << (kept - 1 - k) for k, value in zip(places, history, strict=True))
        with qml.QueuingManager.stop_recording():
            rotation = qml.RX(turns[column], wires=wire)
        qml.ops.Conditional(reduce(and_, agree), rotation).grad_recipe = _SHIFT_RULE
