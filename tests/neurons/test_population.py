"""The interface of a population: what it asks of its arguments, and where its luck comes from."""

import math

import pytest
import torch
from tools import seeded
from torch import Tensor, nn

from sqsnn.neurons.population import Population, Record
from sqsnn.neurons.sqs import SQSNeurons

pytestmark = pytest.mark.usefixtures("device")


class Coins(Population):
    """The smallest population: biased coins, whose state counts the steps."""

    def __init__(self, size: int, channels: int = 1) -> None:
        super().__init__(size, channels)
        self.bias = nn.Parameter(torch.zeros(size, 1))

    @property
    def parameter_like(self) -> Tensor:
        return self.bias

    def evolve(self, currents, state, uniforms, observed, keep_memory):
        probability = torch.sigmoid(currents + self.bias)
        drawn = observed if uniforms is None else (uniforms[..., None] < probability).float()
        score = torch.where(drawn > 0, probability, 1 - probability).log().sum(-1)
        return Record(drawn, probability, score), (state or 0) + len(currents)


@pytest.fixture(params=["coins", "quantum"])
def neurons(request) -> Population:
    """Populations of 3 neurons and 1 channel, one of them not ours."""
    return Coins(3) if request.param == "coins" else SQSNeurons(3, generator=seeded(0))


def no_currents() -> Tensor:
    return torch.zeros(4, 2, 3, 1)


def halves() -> Tensor:
    return torch.full((4, 2, 3), 0.5)


def test_a_population_of_ones_own_needs_only_its_law(neurons):
    record, state = neurons(no_currents(), generator=seeded())
    assert record.spikes.shape == record.probability.shape == (4, 2, 3, 1)
    assert record.log_likelihood.shape == (4, 2, 3)
    assert record.memory is None
    again, _ = neurons(no_currents(), state, generator=seeded())
    assert again.spikes.shape == (4, 2, 3, 1)


def test_the_generator_draws_what_draw_uniforms_draws(neurons):
    currents = no_currents() + 0.5
    by_generator, _ = neurons(currents, generator=seeded(3))
    uniforms = neurons.draw_uniforms(4, 2, seeded(3))
    assert uniforms.shape == (4, 2, 3)
    by_uniforms, _ = neurons(currents, uniforms=uniforms)
    assert torch.equal(by_generator.spikes, by_uniforms.spikes)
    other, _ = neurons(currents, generator=seeded(4))
    assert not torch.equal(by_generator.spikes, other.spikes)


def test_drawing_in_pieces_is_drawing_at_once(neurons):
    generator = seeded(7)
    pieces = [neurons.draw_uniforms(steps, 2, generator) for steps in (1, 3)]
    assert torch.equal(torch.cat(pieces), neurons.draw_uniforms(4, 2, seeded(7)))


def test_the_global_generator_is_not_touched(neurons):
    before = torch.get_rng_state()
    neurons(no_currents(), generator=seeded())
    assert torch.equal(torch.get_rng_state(), before)


def test_observed_spikes_are_returned_as_they_came(neurons):
    observed = torch.tensor([0.0, 1, 1, 0]).reshape(4, 1, 1, 1).expand(4, 2, 3, 1)
    record, _ = neurons(no_currents() + 0.5, observed=observed)
    assert torch.equal(record.spikes.detach(), observed)


def test_a_batch_of_nothing_gives_a_record_of_nothing(neurons):
    record, _ = neurons(no_currents()[:, :0], generator=seeded())
    assert record.spikes.shape == (4, 0, 3, 1)
    assert record.log_likelihood.shape == (4, 0, 3)


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        (set(), "given were none"),
        ({"generator", "uniforms"}, "given were generator and uniforms"),
        ({"generator", "observed"}, "given were generator and observed"),
        ({"uniforms", "observed"}, "given were uniforms and observed"),
    ],
)
def test_exactly_one_source_of_randomness_is_required(neurons, sources, message):
    every = {"generator": seeded(), "uniforms": halves(), "observed": no_currents()}
    with pytest.raises(ValueError, match=message):
        neurons(no_currents(), **{name: every[name] for name in sources})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda it: it[0], r"currents must have shape \(steps, batch, 3, 1\), but has \(2, 3, 1\)"),
        (lambda it: it[:, :, :2], r"has \(4, 2, 2, 1\)"),
        (lambda it: it.expand(-1, -1, -1, 2), r"has \(4, 2, 3, 2\)"),
        (lambda it: it[:0], "currents has 0 steps"),
        (lambda it: it.double(), "currents has dtype torch.float64"),
        (lambda it: it.long(), "currents has dtype torch.int64"),
        (lambda it: it + math.nan, "currents must be finite, but 24 of 24"),
        (lambda it: it - math.inf, "currents must be finite"),
        (lambda it: it.to("meta"), "currents on meta, parameters on "),
    ],
)
def test_currents_that_do_not_fit_are_refused(neurons, change, message):
    with pytest.raises(ValueError, match=message):
        neurons(change(no_currents()), generator=seeded())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda it: it[:3], r"uniforms must have shape \(4, 2, 3\), but has \(3, 2, 3\)"),
        (lambda it: it[..., None], r"has \(4, 2, 3, 1\)"),
        (lambda it: it * 2, r"uniforms must lie in \[0, 1\), but they run from 1 to 1"),
        (lambda it: it - 1, r"uniforms must lie in .* from -0.5"),
        (lambda it: it * math.nan, "uniforms must lie in"),
        (lambda it: it.to("meta"), "uniforms on meta"),
    ],
)
def test_uniforms_that_do_not_fit_are_refused(neurons, change, message):
    with pytest.raises(ValueError, match=message):
        neurons(no_currents(), uniforms=change(halves()))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda it: it[:2], r"observed must have shape \(4, 2, 3, 1\), but has \(2, 2, 3, 1\)"),
        (lambda it: it + 0.5, "observed holds 0.5; every spike must be 0 or 1"),
        (lambda it: it + math.nan, "observed holds nan"),
        (lambda it: it.to("meta"), "observed on meta"),
    ],
)
def test_observed_spikes_that_do_not_fit_are_refused(neurons, change, message):
    with pytest.raises(ValueError, match=message):
        neurons(no_currents(), observed=change(no_currents()))


def test_a_step_refuses_what_does_not_fit(neurons):
    with pytest.raises(ValueError, match=r"currents must have shape \(batch, 3, 1\)"):
        neurons.step(no_currents()[0, :, :2], None, halves()[0, :, :2])
    with pytest.raises(ValueError, match=r"uniforms must have shape \(2, 3\), but has \(2, 3, 1"):
        neurons.step(no_currents()[0], None, halves()[0, ..., None])


@pytest.mark.parametrize("argument", ["size", "channels"])
def test_a_population_of_nothing_is_refused(argument):
    with pytest.raises(ValueError, match=f"{argument} must be an integer .*1"):
        Coins(**{"size": 1, "channels": 1, argument: 0})


def test_the_interface_alone_is_no_population():
    with pytest.raises(TypeError, match="abstract"):
        Population(1)
