"""Noise from a device's reported rates: gate by gate as Aer reads them, and in the law of records.

Records are compared at 20,000 shots. They may lie 0.02 further from the exact law than 20,000 draws
from that law lie on average (the sampling floor); draws from it do so with a probability of at most
exp(-2 * 20,000 * 0.02^2) = 1e-7 (McDiarmid), and the seeds are fixed.
"""

from dataclasses import astuple
from typing import NamedTuple

import numpy as np
import pytest
import reference
import torch
from hardware_reference import (
    parameter_values,
    random_currents,
    random_neuron,
    rotations,
    sampling_floor,
)
from numpy.testing import assert_allclose
from qiskit import QuantumCircuit
from qiskit.circuit import Delay, Measure, Parameter, Reset
from qiskit.circuit.library import ECRGate, RZGate, SXGate
from qiskit.providers import QubitProperties
from qiskit.quantum_info import Kraus, SuperOp
from qiskit.transpiler import InstructionProperties, Target
from qiskit_aer import AerSimulator
from qiskit_aer.noise import NoiseModel
from qiskit_aer.noise.device import basic_device_gate_errors, basic_device_readout_errors
from qiskit_ibm_runtime.circuit import MeasureReset

from sqsnn.errors import HardwareError
from sqsnn.hardware import calibration
from sqsnn.hardware.calibration import effective_noise, native_operations, typical_target
from sqsnn.hardware.compile import compile_neuron
from sqsnn.hardware.devices import find, restrict
from sqsnn.hardware.recorded_law import Applied, Idle, Measured, Operation, recorded_law
from sqsnn.hardware.recorded_law import Reset as NativeReset
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.quantum import circuits
from sqsnn.quantum.noise import Noise, Site, damping_rates, relaxation

SHOTS = 20_000
BRISBANE = find("fake_brisbane")
PART = restrict(BRISBANE.backend, range(12)).target


def error_channel(sites: tuple[Site, ...], qubits: tuple[int, ...]) -> np.ndarray:
    """The channels after a gate as Qiskit's matrix, the first qubit least significant."""
    channel = SuperOp(np.eye(4 ** len(qubits)))
    for site in sites:
        places = [qubits.index(qubit) for qubit in reversed(site.qubits)]
        channel = channel.compose(SuperOp(Kraus(list(site.kraus))), qargs=places)
    return channel.data


# Gate by gate


def test_every_gate_of_a_device_has_the_error_that_aer_gives_it():
    errors = {
        (name, qubits): SuperOp(error).data
        for name, qubits, error in basic_device_gate_errors(target=PART)
        if name != "reset"
    }
    assert {name for name, _ in errors} == {"sx", "x", "id", "ecr"}
    for (name, qubits), expected in errors.items():
        sites = calibration.gate_noise(PART, name, qubits)
        assert_allclose(error_channel(sites, qubits), expected, atol=1e-12, err_msg=str(qubits))


def test_aer_gives_a_reset_nothing_that_a_qubit_in_the_ground_state_would_notice():
    ground = np.array([1, 0, 0, 0])
    for name, _, error in basic_device_gate_errors(target=PART):
        if name == "reset":
            assert_allclose(SuperOp(error).data @ ground, ground, atol=1e-15)


def test_every_qubit_is_read_with_the_errors_that_aer_gives_it():
    for (qubit,), error in basic_device_readout_errors(target=PART):
        circuit = QuantumCircuit(12, 1)
        circuit.measure(qubit, 0)
        (measured,) = native_operations(circuit, PART)
        assert isinstance(measured, Measured)
        assert_allclose(measured.assignment, error.probabilities.T, atol=1e-15)


# Small targets


def small_target(error: float, time: float, t1: float, t2: float) -> Target:
    """Two qubits with ECR from 0 to 1."""
    target = Target(dt=1e-9, qubit_properties=[QubitProperties(t1=t1, t2=t2)] * 2)
    both = {(q,): InstructionProperties(time, error) for q in range(2)}
    target.add_instruction(SXGate(), dict(both))
    frame = dict.fromkeys(both, InstructionProperties(0.0, 0.0))
    target.add_instruction(RZGate(Parameter("a")), frame)
    target.add_instruction(ECRGate(), {(0, 1): InstructionProperties(time, error)})
    target.add_instruction(Delay(Parameter("t")), dict.fromkeys(both))
    target.add_instruction(Measure(), {(q,): InstructionProperties(time, 0.1) for q in range(2)})
    target.add_instruction(Reset(), both)
    return target


def fidelity(sites: tuple[Site, ...], qubits: tuple[int, ...]) -> float:
    """Average gate fidelity of channels, from the trace of their matrix."""
    dim = 2 ** len(qubits)
    process = np.trace(error_channel(sites, qubits)).real / dim**2
    return (dim * process + 1) / (dim + 1)


@pytest.mark.parametrize(("name", "qubits"), [("sx", (1,)), ("ecr", (0, 1))])
def test_depolarising_and_relaxation_have_together_the_reported_fidelity(name, qubits):
    sites = calibration.gate_noise(small_target(0.05, 1e-6, 80e-6, 50e-6), name, qubits)
    assert len(sites[0].kraus) == 4 ** len(qubits)
    assert fidelity(sites, qubits) == pytest.approx(0.95, abs=1e-12)


def test_where_relaxation_alone_is_worse_than_reported_there_is_no_depolarising():
    sites = calibration.gate_noise(small_target(1e-6, 1e-6, 80e-6, 50e-6), "sx", (0,))
    assert [len(site.kraus) for site in sites] == [2, 2]
    assert fidelity(sites, (0,)) < 1 - 1e-6


@pytest.mark.parametrize("unit", ["dt", "ns"])
def test_a_delay_relaxes_its_qubit_for_its_time(unit):
    circuit = QuantumCircuit(2, 1)
    circuit.delay(300, 1, unit=unit)
    (idle,) = native_operations(circuit, small_target(0.01, 1e-8, 80e-6, 50e-6))
    assert isinstance(idle, Idle)
    expected = relaxation(1, 300e-9, 80e-6, 50e-6)
    for site, wanted in zip(idle.noise, expected, strict=True):
        assert site.qubits == (1,)
        assert_allclose(site.kraus, wanted.kraus)


def test_operations_come_in_their_order_with_qiskits_qubit_order_undone():
    circuit = QuantumCircuit(2, 2)
    circuit.ecr(0, 1)
    circuit.barrier()
    circuit.measure(1, 0)
    circuit.reset(1)
    circuit.rz(0.3, 1)
    target = small_target(0.01, 1e-8, 80e-6, 50e-6)
    gate, measured, reset, frame = native_operations(circuit, target)
    assert isinstance(gate, Applied)
    assert gate.qubits == (1, 0)
    assert isinstance(measured, Measured)
    assert (measured.qubit, measured.bit) == (1, 0)
    assert reset == NativeReset(1)
    assert isinstance(frame, Applied)
    assert frame.noise == ()  # reported without error


def test_measuring_and_resetting_at_once_is_both():
    target = small_target(0.01, 1e-8, 80e-6, 50e-6)
    target.add_instruction(MeasureReset(), {(0,): InstructionProperties(1e-6, 0.2)})
    circuit = QuantumCircuit(2, 1)
    circuit.append(MeasureReset(), [0], [0])
    measured, reset = native_operations(circuit, target)
    assert isinstance(measured, Measured)
    assert_allclose(measured.assignment, [[0.8, 0.2], [0.2, 0.8]])
    assert reset == NativeReset(0)


def test_assignment_errors_that_a_target_tells_apart_are_told_apart():
    target = small_target(0.01, 1e-8, 80e-6, 50e-6)
    reported = InstructionProperties(1e-6, 0.2)
    target.update_instruction_properties("measure", (0,), TwoErrors(reported))
    circuit = QuantumCircuit(2, 1)
    circuit.measure(0, 0)
    (measured,) = native_operations(circuit, target)
    assert isinstance(measured, Measured)
    assert_allclose(measured.assignment, [[0.9, 0.3], [0.1, 0.7]])


class TwoErrors(InstructionProperties):
    """A measurement's properties with both assignment errors, as Aer looks for them."""

    prob_meas1_prep0 = 0.1
    prob_meas0_prep1 = 0.3

    def __new__(cls, reported: InstructionProperties):
        return super().__new__(cls, reported.duration, reported.error)


# What is refused


def test_a_free_parameter_is_refused():
    circuit = QuantumCircuit(2)
    circuit.rz(Parameter("phi"), 0)
    with pytest.raises(HardwareError, match=r"free parameters \(phi\); bind them first"):
        native_operations(circuit, small_target(0.01, 1e-8, 80e-6, 50e-6))


@pytest.mark.parametrize("qubits", [(1, 0), (0, 1)])
def test_what_is_not_compiled_for_the_device_is_refused(qubits):
    circuit = QuantumCircuit(2)
    gate = "ecr" if qubits == (1, 0) else "cx"
    getattr(circuit, gate)(*qubits)
    with pytest.raises(HardwareError, match=rf"{gate} on qubits .* compile the circuit for it"):
        native_operations(circuit, small_target(0.01, 1e-8, 80e-6, 50e-6))


def test_a_gate_out_of_order_is_refused():
    with pytest.raises(HardwareError, match=r"ecr on qubits \(25, 24\) .* out of order"):
        calibration.gate_noise(BRISBANE.target, "ecr", (25, 24))


def test_a_simulator_has_no_rates_to_take_noise_from():
    with pytest.raises(HardwareError, match=r"reports no .* e\.g\. fake_brisbane"):
        effective_noise(find("aer").target, circuits.get("crx", 1, 1))


# The law of records


class Case(NamedTuple):
    """A neuron on a group of qubits of FakeBrisbane."""

    name: str
    channels: int
    memory_qubits: int
    steps: int
    group: tuple[int, ...]


QUICK = [
    Case("hardware_efficient", 1, 1, 8, (0, 1)),
    Case("bidirectional", 1, 2, 3, (5, 4, 3)),
]
THOROUGH = [
    Case("crx", 1, 1, 8, (0, 1)),
    Case("bidirectional", 1, 1, 8, (2, 1)),
    Case("integrate_and_fire", 1, 1, 8, (3, 4)),
    Case("bidirectional", 2, 1, 4, (0, 1, 2)),
    Case("integrate_and_fire", 1, 2, 6, (3, 4, 5)),
    Case("hardware_efficient", 2, 1, 4, (0, 1, 2)),
]


def drawn(case: Case) -> tuple[reference.Neuron, np.ndarray]:
    """Angles and currents far from any special value."""
    rng = np.random.default_rng([7, *map(ord, case.name)])
    neuron = random_neuron(case.name, case.channels, case.memory_qubits, rng)
    return neuron, random_currents(case.channels, case.steps, rng)


def native_law(case: Case) -> tuple[np.ndarray, tuple[Operation, ...], QuantumCircuit, NoiseModel]:
    """The exact law of the compiled neuron's records, and what it was computed from."""
    neuron, currents = drawn(case)
    circuit = circuits.get(case.name, case.channels, case.memory_qubits)
    compiled = compile_neuron(circuit, case.steps, BRISBANE, (case.group,))
    values = parameter_values(neuron, currents, per_occurrence=True).values()
    bound = compiled.circuit.assign_parameters(dict(zip(compiled.parameters, values, strict=True)))
    operations = native_operations(bound, compiled.backend.target)
    law = recorded_law(operations, neuron.qubits, case.steps * case.channels)
    return law, operations, bound, NoiseModel.from_backend(compiled.backend)


def distance(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.abs(first - second).sum() / 2)


@pytest.mark.parametrize(
    ("case", "method"),
    [
        *[pytest.param(case, "statevector", id=f"{case.name} quick") for case in QUICK],
        *[
            pytest.param(
                case, "density_matrix", id="-".join(map(str, case)), marks=pytest.mark.slow
            )
            for case in THOROUGH
        ],
    ],
)
def test_records_follow_the_law_that_aer_samples_from(case, method):
    law, operations, bound, noise_model = native_law(case)
    simulator = AerSimulator(noise_model=noise_model, method=method, seed_simulator=1)
    counts = simulator.run(bound, shots=SHOTS).result().get_counts()
    seen = np.zeros(len(law))
    for record, count in counts.items():
        seen[int(record[::-1], 2)] = count / SHOTS  # Qiskit writes bit 0 rightmost
    allowed = sampling_floor(law, SHOTS) + 0.02
    assert distance(seen, law) < allowed

    # The comparison can fail: the same circuit without noise lies further away.
    quiet = [perfect(operation) for operation in operations]
    assert distance(seen, recorded_law(quiet, bound.num_qubits, bound.num_clbits)) > allowed


def perfect(operation: Operation) -> Operation:
    """An operation without its noise."""
    match operation:
        case Measured():
            return operation._replace(assignment=np.eye(2))
        case Applied() | Idle():
            return operation._replace(noise=())
        case _:
            return operation


@pytest.mark.parametrize("case", [*QUICK, *THOROUGH], ids=lambda case: "-".join(map(str, case)))
def test_without_its_noise_a_compiled_neuron_is_the_neuron(case):
    _, operations, bound, _ = native_law(case)
    quiet = [perfect(operation) for operation in operations]
    law = recorded_law(quiet, bound.num_qubits, bound.num_clbits)
    assert_allclose(law, reference.joint_law(*drawn(case)), rtol=0, atol=1e-9)


# One set of rates for a device


def test_a_typical_line_has_the_medians_of_the_device():
    line = typical_target(BRISBANE.target, 3)
    assert set(line.qargs_for_operation_name("ecr")) == {(0, 1), (1, 2), (1, 0), (2, 1)}
    assert line["sx"][(2,)].error == np.median([p.error for p in BRISBANE.target["sx"].values()])
    assert line["reset"][(0,)].duration == BRISBANE.target["reset"][(0,)].duration
    assert line.qubit_properties[1].t1 == np.median(
        [q.t1 for q in BRISBANE.target.qubit_properties]
    )


def quiet_target(pair_error: float = 0.0) -> Target:
    """A target whose gates take no time; measuring takes 1 us and resetting 2 us."""
    target = small_target(0.0, 0.0, 80e-6, 50e-6)
    target.update_instruction_properties("ecr", (0, 1), InstructionProperties(0.0, pair_error))
    for qubit in range(2):
        measured, reset = InstructionProperties(1e-6, 0.03), InstructionProperties(2e-6)
        target.update_instruction_properties("measure", (qubit,), measured)
        target.update_instruction_properties("reset", (qubit,), reset)
    return target


def test_a_memory_qubit_idles_while_the_channels_are_measured_and_reset():
    found = effective_noise(quiet_target(), circuits.get("crx", 1, 1))
    decay, dephase = damping_rates(3e-6, 80e-6, 50e-6)
    expected = Noise(
        idle_amplitude_damping=decay,
        idle_phase_damping=dephase,
        false_spike=0.03,
        missed_spike=0.03,
    )
    assert_allclose(astuple(found), astuple(expected), atol=1e-12)


def test_a_controlled_rotation_is_two_native_gates_and_a_cz_one():
    rate = 4 / 3 * 0.03  # an average gate infidelity of 0.03 on two qubits
    twice = effective_noise(quiet_target(0.03), circuits.get("crx", 1, 1))
    once = effective_noise(quiet_target(0.03), circuits.get("hardware_efficient", 1, 1))
    assert twice.depolarising_2q == pytest.approx(1 - (1 - rate) ** 2)
    assert once.depolarising_2q == pytest.approx(rate)
    assert twice.depolarising_1q == once.depolarising_1q == 0


def test_without_memory_nothing_idles_and_no_pair_has_gates():
    found = effective_noise(BRISBANE.target, circuits.get("hardware_efficient", 1, 0))
    assert found.depolarising_1q > 0
    assert found.idle_amplitude_damping == found.idle_phase_damping == 0


@pytest.mark.parametrize("case", [*QUICK, *THOROUGH], ids=lambda case: "-".join(map(str, case)))
def test_the_rates_explain_most_of_what_the_noise_of_every_native_gate_does(case):
    native, *_ = native_law(case)
    neuron, currents = drawn(case)
    circuit = circuits.get(case.name, case.channels, case.memory_qubits)
    own = restrict(BRISBANE.backend, case.group).target  # so that medians are of these qubits
    model = SQSNeurons(
        1,
        channels=case.channels,
        memory_qubits=case.memory_qubits,
        circuit=circuit,
        noise=effective_noise(own, circuit),
        dtype=torch.float64,
        generator=torch.Generator().manual_seed(0),
    )
    angles = [neuron.gates[place].angle for place in rotations(neuron)]
    gains = [d.gain for d in sorted(neuron.encoding, key=lambda drive: drive.qubit)]
    with torch.no_grad():
        model.angles.copy_(torch.tensor([angles]))
        if model.gains.numel():
            model.gains.copy_(torch.tensor([gains]))
        law = model.sequence_probabilities(torch.tensor(currents)[:, None, None])[0, 0].numpy()
    assert distance(law, native) < distance(reference.joint_law(neuron, currents), native) / 2
