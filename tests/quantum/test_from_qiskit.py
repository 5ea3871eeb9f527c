"""Circuits read from Qiskit act as Qiskit says."""

import numpy as np
import pytest
import torch
from qiskit import QuantumCircuit
from qiskit.circuit import Parameter, ParameterVector, library
from qiskit.circuit.library import RXGate
from qiskit.quantum_info import Operator

from sqsnn.quantum.circuit import Circuit, Encoded, Gate, Normal, unitary

pytestmark = pytest.mark.usefixtures("device")

LEARNED = ("rx", "ry", "rz", "crx", "cry", "crz", "rxx", "ryy", "rzz")


def random_circuit(seed: int) -> tuple[QuantumCircuit, dict[str, float]]:
    """Every gate twice, in random order on random qubits; some angles shared, some fixed."""
    rng = np.random.default_rng(seed)
    circuit = QuantumCircuit(3)
    names = [*LEARNED, "cx", "cz", "h"] * 2
    parameters = [Parameter(f"p{number}") for number in range(6)]
    for name in rng.permutation(names):
        angle = parameters[rng.integers(6)] if rng.random() < 0.7 else float(rng.normal())
        single = (len(name) == 2 and name[0] == "r") or name == "h"
        qubits = [int(q) for q in rng.permutation(3)[: 1 if single else 2]]
        getattr(circuit, name)(*([angle] if name in LEARNED else []), *qubits)
    circuit.barrier()
    return circuit, {p.name: float(rng.normal(0, 2)) for p in circuit.parameters}


@pytest.mark.parametrize("seed", range(5))
def test_the_unitary_is_that_of_qiskit(seed):
    theirs, values = random_circuit(seed)
    circuit = Circuit.from_qiskit(theirs, channels=1)
    assert (circuit.channels, circuit.memory_qubits) == (1, 2)
    in_order = order_of_use(theirs)
    assert circuit.parameters == len(in_order)
    angles = torch.tensor([[values[name] for name in in_order]], dtype=torch.float64)
    made = unitary(circuit.gates, angles, 3, real_frame=False)[0]
    # Qiskit's qubit 0 is the least significant, ours the most significant.
    expected = Operator(theirs.assign_parameters(values).reverse_bits()).data
    np.testing.assert_allclose(made.cpu(), expected, rtol=0, atol=1e-12)


def order_of_use(circuit: QuantumCircuit) -> list[str]:
    used = [angle for it in circuit.data for angle in it.operation.params]
    return list(dict.fromkeys(angle.name for angle in used if isinstance(angle, Parameter)))


def test_parameters_numbers_encoding_and_initial_values_are_taken_over():
    a, b = ParameterVector("theta", 2)
    theirs = QuantumCircuit(2, 1)
    theirs.ry(b, 0)
    theirs.cz(1, 0)
    theirs.rx(a, 1)
    theirs.rz(b, 1)
    theirs.rx(1, 0)  # a number is an angle, whole or not
    encoding = [Encoded(1, 0, 0.5)]
    circuit = Circuit.from_qiskit(
        theirs,
        channels=1,
        memory_qubits=1,
        encoding=encoding,
        initial={"theta[0]": Normal(1.0)},
        name="mine",
    )
    assert circuit.gates == (
        *(Gate("RY", (0,), 0), Gate("CZ", (1, 0)), Gate("RX", (1,), 1), Gate("RZ", (1,), 0)),
        Gate("RX", (0,), None, 1.0),
    )
    assert circuit.initial == (Normal(0.0, 0.5), Normal(1.0))
    assert circuit.encoding == (Encoded(0, 0, 0.0), encoding[0])
    assert circuit.name == "mine"
    alike = Circuit.from_qiskit(theirs, initial=Normal(0.3))
    assert alike.initial == (Normal(0.3),) * 2


def one(name: str, *arguments) -> QuantumCircuit:
    circuit = QuantumCircuit(2, 2)
    getattr(circuit, name)(*arguments)
    return circuit


ANGLE = Parameter("a")


@pytest.mark.parametrize(
    ("theirs", "options", "message"),
    [
        (one("measure", 0, 0), {}, "instruction 0 of the Qiskit circuit is 'measure'; .* rx, ry"),
        (one("reset", 0), {}, "'reset'"),
        (one("swap", 0, 1), {}, "'swap'"),
        (one("append", library.CXGate(ctrl_state=0), [0, 1]), {}, "'cx_o0'"),
        (one("append", RXGate(1.0).control(1, ctrl_state=0), [0, 1]), {}, "'crx_o0'"),
        (one("rx", 2 * ANGLE, 0), {}, r"a rx of the Qiskit circuit has the angle 2\*a; .* alone"),
        (one("rx", ANGLE, 0), {"channels": 1, "memory_qubits": 2}, "has 2 qubits"),
        (one("rx", ANGLE, 0), {"channels": 3}, "channels is 3 and memory_qubits is -1"),
        (
            one("rx", ANGLE, 0),
            {"initial": {"b": Normal()}},
            "initial names b, but the parameters .* are a",
        ),
        (one("h", 0), {"encoding": [Encoded(5, 0)]}, "encoding rotates qubit 5"),
        (QuantumCircuit(9), {"channels": 2}, "memory_qubits must be an integer in 0..6"),
    ],
)
def test_what_a_neuron_cannot_be_is_refused(theirs, options, message):
    with pytest.raises(ValueError, match=message):
        Circuit.from_qiskit(theirs, **options)


def test_an_expression_that_is_a_number_is_a_number():
    theirs = one("rx", 2 * ANGLE, 0)
    circuit = Circuit.from_qiskit(theirs.assign_parameters({ANGLE: 0.25}))
    assert circuit.gates == (Gate("RX", (0,), None, 0.5),)
