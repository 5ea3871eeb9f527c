"""A network on a source of bits, layer by layer, against the simulator and arithmetic by hand."""

from functools import partial

import pytest
import torch
from hardware_stubs import logic
from tools import populations_of, seeded, synapses_of
from torch import Tensor, nn

from sqsnn.hardware.bit_source import DeviceBits
from sqsnn.hardware.devices import find
from sqsnn.hardware.executor import Executor
from sqsnn.hardware.mitigation import ReadoutErrors
from sqsnn.learning.bit_source import SimulatedBits, run_network
from sqsnn.network import SpikingNetwork
from sqsnn.neurons.drive import Rectified
from sqsnn.neurons.population import Population
from sqsnn.neurons.sqs import SQSNeurons

HALF_TURN = torch.pi
PAPER = partial(SQSNeurons, drive=Rectified())


def network_of(*sizes: int, neurons, seed: int = 0) -> SpikingNetwork:
    return SpikingNetwork(sizes, neurons=neurons, generator=seeded(seed), dtype=torch.float64)


def input_spikes(*shape: int, seed: int = 1) -> Tensor:
    return (torch.rand(shape, generator=seeded(seed)) < 0.5).double()


# Logic: weights of -1, 0 and 1, angles of 0 and pi, so that every spike is certain


def logical_network(*sizes: int, channels: int = 1) -> SpikingNetwork:
    neurons = partial(PAPER, channels=channels, circuit=logic(channels))
    network = network_of(*sizes, neurons=neurons)
    drawn = seeded(2)
    with torch.no_grad():
        for synapses, population in zip(synapses_of(network), populations_of(network), strict=True):
            weight = synapses.weight
            weight.copy_(torch.randint(-1, 3, weight.shape, generator=drawn).clamp(max=1))
            angles = population.angles
            angles.copy_(HALF_TURN * torch.randint(0, 2, angles.shape, generator=drawn))
    return network


def logical_spikes(network: SpikingNetwork, spikes: Tensor) -> list[Tensor]:
    """What must come out, bit by bit: channels flip the memory, and the memory the channels."""
    layers = []
    for synapses, population in zip(synapses_of(network), populations_of(network), strict=True):
        weight, flips = synapses.weight, population.angles > 1  # (N, H, P), (H, 2 N)
        steps, batch = spikes.shape[:2]
        channels, size, _ = weight.shape
        memory = torch.zeros(batch, size, dtype=torch.bool)
        out = torch.zeros(steps, batch, size, channels, dtype=torch.bool)
        for t in range(steps):
            given = [
                spikes[t, :, :, n if spikes.shape[-1] > 1 else 0] @ weight[n].T
                for n in range(channels)
            ]
            # A current of 2 turns the channel all the way round.
            odd = [current.clamp(min=0).round().long() % 2 == 1 for current in given]
            for n in range(channels):
                memory ^= odd[n] & flips[:, n]
            for n in range(channels):
                out[t, :, :, n] = odd[n] ^ (memory & flips[:, channels + n])
        spikes = out.double()
        layers.append(spikes)
    return layers


@pytest.mark.parametrize(
    ("backend", "channels", "options"),
    [
        ("aer", 1, {}),
        ("aer", 2, {}),
        ("aer", 1, {"max_rows": 7}),
        ("fake_manila", 1, {"pack": 2, "noisy": False}),
    ],
)
def test_certain_spikes_are_the_simulators_layer_by_layer(backend, channels, options):
    # Sizes, steps and batch all differ: no two axes can be mistaken for each other.
    network = logical_network(4, 6, 5, 3, channels=channels)
    spikes = input_spikes(3, 7, 4, channels)
    with torch.no_grad():
        simulated = network(spikes, generator=seeded(3))
    executor = Executor(find(backend), **options)
    record = run_network(network, spikes, DeviceBits(executor), seeded(4))
    assert len(record.layers) == 3
    by_hand = logical_spikes(network, spikes)
    for layer, expected, other in zip(record.layers, by_hand, simulated.layers, strict=True):
        assert torch.equal(layer.spikes, expected)
        assert torch.equal(layer.spikes, other.spikes)
        # Neither silent nor always firing, and another record for every sample.
        assert 0.1 < layer.spikes.mean() < 0.9
        records = layer.spikes.movedim(1, 0).flatten(1)
        assert len(records.unique(dim=0)) > 4
    if not options:
        assert executor.counts.jobs == 3  # one a layer


def test_a_record_holds_the_spikes_and_nothing_that_a_device_does_not_know():
    network = logical_network(3, 4, 2)
    spikes = input_spikes(2, 5, 3, 1)
    record = run_network(network, spikes, DeviceBits(Executor(find("aer"))), seeded(0))
    assert record.state is None
    for layer in record.layers:
        assert layer.spikes.dtype == spikes.dtype
        assert not layer.spikes.requires_grad
        assert torch.equal(layer.probability, layer.spikes)
        assert layer.log_likelihood.shape == layer.spikes.shape[:3]
        assert layer.log_likelihood.isnan().all()
        assert layer.memory is None


@pytest.mark.parametrize(("circuit", "channels"), [("integrate_and_fire", 1), ("bidirectional", 2)])
def test_mean_spikes_of_every_neuron_and_step_are_the_simulators(circuit, channels):
    # One sample again and again. At most 30 means, the device's of 500 and the simulator's of
    # 20,000, each beyond 4.3 standard errors by chance once in 58,000: one seed in 1900 would fail.
    steps, copies, many = 3, 500, 20_000
    neurons = partial(PAPER, circuit=circuit, channels=channels)
    network = network_of(5, 3, 2, neurons=neurons, seed=1)
    with torch.no_grad():
        for synapses, population in zip(synapses_of(network), populations_of(network), strict=True):
            synapses.weight.abs_()
            population.angles.normal_(0, 1.5, generator=seeded(7))
    one = input_spikes(steps, 1, 5, channels, seed=8)
    one[0] = 0  # no two steps alike
    source = DeviceBits(Executor(find("aer")))
    measured = run_network(network, one.expand(-1, copies, -1, -1).contiguous(), source, seeded(5))
    with torch.no_grad():
        simulated = network(one.expand(-1, many, -1, -1).contiguous(), generator=seeded(6))
    told_apart = [False, False]
    for layer, other in zip(measured.layers, simulated.layers, strict=True):
        found, expected = layer.spikes.mean(1), other.spikes.mean(1)  # (T, H, N)
        error = (expected * (1 - expected) * (1 / copies + 1 / many)).sqrt()
        assert ((found - expected).abs() <= 4.3 * error).all()
        for axis in (0, 1):
            told_apart[axis] |= bool(((found - expected.roll(1, axis)).abs() > 6 * error).any())
    assert all(told_apart)  # steps, and neurons, in another order would be seen


def test_the_generator_decides_what_is_measured():
    network = network_of(5, 4, 3, neurons=PAPER)
    spikes = input_spikes(3, 20, 5, 1)
    runs = [
        run_network(network, spikes, DeviceBits(Executor(find("aer"))), seeded(seed))
        for seed in (0, 0, 1)
    ]
    first, again, other = (
        torch.cat([r.spikes.flatten() for r in record.layers]) for record in runs
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


# Readout errors are taken out of what spikes are used for


class Tape:
    """Gives the bits that it was given, layer by layer, and keeps what it was asked for."""

    def __init__(self, *bits: Tensor) -> None:
        self.bits = list(bits)
        self.currents: list[Tensor] = []
        self.asked: list[int] = []

    def run(self, neurons, currents, generator):
        self.currents.append(currents)
        self.asked.append(neurons.size)
        return self.bits.pop(0).bool()

    def sample(self, neurons, potentials, shifts, shots, generator):
        raise NotImplementedError


@pytest.mark.parametrize("mended", [False, True])
def test_readout_errors_leave_the_currents_and_the_outputs_but_not_the_record(mended):
    network = network_of(3, 2, 2, neurons=PAPER)
    spikes = input_spikes(2, 3, 3, 1)
    hidden, output = input_spikes(2, 3, 2, 1), 1 - input_spikes(2, 3, 2, 1)
    tape = Tape(hidden, output)
    # One place: recorded 1 counts (1 - 0.1) / 0.6, recorded 0 counts -0.1 / 0.6.
    errors = ReadoutErrors(*(torch.tensor([[rate]]).double().numpy() for rate in (0.1, 0.3)))
    record = run_network(
        network, spikes, tape, seeded(0), correct=[errors.correct] * 2 if mended else None
    )
    assert tape.asked == [2, 2]
    first, second = (synapses.weight[0].detach() for synapses in synapses_of(network))
    torch.testing.assert_close(tape.currents[0][..., 0], spikes[..., 0] @ first.T)

    def believed(bits: Tensor) -> Tensor:
        return torch.where(bits > 0, 1.5, -1 / 6).double() if mended else bits

    torch.testing.assert_close(tape.currents[1][..., 0], believed(hidden)[..., 0] @ second.T)
    for layer, bits in zip(record.layers, (hidden, output), strict=True):
        assert torch.equal(layer.spikes, bits)
        torch.testing.assert_close(layer.probability, believed(bits))
        assert layer.log_likelihood.isnan().all()


# Refusals


class Coin(Population):
    """Fires half of the time: no circuit."""

    def __init__(self, size: int, *, generator=None, dtype=None, device=None) -> None:
        super().__init__(size)
        self.unused = nn.Parameter(torch.zeros(1, dtype=dtype))

    @property
    def parameter_like(self) -> Tensor:
        return self.unused

    def evolve(self, currents, state, uniforms, observed, keep_memory):
        raise NotImplementedError


@pytest.mark.parametrize("kinds", [(Coin, SQSNeurons), (SQSNeurons, Coin)])
def test_a_layer_that_is_no_circuit_is_refused_by_name(kinds):
    network = network_of(3, 2, 2, neurons=kinds)
    with pytest.raises(TypeError, match=r"SQSNeurons.*Coin"):
        run_network(network, input_spikes(2, 3, 3, 1), SimulatedBits(), seeded(0))


def test_spikes_that_do_not_fit_are_refused_before_anything_runs():
    network, tape = network_of(3, 2, 2, neurons=PAPER), Tape()
    with pytest.raises(ValueError, match="spikes must have shape"):
        run_network(network, input_spikes(2, 3, 4, 1), tape, seeded(0))
    with pytest.raises(ValueError, match="0 steps"):
        run_network(network, input_spikes(0, 3, 3, 1), tape, seeded(0))
    assert not tape.asked
