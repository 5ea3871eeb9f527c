"""Readout errors: measured where the neuron stands, and taken out on average."""

import numpy as np
import pytest
import torch
from hardware_stubs import StubSampler, logic, result_of, rows_of, silence
from hypothesis import given
from hypothesis import strategies as st
from qiskit.primitives import BitArray
from tools import seeded
from torch import Tensor

from sqsnn.errors import HardwareError
from sqsnn.hardware.bit_source import DeviceBits
from sqsnn.hardware.devices import Device, find
from sqsnn.hardware.executor import Executor
from sqsnn.hardware.mitigation import CALIBRATION_SHOTS, ReadoutErrors, calibrate
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.quantum import circuits
from sqsnn.quantum.circuit import Circuit

STEPS = 3
RATE = st.floats(0, 0.49)


def constant(places: int, channels: int, false: float, missed: float) -> ReadoutErrors:
    return ReadoutErrors(np.full((places, channels), false), np.full((places, channels), missed))


# Taking errors out


@given(false=RATE, missed=RATE)
def test_the_expectation_of_what_is_left_is_the_true_outcome(false, missed):
    # Over both recorded outcomes, each with its probability, for either true one.
    recorded = torch.tensor([0.0, 1.0], dtype=torch.float64).reshape(1, 2, 1, 1)
    left = constant(1, 1, false, missed).correct(recorded)[0, :, 0, 0]
    for true, chance in ((0, false), (1, 1 - missed)):
        law = torch.tensor([1 - chance, chance], dtype=torch.float64)
        assert (law * left).sum().item() == pytest.approx(true, abs=1e-12)


def test_without_errors_spikes_stay_what_they_are():
    spikes = (torch.rand((2, 3, 4, 2), generator=seeded(0)) < 0.5).float()
    left = constant(5, 2, 0.0, 0.0).correct(spikes)
    assert torch.equal(left, spikes)
    assert left.dtype == spikes.dtype


def test_every_place_and_channel_has_its_own_errors():
    # 2 samples x 3 neurons stand in 4 places one after another: 0 1 2 | 3 0 1.
    false = np.array([[0.0, 0.1], [0.2, 0.3], [0.0, 0.0], [0.05, 0.0]])
    missed = np.array([[0.0, 0.1], [0.3, 0.2], [0.5, 0.0], [0.05, 0.2]])
    ones = torch.ones((1, 2, 3, 2), dtype=torch.float64)
    at_one = [  # (1 - false) / (1 - false - missed)
        [[1.0, 0.9 / 0.8], [0.8 / 0.5, 0.7 / 0.5], [2.0, 1.0]],
        [[0.95 / 0.9, 1 / 0.8], [1.0, 0.9 / 0.8], [0.8 / 0.5, 0.7 / 0.5]],
    ]
    at_zero = [  # -false / (1 - false - missed)
        [[0.0, -0.1 / 0.8], [-0.2 / 0.5, -0.3 / 0.5], [0.0, 0.0]],
        [[-0.05 / 0.9, 0.0], [0.0, -0.1 / 0.8], [-0.2 / 0.5, -0.3 / 0.5]],
    ]
    errors = ReadoutErrors(false, missed)
    for spikes, expected in ((ones, at_one), (0 * ones, at_zero)):
        left = errors.correct(spikes)
        torch.testing.assert_close(left[0], torch.tensor(expected, dtype=torch.float64))


def answering(bits_of) -> StubSampler:
    """A device on which `bits_of(place, row, shots)` gives the bits, (shots, bits)."""

    def answer(block, _):
        rows, shots = rows_of(block), block[2]
        registers = {}
        for place, register in enumerate(block[0].cregs):
            bits = np.stack([bits_of(place, row, shots) for row in range(rows)])
            registers[register.name] = BitArray.from_bool_array(bits, order="little")
        return result_of(registers, rows)

    return StubSampler(answer)


@pytest.mark.parametrize(("backend", "pack"), [("fake_manila", 2), ("fake_boston", 4)])
def test_a_row_stands_where_its_errors_are_looked_up(backend, pack):
    # Place k answers k in binary, so that the spikes say where each row stood.
    device = find(backend)
    sampler = answering(lambda place, row, shots: np.tile([place & 1, place >> 1], (shots, 1)) > 0)
    executor = Executor(device, pack=pack, sampler=sampler)
    batch, size = 3, 3  # the last circuit is not full
    spikes = DeviceBits(executor).sample(
        SQSNeurons(size, generator=seeded(0)), torch.zeros((2, batch, size, 1)), [()], 1, seeded(0)
    )[0, 0]
    stood = (spikes[0] + 2 * spikes[1])[..., 0].long()  # (B, H)
    assert stood.unique().tolist() == list(range(pack))
    false = np.arange(pack)[:, None] / 10
    left = ReadoutErrors(false, 0 * false).correct(torch.zeros((1, batch, size, 1)))
    looked_up = -left / (1 - left)
    torch.testing.assert_close(looked_up[0, ..., 0], stood / 10)


# Measuring them


def test_a_device_without_errors_has_none():
    executor = Executor(find("aer"))
    errors = calibrate(executor, circuits.get("bidirectional", 2, 1), STEPS, seeded(0))
    for rates in errors:
        assert rates.shape == (1, 2)
        assert not rates.any()
    # All channels in |0>, and in |1>: one job, however many places there are.
    assert (executor.counts.jobs, executor.counts.circuits) == (1, 2)
    assert executor.counts.shots == 2 * CALIBRATION_SHOTS


def test_errors_are_those_that_the_snapshot_reports_of_the_channels_qubits():
    # Four rates, each beyond 4.5 sampling errors by chance once in 150,000: one seed in 37,000
    # would fail. A missed spike may also be a faulty rotation: two gates that err less than 0.0005
    # times on the qubits used.
    device, shots = find("fake_manila"), 4000
    executor, circuit = Executor(device, pack=2), circuits.get("bidirectional", 1, 1)
    errors = calibrate(executor, circuit, STEPS, seeded(1), shots)
    groups = executor.compiled(circuit, STEPS).groups
    measure = device.target["measure"]
    assert len(groups) == len(errors.false_spike) == len(errors.missed_spike) == 2
    for place, (channel, _) in enumerate(groups):
        reported = measure[(channel,)].error
        sampling = np.sqrt(reported * (1 - reported) / shots)
        assert abs(errors.false_spike[place, 0] - reported) < 4.5 * sampling
        assert -4.5 * sampling < errors.missed_spike[place, 0] - reported < 4.5 * sampling + 1e-3
    # The first neuron's memory would have been seen to be another qubit.
    memory = measure[groups[0][1:]].error
    assert (np.concatenate(errors)[:, 0] < 0.8 * memory).all()


def test_the_calibration_stands_on_the_channels_of_the_neurons_circuit():
    # Alone, without two-qubit gates, it would choose other qubits.
    sampler = StubSampler(lambda block, _: silence(block))
    device = Device("ibm:test", find("fake_nairobi").backend, "ibm")
    executor, circuit = Executor(device, sampler=sampler), logic(2)
    own, bare = executor.compiled(circuit, STEPS), Circuit.build(2, 1, [])
    assert executor.compiled(bare, 1).groups != own.groups
    with pytest.raises(HardwareError):  # a silent device misses every spike
        calibrate(executor, circuit, STEPS, seeded(0), 10)
    (block,) = sampler.blocks
    channels = list(own.groups[0][:2])
    assert measured_qubits(block[0]) == channels
    assert measured_qubits(own.circuit) == channels * STEPS  # where the neuron itself is measured


def test_errors_are_measured_by_what_measures_in_the_middle_of_the_neurons_circuit():
    sampler = StubSampler(lambda block, _: silence(block))
    device = Device("ibm:test", find("fake_kingston").backend, "ibm")
    executor, circuit = Executor(device, sampler=sampler), logic(1)
    for steps, name in ((STEPS, "measure_2"), (1, "measure")):
        with pytest.raises(HardwareError):  # a silent device misses every spike
            calibrate(executor, circuit, steps, seeded(0), 10)
        measured = next(step for step in sampler.blocks[-1][0].data if step.clbits)
        assert measured.operation.name == name
        (angles,) = sampler.blocks[-1][1].values()
        np.testing.assert_array_equal(angles[:, 0], [0, np.pi])


def measured_qubits(circuit) -> list[int]:
    """The physical qubits whose measurements fill the bits, in order of the bits."""
    filled = {
        circuit.find_bit(step.clbits[0]).index: circuit.find_bit(step.qubits[0]).index
        for step in circuit.data
        if step.operation.name == "measure"
    }
    return [filled[bit] for bit in sorted(filled)]


def wrong(share: np.ndarray):
    """Bits of which so many of 100 are wrong: `share` (places, N, 2), false and missed spikes."""

    def bits_of(place: int, row: int, shots: int) -> np.ndarray:
        assert (row, shots) in ((0, 100), (1, 100))
        shot = np.arange(shots)[:, None]
        return (shot < share[place, :, row]) ^ (row == 1)

    return bits_of


def test_rates_are_counted_for_every_place_and_channel():
    share = np.random.default_rng(0).integers(0, 40, (2, 2, 2))
    sampler = answering(wrong(share))
    executor = Executor(find("fake_manila"), pack=2, sampler=sampler)
    errors = calibrate(executor, circuits.get("crx", 2, 0), STEPS, seeded(0), 100)
    np.testing.assert_allclose(errors.false_spike, share[..., 0] / 100, atol=1e-12)
    np.testing.assert_allclose(errors.missed_spike, share[..., 1] / 100, atol=1e-12)
    (block,) = sampler.blocks
    (angles,) = block[1].values()
    np.testing.assert_array_equal(angles, [[0.0] * 4, [np.pi] * 4])  # |0000>, then |1111>


@pytest.mark.parametrize(
    ("false", "missed", "refused"),
    [(50, 49, False), (50, 50, True), (100, 0, True), (0, 100, True), (80, 80, True)],
)
def test_errors_that_leave_nothing_to_be_told_are_refused(false, missed, refused):
    share = np.zeros((2, 1, 2), int)
    share[1, 0] = false, missed  # one place is enough
    executor = Executor(find("fake_manila"), pack=2, sampler=answering(wrong(share)))
    circuit = circuits.get("crx", 1, 1)
    if not refused:
        errors = calibrate(executor, circuit, STEPS, seeded(0), 100)
        spikes = torch.ones((1, 1, 2, 1), dtype=torch.float64)
        assert errors.correct(spikes)[0, 0, 1, 0].item() == pytest.approx(50)
        return
    total = f"{(false + missed) / 100:.2f}"
    with pytest.raises(HardwareError, match=rf"add up to {total} on fake_manila"):
        calibrate(executor, circuit, STEPS, seeded(0), 100)


def test_taking_errors_out_brings_the_mean_spikes_of_a_noisy_chip_near_the_true_ones():
    # Memoryless neurons that fire, or do not, for certain. After 4000 shots of calibration and 2400
    # spikes a mean is known within 0.005: four of those, and 0.01 for faulty gates, are allowed.
    device, size = find("fake_manila"), 8
    neurons = SQSNeurons(
        size, circuit="crx", memory_qubits=0, dtype=torch.float64, generator=seeded(0)
    )
    with torch.no_grad():
        neurons.angles.zero_()
    fires: Tensor = (torch.arange(size) % 2).double().reshape(1, 1, size, 1)
    currents = fires.expand(STEPS, 200, -1, -1).contiguous()
    executor = Executor(device)
    errors = calibrate(executor, neurons.circuit, STEPS, seeded(2))
    spikes = DeviceBits(executor).sample(neurons, currents, [()], 1, seeded(3))[0, 0]
    recorded, left = spikes.double(), errors.correct(spikes.double())
    for true in (0, 1):
        chosen = currents == true
        assert abs(left[chosen].mean().item() - true) < 0.03
        assert abs(left[chosen].mean().item() - true) < abs(recorded[chosen].mean().item() - true)


@pytest.mark.parametrize(
    ("name", "channels", "memory_qubits", "moves"),
    [("crx", 2, 2, True), ("bidirectional", 1, 2, False)],
)
def test_a_channel_that_routing_moves_is_refused(name, channels, memory_qubits, moves):
    executor = Executor(find("fake_nairobi"))
    circuit = circuits.get(name, channels, memory_qubits)
    compiled = executor.compiled(circuit, 5)
    measured_on = {
        (bit_of(compiled.circuit, step.clbits[0]) % channels, qubit_of(compiled.circuit, step))
        for step in compiled.circuit.data
        if step.clbits
    }
    assert (measured_on != {(n, n) for n in range(channels)}) == moves
    if moves:
        with pytest.raises(HardwareError, match="swapped"):
            calibrate(executor, circuit, 5, torch.Generator().manual_seed(0))


def bit_of(circuit, bit):
    return circuit.find_bit(bit).index


def qubit_of(circuit, instruction):
    return circuit.find_bit(instruction.qubits[0]).index
