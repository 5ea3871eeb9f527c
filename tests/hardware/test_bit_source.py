"""Bits from a device: their angles by name, their law in every setting, and what is learnt of them.

A device draws what it likes, so that laws are compared by their total variation and gradients by
their mean; how often a right device would fail is said with each, and the seeds are fixed.
"""

from functools import partial

import learning_reference
import numpy as np
import pytest
import reference
import torch
from hardware_reference import parameter_values, sampling_floor, total_variation
from hardware_stubs import StubSampler, silence
from tools import populations_of, replayed_law, seeded, synapses_of
from torch import Tensor

from sqsnn.hardware.bit_source import DeviceBits, angle_table
from sqsnn.hardware.circuits import parameter_names
from sqsnn.hardware.devices import find
from sqsnn.hardware.executor import Executor
from sqsnn.learning.bit_source import BitSource, SimulatedBits
from sqsnn.learning.estimators import Geometric
from sqsnn.learning.layers import Layer
from sqsnn.learning.local import Local
from sqsnn.learning.scores import Measured, Signals
from sqsnn.learning.signals import Both, Feedback, Reinforce
from sqsnn.network import SpikingNetwork
from sqsnn.neurons.drive import Rectified
from sqsnn.neurons.population import Record
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.quantum.circuit import Circuit, Encoded, Normal
from sqsnn.quantum.shift_rules import Shift, Shifts

SIZE, BATCH = 2, 2
HALF_TURN = np.pi


def aer() -> DeviceBits:
    return DeviceBits(Executor(find("aer")))


def made(circuit: str | Circuit, channels: int, memory_qubits: int, size: int = SIZE) -> SQSNeurons:
    neurons = SQSNeurons(
        size,
        circuit=circuit,
        channels=channels,
        memory_qubits=memory_qubits,
        encoding_slope="exact",
        drive=Rectified(),
        generator=seeded(0),
        dtype=torch.float64,
    )
    with torch.no_grad():
        neurons.angles.normal_(0, 1.5, generator=seeded(0))
        neurons.gains.normal_(0, 1, generator=seeded(1))
    return neurons


def some_currents(neurons: SQSNeurons, steps: int, batch: int = BATCH) -> Tensor:
    shape = (steps, batch, neurons.size, neurons.channels)
    drawn = 0.1 + 0.5 * torch.rand(shape, generator=seeded(2), dtype=torch.float64)
    drawn[-1, 0] *= -1  # nothing comes in at the last step of the first sample
    return drawn


# A channel that nothing rotates: numbers of rotations are not those of columns.
HIDDEN = Circuit.build(
    1,
    2,
    [("CRX", (1, 0), Normal()), ("H", (1,), None), ("RZ", (2,), Normal()), ("CZ", (1, 2), None),
     ("CRX", (2, 0), Normal()), ("RX", (0,), Normal())],
    encoding=[Encoded(1, 0, 1.0, trainable=True), Encoded(2, 0, 0.5)],
)  # fmt: skip


# Angles


@pytest.mark.parametrize("name", ["crx", "bidirectional", "integrate_and_fire"])
@pytest.mark.parametrize("channels", [1, 2])
def test_every_angle_stands_in_the_column_of_its_name(name, channels):
    steps, neurons = 3, made(name, channels, 2)
    currents = some_currents(neurons, steps)
    table = angle_table(neurons, currents, [()])[0].detach()
    names = parameter_names(neurons.circuit, steps, per_occurrence=True)
    for b, h in np.ndindex(BATCH, SIZE):
        angles, gains = (v[h].detach().numpy() for v in (neurons.angles, neurons.gains))
        neuron = reference.named(name, channels, 2, angles, gains)
        expected = parameter_values(neuron, currents[:, b, h].tolist(), per_occurrence=True)
        assert names == tuple(expected)
        np.testing.assert_allclose(table[b, h], list(expected.values()), atol=1e-12)


@pytest.mark.parametrize(
    "circuit",
    ["bidirectional", "integrate_and_fire", HIDDEN],
    ids=["bidirectional", "integrate_and_fire", "hidden"],
)
def test_a_shift_turns_the_angle_of_its_name_and_no_other(circuit):
    steps, neurons = 3, made(circuit, 1, 2)
    currents = some_currents(neurons, steps)
    names = parameter_names(neurons.circuit, steps, per_occurrence=True)
    each = torch.tensor([0.3, -0.7], dtype=torch.float64)  # an angle a neuron
    shifts = [
        *(Shift(t, "encoding", e, 0.5) for t in range(steps)
          for e, rotation in enumerate(neurons.circuit.encoding) if rotation.is_gate),
        *(Shift(t, "gate", g, each) for t in range(steps)
          for g, gate in enumerate(neurons.circuit.gates) if gate.parameter is not None),
    ]  # fmt: skip
    assert len(shifts) == len(names)
    settings: list[Shifts] = [(), *((shift,) for shift in shifts), tuple(shifts)]
    table = angle_table(neurons, currents, settings).detach()
    kinds = {"encoding": "phi", "gate": "theta"}
    for shift, row in zip(shifts, table[1:-1], strict=True):
        turned = row - table[0]
        column = names.index(f"{kinds[shift.place]}_{shift.step}_{shift.index}")
        expected = torch.zeros_like(turned)
        expected[..., column] = torch.as_tensor(shift.angle)
        torch.testing.assert_close(turned, expected)
    torch.testing.assert_close(table[-1] - table[0], (table[1:-1] - table[0]).sum(0))


def test_angles_are_not_rounded_to_the_networks_precision():
    neurons = made("bidirectional", 1, 1).float()
    currents = some_currents(neurons, 2).float()
    table = angle_table(neurons, currents, [(Shift(0, "gate", 0, HALF_TURN),)])
    assert table.dtype == torch.float64
    expected = neurons.angles[:, 0].double() + HALF_TURN
    assert torch.equal(table[0, 0, :, 2], expected)  # two encoding angles come first


# The law


QUICK_LAWS = [(HIDDEN, 1, 2, 4), ("integrate_and_fire", 2, 1, 3)]
SLOW_LAWS = [("bidirectional", 1, 1, 5), ("hardware_efficient", 1, 2, 5), ("crx", 2, 2, 3)]


@pytest.mark.parametrize(
    ("circuit", "channels", "memory_qubits", "steps"),
    [*QUICK_LAWS, *(pytest.param(*case, marks=pytest.mark.slow) for case in SLOW_LAWS)],
    ids=lambda value: value.name if isinstance(value, Circuit) else str(value),
)
def test_bits_of_every_setting_sample_and_neuron_follow_their_own_law(
    circuit, channels, memory_qubits, steps
):
    # The mean total variation of so many draws, the floor, is exceeded by `margin` with a chance of
    # exp(-2 shots margin^2) at most (McDiarmid), here 1e-5: of 16 laws one seed in 6000 would fail.
    shots, neurons = 600, made(circuit, channels, memory_qubits)
    margin = np.sqrt(np.log(1e5) / (2 * shots))
    currents = some_currents(neurons, steps)
    gates = [g for g, gate in enumerate(neurons.circuit.gates) if gate.parameter is not None]
    rotated = [e for e, rotation in enumerate(neurons.circuit.encoding) if rotation.is_gate]
    each = torch.tensor([HALF_TURN, -HALF_TURN / 2], dtype=torch.float64)  # an angle a neuron
    settings: list[Shifts] = [
        (),
        (Shift(0, "gate", gates[-1], -3 * HALF_TURN / 2),),
        (Shift(steps - 1, "encoding", rotated[-1], HALF_TURN),),
        (Shift(1, "gate", gates[0], HALF_TURN), Shift(2, "encoding", rotated[0], each)),
    ]
    bits = aer().sample(neurons, currents, settings, shots, seeded(3))
    assert bits.shape == (len(settings), shots, steps, BATCH, SIZE, channels)
    assert bits.dtype == torch.bool
    encoding = torch.stack(neurons.encoding_angles(currents), dim=-1).detach()
    laws = replayed_law(neurons.circuit, neurons.angles.detach(), encoding, settings).numpy()
    unshifted = np.zeros((len(settings), BATCH, SIZE))
    for j, b, h in np.ndindex(unshifted.shape):
        law, seen = laws[j, b, h], bits[j, :, :, b, h].numpy()
        assert total_variation(seen, law) < sampling_floor(law, shots) + margin
        unshifted[j, b, h] = total_variation(seen, laws[0, b, h])
    # Bits of another setting would be seen: every shift moves the law of some neuron by more.
    assert (unshifted[1:].reshape(len(settings) - 1, -1).max(1) > 2 * margin).all(), unshifted


def test_a_current_of_zero_or_below_turns_nothing_but_its_shift_does():
    # Without gates' angles a half turn of the encoding is a spike, and nothing else is.
    steps, neurons = 3, made("crx", 2, 1)
    with torch.no_grad():
        neurons.angles.zero_()
    currents = torch.full((steps, 2, 2, 2), -1.0, dtype=torch.float64)
    currents[0] = 0
    table = angle_table(neurons, currents, [()])
    assert not table.any()
    settings: list[Shifts] = [
        (),
        (Shift(1, "encoding", 0, HALF_TURN),),
        (Shift(0, "encoding", 1, -HALF_TURN), Shift(2, "encoding", 1, HALF_TURN)),
    ]
    expected = torch.zeros((3, steps, 2, 2, 2), dtype=torch.bool)
    expected[1, 1, ..., 0] = True
    expected[2, [0, 2], ..., 1] = True
    bits = aer().sample(neurons, currents, settings, 4, seeded(0))
    assert torch.equal(bits, expected[:, None].expand_as(bits))
    simulated = SimulatedBits().sample(neurons, currents, settings, 4, seeded(0))
    assert torch.equal(bits, simulated)


# Learning


def copies(source: BitSource, window: int, count: int = 16) -> tuple[list[Tensor], list[Tensor]]:
    """Gradients by angles, gains and currents that equal neurons measured, and the exact ones."""
    steps, name = 3, "integrate_and_fire"
    neurons, random = made(name, 1, 1, count), np.random.default_rng(3)
    with torch.no_grad():
        for values in (neurons.angles, neurons.gains):
            values[:] = torch.as_tensor(random.uniform(0.5, 1.2, values.shape[1]))
    currents = torch.as_tensor(random.uniform(0.2, 0.5, (steps, 1, 1, 1)))
    currents[1] = -0.2
    spikes = torch.tensor([1.0, 0.0, 1.0], dtype=torch.float64).reshape(steps, 1, 1, 1)
    told = [torch.as_tensor(random.normal(size=shape)) for shape in ((3, 1, 1, 1), (3, 1, 1))]
    truth = learning_reference.gradient(
        name,
        1,
        1,
        neurons.angles[0].detach().numpy(),
        neurons.gains[0].detach().numpy(),
        *(values[:, 0, 0].numpy() for values in (currents, spikes, *told)),
        window=window,
    )
    driven, spikes = (v.expand(-1, 1, count, -1).contiguous() for v in (currents, spikes))
    driven.requires_grad_()
    record = Record(spikes, torch.zeros_like(spikes), torch.zeros_like(spikes[..., 0]))
    layer = Layer("output", (), neurons, driven, driven, record)
    signals = Signals(
        told[0].expand(-1, 1, count, -1).contiguous(), told[1].expand(-1, 1, count).contiguous()
    )
    estimator = Geometric(repeats=40, max_trials=40)
    score = Measured(window=window, estimator=estimator, source=source)
    pulled = score.pull(layer, signals, seeded(4))
    found = [*pulled.parameters, pulled.currents[:, 0, :, 0].T]
    return found, [torch.as_tensor(values).flatten() for values in truth]


@pytest.mark.parametrize("window", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_gradients_from_a_devices_bits_are_on_average_those_of_the_window(window):
    # 9 means of 16 draws, each beyond 5.5 standard errors by chance once in 16,000 (Student's t):
    # one seed in 1800 would fail.
    found, truth = (torch.cat(values, -1) for values in copies(aer(), window))
    off, error = found.mean(0) - truth, found.std(0) / len(found) ** 0.5
    assert (off.abs() <= 5.5 * error + 1e-9).all(), off / error
    assert error.max() < 0.1 * truth.abs().max()  # precise enough to tell


def tiny_network() -> SpikingNetwork:
    neurons = partial(SQSNeurons, drive=Rectified(), encoding_slope="exact")
    network = SpikingNetwork([3, 1, 2], neurons=neurons, generator=seeded(0), dtype=torch.float64)
    with torch.no_grad():
        for synapses, population in zip(synapses_of(network), populations_of(network), strict=True):
            synapses.weight.abs_()
            population.angles.normal_(0.8, 0.5, generator=seeded(1))
    return network


class Played:
    """Gives the network's own spikes, always the same, and shifted bits from another source."""

    def __init__(self, shifted: BitSource) -> None:
        self.shifted = shifted

    def run(self, neurons, currents, generator):
        return torch.rand(currents.shape, generator=seeded(neurons.size)) < 0.5

    def sample(self, neurons, potentials, shifts, shots, generator):
        return self.shifted.sample(neurons, potentials, shifts, shots, generator)


def learnt(
    source: BitSource, steps: int, batch: int, signal: Feedback | Reinforce | Both
) -> Tensor:
    """All gradients of some training steps on the same sample, (steps, values)."""
    network, generator = tiny_network(), seeded(5)
    one = (torch.rand((2, 1, 3, 1), generator=seeded(6)) < 0.7).double()
    spikes, labels = one.expand(-1, batch, -1, -1).contiguous(), torch.zeros(batch).long()
    estimator = Geometric(repeats=60, max_trials=10)
    rule = Local(signal=signal, score=Measured(estimator=estimator, source=source))
    drawn = []
    for _ in range(steps):
        network.zero_grad()
        rule.step(network, spikes, labels, generator)
        drawn.append(torch.cat([p.grad.flatten() for p in network.parameters()]))
    return torch.stack(drawn)


@pytest.mark.parametrize("name", ["feedback", pytest.param("both", marks=pytest.mark.slow)])
def test_a_rule_learns_from_a_device_what_it_learns_from_the_simulator(name):
    # 21 means of 12 steps beside those of 40, each beyond 6.5 standard errors by chance once in
    # 22,000 (Student's t of the fewer): one seed in 1000 would fail.
    feedback = Feedback(feedback="symmetric")
    signal = (
        feedback if name == "feedback" else Both(feedback=feedback, reward=Reinforce(samples=2))
    )
    device, simulated = (
        learnt(Played(source), steps, 1, signal)
        for source, steps in ((aer(), 12), (SimulatedBits(), 40))
    )
    error = (device.var(0) / len(device) + simulated.var(0) / len(simulated)).sqrt()
    off = device.mean(0) - simulated.mean(0)
    assert (off.abs() <= 6.5 * error + 1e-12).all(), off / error
    # Precise enough to tell: gradients are seen to be there.
    assert (simulated.mean(0).abs() > 8 * error).sum() >= len(error) // 4


# Counting, and refusals


def test_a_training_step_is_a_few_jobs_a_layer_whatever_the_batch():
    counts = []
    for batch in (2, 9):
        executor = Executor(find("aer"), sampler=StubSampler(lambda block, _: silence(block)))
        source = DeviceBits(executor)
        learnt(source, 1, batch, Reinforce(samples=2))
        counts.append(executor.counts)
    few, many = counts
    # Spikes and shifted circuits of both layers, and trials of the hidden one's events.
    assert few.jobs == many.jobs == 2 + 2 + 1
    assert few.transpilations == many.transpilations == 2  # of two steps, and of one
    assert many.shots / few.shots == 9 / 2


def test_a_shared_circuit_is_transpiled_once_and_every_neuron_has_the_angles_of_its_group():
    neurons = SQSNeurons(
        (2, 3, 4), share="map", circuit="crx", drive=Rectified(), generator=seeded(0)
    )
    # CRX, RX on the memory, RX on the channel: the first map fires for sure, the second never.
    angles = torch.tensor([[0.0, 0.0, HALF_TURN], [0.0, 0.0, 0.0]])
    neurons.angles = angles.repeat_interleave(12, 0)
    source = aer()
    spikes = source.run(neurons, torch.zeros(3, 2, 24, 1), seeded(1))
    assert source.executor.counts.transpilations == source.executor.counts.jobs == 1
    assert spikes[:, :, :12].all() and not spikes[:, :, 12:].any()


def test_it_is_a_source_of_bits():
    assert isinstance(aer(), BitSource)


@pytest.mark.parametrize("shots", [0, -1])
def test_no_shots_are_refused(shots):
    neurons = made("crx", 1, 1)
    with pytest.raises(ValueError, match="shots must be an integer of at least 1"):
        aer().sample(neurons, some_currents(neurons, 2), [()], shots, seeded(0))


def test_potentials_that_do_not_fit_are_refused():
    neurons = made("crx", 1, 1)
    with pytest.raises(ValueError, match="potentials must have shape"):
        aer().sample(neurons, some_currents(neurons, 2)[:, :, 1:], [()], 1, seeded(0))
    with pytest.raises(ValueError, match="potentials must be finite"):
        aer().sample(neurons, some_currents(neurons, 2) * torch.nan, [()], 1, seeded(0))


def test_no_gradient_is_kept():
    neurons = made("crx", 1, 1)
    bits = aer().sample(neurons, some_currents(neurons, 2).requires_grad_(), [()], 1, seeded(0))
    assert not bits.requires_grad
