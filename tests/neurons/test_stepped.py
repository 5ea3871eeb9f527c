"""What the comparison neurons share: the interface of a population, and that each minds its own
business."""

from functools import partial
from typing import Any, NamedTuple

import pytest
import torch
from tools import populations_of, seeded, synapses_of
from torch import Tensor
from torch.testing import assert_close

from sqsnn.network import SpikingNetwork
from sqsnn.neurons.leaky import LeakyState
from sqsnn.neurons.lif import LIF
from sqsnn.neurons.population import Population, Record
from sqsnn.neurons.published_sqs import PublishedSQS
from sqsnn.neurons.qlif import QLIF
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.neurons.stepped import learned
from sqsnn.neurons.stochastic_lif import StochasticLIF

pytestmark = pytest.mark.usefixtures("device")

STEPS, BATCH, SIZE = 7, 5, 3


class Kind(NamedTuple):
    """One kind of neurons with a number of channels."""

    population: type[Population]
    channels: int

    def make(self, size: int = SIZE, dtype: torch.dtype = torch.float64, **options) -> Population:
        """A population in which no two neurons and channels have the same values."""
        if self.channels > 1:
            options["channels"] = self.channels
        neurons = self.population(size, dtype=dtype, generator=seeded(0), **options)
        generator = seeded(1)
        with torch.no_grad():
            for parameter in neurons.parameters():
                noise = torch.rand(parameter.shape, generator=generator, dtype=torch.float64)
                parameter.add_(0.2 * noise.to(dtype) - 0.1)
        return neurons

    @property
    def is_random(self) -> bool:
        """Whether it draws its spikes, by its definition and not by its attribute."""
        return self.population in (StochasticLIF, PublishedSQS)

    def currents(self, steps: int = STEPS, dtype: torch.dtype = torch.float64) -> Tensor:
        """Such that some fire and some do not."""
        shape = (steps, BATCH, SIZE, self.channels)
        return 0.5 * torch.randn(shape, generator=seeded(2), dtype=dtype) + 0.2

    def uniforms(self, steps: int = STEPS, dtype: torch.dtype = torch.float64) -> Tensor:
        """One number per neuron, step and channel."""
        shape = (SIZE,) if self.channels == 1 else (SIZE, self.channels)
        return torch.rand((steps, BATCH, *shape), generator=seeded(3), dtype=dtype)


KINDS = [
    Kind(population, channels)
    for population in (LIF, StochasticLIF, QLIF, PublishedSQS)
    for channels in ((1,) if population is PublishedSQS else (1, 2))
]
RANDOM = [kind for kind in KINDS if kind.is_random]
CERTAIN = [kind for kind in KINDS if not kind.is_random]


def named(kinds: list[Kind]):
    ids = [f"{kind.population.__name__}-{kind.channels}" for kind in kinds]
    return pytest.mark.parametrize("kind", kinds, ids=ids)


def same(one: Any, other: Any) -> bool:
    """Whether two records or states are equal, bit for bit."""
    pairs = [(a, b) for a, b in zip(one, other, strict=True) if not (a is None and b is None)]
    return all(torch.equal(a, b) for a, b in pairs)


# Shapes and precisions


@named(KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_records_and_states_have_their_shapes_and_the_precision_of_the_parameters(kind, dtype):
    neurons = kind.make(dtype=dtype)
    record, state = neurons(kind.currents(dtype=dtype), generator=seeded(0))
    expected = (STEPS, BATCH, SIZE, kind.channels)
    assert record.spikes.shape == record.probability.shape == expected
    assert record.log_likelihood.shape == expected[:3]
    assert record.memory is None
    assert 0.05 < record.spikes.mean() < 0.95
    assert set(record.spikes.unique().tolist()) <= {0.0, 1.0}
    for tensor in state:
        assert tensor.shape == expected[1:]
    for tensor in (*record[:3], *state):
        assert tensor.dtype == dtype
    assert neurons.parameter_like.dtype == dtype


@named(KINDS)
def test_single_precision_is_double_precision_rounded(kind):
    # Few operations per step on values of order 1; a spike that rounding decided would show.
    double, single = kind.make(), kind.make(dtype=torch.float32)
    uniforms = kind.uniforms(dtype=torch.float32)
    currents = kind.currents(dtype=torch.float32)
    exact, _ = double(currents.double(), uniforms=uniforms.double())
    rounded, _ = single(currents, uniforms=uniforms)
    assert torch.equal(rounded.spikes.double(), exact.spikes)
    assert_close(rounded.probability.double(), exact.probability, rtol=0, atol=1e-5)


@named(KINDS)
def test_a_batch_of_nothing_gives_a_record_of_nothing(kind):
    record, state = kind.make()(kind.currents()[:, :0], generator=seeded(0))
    assert record.spikes.shape == (STEPS, 0, SIZE, kind.channels)
    assert record.log_likelihood.shape == (STEPS, 0, SIZE)
    assert all(tensor.shape == (0, SIZE, kind.channels) for tensor in state)


# Where the luck comes from


@named(KINDS)
def test_the_generator_draws_what_draw_uniforms_draws(kind):
    neurons, currents = kind.make(), kind.currents()
    uniforms = neurons.draw_uniforms(STEPS, BATCH, seeded(4))
    assert uniforms.shape == kind.uniforms().shape
    assert uniforms.shape[2:] == neurons.uniforms_shape
    assert uniforms.dtype == torch.float64
    by_generator = neurons(currents, generator=seeded(4))
    by_uniforms = neurons(currents, uniforms=uniforms)
    assert same(by_generator[0], by_uniforms[0]) and same(by_generator[1], by_uniforms[1])


@named(RANDOM)
def test_random_neurons_fire_where_a_number_is_below_the_probability(kind):
    uniforms = kind.uniforms()
    record, _ = kind.make()(kind.currents(), uniforms=uniforms)
    expected = uniforms.reshape(record.probability.shape) < record.probability
    assert torch.equal(record.spikes, expected.double())
    other, _ = kind.make()(kind.currents(), generator=seeded(5))
    assert not torch.equal(other.spikes, record.spikes)
    assert kind.population.is_stochastic


@named(CERTAIN)
def test_neurons_without_luck_draw_nothing_and_look_at_no_number(kind):
    neurons, currents, generator = kind.make(), kind.currents(), seeded(4)
    before = generator.get_state()
    drawn = neurons(currents, generator=generator)
    neurons.draw_uniforms(STEPS, BATCH, generator)
    assert torch.equal(generator.get_state(), before)
    nearly_one = torch.full_like(kind.uniforms(), 1 - 2**-53)
    for uniforms in (kind.uniforms(), torch.zeros_like(nearly_one), nearly_one):
        given = neurons(currents, uniforms=uniforms)
        assert same(given[0], drawn[0]) and same(given[1], drawn[1])
    assert not kind.population.is_stochastic


@named(RANDOM)
def test_drawing_in_pieces_is_drawing_at_once(kind):
    neurons, generator = kind.make(), seeded(7)
    pieces = [neurons.draw_uniforms(steps, BATCH, generator) for steps in (1, 4, 2)]
    assert torch.equal(torch.cat(pieces), neurons.draw_uniforms(STEPS, BATCH, seeded(7)))


# State in, state out


@named(KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_sequence_in_two_halves_is_one_pass_bit_for_bit(kind, dtype):
    neurons, currents = kind.make(dtype=dtype), kind.currents(dtype=dtype)
    uniforms = kind.uniforms(dtype=dtype)
    whole, end = neurons(currents, uniforms=uniforms)
    first, between = neurons(currents[:3], uniforms=uniforms[:3])
    second, after = neurons(currents[3:], between, uniforms=uniforms[3:])
    joined = [torch.cat([one, other]) for one, other in zip(first[:3], second[:3], strict=True)]
    assert same(joined, whole[:3])
    assert same(after, end)
    assert not same(neurons(currents[3:], uniforms=uniforms[3:])[0], second)


@named(KINDS)
def test_the_state_carries_the_gradient(kind):
    neurons, currents, uniforms = kind.make(), kind.currents().requires_grad_(), kind.uniforms()
    wanted = [currents, *neurons.parameters()]
    whole, _ = neurons(currents, uniforms=uniforms)
    expected = torch.autograd.grad(whole.probability.sum(), wanted)
    first, between = neurons(currents[:3], uniforms=uniforms[:3])
    second, _ = neurons(currents[3:], between, uniforms=uniforms[3:])
    found = torch.autograd.grad(first.probability.sum() + second.probability.sum(), wanted)
    for one, other in zip(found, expected, strict=True):
        assert_close(one, other, rtol=0, atol=1e-12)


@named(KINDS)
def test_a_step_is_a_sequence_of_one(kind):
    neurons, currents, uniforms = kind.make(), kind.currents(), kind.uniforms()
    whole, end = neurons(currents, uniforms=uniforms)
    state = None
    for t in range(STEPS):
        record, state = neurons.step(currents[t], state, uniforms[t])
        assert same(record, Record(*(tensor[t] for tensor in whole[:3])))
    assert same(state, end)


@named(KINDS)
def test_a_state_that_went_in_is_not_changed(kind):
    neurons = kind.make()
    _, state = neurons(kind.currents(), generator=seeded(0))
    copies = [tensor.clone() for tensor in state]
    neurons(kind.currents(), state, generator=seeded(1))
    assert same(state, copies)


@named(KINDS)
def test_a_population_holds_parameters_and_no_state(kind):
    neurons = kind.make()
    before = {name: value.clone() for name, value in neurons.state_dict().items()}
    neurons(kind.currents(), generator=seeded(0))
    after = neurons.state_dict()
    assert after.keys() == before.keys() == dict(neurons.named_parameters()).keys()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert all(value.shape == (SIZE, kind.channels) for value in after.values())
    fresh = kind.population(SIZE, dtype=torch.float64, generator=seeded(0), **_channels(kind))
    fresh.load_state_dict(after)
    one, other = (each(kind.currents(), generator=seeded(0))[0] for each in (neurons, fresh))
    assert same(one, other)


def _channels(kind: Kind) -> dict[str, int]:
    return {"channels": kind.channels} if kind.channels > 1 else {}


# Each minds its own business


@named(KINDS)
def test_a_neuron_and_channel_hears_of_no_other_sample_neuron_channel_or_later_step(kind):
    neurons, uniforms = kind.make(), kind.uniforms()
    currents = kind.currents()
    before, _ = neurons(currents, uniforms=uniforms)
    place = (slice(3, None), 2, 1, kind.channels - 1)
    changed = currents.clone()
    changed[place] = 3 - changed[place]
    after, _ = neurons(changed, uniforms=uniforms)
    others = torch.ones_like(currents, dtype=torch.bool)
    others[place] = False
    for one, other in zip(after[:2], before[:2], strict=True):
        assert torch.equal(one[others], other[others])
        assert not torch.equal(one[place], other[place])


@pytest.mark.parametrize("population", [LIF, StochasticLIF, QLIF])
def test_two_channels_are_two_populations_side_by_side(population):
    both, kind = Kind(population, 2), Kind(population, 1)
    neurons, currents, uniforms = both.make(), both.currents(), both.uniforms()
    record, state = neurons(currents, uniforms=uniforms)
    likelihood = torch.zeros_like(record.log_likelihood)
    for channel in (0, 1):
        alone = kind.make()
        values = {name: v[:, channel, None] for name, v in neurons.state_dict().items()}
        alone.load_state_dict(values)
        own, own_state = alone(currents[..., channel, None], uniforms=uniforms[..., channel])
        assert torch.equal(own.spikes, record.spikes[..., channel, None])
        assert_close(own.probability, record.probability[..., channel, None], rtol=0, atol=1e-15)
        for one, of_both in zip(own_state, state, strict=True):
            assert_close(one, of_both[..., channel, None], rtol=0, atol=1e-14)
        likelihood += own.log_likelihood
    assert_close(record.log_likelihood, likelihood, rtol=0, atol=1e-14)


# Observed spikes


@named(KINDS)
def test_own_spikes_are_data(kind):
    # A drawn run has the gradients of one in which its spikes were observed.
    neurons, currents = kind.make(), kind.currents().requires_grad_()
    assert neurons.own_spikes_are_data
    weight = torch.randn(currents.shape, generator=seeded(5), dtype=torch.float64)
    drawn, end = neurons(currents, uniforms=kind.uniforms())
    scored, scored_end = neurons(currents, observed=drawn.spikes.detach())
    assert same(scored, drawn) and same(scored_end, end)
    for name in ("probability", "spikes"):
        found, expected = (
            torch.autograd.grad(
                getattr(record, name), [currents, *neurons.parameters()], weight, retain_graph=True
            )
            for record in (drawn, scored)
        )
        assert all(map(torch.equal, found, expected))
        assert all(gradient.any() for gradient in found)


@named(CERTAIN)
def test_impossible_spikes_have_likelihood_minus_infinity_and_not_nan(kind):
    neurons, currents = kind.make(), kind.currents()
    true = neurons(currents, generator=seeded(0))[0].spikes.detach()
    wrong = true.clone()
    wrong[4, :, 1] = 1 - wrong[4, :, 1]
    record, _ = neurons(currents, observed=wrong)
    assert (record.log_likelihood[4, :, 1] == -torch.inf).all()
    possible = (record.probability == wrong).all(-1)
    expected = torch.where(possible, 0.0, -torch.inf).double()
    assert torch.equal(record.log_likelihood, expected)
    assert record.probability.isfinite().all()


def test_impossible_spikes_of_the_published_formula_are_minus_infinity_too():
    neurons = PublishedSQS(1, generator=seeded(0))
    with torch.no_grad():
        for parameter in neurons.parameters():
            parameter.zero_()
    half_turn_and_none = torch.tensor([1.0, 0.0]).reshape(1, 2, 1, 1)
    certain, _ = neurons(half_turn_and_none, observed=half_turn_and_none)
    assert not certain.log_likelihood.any()
    impossible, _ = neurons(half_turn_and_none, observed=1 - half_turn_and_none)
    assert (impossible.log_likelihood == -torch.inf).all()


def test_what_escape_noise_all_but_excludes_is_scored_without_nan():
    currents = torch.tensor([1e4, -1e4]).reshape(1, 2, 1, 1)
    expected = torch.tensor([1.0, 0.0]).reshape(1, 2, 1, 1)
    record, _ = StochasticLIF(1, generator=seeded(0))(currents, observed=1 - expected)
    assert (record.log_likelihood < -80).all()
    record, _ = StochasticLIF(1, generator=seeded(0))(currents, observed=expected)
    assert not record.log_likelihood.any()


# What is refused


@named(KINDS)
def test_currents_that_do_not_fit_are_refused(kind):
    neurons, currents = kind.make(), kind.currents()
    wrong = {
        "currents must have shape": currents[0],
        rf"\(steps, batch, {SIZE}, {kind.channels}\), but has": currents[:, :, :2],
        "but has": currents[..., :1].expand(-1, -1, -1, 3),
        "currents has 0 steps": currents[:0],
        "currents has dtype torch.float32": currents.float(),
        "currents must be finite": currents / 0.0,
        "on meta": currents.to("meta"),
    }
    for message, given in wrong.items():
        with pytest.raises(ValueError, match=message):
            neurons(given, generator=seeded(0))


@named(KINDS)
def test_numbers_and_spikes_that_do_not_fit_are_refused(kind):
    neurons, currents, uniforms = kind.make(), kind.currents(), kind.uniforms()
    spikes = torch.ones_like(currents)
    wrong = [
        ({"uniforms": uniforms[1:]}, "uniforms must have shape"),
        ({"uniforms": uniforms[..., None]}, "uniforms must have shape"),
        ({"uniforms": uniforms.float()}, "uniforms has dtype torch.float32; currents"),
        ({"uniforms": uniforms + 1}, "uniforms must lie in"),
        ({"observed": spikes[:, :, :1]}, "observed must have shape"),
        ({"observed": spikes.float()}, "observed has dtype torch.float32"),
        ({"observed": spikes / 2}, "observed holds 0.5"),
        ({}, "exactly one of generator, uniforms and observed; given were none"),
        ({"uniforms": uniforms, "observed": spikes}, "given were uniforms and observed"),
        ({"uniforms": uniforms, "generator": seeded(0)}, "given were generator and uniforms"),
    ]
    for sources, message in wrong:
        with pytest.raises(ValueError, match=message):
            neurons(currents, **sources)


@named(KINDS)
def test_memory_states_are_not_to_be_had(kind):
    said = rf"keep_memory is True, but {kind.population.__name__} has no memory qubits"
    with pytest.raises(ValueError, match=said):
        kind.make()(kind.currents(), generator=seeded(0), keep_memory=True)


@named(KINDS)
def test_a_state_that_does_not_fit_is_refused(kind):
    neurons, currents = kind.make(), kind.currents()
    _, state = neurons(currents, generator=seeded(0))
    name = state._fields[0]
    wrong = [
        (lambda tensor: tensor[1:], rf"state\.{name} must have shape \(5, 3, {kind.channels}\)"),
        (lambda tensor: tensor[:, 1:], rf"state\.{name} must have shape"),
        (lambda tensor: tensor.float(), rf"state\.{name} has dtype torch.float32"),
        (lambda tensor: tensor.to("meta"), rf"state\.{name} on meta"),
    ]
    for change, message in wrong:
        with pytest.raises(ValueError, match=message):
            neurons(currents, type(state)(*map(change, state)), generator=seeded(0))


def test_only_parts_of_a_state_that_fit_are_taken():
    neurons = LIF(SIZE, generator=seeded(0))
    good = torch.zeros(BATCH, SIZE, 1)
    with pytest.raises(ValueError, match=r"state\.spikes must have shape"):
        neurons(torch.zeros(1, BATCH, SIZE, 1), LeakyState(good, good[:, :1]), generator=seeded(0))


@pytest.mark.parametrize("dtype", [torch.float16, torch.complex64, torch.int64])
def test_a_parameter_is_single_or_double(dtype):
    with pytest.raises(ValueError, match=rf"dtype is {dtype}; it may be torch.float32 or"):
        learned(0.5, 2, 1, dtype, None)


@pytest.mark.parametrize("population", [LIF, StochasticLIF, QLIF, PublishedSQS])
def test_a_population_of_nothing_is_refused(population):
    with pytest.raises(ValueError, match="size must be an integer of at least 1, but is 0"):
        population(0, generator=seeded(0))


@pytest.mark.parametrize("population", [LIF, StochasticLIF, QLIF, PublishedSQS, SQSNeurons])
def test_every_population_demands_a_generator(population):
    with pytest.raises(TypeError, match="generator"):
        population(2)


# In networks


def some_spikes() -> Tensor:
    return (torch.rand((STEPS, BATCH, 4, 1), generator=seeded(6)) < 0.7).double()


LAYERS = [
    partial(LIF, beta=0.5),
    [QLIF, partial(StochasticLIF, tau=0.5)],
    [PublishedSQS, LIF],
    [SQSNeurons, QLIF],
    [StochasticLIF, SQSNeurons],
]


def network_of(factories) -> SpikingNetwork:
    network = SpikingNetwork(
        [4, 12, 3], neurons=factories, generator=seeded(0), dtype=torch.float64
    )
    with torch.no_grad():
        for synapses in synapses_of(network):
            synapses.weight.add_(0.2)  # so that enough of them fire
    return network


@pytest.mark.parametrize("factories", LAYERS)
def test_layers_of_any_kind_make_a_network(factories):
    network = network_of(factories)
    uniforms = network.draw_uniforms(STEPS, BATCH, seeded(1))
    whole = network(some_spikes(), uniforms=uniforms)
    assert all(0 < layer.spikes.mean() < 1 for layer in whole.layers)
    first = network(some_spikes()[:3], uniforms=[numbers[:3] for numbers in uniforms])
    second = network(some_spikes()[3:], first.state, uniforms=[numbers[3:] for numbers in uniforms])
    for one, other, record in zip(first.layers, second.layers, whole.layers, strict=True):
        assert torch.equal(torch.cat([one.spikes, other.spikes]), record.spikes)
    assert all(map(same, second.state.populations, whole.state.populations))
    whole.layers[-1].spikes.sum().backward()
    for synapses in synapses_of(network):
        assert synapses.weight.grad.isfinite().all() and synapses.weight.grad.any()


def test_a_factory_passes_its_options_on():
    network = SpikingNetwork([4, 6, 3], neurons=partial(LIF, beta=0.5), generator=seeded(0))
    assert all(population.beta.unique().tolist() == [0.5] for population in populations_of(network))


def test_two_channels_feed_two_channels():
    make = partial(StochasticLIF, channels=2)
    network = SpikingNetwork([4, 6, 3], neurons=make, generator=seeded(0), dtype=torch.float64)
    uniforms = network.draw_uniforms(STEPS, BATCH, seeded(1))
    assert [numbers.shape for numbers in uniforms] == [(STEPS, BATCH, n, 2) for n in (6, 3)]
    run = network(some_spikes(), uniforms=uniforms)
    assert run.layers[-1].spikes.shape == (STEPS, BATCH, 3, 2)
    by_generator = network(some_spikes(), generator=seeded(1))
    assert torch.equal(by_generator.layers[-1].spikes, run.layers[-1].spikes)


@named(KINDS)
def test_a_state_of_other_neurons_is_refused(kind):
    neurons = kind.make()
    with pytest.raises(TypeError, match=r"state must be a .*State, .* but is a tuple"):
        neurons(kind.currents(), state=(torch.zeros(1),), uniforms=kind.uniforms())


def test_parameters_that_are_no_numbers_are_refused():
    with pytest.raises(ValueError, match="nan; it must be finite"):
        LIF(1, threshold=float("nan"), generator=seeded(0))
    with pytest.raises(ValueError, match="tau is inf"):
        StochasticLIF(1, tau=float("inf"), generator=seeded(0))
