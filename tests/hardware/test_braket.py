"""Amazon Braket: its text, the law of its simulator's bits, their order, seeds, and refusals.

The joint law of a hidden and an output neuron is compared with the exact one by a chi-square test
of 20,000 records. The fixed seed repeats the bits as long as NumPy's generator and the simulator
stay as they are; under another seed a right simulator fails each test with probability 1e-4, and a
law that is a little wrong is seen to fail it by far.
"""

import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hardware_leaky import leaky, some_currents
from hardware_stubs import logic, programs
from tools import p_value, quantum_neurons, seeded

from sqsnn import hardware
from sqsnn.errors import HardwareError
from sqsnn.hardware import braket
from sqsnn.hardware.bit_source import DeviceBits, angle_table
from sqsnn.hardware.executor import Executor
from sqsnn.hardware.free_run import angles_by_history
from sqsnn.learning import Measured
from sqsnn.learning.bit_source import Backend
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.quantum import circuits
from sqsnn.quantum.noise import Noise
from sqsnn.quantum.shift_rules import Shift
from sqsnn.runs.on_device import DeviceOptions

SHOTS, FALSE_ALARM = 20_000, 1e-4


def executor(**options) -> Executor:
    return Executor(hardware.find("braket"), **options)


def counted(spikes: np.ndarray) -> np.ndarray:
    """How often each record (shots, T, N) was drawn, the first bit the most significant."""
    bits = spikes.reshape(len(spikes), -1)
    return np.bincount(bits @ (1 << np.arange(bits.shape[1])[::-1]), minlength=2 ** bits.shape[1])


def row_of(neurons: SQSNeurons, currents: torch.Tensor) -> np.ndarray:
    """The angles of the only neuron and sample, (1, parameters)."""
    potentials = neurons.potentials(currents, torch.zeros_like(currents))
    return angle_table(neurons, potentials, [()]).flatten(0, 2).detach().numpy()


def law_of(neurons: SQSNeurons, currents: torch.Tensor) -> np.ndarray:
    return neurons.sequence_probabilities(currents)[0, 0].detach().numpy()


# The text


@pytest.mark.parametrize("name", ["crx", "bidirectional", "integrate_and_fire"])
def test_a_program_has_gates_of_braket_only_and_numbers_in_its_conditions(name):
    circuit = hardware.neuron_circuit(name, 2, 1, 3, reset_steps=2)
    text = hardware.to_braket(circuit)
    assert text.startswith("OPENQASM 3.0;\n")
    named = re.findall(r"^input float (\w+);$", text, re.MULTILINE)
    assert sorted(named) == sorted(parameter.name for parameter in circuit.parameters)
    lines = [line.strip() for line in text.splitlines()[1:]]
    words = {re.split(r"[ (\[]", line)[0] for line in lines if line} - {"}"}
    assert words >= {"cnot", "spikes", "reset", "if"}
    assert words <= {"input", "bit", "qubit", "rx", "ry", "rz", "cnot", "spikes", "reset", "if"}
    assert {line for line in lines if line.startswith("if")} == {
        f"if (spikes[{bit}] == {value}) {{" for bit in range(4) for value in (0, 1)
    }


def test_a_program_leaves_no_phase_and_no_barrier():
    from qiskit import QuantumCircuit

    circuit = QuantumCircuit(1, 1, global_phase=1.0)
    circuit.sx(0)
    circuit.barrier()
    circuit.measure(0, 0)
    text = hardware.to_braket(circuit)
    assert not re.search("gphase|barrier|gate|sx", text)


# The law


@pytest.mark.parametrize("name", ["crx", "bidirectional"])
def test_hidden_and_output_spikes_follow_their_joint_law(name):
    steps = 4
    hidden, output = (quantum_neurons(name, 1, 1, size=1) for _ in range(2))
    with torch.no_grad():
        output.angles.normal_(0, 1.5, generator=seeded(3))
    currents = torch.tensor([0.7, 0.3, 0.6, 0.4], dtype=torch.float64).reshape(steps, 1, 1, 1)
    device = executor()
    of_hidden = law_of(hidden, currents)
    row = row_of(hidden, currents)
    records = device.run(hidden.circuit, steps, row, SHOTS, seeded(1))[0]
    counts, law = np.zeros((2, 2**steps, 2**steps))
    for number, times in enumerate(counted(records)):
        bits = torch.tensor([number >> (steps - 1 - t) & 1 for t in range(steps)])
        driven = (0.2 + 0.6 * bits.double()).reshape(currents.shape)
        law[number] = of_hidden[number] * law_of(output, driven)
        if times:  # as many records of the output as had this record of the hidden neuron
            row = row_of(output, driven)
            after = device.run(output.circuit, steps, row, int(times), seeded(2 + number))[0]
            counts[number] = counted(after)
    assert counts.sum() == SHOTS
    np.testing.assert_allclose(law.sum(), 1)
    assert p_value(counts.ravel(), law.ravel()) > FALSE_ALARM
    # Steps in reverse, hidden for output, and one law for all hidden records would be seen.
    reverse = [int(f"{number:0{steps}b}"[::-1], 2) for number in range(2**steps)]
    for wrong in (law[:, reverse], law.T, np.outer(law.sum(1), law.sum(0))):
        assert p_value(counts.ravel(), wrong.ravel()) < 1e-12


@pytest.mark.parametrize("reset_steps", [1, 2, 3])
def test_own_spikes_choose_the_angles(reset_steps):
    steps, shots = 4, 5_000
    neurons = leaky("bidirectional", 1, 1, reset_steps, size=1)
    currents = some_currents(neurons, steps, batch=1)
    row = angles_by_history(neurons, currents, reset_steps).detach().numpy()[0]
    about = {"reset_steps": reset_steps}
    (spikes,) = executor().run(neurons.circuit, steps, row, shots, seeded(1), **about)
    counts, law = counted(spikes), law_of(neurons, currents)
    assert p_value(counts, law) > FALSE_ALARM
    with torch.no_grad():
        neurons.reset.zero_()
    assert p_value(counts, law_of(neurons, currents)) < 1e-12


def test_the_first_shots_of_a_row_are_as_any_others():
    # Geometric scores count the shots before the first that agrees.
    neurons = quantum_neurons("bidirectional", size=1)
    currents = some_currents(neurons, 3, batch=1)
    row = row_of(neurons, currents)
    (spikes,) = executor().run(neurons.circuit, 3, row, 4_000, seeded(1))
    first, later = spikes[:2_000], spikes[2_000:]
    law = law_of(neurons, currents)
    assert p_value(counted(first), law) > FALSE_ALARM
    assert p_value(counted(later), law) > FALSE_ALARM


def test_the_whole_membrane_runs_step_by_step():
    steps, batch = 3, 60
    neurons = leaky("crx", 1, 0, None, size=1)
    device = executor()
    currents = some_currents(neurons, steps, batch=1).expand(-1, batch, -1, -1)
    spikes = DeviceBits(device).run(neurons, currents, seeded(1))
    assert device.counts.jobs == steps
    law = law_of(neurons, currents[:, :1])
    assert p_value(counted(spikes[:, :, 0].movedim(1, 0).numpy()), law) > FALSE_ALARM


def test_bits_that_are_certain_stand_in_their_places():
    table, expected = programs(channels=2, steps=3, rows=5)
    spikes = executor().run(logic(2), 3, table, 3, seeded(0))
    np.testing.assert_array_equal(spikes, np.repeat(expected[:, None], 3, axis=1))


def test_shifted_circuits_follow_their_laws_as_scores_need():
    neurons = quantum_neurons("bidirectional", 1, 1, size=2)
    last = len(neurons.circuit.gates) - 1  # the channel's rotation
    shifts = [(), (Shift(0, "gate", last, np.pi / 2),)]
    potentials = torch.full((1, 1, 2, 1), 0.5, dtype=torch.float64)
    spikes = DeviceBits(executor()).sample(neurons, potentials, shifts, 2_000, seeded(1))
    assert spikes.shape == (2, 2_000, 1, 1, 2, 1)
    plain = neurons.sequence_probabilities(potentials)[0].detach().numpy()
    with torch.no_grad():
        neurons.angles[:, neurons.circuit.gates[last].parameter] += np.pi / 2
    shifted = neurons.sequence_probabilities(potentials)[0].detach().numpy()
    for neuron in range(2):
        for own, other, seen in zip((plain, shifted), (shifted, plain), spikes, strict=True):
            counts = counted(seen[:, :, 0, neuron].numpy())
            assert p_value(counts, own[neuron]) > FALSE_ALARM
            assert p_value(counts, other[neuron]) < 1e-12


# Seeds


def test_a_seed_repeats_the_bits_and_rows_are_drawn_on_their_own():
    circuit = circuits.get("crx", 1, 0)
    table = np.tile([np.pi / 2, 0.0], (20, 1))  # a fair coin
    one, same, other = (executor().run(circuit, 1, table, 1, seeded(s)) for s in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
    assert 0 < one.sum() < 20  # of right ones two in a million fail


# Refusals


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("braket:arn:aws:braket:eu-north-1::device/qpu/iqm/Garnet", r"Garnet \(iqm\).*measure_ff"),
        ("braket:arn:aws:braket:us-east-1::device/qpu/ionq/Forte-1", r"Forte-1 \(ionq\).*reset"),
        ("braket:arn:aws:braket:us-east-1::device/qpu/quera/Aquila", r"Aquila.*no gates"),
        ("braket:arn:aws:braket:::device/quantum-simulator/amazon/sv1", r"sv1 \(amazon\).*reset"),
        ("braket:", "names a device of Amazon Braket"),
        ("braket:arn:aws:braket:us-east-1:123456789012:quantum-task/x", "a device of Amazon"),
        ("arn:aws:braket:us-east-1:123456789012:quantum-task/x", "a device of Amazon"),
        ("Braket:ARN:aws:braket:us-east-1:123456789012:quantum-task/x", "a device of Amazon"),
    ],
)
def test_devices_are_refused_with_the_reason(name, said):
    with pytest.raises(HardwareError, match=said) as refused:
        hardware.find(name)
    assert "sqsnn export RUN --dialect braket" in str(refused.value)
    assert "123456789012" not in str(refused.value)


def test_no_account_number_comes_out_of_other_refusals():
    arn = "braket:arn:aws:braket:us-east-1:123456789012:quantum-task/x"
    device = Backend(backend=arn)
    noisy = quantum_neurons("crx", noise=Noise(false_spike=0.1))
    for refused in (
        lambda: Backend(backend=arn, mode="batch"),
        lambda: DeviceOptions(device=device, ideal=True),
        lambda: Measured(backend=device).check(noisy),
    ):
        with pytest.raises(ValueError, match=r"'braket:\.\.\.'") as error:
            refused()
        assert "123456789012" not in str(error.value).split("input_value")[0]


def test_it_is_a_simulator_without_a_chip_and_one_of_the_names():
    device = hardware.find("braket")
    assert (device.kind, device.has_chip, device.calibrated) == ("simulator", False, None)
    with pytest.raises(HardwareError, match="no chip"):
        executor(pack=2)
    with pytest.raises(ValueError, match="'braket' has no chip to pack"):
        Backend(backend="braket", pack="all")
    with pytest.raises(HardwareError, match="'aer', 'braket', a snapshot"):
        hardware.find("Braket")


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(braket, "find_spec", lambda name: None)
    with pytest.raises(HardwareError, match=r"pip install 'sqsnn\[braket\]'"):
        hardware.find("braket")


class Wrong:
    """A simulator whose results are whole unless told otherwise."""

    def __init__(self, **changed) -> None:
        self.changed = changed

    def run(self, program, shots):
        if error := self.changed.get("error"):
            raise error
        right = {"measurements": [["0", "1"]] * shots, "measuredQubits": [0, 0]}
        return SimpleNamespace(**{**right, **self.changed})


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({}, None),
        ({"measurements": [["0", "1"]] * 4}, "4 shots of .* the program had 5 shots of 2 bits"),
        ({"measurements": []}, "0 shots"),
        ({"measurements": [["0", "1", "1"]] * 5}, r"bits|\[3\]"),
        ({"measurements": [["0", "1"]] * 4 + [["0"]]}, r"\[1, 2\]"),
        ({"measurements": [["0", "2"]] * 5}, "neither 0 nor 1"),
        ({"measuredQubits": [1, 0]}, r"qubits \[1, 0\].* \[0, 0\]"),
        ({"measuredQubits": [0]}, "in this order"),
        ({"error": RuntimeError("no seeds left")}, "no seeds left"),
    ],
)
def test_a_wrong_result_is_an_error_and_nothing_is_filled_in(changed, said):
    sampler = lambda seed: braket.LocalSampler(seed, Wrong(**changed))  # noqa: E731
    run = lambda: executor(sampler=sampler).run(  # noqa: E731
        circuits.get("crx", 1, 1), 2, np.zeros((1, 8)), 5, seeded(0)
    )
    if said is None:
        assert run()[0, :, :, 0].tolist() == [[False, True]] * 5
        return
    with pytest.raises(HardwareError, match=said):
        run()
