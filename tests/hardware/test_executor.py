"""Rows of angles in, spikes out: what is counted, in which order it comes back, from which seeds.

Most circuits here are logic (`hardware_stubs`): every bit is certain, so that a single wrong place
shows.
"""

import itertools

import numpy as np
import pytest
import torch
from hardware_stubs import (
    StubSampler,
    ibm_device,
    logic,
    perfect,
    programs,
    result_of,
    rows_of,
    silence,
    zeros,
)
from qiskit import QuantumCircuit
from qiskit.primitives import BitArray
from qiskit_aer import AerSimulator
from scipy.stats import chi2_contingency
from tools import seeded

from sqsnn.errors import HardwareError
from sqsnn.hardware import compile as compiling
from sqsnn.hardware import ibm
from sqsnn.hardware.bit_source import DeviceBits
from sqsnn.hardware.circuits import parameter_names
from sqsnn.hardware.devices import find
from sqsnn.hardware.executor import Executor
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.quantum import circuits
from sqsnn.quantum.shift_rules import Shift, Shifts

HALF_TURN = np.pi


# Counting


def test_a_layer_over_a_batch_is_one_job_and_one_transpilation(monkeypatch):
    calls = []
    transpile = compiling.transpile
    monkeypatch.setattr(
        compiling, "transpile", lambda *a, **o: calls.append(1) or transpile(*a, **o)
    )
    neurons = SQSNeurons(32, generator=seeded(0))
    currents = torch.randn((2, 50, 32, 1), generator=seeded(1))
    executor = Executor(find("aer"))
    source = DeviceBits(executor)
    spikes = source.sample(neurons, currents, [()], 1, seeded(2))
    assert spikes.shape == (1, 1, 2, 50, 32, 1)
    assert executor.counts == (1, 1600, 1600, 1, 0, 0)
    assert len(calls) == 1
    # A second layer, of the same circuit and as many steps: another job, nothing to transpile.
    source.sample(
        SQSNeurons(10, generator=seeded(0)),
        torch.randn((2, 5, 10, 1), generator=seeded(3)),
        [()],
        3,
        seeded(4),
    )
    assert executor.counts == (2, 1650, 1750, 1, 0, 0)
    assert len(calls) == 1
    # Other steps, then another circuit.
    source.sample(neurons, currents[:1, :1], [()], 1, seeded(5))
    assert executor.counts.transpilations == len(calls) == 2
    source.sample(
        SQSNeurons(2, circuit="crx", generator=seeded(0)), currents[:1, :1, :2], [()], 1, seeded(5)
    )
    assert executor.counts.transpilations == len(calls) == 3
    assert executor.counts.jobs == 4


def test_shifted_circuits_are_rows_of_the_same_job():
    sampler = StubSampler(lambda block, _: silence(block))
    executor = Executor(find("aer"), sampler=sampler)
    neurons = SQSNeurons(3, generator=seeded(0))
    settings: list[Shifts] = [(), (Shift(0, "gate", 1, 0.5),), (Shift(1, "encoding", 0, -0.5),)]
    currents = torch.rand((2, 4, 3, 1), generator=seeded(1))
    DeviceBits(executor).sample(neurons, currents, settings, 7, seeded(0))
    assert [(rows_of(block), block[2]) for block in sampler.blocks] == [(3 * 4 * 3, 7)]
    assert executor.counts == (1, 36, 36 * 7, 1, 0, 0)


def test_what_is_counted_is_what_the_sampler_was_given():
    sampler = StubSampler(lambda block, _: silence(block))
    executor = Executor(find("aer"), sampler=sampler, max_rows=4)
    circuit = logic(1)
    executor.run(circuit, 2, zeros(circuit, 2, rows=10), 3, seeded(0))
    assert [rows_of(block) for block in sampler.blocks] == [4, 4, 2]
    assert executor.counts == (3, 10, 30, 1, 0, 0)
    assert len(set(sampler.seeds)) == 3


# Order


@pytest.mark.parametrize("max_rows", [None, 1, 7, 37, 100])
@pytest.mark.parametrize("channels", [1, 2])
def test_every_bit_lands_at_its_row_step_and_channel(channels, max_rows):
    circuit, steps, rows, shots = logic(channels), 5, 37, 2
    values, expected = programs(channels, steps, rows)
    assert len(np.unique(expected.reshape(rows, -1), axis=0)) > rows // 2
    executor = Executor(find("aer"), max_rows=max_rows)
    spikes = executor.run(circuit, steps, values, shots, seeded(0))
    assert spikes.shape == (rows, shots, steps, channels)
    assert (spikes == expected[:, None]).all()
    assert executor.counts.jobs == (1 if max_rows is None else -(-rows // max_rows))


@pytest.mark.parametrize(
    ("name", "pack", "rows"),
    [("fake_manila", 1, 9), ("fake_manila", 2, 9), ("fake_boston", 4, 9)],
)
def test_the_order_is_the_same_on_a_chip_and_side_by_side(name, pack, rows):
    circuit, steps = logic(1), 4
    values, expected = programs(1, steps, rows, seed=1)
    executor = Executor(find(name), pack=pack, noisy=False)
    spikes = executor.run(circuit, steps, values, 2, seeded(0))
    assert (spikes == expected[:, None]).all()
    # The last circuit is filled up with idle neurons, which are dropped and paid for.
    assert executor.counts == (1, -(-rows // pack), 2 * -(-rows // pack), 1, 0, 0)


@pytest.mark.parametrize("name", ["aer", "fake_boston"])
def test_eight_channels_are_eight_bits_per_step(name):
    values, expected = programs(8, 2, 5, seed=3)
    executor = Executor(find(name), noisy=False)
    spikes = executor.run(logic(8), 2, values, 1, seeded(0))
    assert (spikes == expected[:, None]).all() and spikes.shape == (5, 1, 2, 8)


def test_two_channels_stay_two_channels_on_a_chip():
    circuit, steps = logic(2), 3
    values, expected = programs(2, steps, 12, seed=2)
    spikes = Executor(find("fake_manila"), noisy=False).run(circuit, steps, values, 1, seeded(0))
    assert (spikes == expected[:, None]).all()


def test_shots_keep_their_order():
    # Distinct records for every row and shot: 4 x 5 of 6 bits.
    rows, shots, steps, channels = 4, 5, 3, 2
    expected = np.random.default_rng(3).random((rows, shots, steps, channels)) < 0.5

    def answer(block, _):
        size = steps * channels
        text = [
            "".join("01"[int(bit)] for bit in record.reshape(-1)[::-1])  # bit 0 rightmost
            for record in expected.reshape(-1, steps, channels)
        ]
        array = BitArray.from_samples(text, num_bits=size).array.reshape(rows, shots, -1)
        return result_of({"spikes": BitArray(array, size)}, rows)

    circuit = logic(channels)
    executor = Executor(find("aer"), sampler=StubSampler(answer))
    spikes = executor.run(circuit, steps, zeros(circuit, steps, rows), shots, seeded(0))
    assert (spikes == expected).all()


def test_settings_shots_steps_samples_neurons_and_channels_are_not_mixed_up():
    # As for the simulator's bits: certain ones, another for every place.
    steps, batch, size, channels, shots = 2, 3, 4, 2, 5
    neurons = SQSNeurons(
        size, channels=channels, memory_qubits=0, dtype=torch.float64, generator=seeded(0)
    )
    with torch.no_grad():
        neurons.angles.zero_()
    fires = torch.rand((steps, batch, size, channels), generator=seeded(4)) < 0.5
    flipped = torch.tensor([0.0, HALF_TURN, 0.0, HALF_TURN], dtype=torch.float64)
    settings: list[Shifts] = [
        (),
        (Shift(1, "encoding", 0, HALF_TURN),),
        (Shift(0, "gate", 1, flipped),),
    ]
    assert neurons.circuit.gates[1].qubits == (1,)
    expected = fires.repeat(3, 1, 1, 1, 1)
    expected[1, 1, ..., 0] ^= True
    expected[2, 0, :, 1::2, 1] ^= True
    bits = DeviceBits(Executor(find("aer"))).sample(
        neurons, fires.double(), settings, shots, seeded(2)
    )
    assert bits.dtype == torch.bool
    assert torch.equal(bits, expected[:, None].expand_as(bits))


def test_shifts_turn_forward_or_backward_and_the_place_they_name():
    # From a quarter turn, a quarter more is a spike and a quarter less is none, for certain.
    neurons = SQSNeurons(
        2, circuit="crx", channels=2, memory_qubits=0, dtype=torch.float64, generator=seeded(0)
    )
    with torch.no_grad():
        neurons.angles.fill_(HALF_TURN / 2)
    currents = torch.zeros((3, 1, 2, 2), dtype=torch.float64)
    settings: list[Shifts] = [
        (Shift(t, place, n, sign * HALF_TURN / 2),)
        for t, place, n, sign in itertools.product(
            range(3), ("gate", "encoding"), range(2), (1, -1)
        )
    ]
    bits = DeviceBits(Executor(find("aer"))).sample(neurons, currents, settings, 8, seeded(0))
    for seen, (shift,) in zip(bits, settings, strict=True):
        turned = seen[:, shift.step, 0, :, shift.index]  # (shots, H)
        assert (turned == (shift.angle > 0)).all()
        # The other 16 x 5 bits are fair: all alike at none but one seed in 2^79.
        assert 0 < (seen.sum() - turned.sum()) < seen.numel() - turned.numel()


# Seeds


def coins(executor: Executor, generator: torch.Generator, rows: int = 20) -> np.ndarray:
    """Rows of 24 fair bits."""
    circuit = circuits.get("crx", 2, 0)
    values = zeros(circuit, 12, rows)
    values[:, : 12 * 2] = np.pi / 2
    return executor.run(circuit, 12, values, 2, generator)


@pytest.mark.parametrize("name", ["aer", "fake_manila"])
def test_the_generator_decides_the_bits(name):
    first = coins(Executor(find(name)), seeded(0))
    again = coins(Executor(find(name)), seeded(0))
    other = coins(Executor(find(name)), seeded(1))
    assert (first == again).all()
    assert not (first == other).all()


def test_no_record_comes_twice():
    # 3 runs x 40 records of 24 fair bits, jobs of 5 rows: all differ, but by chance at one seed in
    # 2400. Rows, shots, jobs or runs that shared a seed, or were one number apart, would repeat.
    executor, generator = Executor(find("aer"), max_rows=5), seeded(0)
    records = np.concatenate([coins(executor, generator).reshape(-1, 24) for _ in range(3)])
    assert executor.counts.jobs == 12
    assert len(np.unique(records, axis=0)) == len(records) == 120


# Limits of a service


def test_a_services_limit_of_shots_cuts_the_run(monkeypatch):
    monkeypatch.setattr(ibm, "MAX_EXECUTIONS", 10)
    sampler = StubSampler(perfect)
    executor = Executor(ibm_device(), sampler=sampler)
    values, expected = programs(1, 3, 11)
    spikes = executor.run(logic(1), 3, values, 3, seeded(0))
    assert [rows_of(block) for block in sampler.blocks] == [3, 3, 3, 2]
    assert (spikes == expected[:, None]).all()
    assert executor.counts == (4, 11, 33, 1, 0, 8.0)
    with pytest.raises(HardwareError, match=r"11 shots.*10 shots"):
        executor.run(logic(1), 3, values, 11, seeded(0))


def test_a_services_limit_of_instructions_cuts_the_run(monkeypatch):
    sampler = StubSampler(lambda block, _: silence(block))
    executor = Executor(ibm_device(), sampler=sampler)
    compiled = executor.compiled(logic(1), 3)
    busiest = max(
        sum(qubit in step.qubits for step in compiled.circuit.data)
        for qubit in compiled.circuit.qubits
    )
    monkeypatch.setattr(ibm, "MAX_INSTRUCTIONS", 2 * busiest + busiest // 2)
    executor.run(logic(1), 3, zeros(logic(1), 3, rows=5), 1, seeded(0))
    assert [rows_of(block) for block in sampler.blocks] == [2, 2, 1]


# Noise of a snapshot


def test_the_noise_is_that_of_the_chips_qubits_idle_times_included():
    # The executor's part of the chip with angles bound inside Aer, against the whole chip with a
    # circuit bound beforehand: a right one fails once in 100,000. Without the delays, or without
    # noise, the law is another.
    device, steps, shots = find("fake_manila"), 4, 6000
    circuit = logic(1)
    values = zeros(circuit, steps)
    values[0, [0, 2]] = HALF_TURN, 1.0
    values[0, [4, 5, 9, 11]] = HALF_TURN, 0.4, 1.2, HALF_TURN
    executor = Executor(device)
    ours = counted(executor.run(circuit, steps, values, shots, seeded(0)))
    compiled = executor.compiled(circuit, steps)
    native = compiled.circuit.assign_parameters(
        dict(zip(compiled.parameters, values[0], strict=True))
    )
    assert native.count_ops()["delay"] > 0
    noisy = AerSimulator.from_backend(device.backend, method="density_matrix", seed_simulator=9)

    def law(simulator: AerSimulator, native: QuantumCircuit) -> np.ndarray:
        placed = QuantumCircuit(device.backend.num_qubits, native.num_clbits)
        placed.compose(native, compiled.groups[0], range(native.num_clbits), inplace=True)
        memory = simulator.run(placed, shots=shots, memory=True).result().get_memory()
        bits = np.array([[c == "1" for c in text.replace(" ", "")[::-1]] for text in memory])
        return counted(bits.reshape(1, shots, steps, 1))

    assert difference(ours, law(noisy, native)) > 1e-5
    assert difference(ours, law(AerSimulator(seed_simulator=9), native)) < 1e-9
    hurried = native.copy_empty_like()
    hurried.data = [step for step in native.data if step.operation.name != "delay"]
    assert difference(ours, law(noisy, hurried)) < 1e-5


def counted(spikes: np.ndarray) -> np.ndarray:
    """How often each record of one row came."""
    bits = spikes[0].reshape(spikes.shape[1], -1)
    return np.bincount(bits @ 2 ** np.arange(bits.shape[1]), minlength=2 ** bits.shape[1])


def difference(one: np.ndarray, other: np.ndarray) -> float:
    """The p-value of two samples that come from one law."""
    both = np.stack([one, other])[:, one + other > 0]
    return chi2_contingency(both).pvalue


def test_noise_can_be_left_out():
    values, expected = programs(1, 6, 8)
    device = find("fake_manila")
    perfect_one = Executor(device, noisy=False).run(logic(1), 6, values, 50, seeded(0))
    assert (perfect_one == expected[:, None]).all()
    noisy = Executor(device).run(logic(1), 6, values, 50, seeded(0))
    assert 0.7 < (noisy == expected[:, None]).mean() < 0.999


def test_names_are_the_same_for_every_neuron_and_slot():
    # What is bound is bound in order: first neuron first, columns as `parameter_names` says.
    names = parameter_names(logic(1), 2, per_occurrence=True)
    compiled = Executor(find("fake_manila"), pack=2).compiled(logic(1), 2)
    bound = [parameter.name for parameter in compiled.parameters]
    assert len(bound) == len(set(bound)) == 2 * len(names)
    for (slot, name), own in zip(itertools.product(range(2), names), bound, strict=True):
        assert own.endswith(name), (slot, own)
    assert compiled.slots == len(compiled.registers) == len(compiled.groups) == 2
