"""Amazon Braket: its dialect of OpenQASM 3, and its simulator on this machine (extra `braket`).

The simulator reads one program for every row of angles. At a measurement in the middle it splits
the shots by what they measured, so that many shots of one row cost little more than one. Devices of
Braket are refused: none is documented to give back what it measures in the middle of a circuit.
"""

import logging
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any

import numpy as np
from jaxtyping import Bool
from qiskit import QuantumCircuit, qasm3, transpile
from qiskit.circuit import IfElseOp
from qiskit.primitives import (
    BaseSamplerV2,
    BitArray,
    DataBin,
    PrimitiveResult,
    SamplerPubResult,
)
from qiskit.primitives.containers.sampler_pub import SamplerPub
from qiskit.transpiler import Target
from qiskit.transpiler.passes import RemoveBarriers

from sqsnn.errors import HardwareError
from sqsnn.hardware import feedforward

NAME = "braket"

# Enough for every circuit; CX is `cnot` there.
_GATES = ("rx", "ry", "rz", "h", "x", "cx", "cz")
_REWRITTEN = (
    (re.compile(r"^(\s*)cx ", re.MULTILINE), r"\1cnot "),
    (re.compile(r"^input float\[64\] ", re.MULTILINE), "input float "),
    # The simulator's bits are numbers, of which it knows no `!`.
    (re.compile(r"if \(!(\w+\[\d+\])\)"), r"if (\1 == 0)"),
    (re.compile(r"if \((\w+\[\d+\])\)"), r"if (\1 == 1)"),
)

_STATIC = "its programs neither reset a qubit nor go on after a measurement"
_WHY = {
    "iqm": "its measure_ff keeps a bit for conditions within the circuit and does not give it back",
    "quera": "it is an analog machine, which has no gates",
}


class LocalSimulator:
    """Describes the simulator, as Qiskit describes a backend."""

    def __init__(self) -> None:
        if find_spec("braket") is None or find_spec("braket.default_simulator") is None:
            raise HardwareError(
                f"backend {NAME!r} needs amazon-braket-default-simulator, which cannot be imported "
                "here: pip install 'sqsnn[braket]'"
            )
        self.name = NAME
        self.target = Target.from_configuration([*_GATES, "measure", "reset"])
        self.target.add_instruction(IfElseOp, name="if_else")


def backend(name: str) -> LocalSimulator:
    """Find the simulator, or refuse a device.

    Args:
        name: "braket", or "braket:" and a device.

    Raises:
        HardwareError: If it is a device, or the extra is not installed.
    """
    if name == NAME:
        return LocalSimulator()
    # Of the name no more than maker and model is repeated: an ARN may hold an account's number.
    found = re.search(r"device/(?:qpu|quantum-simulator)/(\w{1,30})/([\w-]{1,60})$", name)
    maker, model = found.groups() if found else ("", "")
    what = f"{model} ({maker})" if found else "a device of Amazon Braket"
    raise HardwareError(
        f"backend names {what}, which by Amazon's documents cannot run a spiking neuron: "
        f"{_WHY.get(maker, _STATIC)} (sources in docs/hardware.md). Take {NAME!r}, Braket's "
        "simulator on this machine, or write the program with `sqsnn export RUN --dialect braket`"
    )


def to_braket(circuit: QuantumCircuit) -> str:
    """Write a circuit as a program in Braket's dialect of OpenQASM 3.

    Gates are rotations of one qubit, `h`, `x`, `cnot` and `cz`; free angles become `input`
    variables. Conditions stand inside each other and compare a bit with a number. Barriers go.
    """
    basis: Any = [*_GATES, "if_else"]
    native = transpile(RemoveBarriers()(circuit), basis_gates=basis, optimization_level=0)
    native.global_phase = 0  # without effect on bits
    text = qasm3.dumps(feedforward.one_inside_another(native), includes=(), basis_gates=_GATES)
    for pattern, written in _REWRITTEN:
        text = pattern.sub(written, text)
    return text


class _Job:
    """Runs when `result` is called: this machine would work on it in any case."""

    def __init__(self, run: Callable[[], PrimitiveResult]) -> None:
        self.result = run


class LocalSampler(BaseSamplerV2):
    """The simulator in Qiskit's SamplerV2 form.

    Args:
        seed: Repeats the outcomes; the simulator itself takes none.
        simulator: Runs a program; None for Braket's own.
    """

    def __init__(self, seed: int, simulator: Any = None) -> None:
        self._rng = np.random.default_rng(seed)
        self._simulator = _seeded(self._rng) if simulator is None else simulator

    def run(self, pubs: Iterable[Any], *, shots: int | None = None) -> Any:
        """Run circuits with all their rows of angles; each has one register of bits."""
        given = [SamplerPub.coerce(pub, shots) for pub in pubs]
        return _Job(lambda: PrimitiveResult([self._run(pub) for pub in given]))

    def _run(self, pub: SamplerPub) -> SamplerPubResult:
        from braket.ir.openqasm import Program

        circuit, text = pub.circuit, to_braket(pub.circuit)
        shots: Any = pub.shots
        (register,) = circuit.cregs
        qubits = _measured(circuit)
        names = [parameter.name for parameter in circuit.parameters]
        rows = pub.parameter_values.as_array(circuit.parameters)
        bits = np.empty((*pub.shape, shots, len(register)), bool)
        with _without_advice():
            for place in np.ndindex(pub.shape):
                inputs: Any = dict(zip(names, map(float, rows[place]), strict=True))
                program = Program(source=text, inputs=inputs)
                result = self._simulator.run(program, shots=shots)
                # The simulator lists the shots of a branch side by side, but their order counts:
                # learning reads how many shots came before the first that agrees.
                bits[place] = self._rng.permutation(_bits(result, qubits, shots))
        array = BitArray.from_bool_array(bits, order="little")
        return SamplerPubResult(DataBin(shape=pub.shape, **{register.name: array}))


def _measured(circuit: QuantumCircuit) -> list[int]:
    """List the qubit that each bit is measured on, in order of the bits."""
    of_bit = {
        circuit.find_bit(each.clbits[0]).index: circuit.find_bit(each.qubits[0]).index
        for each in circuit.data
        if each.operation.name == "measure"
    }
    return [of_bit[bit] for bit in range(circuit.num_clbits)]


def _bits(result: Any, qubits: list[int], shots: int) -> Bool[np.ndarray, "shots bits"]:
    """Read the bits of a result, which must be whole and in order.

    Raises:
        HardwareError: If it is not.
    """
    if list(result.measuredQubits) != qubits:
        raise HardwareError(
            f"the result holds bits of qubits {list(result.measuredQubits)}, but the program "
            f"measures {qubits}, in this order"
        )
    rows = result.measurements
    if len(rows) != shots or any(len(row) != len(qubits) for row in rows):
        raise HardwareError(
            f"the result holds {len(rows)} shots of {sorted({len(row) for row in rows})} bits, but "
            f"the program had {shots} shots of {len(qubits)} bits"
        )
    table = np.array(rows).astype(str)
    if not np.isin(table, ("0", "1")).all():
        raise HardwareError("the result holds bits that are neither 0 nor 1")
    return table == "1"


@contextmanager
def _without_advice() -> Iterator[None]:
    """Leave out the simulator's warning, for every row, that devices may not run such programs."""
    logger = logging.getLogger("braket.default_simulator.openqasm.interpreter")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _seeded(rng: np.random.Generator) -> Any:
    """Make a simulator that draws its outcomes from a generator."""
    from braket.default_simulator import StateVectorSimulator
    from braket.default_simulator.state_vector_simulation import StateVectorSimulation

    class Simulation(StateVectorSimulation):
        def retrieve_samples(self) -> np.ndarray:
            law = self.probabilities
            return rng.choice(len(law), size=self.shots, p=law / law.sum())

    class Simulator(StateVectorSimulator):
        def initialize_simulation(self, **given: Any) -> Simulation:
            return Simulation(given["qubit_count"], given["shots"], given["batch_size"])

    return Simulator()
