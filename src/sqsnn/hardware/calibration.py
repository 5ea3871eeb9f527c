"""From the error rates that a device reports to the rates of a `Noise`.

The rates mean what Aer documents for `NoiseModel.from_backend`, written again here:

- A gate's reported error is 1 - F, F the average fidelity of all that happens to its qubits: first
  depolarising on them together, as strong as it takes, then the relaxation (T1, T2) of each for the
  gate's duration. Where relaxation alone is worse than reported there is no depolarising.
- A delay relaxes its qubit.
- A measurement has reported assignment errors and nothing else: they contain the effect of its
  duration already. Other qubits meanwhile have delays, which a scheduled circuit holds.
- A reset is perfect: relaxing from |0> changes nothing.

Of a current IBM target both assignment errors are one number, the mean of the two.
"""

# Qiskit's classes that are written in Rust look like variables to a type checker.
# pyright: reportInvalidTypeForm=false

import math
from collections.abc import Iterable
from itertools import pairwise
from statistics import median
from typing import NamedTuple

import numpy as np
from qiskit import QuantumCircuit, transpile
from qiskit.circuit import Gate
from qiskit.providers import QubitProperties
from qiskit.transpiler import InstructionProperties, Target

from sqsnn.errors import HardwareError
from sqsnn.hardware.circuits import neuron_circuit
from sqsnn.hardware.devices import bare_target, instructions, mid_circuit
from sqsnn.quantum.circuit import Circuit
from sqsnn.quantum.noise import Noise, damping_rates

# Steps of the circuit whose gates are counted: the longer, the less its start and end weigh.
_STEPS = 4

_SUCH_AS = "; noise is taken from a device that reports errors and durations, e.g. fake_boston"


def effective_noise(target: Target, circuit: Circuit) -> Noise:
    """Find the rates per gate of a neuron that stand for a typical place on a device.

    A few steps of the neuron are compiled for a line of qubits that all have the device's median
    T1, T2, errors and durations. The noise of their native gates is shared out evenly among the
    neuron's gates: two-qubit errors to its two-qubit gates, one-qubit errors to all; and the rest
    of a step's duration is the time in which a memory qubit idles. A device also places rotations
    whose current is 0 or below, which a `Noise` counts as no gate: there it is a little too low.

    Args:
        target: The device's target.
        circuit: The neuron's circuit.

    Raises:
        HardwareError: If the device reports no errors or durations.
    """
    typical = typical_target(target, circuit.qubits)
    neuron = neuron_circuit(circuit, steps=_STEPS, per_occurrence=True)
    compiled = transpile(
        neuron, target=typical, optimization_level=1, scheduling_method="alap", seed_transpiler=0
    )
    placed = circuit.placed_qubits
    pairs = sum(len(qubits) == 2 for qubits in placed)
    on_one = _shared(compiled, typical, 1, _STEPS * sum(map(len, placed)))
    on_two = _shared(compiled, typical, 2, _STEPS * pairs)

    times = {1: on_one.time, 2: on_one.time + on_two.time}
    # T - 1 resets stand in the circuit.
    reset = _properties(typical, "reset", (0,)).duration
    step = (compiled.estimate_duration(typical) + reset) / _STEPS
    memory = range(circuit.channels, circuit.qubits)
    busy = sum(times[len(qubits)] for qubits in placed for qubit in qubits if qubit in memory)
    times[0] = max(step - busy / len(memory), 0.0) if memory else 0.0
    damping = {
        kind: damping_rates(time, *relaxation_times(typical, 0)) for kind, time in times.items()
    }
    assignment = assignment_errors(typical, "measure", 0)
    # 1 - 3/4 p is the process fidelity of p on one qubit, 1 - 15/16 p' that of p' on two.
    beside = 1 - 0.8 * on_one.depolarising
    return Noise(
        depolarising_1q=on_one.depolarising,
        depolarising_2q=1 - (1 - on_two.depolarising) * beside**2,
        amplitude_damping_1q=damping[1][0],
        phase_damping_1q=damping[1][1],
        amplitude_damping_2q=damping[2][0],
        phase_damping_2q=damping[2][1],
        idle_amplitude_damping=damping[0][0],
        idle_phase_damping=damping[0][1],
        false_spike=float(assignment[1, 0]),
        missed_spike=float(assignment[0, 1]),
    )


def typical_target(target: Target, qubits: int) -> Target:
    """Make a line of qubits that all have the median errors, durations and times of a device."""
    every = [relaxation_times(target, qubit) for qubit in range(target.num_qubits or 0)]
    if not every:
        raise HardwareError(
            "the device has no qubits with reported errors and durations" + _SUCH_AS
        )
    t1, t2 = (median(times) for times in zip(*every, strict=True))
    line = bare_target(target, qubits, [QubitProperties(t1=t1, t2=t2)] * qubits)
    steps = list(pairwise(range(qubits)))
    places = {1: [(q,) for q in range(qubits)], 2: steps + [(b, a) for a, b in steps]}
    for name, operation in instructions(target):
        if operation.num_qubits not in places:
            continue
        placed = target[mid_circuit(target, name)]
        reported = [properties for properties in placed.values() if properties is not None]
        working = [one for one in reported if one.error is None or one.error < 1]
        error = _median(one.error for one in working)
        duration = _median(one.duration for one in working)
        if duration is None and name != "delay":
            raise HardwareError(f"the device reports no duration of {name}{_SUCH_AS}")
        line.add_instruction(
            operation,
            {
                place: InstructionProperties(duration, error)
                for place in places[operation.num_qubits]
            },
            name=name,
        )
    return line


class _Share(NamedTuple):
    """The share of one place of a gate on a qubit or pair: depolarising rate, and seconds."""

    depolarising: float
    time: float


def _shared(compiled: QuantumCircuit, target: Target, qubits: int, places: int) -> _Share:
    """Share the native gates on so many qubits out evenly among places."""
    strengths = [
        gate_strength(target, instruction.operation.name, tuple(range(qubits)))
        for instruction in compiled.data
        if isinstance(instruction.operation, Gate) and len(instruction.qubits) == qubits
    ]
    if not places:
        return _Share(0.0, 0.0)
    survival = sum(math.log1p(-rate) for rate, _ in strengths)
    return _Share(1 - math.exp(survival / places), sum(time for _, time in strengths) / places)


def gate_strength(target: Target, name: str, qubits: tuple[int, ...]) -> tuple[float, float]:
    """Compute the depolarising rate of a native gate, and its duration in seconds."""
    properties = _properties(target, name, qubits)
    error, time = properties.error or 0.0, properties.duration or 0.0
    # Process fidelity of a qubit's relaxation is the mean of 1 and what is left of X, Y and Z.
    process = 1.0
    for t1, t2 in (relaxation_times(target, qubit) for qubit in qubits):
        process *= (1 + 2 * math.exp(-time / t2) + math.exp(-time / t1)) / 4
    dim = 2 ** len(qubits)
    fidelity = (dim * process + 1) / (dim + 1)
    rate = max(dim * (error - (1 - fidelity)) / (dim * fidelity - 1), 0.0)
    if rate > 1:
        raise HardwareError(
            f"{name} on qubits {qubits} is reported with error {error:g}, worse than pure noise, "
            "and so out of order; take other qubits"
        )
    return rate, time


def relaxation_times(target: Target, qubit: int) -> tuple[float, float]:
    """Read T1 and T2 in seconds, T2 at most 2 T1; infinity where none is reported."""
    known = target.qubit_properties
    t1 = known[qubit].t1 if known else None
    t2 = known[qubit].t2 if known else None
    t1 = math.inf if t1 is None else t1
    return t1, min(math.inf if t2 is None else t2, 2 * t1)


def assignment_errors(target: Target, name: str, qubit: int) -> np.ndarray:
    """Read q[r, s], the probability of recording r, of a measurement."""
    properties = _properties(target, name, (qubit,))
    both = properties.error or 0.0
    false = getattr(properties, "prob_meas1_prep0", both)
    missed = getattr(properties, "prob_meas0_prep1", both)
    return np.array([[1 - false, missed], [false, 1 - missed]])


def _properties(target: Target, name: str, qubits: tuple[int, ...]) -> InstructionProperties:
    """The reported properties of an instruction; without a report no error and no duration."""
    reported = target[name]
    return reported.get(qubits) or InstructionProperties()


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None
