"""Another device: the same numbers there, and no waiting for it within a step.

The device of `elsewhere.py` stands in for a GPU; what it cannot show, a GPU's own rounding and
random numbers, the tests that take the fixture `device` show where there is one.
"""

from functools import partial

import pytest
import torch
from elsewhere import THERE, GeneratorThere, elsewhere
from tools import seeded
from torch import Tensor, nn
from torch.testing import assert_close

from sqsnn import encoding, readout, uniforms
from sqsnn.learning.backprop import Backprop
from sqsnn.learning.local import Local
from sqsnn.learning.online import Online
from sqsnn.learning.signals import Both, Reinforce
from sqsnn.network import Connection, LearnedDelay, SpikingNetwork
from sqsnn.neurons.drive import Leaky, Rectified, Saturating
from sqsnn.neurons.lif import LIF
from sqsnn.neurons.published_sqs import PublishedSQS
from sqsnn.neurons.qlif import QLIF
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.neurons.stochastic_lif import StochasticLIF
from sqsnn.quantum.noise import Noise
from sqsnn.readout import Targets
from sqsnn.synapses import Chain, Convolution, Dense, Module, Pool

STEPS, BATCH, SIZE = 4, 3, 5
DELAY = LearnedDelay(2.0, shortest=1, longest=3)
NOISE = Noise(depolarising_1q=0.02, amplitude_damping_2q=0.03, false_spike=0.05)
SAMPLED = {"noise": NOISE, "noise_simulation": "trajectories"}

KINDS = {
    "sqs": partial(SQSNeurons, backend="torch"),
    "rectified": partial(SQSNeurons, drive=Rectified(), backend="torch"),
    "two memory qubits": partial(SQSNeurons, memory_qubits=2, channels=2, backend="torch"),
    "gains": partial(SQSNeurons, circuit="integrate_and_fire", backend="torch"),
    "complex": partial(SQSNeurons, circuit="hardware_efficient", backend="torch"),
    "collapse": partial(
        SQSNeurons, through_collapse=True, drive=Leaky(reset_steps=2), backend="torch"
    ),
    "shared": partial(SQSNeurons, share="population", drive=Saturating(), backend="torch"),
    "density": partial(SQSNeurons, noise=NOISE),
    "lif": partial(LIF, backend="torch"),
    "stochastic lif": partial(StochasticLIF, backend="torch", floor=-1.0),
    "qlif": QLIF,
    "published": PublishedSQS,
}
RULES = {
    "backprop": Backprop(rate_penalty=0.1),
    "local": Local(),
    "both": Local(signal=Both(reward=Reinforce(samples=2))),
    "online": Local(score=Online()),
    "online both": Local(signal=Both(reward=Reinforce(samples=2)), score=Online()),
}
kinds = pytest.mark.parametrize("make", KINDS.values(), ids=KINDS.keys())


def moved(module: nn.Module) -> nn.Module:
    """The same module on the other device."""
    for part in module.modules():
        for values in (part._parameters, part._buffers):
            for name, value in values.items():
                if value is not None:
                    there = value.detach().to(THERE)
                    own = isinstance(value, nn.Parameter)
                    values[name] = nn.Parameter(there) if own else there
    return module


def here(values: Tensor) -> Tensor:
    return values.detach().cpu()


def gradients(module: nn.Module) -> list[Tensor]:
    return [here(p.grad) for p in module.parameters() if p.grad is not None]


def random_spikes(*shape: int) -> Tensor:
    return (torch.rand(shape, generator=seeded(4)) < 0.5).double()


@kinds
def test_neurons_give_the_same_there(make):
    neurons = make(SIZE, generator=seeded(0), dtype=torch.float64)
    shape = STEPS, BATCH, SIZE, neurons.channels
    currents = torch.randn(shape, generator=seeded(1), dtype=torch.float64)
    uniforms = neurons.draw_uniforms(STEPS, BATCH, seeded(2))

    def run(currents: Tensor, uniforms: Tensor) -> list[Tensor]:
        first, state = neurons(currents[:2], uniforms=uniforms[:2])
        second, _ = neurons(currents[2:], state, uniforms=uniforms[2:])
        scored, _ = neurons(currents, observed=torch.cat([first.spikes, second.spikes]).detach())
        loss = first.probability.sum() + second.probability.sum()
        (loss + scored.log_likelihood.clamp_min(-20).sum()).backward()
        return [*map(here, (*first[:3], *second[:3], scored.log_likelihood)), *gradients(neurons)]

    expected = run(currents, uniforms)
    with elsewhere():
        neurons.zero_grad()
        moved(neurons)
        found = run(currents.to(THERE), uniforms.to(THERE))
    # Not bit for bit: what lies otherwise in memory is rounded otherwise.
    assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_sampled_noise_gives_the_same_there():
    neurons = SQSNeurons(SIZE, **SAMPLED, generator=seeded(0))
    currents = torch.randn((STEPS, BATCH, SIZE, 1), generator=seeded(1))
    uniforms = neurons.draw_uniforms(STEPS, BATCH, seeded(2))
    with torch.no_grad():
        expected, _ = neurons(currents, uniforms=uniforms)
        with elsewhere():
            moved(neurons)
            found, _ = neurons(currents.to(THERE), uniforms=uniforms.to(THERE))
            found = here(found.spikes)
    assert torch.equal(expected.spikes, found)


def network_of(**place) -> SpikingNetwork:
    """All kinds of synapses, a cycle, a delay and a trace."""
    return SpikingNetwork(
        inputs=(2, 6, 6),
        populations={"maps": (3, 2, 2), "hidden": SIZE, "output": 3},
        connections=[
            Connection("input", "maps", synapses=(Convolution(3, 3), Pool(2))),
            Connection(
                "maps",
                "hidden",
                delay=DELAY,
                synapses=Dense(bias=True),
            ),
            Connection("hidden", "hidden", delay=1, synapses=Dense(sparsity=0.5)),
            Connection("input", "output", synapses=Chain((Pool(3), Dense())), trace=0.8),
            Connection("hidden", "output"),
        ],
        generator=seeded(0),
        dtype=torch.float64,
        backend="torch",
        **place,
    )


@pytest.mark.parametrize("rule", [Backprop(), Local(), Local(signal=Both())])
def test_networks_learn_the_same_there(rule):
    network, spikes = network_of(), random_spikes(STEPS, BATCH, 72, 1)
    labels, mask = torch.arange(BATCH) % 3, random_spikes(STEPS, BATCH)
    mask[0] = 1
    figures = rule.fresh().step(network, spikes, Targets(labels, mask), seeded(5))
    expected = gradients(network)
    with elsewhere():
        there = moved(network_of())
        targets = Targets(labels.to(THERE), mask.to(THERE))
        generator = GeneratorThere().manual_seed(5)
        found = rule.fresh().step(there, spikes.to(THERE), targets, generator)
        assert found == pytest.approx(figures)
        assert_close(gradients(there), expected, rtol=1e-9, atol=1e-9)


def counted(step, steps: int, *sizes: int, recurrent: bool) -> tuple[int, int]:
    """Reads and uploads of the second call of a step, when tables and feedback are there."""
    with elsewhere() as counts:
        network = SpikingNetwork(
            sizes, generator=seeded(0), device=THERE, dtype=torch.float64, recurrent=recurrent
        )
        spikes = random_spikes(steps, BATCH, sizes[0], 1).to(THERE)
        labels, generator = torch.arange(BATCH).to(THERE) % 2, GeneratorThere().manual_seed(5)
        for _ in range(2):
            counts.clear()
            step(network, spikes, labels, generator)
        return counts.reads.total(), counts.uploads.total()


@pytest.mark.parametrize(
    ("sizes", "steps", "recurrent"), [((4, 3, 2), 3, True), ((4, 3, 3, 2), 2, False)]
)
@pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())
def test_a_training_step_waits_once(rule, sizes, steps, recurrent):
    # The same for more layers and steps: exactly once, and nothing is copied to the device.
    assert counted(rule.fresh().step, steps, *sizes, recurrent=recurrent) == (1, 0)


@kinds
def test_a_forward_pass_waits_once(make):
    with elsewhere() as counts:
        network = SpikingNetwork(
            [6, 4, 3], neurons=make, recurrent=True, generator=seeded(0), device=THERE
        )
        spikes = torch.ones(5, BATCH, 6, 1, device=THERE)
        generator = GeneratorThere().manual_seed(0)
        state = None
        for _ in range(2):
            counts.clear()
            state = network(spikes, state, generator=generator).state
    assert counts.reads.total() == 1
    assert not counts.uploads


def test_values_are_learned_the_same_there():
    double = {"dtype": torch.float64}
    network = SpikingNetwork([6, SIZE], generator=seeded(0), backend="torch", **double)
    network.readout = readout.TraceReadout(SIZE, 2, generator=seeded(1), **double)
    spikes = random_spikes(STEPS, BATCH, 6, 1)
    values = torch.randn((STEPS, BATCH, 2), generator=seeded(2), **double)
    figures = Local().step(network, spikes, values, seeded(5))
    expected = gradients(network)
    with elsewhere() as counts:
        network.zero_grad()
        moved(network)
        given = spikes.to(THERE), values.to(THERE)
        counts.clear()
        found = Local().step(network, *given, GeneratorThere().manual_seed(5))
        assert found == pytest.approx(figures)
        assert counts.reads.total() == 1
        assert_close(gradients(network), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["rate", "latency", "delta", "current", "population", "phase"])
def test_encodings_give_the_same_there(name):
    values = torch.rand((BATCH, 2, 4), generator=seeded(0))
    encode = getattr(encoding, name)
    expected = encode(values, 16, **({"generator": seeded(1)} if name == "rate" else {}))
    with elsewhere():
        generator = GeneratorThere().manual_seed(1)
        options = {"generator": generator} if name == "rate" else {}
        found = here(encode(values.to(THERE), 16, **options))
    assert torch.equal(expected, found)


class Scaling(nn.Module):
    """Linear, with numbers that are no parameters."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("scale", torch.tensor([1.0, 2.0]))

    def forward(self, values: Tensor) -> Tensor:
        return self.scale * values


def test_a_module_of_buffers_alone_is_tried_where_they_lie():
    with elsewhere(), THERE:
        synapses = Module(Scaling()).build((2,), (2,), generator=seeded(0))
        assert here(synapses(torch.ones(1, 1, 2, 1))).flatten().tolist() == [1, 2]


# Where things are made


@kinds
def test_no_device_is_the_default_device(make):
    with elsewhere(), torch.device(THERE):
        neurons = make(SIZE, generator=torch.Generator().manual_seed(0))
        assert {p.device for p in neurons.parameters()} == {THERE}
        with pytest.raises(ValueError, match="generator must be on the device of the numbers, l"):
            SQSNeurons(2, generator=seeded(0))(torch.zeros(1, 1, 2, 1), generator=torch.Generator())


def test_a_network_lies_on_the_default_device():
    expected = network_of().state_dict()
    with elsewhere(), torch.device(THERE):
        network = network_of()
        found = network.state_dict()
        laws = {name for name in found if name.endswith("_extra_state")}  # text, and no numbers
        assert {found[name].device for name in found.keys() - laws} == {THERE}
        assert all(torch.equal(value, here(found[name])) for name, value in expected.items())


def test_a_generator_elsewhere_moves_no_parameter():
    with elsewhere():
        network = SpikingNetwork([4, 3, 2], generator=GeneratorThere().manual_seed(0))
    assert {p.device for p in network.parameters()} == {torch.device("cpu")}


@pytest.mark.parametrize("rule", RULES.values(), ids=RULES.keys())
def test_a_default_device_disturbs_no_network_elsewhere(rule):
    network, spikes, labels = network_of(), random_spikes(STEPS, BATCH, 72, 1), torch.arange(3)
    if isinstance(rule, Local) and isinstance(rule.score, Online):
        network = SpikingNetwork([6, 5, 3], generator=seeded(0), dtype=torch.float64)
        spikes = spikes[:, :, :6]
    with torch.device("meta"):
        rule.fresh().step(network, spikes, labels, seeded(1))


def test_a_default_device_disturbs_no_first_draw_elsewhere():
    uniforms.kernel_draws_like_torch.cache_clear()
    with torch.device("meta"):
        drawn = uniforms.draw_uniforms(2, 3, 4, seeded(1), torch.float32, "cpu")
    expected = uniforms.draw_uniforms(2, 3, 4, seeded(1), torch.float32, "cpu")
    assert torch.equal(drawn, expected)


@kinds
def test_a_default_device_disturbs_no_neurons_elsewhere(make):
    with torch.device("cpu"):
        neurons = make(SIZE, generator=seeded(0))
        currents = torch.ones(STEPS, BATCH, SIZE, neurons.channels)
    with torch.device("meta"):
        record, state = neurons(currents, generator=seeded(1))
        neurons(currents, state, observed=record.spikes)[0].log_likelihood.sum().backward()
