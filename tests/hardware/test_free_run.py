"""Free runs measured on a device: their law for every drive, jobs, estimates, and refusals.

A law is compared by chi-square, of rows of one shot as a layer over a batch has them. Each is
refused at p < 1e-4: of the 38 laws here, a right device would fail one at one seed in 260. The
seeds are fixed.
"""

from functools import partial

import numpy as np
import pytest
import torch
from hardware_leaky import leaky, some_currents
from hardware_reference import sequence_indices
from scipy.stats import chi2
from tools import seeded
from torch import Tensor

from sqsnn.errors import HardwareError
from sqsnn.hardware import free_run
from sqsnn.hardware.bit_source import DeviceBits
from sqsnn.hardware.devices import find
from sqsnn.hardware.executor import Executor
from sqsnn.hardware.jobs import Journal
from sqsnn.learning.local import Local
from sqsnn.learning.scores import Measured
from sqsnn.learning.signals import Feedback
from sqsnn.network import SpikingNetwork
from sqsnn.neurons.drive import Leaky, Rectified, Saturating
from sqsnn.neurons.sqs import SQSNeurons

ROWS = 1000


def aer(**options) -> DeviceBits:
    return DeviceBits(Executor(find("aer"), **options))


def chance(spikes: Tensor, law: np.ndarray) -> float:
    """The p value of records (T, B, N) under a law of all sequences; rare ones are put together."""
    counts = np.bincount(sequence_indices(spikes.movedim(1, 0).numpy()), minlength=len(law))
    expected = law * spikes.shape[1]
    order = np.argsort(expected)
    rare = np.cumsum(expected[order]) < 5
    rare[: np.argmin(rare) + 1] = True  # and one more, so that five are expected of them together
    kept = order[~rare]
    seen = np.append(counts[kept], counts[order[rare]].sum())
    wanted = np.append(expected[kept], expected[order[rare]].sum())
    return chi2.sf(((seen - wanted) ** 2 / wanted).sum(), len(seen) - 1)


def assert_follows(source: DeviceBits, neurons: SQSNeurons, steps: int, rows: int = ROWS) -> None:
    """A free run follows the exact law, which tells the neurons apart."""
    one = some_currents(neurons, steps, 1)
    spikes = source.run(neurons, one.expand(-1, rows, -1, -1).contiguous(), seeded(7))
    assert spikes.shape == (steps, rows, neurons.size, neurons.channels)
    assert spikes.dtype == torch.bool
    laws = neurons.sequence_probabilities(one)[0].detach().numpy()
    for h, law in enumerate(laws):
        assert chance(spikes[:, :, h], law) > 1e-4
        assert chance(spikes[:, :, h], laws[1 - h]) < 1e-9


# The law


@pytest.mark.parametrize(
    ("circuit", "channels", "memory_qubits", "reset_steps", "steps"),
    [
        ("bidirectional", 1, 1, 0, 4),
        ("bidirectional", 1, 1, 1, 4),
        ("bidirectional", 1, 1, 2, 4),
        ("bidirectional", 1, 1, 3, 5),
        ("crx", 1, 0, 3, 5),
        ("integrate_and_fire", 1, 1, 2, 4),
        ("integrate_and_fire", 2, 1, 1, 3),
        ("bidirectional", 1, 1, None, 6),
        ("crx", 1, 1, 4, 6),
        ("integrate_and_fire", 2, 1, None, 3),
    ],
)
def test_conditions_run_in_one_job_and_follow_the_law(
    circuit, channels, memory_qubits, reset_steps, steps
):
    source = aer()
    assert_follows(source, leaky(circuit, channels, memory_qubits, reset_steps), steps)
    assert source.executor.counts[:4] == (1, 2 * ROWS, 2 * ROWS, 1)


@pytest.mark.parametrize(
    ("circuit", "channels", "reset_steps", "steps"),
    [("crx", 1, None, 5), ("hardware_efficient", 2, None, 3), ("crx", 1, 4, 6)],
)
def test_without_memory_a_longer_reset_runs_step_by_step_and_follows_the_law(
    circuit, channels, reset_steps, steps
):
    source = aer()
    assert_follows(source, leaky(circuit, channels, 0, reset_steps), steps)
    assert source.executor.counts[:4] == (steps, 2 * steps * ROWS, 2 * steps * ROWS, 1)


@pytest.mark.parametrize(
    ("backend", "circuit", "memory_qubits", "reset_steps", "pack"),
    [
        ("fake_manila", "bidirectional", 1, 2, 1),
        ("fake_manila", "bidirectional", 1, 2, 2),
        ("fake_fez", "integrate_and_fire", 1, 1, 1),
        # Three qubits in a row need swaps, in whose midst the conditions stand.
        ("fake_manila", "bidirectional", 2, 2, 1),
        ("fake_manila", "bidirectional", 1, None, 2),
    ],
)
def test_a_chip_without_noise_follows_the_law(backend, circuit, memory_qubits, reset_steps, pack):
    source = DeviceBits(Executor(find(backend), noisy=False, pack=pack))
    neurons = leaky(circuit, 1, memory_qubits, reset_steps)
    assert_follows(source, neurons, 4, 600)
    compiled = free_run.plan(neurons, 4).compiled(source.executor, neurons.circuit)
    assert compiled.slots == pack and compiled.feed_forward > 0


def test_noise_acts_in_branches_and_while_they_wait():
    # Half turns: without noise every second step is a spike, and no other.
    neurons = leaky("bidirectional", 1, 1, 1)
    with torch.no_grad():
        for values in (neurons.angles, neurons.beta, neurons.bias):
            values.zero_()
        neurons.reset.fill_(1.0)
    currents = torch.ones((6, 200, 2, 1), dtype=torch.float64)
    perfect, noisy = (
        DeviceBits(Executor(find("fake_boston"), noisy=each)).run(neurons, currents, seeded(0))
        for each in (False, True)
    )
    rhythm = torch.tensor([True, False] * 3)[:, None, None, None].expand_as(perfect)
    assert torch.equal(perfect, rhythm)
    # Readout errors of 1 % at each step, of which the next follows what was recorded.
    follows = noisy[1:] != noisy[:-1]
    assert 0.95 < follows.double().mean() < 1


# Without a membrane nothing is new


@pytest.mark.parametrize("drive", [Rectified(), Saturating()], ids=["rectified", "saturating"])
def test_without_a_membrane_the_run_is_the_static_circuit_bit_for_bit(drive):
    neurons = SQSNeurons(3, circuit="crx", drive=drive, generator=seeded(0))
    currents = torch.randn((4, 20, 3, 1), generator=seeded(1))
    free = aer().run(neurons, currents, seeded(2))
    static = aer().sample(neurons, currents, [()], 1, seeded(2))[0, 0]
    assert torch.equal(free, static)
    assert 0.1 < free.float().mean() < 0.9


# Jobs and their estimates


def test_a_free_run_is_kept_and_not_taken_for_another_one(tmp_path):
    neurons = leaky("bidirectional", 1, 1, 2)
    currents = some_currents(neurons, 3, 10)
    first, again = (aer(journal=Journal(tmp_path)) for _ in range(2))
    bits = first.run(neurons, currents, seeded(0))
    assert torch.equal(again.run(neurons, currents, seeded(0)), bits)
    assert again.executor.counts.jobs == 0
    assert again.executor.counts.resumed == 1


@pytest.mark.parametrize(
    ("memory_qubits", "reset_steps", "jobs", "conditions"),
    [(1, 0, 1, 0), (1, 3, 1, 14), (0, 2, 1, 10), (0, None, 4, 0), (1, None, 1, 14)],
)
def test_the_estimate_is_what_is_run(memory_qubits, reset_steps, jobs, conditions):
    executor = Executor(find("fake_manila"))
    neurons = leaky("crx", 1, memory_qubits, reset_steps)
    expected = free_run.estimate(executor, neurons, free_run.plan(neurons, 4), 10)
    DeviceBits(executor).run(neurons, some_currents(neurons, 4, 10), seeded(0))
    counts = executor.counts
    assert (counts.jobs, counts.circuits, counts.shots) == expected[:2] + expected[3:4]
    assert counts.jobs == jobs
    words = expected.in_words()
    assert expected.conditions == conditions
    if conditions:
        assert expected.feed_forward == pytest.approx(3 * 0.7e-6)
        assert "(2.1 us of it feed-forward of own spikes, " in words
        # A rotation is two pulses.
        pulse = find("fake_manila").target["sx"][0,].duration
        assert expected.under_conditions == pytest.approx(conditions * 2 * pulse)
        assert f" us gates under {conditions} conditions)" in words
    else:
        assert expected.feed_forward == 0 and "feed-forward" not in words


def test_a_network_learns_from_free_runs_and_static_circuits():
    # Spikes by conditional circuits, scores by static ones of the recorded spikes.
    neurons = partial(SQSNeurons, drive=Leaky(reset_steps=2))
    network = SpikingNetwork([3, 2, 2], neurons=neurons, generator=seeded(0), dtype=torch.float64)
    source, steps = aer(), 3
    rule = Local(signal=Feedback("symmetric"), score=Measured(source=source))
    spikes = (torch.rand((steps, 4, 3, 1), generator=seeded(1)) < 0.7).double()
    rule.step(network, spikes, torch.tensor([0, 1, 0, 1]), seeded(2))
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
    # The free run of three steps, and single steps for the scores.
    assert source.executor.counts.transpilations == 2


# Refusals


@pytest.mark.parametrize(
    ("reset_steps", "said"),
    [
        (None, r"is None and memory_qubits is 1, with 7 steps.*all earlier spikes.*up to 2\^6"),
        (4, r"is 4 and memory_qubits is 1, with 7 steps.*the last 4 spikes.*up to 2\^4 angles"),
    ],
)
def test_long_resets_with_memory_are_refused_before_anything_is_sent(reset_steps, said):
    source, neurons = aer(), leaky("bidirectional", 1, 1, reset_steps)
    said = rf"reset_steps {said}.*at most 6 steps, with reset_steps 0\.\.3, or with memory_qubits 0"
    with pytest.raises(HardwareError, match=said):
        source.run(neurons, some_currents(neurons, 7), seeded(0))
    with pytest.raises(HardwareError, match=said):
        free_run.plan(neurons, 7)
    assert source.executor.counts.jobs == source.executor.counts.transpilations == 0
    # Scores of recorded spikes are static whatever the reset.
    potentials = neurons.potentials(some_currents(neurons, 7), torch.zeros(7, 2, 2, 1))
    assert source.sample(neurons, potentials, [()], 2, seeded(0)).shape == (1, 2, 7, 2, 2, 1)


def test_a_device_without_conditions_is_refused_by_name():
    source = DeviceBits(Executor(find("fake_lima"), noisy=False))
    whole = leaky("bidirectional", 1, 1, None)
    currents = some_currents(whole, 3)
    with pytest.raises(HardwareError, match="fake_lima offers no if_else"):
        source.run(whole, currents, seeded(0))
    assert source.executor.counts.jobs == 0
    # Without memory the membrane is integrated between jobs, and nothing is conditional.
    without = leaky("crx", 1, 0, None)
    assert source.run(without, currents, seeded(0)).shape == currents.shape


def test_currents_that_do_not_fit_are_refused():
    neurons = leaky("crx", 1, 1, 1)
    with pytest.raises(ValueError, match="currents must have shape"):
        aer().run(neurons, some_currents(neurons, 2)[:, :, 1:], seeded(0))
    with pytest.raises(ValueError, match="currents must be finite"):
        aer().run(neurons, some_currents(neurons, 2) * torch.nan, seeded(0))
