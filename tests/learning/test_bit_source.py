"""Simulated bits: their shape and order, their law however they are cut, and what is refused."""

import jaxtyping
import pytest
import torch
from scipy.stats import chisquare
from tools import populations_of, replayed_law, seeded, synapses_of
from torch import Tensor, nn

from sqsnn.learning import bit_source
from sqsnn.learning.bit_source import BitSource, SimulatedBits, require_circuits, run_network
from sqsnn.network import SpikingNetwork
from sqsnn.neurons.drive import Leaky, Rectified
from sqsnn.neurons.lif import LIF
from sqsnn.neurons.population import Population
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.quantum import replay
from sqsnn.quantum.noise import Noise
from sqsnn.quantum.shift_rules import Shift, Shifts

pytestmark = pytest.mark.usefixtures("device")

STEPS, BATCH, SIZE, CHANNELS, SHOTS = 2, 3, 4, 2, 5
SETTINGS: list[Shifts] = [(), (Shift(1, "gate", 0, 0.7),), (Shift(0, "encoding", 1, 1.1),)]


def made(size: int = SIZE, channels: int = CHANNELS, **options) -> SQSNeurons:
    options = {"dtype": torch.float64, "circuit": "bidirectional", **options}
    options = {"drive": Rectified(), **options}
    neurons = SQSNeurons(size, channels=channels, generator=seeded(0), **options)
    with torch.no_grad():
        neurons.angles.normal_(0, 1.5, generator=seeded(0))
    return neurons


def currents_for(neurons: SQSNeurons, batch: int = BATCH, steps: int = STEPS) -> Tensor:
    shape = (steps, batch, neurons.size, neurons.channels)
    return torch.randn(shape, generator=seeded(1), dtype=neurons.angles.dtype)


def test_it_is_a_source_of_bits():
    assert isinstance(SimulatedBits(), BitSource)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("noise", [None, Noise(depolarising_1q=0.05, missed_spike=0.1)])
def test_the_shape_is_settings_shots_steps_batch_neurons_channels(noise, dtype):
    neurons = made(noise=noise, dtype=dtype)
    bits = SimulatedBits().sample(neurons, currents_for(neurons), SETTINGS, SHOTS, seeded(2))
    assert bits.shape == (len(SETTINGS), SHOTS, STEPS, BATCH, SIZE, CHANNELS)
    assert bits.dtype == torch.bool
    again = SimulatedBits().sample(neurons, currents_for(neurons), SETTINGS, SHOTS, seeded(2))
    assert torch.equal(bits, again)
    other = SimulatedBits().sample(neurons, currents_for(neurons), SETTINGS, SHOTS, seeded(3))
    assert not torch.equal(bits, other)


@pytest.mark.parametrize("at_once", [1, 7, 40, 2**18])
def test_every_axis_is_where_it_is_said_to_be(at_once, monkeypatch):
    # Rotations by pi alone: every bit is certain, and another one for every step, sample, neuron,
    # channel and setting.
    monkeypatch.setattr(bit_source, "AT_ONCE", at_once)
    neurons = made(memory_qubits=0)
    with torch.no_grad():
        neurons.angles.zero_()
    fires = torch.rand((STEPS, BATCH, SIZE, CHANNELS), generator=seeded(4)) < 0.5
    currents = fires.double()
    flipped = torch.tensor([0.0, torch.pi, 0.0, torch.pi], dtype=torch.float64)
    settings: list[Shifts] = [
        (),
        (Shift(1, "encoding", 0, torch.pi),),
        (Shift(0, "gate", 1, flipped),),
    ]
    assert neurons.circuit.gates[1].qubits == (1,)
    expected = fires.repeat(3, 1, 1, 1, 1)
    expected[1, 1, ..., 0] ^= True
    expected[2, 0, :, 1::2, 1] ^= True
    bits = SimulatedBits().sample(neurons, currents, settings, SHOTS, seeded(2))
    assert torch.equal(bits, expected[:, None].expand_as(bits))


@pytest.mark.parametrize("noise", [None, Noise(depolarising_2q=0.2, false_spike=0.1)])
@pytest.mark.parametrize("at_once", [1, 100, 1000])
def test_bits_follow_the_law_however_they_are_cut(at_once, noise, monkeypatch):
    # A right sampler gives 12 p-values above 1e-5 but at one seed in 8000, and the seed is fixed.
    monkeypatch.setattr(bit_source, "AT_ONCE", at_once)
    shots = 25 if at_once == 1 else 400
    neurons = made(size=1, channels=1, noise=noise)
    batch = 4  # of one sample: more shots
    currents = currents_for(neurons, 1).expand(-1, batch, -1, -1).contiguous()
    bits = SimulatedBits().sample(neurons, currents, SETTINGS[:2], shots, seeded(2))
    places = 2 ** torch.arange(STEPS - 1, -1, -1)
    index = (bits[..., 0, 0].movedim(2, -1).long() * places).sum(-1)  # (settings, shots, B)
    laws = [neurons.sequence_probabilities(currents)[0, 0].detach()]
    if noise is None:
        angles = neurons.angles.detach()
        encoding = torch.stack(neurons.encoding_angles(currents), -1).detach()
        laws.append(replayed_law(neurons.circuit, angles, encoding, SETTINGS[1:2])[0, 0, 0])
    for seen, law in zip(index, laws, strict=False):
        counts = torch.bincount(seen.flatten(), minlength=len(law)).cpu().numpy()
        assert chisquare(counts, law.cpu().numpy() * counts.sum(), sum_check=False).pvalue > 1e-5
    # Shots, samples and settings are independent: no two agree by more than chance.
    first, second = index[0].flatten(), index[1].flatten()
    assert not torch.equal(first, second)
    assert not torch.equal(index[:, :-1], index[:, 1:])


@pytest.mark.parametrize("noise", [None, Noise(depolarising_1q=0.05, missed_spike=0.1)])
@pytest.mark.parametrize("drive", [Rectified(), Leaky(), Leaky(reset_steps=2)])
def test_a_free_run_follows_the_law_of_the_drive(drive, noise):
    # Of 6 p-values none is below 1e-4 but at one seed in 1500, and the seed is fixed.
    neurons = made(size=1, channels=1, drive=drive, noise=noise)
    currents = currents_for(neurons, 1, steps=3).expand(-1, 4000, -1, -1).contiguous()
    bits = SimulatedBits().run(neurons, currents, seeded(2))
    index = (bits[..., 0, 0].long() * torch.tensor([4, 2, 1])[:, None]).sum(0)
    law = neurons.sequence_probabilities(currents[:, :1])[0, 0].detach().cpu().numpy()
    counts = torch.bincount(index, minlength=8).cpu().numpy()
    assert chisquare(counts, law * counts.sum(), sum_check=False).pvalue > 1e-4


def test_chunks_hold_no_more_than_fits_at_once(monkeypatch):
    sizes = []
    sample = replay.sample

    def watched(circuit, angles, encoding, settings, uniforms, **options):
        sizes.append(uniforms[0].numel())
        return sample(circuit, angles, encoding, settings, uniforms, **options)

    monkeypatch.setattr(replay, "sample", watched)
    neurons = made()
    each = BATCH * SIZE
    for at_once in (each, 3 * each, 5 * each, 11 * each, 2**18):
        monkeypatch.setattr(bit_source, "AT_ONCE", at_once)
        sizes.clear()
        SimulatedBits().sample(neurons, currents_for(neurons), SETTINGS, SHOTS, seeded(2))
        assert max(sizes) <= at_once
        assert sum(sizes) == len(SETTINGS) * SHOTS * each


def test_no_gradient_is_kept():
    neurons = made()
    currents = currents_for(neurons).requires_grad_()
    bits = SimulatedBits().sample(neurons, currents, SETTINGS, SHOTS, seeded(2))
    assert not bits.requires_grad


# A whole network on a source


def network_of(*sizes: int) -> SpikingNetwork:
    return SpikingNetwork(sizes, generator=seeded(0), dtype=torch.float64)


def test_a_network_runs_layer_by_layer_on_a_source():
    network = network_of(4, 6, 3)
    inputs = (torch.rand((3, 7, 4, 1), generator=seeded(1)) < 0.5).double()
    measured = run_network(network, inputs, SimulatedBits(), seeded(2))
    assert measured.state is None
    spikes, generator = inputs, seeded(2)
    for layer, synapses, neurons in zip(
        measured.layers, synapses_of(network), populations_of(network), strict=True
    ):
        spikes = SimulatedBits().run(neurons, synapses(spikes).detach(), generator).double()
        assert torch.equal(layer.spikes, spikes)
        assert torch.equal(layer.probability, spikes)
        assert layer.log_likelihood.isnan().all()
        assert not layer.spikes.requires_grad


def test_corrected_spikes_feed_the_next_layer_and_recorded_ones_stay():
    network = network_of(4, 6, 3)
    inputs = torch.ones((2, 5, 4, 1), dtype=torch.float64)
    seen = []

    def correct(spikes: Tensor) -> Tensor:
        seen.append(spikes)
        return spikes * 0  # nothing fires: the outputs then have no current

    record = run_network(network, inputs, SimulatedBits(), seeded(2), correct=[correct] * 2)
    for layer, spikes in zip(record.layers, seen, strict=True):
        assert torch.equal(layer.spikes, spikes)
        assert not layer.probability.any()
    generator = seeded(2)
    first, second = populations_of(network)
    SimulatedBits().run(first, synapses_of(network)[0](inputs).detach(), generator)
    no_current = torch.zeros((2, 5, 3, 1), dtype=torch.float64)
    bits = SimulatedBits().run(second, no_current, generator)
    assert torch.equal(record.layers[1].spikes, bits.double())


def test_a_network_of_other_neurons_is_refused():
    network = SpikingNetwork([2, 3], neurons=LIF, generator=seeded(0))
    with pytest.raises(TypeError, match=r"SQSNeurons.*LIF"):
        run_network(network, torch.ones(2, 2, 2, 1), SimulatedBits(), seeded(0))


# Refusals


@pytest.mark.parametrize("shots", [0, -1])
def test_no_shots_are_refused(shots):
    neurons = made()
    with pytest.raises(ValueError, match="shots must be an integer of at least 1"):
        SimulatedBits().sample(neurons, currents_for(neurons), SETTINGS, shots, seeded(0))


def test_potentials_that_do_not_fit_are_refused():
    neurons = made()
    with pytest.raises(ValueError, match="potentials must have shape"):
        SimulatedBits().sample(neurons, currents_for(neurons)[:, :, 1:], SETTINGS, SHOTS, seeded(0))
    with pytest.raises(ValueError, match="potentials must be finite"):
        SimulatedBits().sample(
            neurons, currents_for(neurons) * torch.nan, SETTINGS, SHOTS, seeded(0)
        )


class Coin(Population):
    """Fires half of the time: no circuit."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.unused = nn.Parameter(torch.zeros(1))

    @property
    def parameter_like(self) -> Tensor:
        return self.unused

    def evolve(self, currents, state, uniforms, observed, keep_memory):
        raise NotImplementedError


def test_populations_without_circuits_are_refused_by_name():
    with pytest.raises(TypeError, match=r"SQSNeurons.*Coin.*'exact'"):
        require_circuits(Coin(3))
    neurons = made()
    assert require_circuits(neurons) is neurons


def test_the_source_itself_refuses_them():
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)  # else the annotation refuses them first
    try:
        with pytest.raises(TypeError, match=r"SQSNeurons.*Coin"):
            SimulatedBits().sample(Coin(3), torch.zeros(1, 1, 3, 1), SETTINGS, SHOTS, seeded(0))
    finally:
        jaxtyping.config.update("jaxtyping_disable", before)
