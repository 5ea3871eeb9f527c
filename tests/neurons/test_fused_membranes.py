"""The compiled kernel computes what torch computes of LIF and StochasticLIF, for every option."""

from itertools import product
from typing import Any

import pytest
import torch
from tools import on_all_builds, seeded
from torch import Tensor
from torch.nn.utils import parametrize
from torch.testing import assert_close

from sqsnn.native import library
from sqsnn.neurons.leaky import LeakyPopulation, LeakyState
from sqsnn.neurons.lif import LIF
from sqsnn.neurons.population import Record
from sqsnn.neurons.stochastic_lif import StochasticLIF
from sqsnn.training.machine import threads

pytestmark = pytest.mark.skipif(library.obstacle() is not None, reason=str(library.obstacle()))

# Of values of order 1; sums of many are compared in units of the largest.
TOLERANCE = {torch.float64: 1e-12, torch.float32: 1e-5}
KINDS: list[tuple[type[LeakyPopulation], dict[str, Any]]] = [
    (LIF, {}),
    (StochasticLIF, {}),
    (StochasticLIF, {"surrogate": "sigmoid", "tau": 0.5}),
]
FLOOR = -0.4


def neurons_of(kind, size: int = 5, dtype: torch.dtype = torch.float64, **options: Any) -> Any:
    population, own = kind
    neurons = population(size, dtype=dtype, generator=seeded(), **own, **options)
    with torch.no_grad():  # some beta above 1, which acts as 1
        neurons.beta.uniform_(0.5, 1.1, generator=seeded(1))
        neurons.threshold.uniform_(0.5, 1.2, generator=seeded(2))
        neurons.bias.uniform_(-0.2, 0.2, generator=seeded(3))
    return neurons


def inputs(neurons: Any, steps: int = 3, batch: int = 6) -> tuple[Tensor, Tensor]:
    """Currents such that some membranes fire and some reach the floor, and uniforms."""
    dtype, shape = neurons.bias.dtype, (steps, batch, neurons.size, neurons.channels)
    currents = torch.randn(shape, generator=seeded(4), dtype=dtype)
    uniforms = torch.rand(shape, generator=seeded(5), dtype=dtype)
    return 0.9 * currents + 0.2, uniforms.view(steps, batch, *neurons.uniforms_shape)


def run(neurons: Any, backend: str, *arguments, **given) -> tuple[Record, LeakyState]:
    neurons.backend = backend
    return neurons(*arguments, **given)


def everything(neurons: Any, backend: str, *, observed: bool = False) -> list[Tensor]:
    """All results of a pass that goes on from a state, and all gradients of their weighted sum."""
    currents, uniforms = inputs(neurons, steps=7)
    with torch.no_grad():
        _, start = run(neurons, "torch", currents[:3], uniforms=uniforms[:3])
    if observed:
        shape = (4, 6, neurons.size, neurons.channels)
        spikes = torch.rand(shape, generator=seeded(6)) < 0.4
        given = {"observed": spikes.to(currents.dtype)}
    else:
        given = {"uniforms": uniforms[3:]}
    currents = currents[3:].clone().requires_grad_()
    start = LeakyState(*(part.clone().requires_grad_() for part in start))
    record, after = run(neurons, backend, currents, start, **given)
    results = [*record[:3], *after]
    certain = results.pop(2).exp() if observed and not neurons.is_stochastic else None  # 0 or 1
    weighted = [
        (torch.randn(x.shape, generator=seeded(7)).to(x.dtype) * x).sum()
        for x in results
        if x.requires_grad
    ]
    results += [] if certain is None else [certain]
    gradients = torch.autograd.grad(sum(weighted), [currents, *start, *neurons.parameters()])
    return [x.detach() for x in (*results, *gradients)]


def check_equal(neurons: Any, **options: Any) -> None:
    pairs = (everything(neurons, backend, **options) for backend in ("torch", "fused"))
    for plain, fast in zip(*pairs, strict=True):
        tolerance = TOLERANCE[plain.dtype] * max(1.0, plain.abs().max().item())
        assert_close(fast, plain, rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
@pytest.mark.parametrize("observed", [False, True])
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_every_option_gives_what_torch_gives(kind, observed, dtype):
    for floor, through_reset, channels in product((None, FLOOR), (False, True), (1, 2)):
        options = {"floor": floor, "through_reset": through_reset, "channels": channels}
        check_equal(neurons_of(kind, dtype=dtype, **options), observed=observed)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("size", [1, 15, 16, 17, 1025])
@pytest.mark.parametrize(("steps", "batch"), [(1, 1), (1, 70), (4, 3)])
def test_vectors_groups_and_chunks_that_are_not_full(kind, size, steps, batch):
    neurons = neurons_of(kind, size, torch.float32, floor=FLOOR)
    currents, uniforms = inputs(neurons, steps, batch)
    found = []
    for backend in ("torch", "fused"):
        leaf = currents.clone().requires_grad_()
        record, state = run(neurons, backend, leaf, uniforms=uniforms)
        loss = record.probability.square().sum() + state.membrane.sum()
        found.append([*record[:3], *torch.autograd.grad(loss, [leaf, *neurons.parameters()])])
    for plain, fast in zip(*found, strict=True):
        assert_close(fast, plain, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_lif_is_the_same_through_torch_bit_for_bit(dtype):
    # Its additions are those of torch, in the same order; nothing is left to chance.
    neurons = neurons_of((LIF, {}), 300, dtype, floor=FLOOR)
    currents, uniforms = inputs(neurons, 20, 50)
    (plain, before), (fast, after) = (
        run(neurons, backend, currents, uniforms=uniforms) for backend in ("torch", "fused")
    )
    assert torch.equal(fast.spikes, plain.spikes)
    assert all(map(torch.equal, after, before))


def test_drawn_spikes_part_only_where_rounding_explains_it():
    neurons = neurons_of((StochasticLIF, {}), 500, torch.float32)
    currents, uniforms = inputs(neurons, 20, 50)
    plain, fast = (run(neurons, way, currents, uniforms=uniforms)[0] for way in ("torch", "fused"))
    differs = fast.spikes != plain.spikes
    first = differs & (differs.cumsum(0) == 1)
    assert first.sum() < 25  # of 25,000 paths; a probability is off by about 1e-7
    distance = (plain.probability[..., 0] - uniforms).abs()[first[..., 0]]
    assert not len(distance) or distance.max() < 1e-6
    assert 0.1 < fast.spikes.mean() < 0.9


def test_unlikely_spikes_are_scored_as_torch_scores_them():
    neurons = StochasticLIF(1, beta=0.0, tau=0.01, generator=seeded())
    currents = torch.tensor([-5.0, 0.4, 0.95, 1.0, 1.05, 1.6, 9.0])[None, :, None, None]
    for observed in (torch.zeros_like(currents), torch.ones_like(currents)):
        plain, fast = (
            run(neurons, way, currents, observed=observed)[0] for way in ("torch", "fused")
        )
        assert_close(fast.log_likelihood, plain.log_likelihood, rtol=1e-5, atol=1e-37)
        assert_close(fast.probability, plain.probability, rtol=1e-5, atol=1e-37)


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_two_halves_equal_one_pass_bit_for_bit(kind):
    neurons = neurons_of(kind, 17, torch.float32, channels=2, floor=FLOOR, backend="fused")
    currents, uniforms = inputs(neurons, 8)
    whole, end = neurons(currents, uniforms=uniforms)
    first, middle = neurons(currents[:3], uniforms=uniforms[:3])
    second, after = neurons(currents[3:], middle, uniforms=uniforms[3:])
    for name in ("spikes", "probability", "log_likelihood"):
        halves = torch.cat([getattr(first, name), getattr(second, name)])
        assert torch.equal(halves, getattr(whole, name))
    assert all(map(torch.equal, after, end))


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_the_bits_do_not_depend_on_the_number_of_threads(kind):
    neurons = neurons_of(kind, 600, torch.float32, through_reset=True)
    currents, uniforms = inputs(neurons, 4, 130)  # enough work for threads
    found = []
    for number in (1, 2):
        with threads(number):
            leaf = currents.clone().requires_grad_()
            record, state = run(neurons, "fused", leaf, uniforms=uniforms)
            loss = record.log_likelihood.sum() + record.spikes.sum() + state.membrane.sum()
            gradients = torch.autograd.grad(loss, [leaf, *neurons.parameters()])
            found.append([*record[:3], *state, *gradients])
    assert all(map(torch.equal, *found))


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_all_builds_give_the_same_bits(kind, monkeypatch):
    neurons = neurons_of(kind, 21, torch.float32, through_reset=True, floor=FLOOR)
    on_all_builds(monkeypatch, lambda: everything(neurons, "fused"))


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_gradients_and_inputs_that_share_memory_or_lie_apart(kind):
    neurons = neurons_of(kind, 7, channels=2)
    _, uniforms = inputs(neurons)
    wide = torch.randn(3, 6, 2, 7, generator=seeded(8), dtype=torch.float64)
    sums = (
        lambda spikes: spikes.sum(),  # the gradient is one number
        lambda spikes: (spikes.sum(0) * wide[0].mT).sum(),
        lambda spikes: (spikes.mT * wide).sum(),
        lambda spikes: spikes[..., 0].square().sum(),
    )
    for total in sums:
        found = []
        for backend in ("torch", "fused"):
            leaf = wide.clone().requires_grad_()
            record, _ = run(neurons, backend, leaf.mT, uniforms=uniforms)
            found.append(torch.autograd.grad(total(record.spikes), [leaf, *neurons.parameters()]))
        for plain, fast in zip(*found, strict=True):
            assert_close(fast, plain, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_currents_that_are_no_numbers_are_refused(kind, value):
    neurons = neurons_of(kind, backend="fused")
    currents, uniforms = inputs(neurons)
    currents[1, 2, 3] = value
    with pytest.raises(ValueError, match="currents must be finite"):
        neurons(currents, uniforms=uniforms)


class Doubled(LIF):
    """A law of its own."""

    def fire(self, drive: Tensor, state: LeakyState) -> tuple[Tensor, Tensor]:
        """Fire on twice the current."""
        return super().fire(2 * drive, state)


def smooth(p: Tensor) -> Tensor:
    return 1 - p


def test_what_the_kernel_cannot_run_is_refused_or_runs_through_torch():
    assert LIF(3, generator=seeded()).runs_fused
    assert not LIF(3, backend="torch", generator=seeded()).runs_fused
    with pytest.raises(ValueError, match=r"backend is 'fused', but the kernel .* not Doubled"):
        Doubled(3, backend="fused", generator=seeded())
    own, plain = (kind(3, generator=seeded()) for kind in (Doubled, LIF))
    assert not own.runs_fused
    currents, uniforms = inputs(plain)
    twice, _ = run(plain, "torch", 2 * currents, uniforms=uniforms)
    assert torch.equal(own(currents, uniforms=uniforms)[0].spikes, twice.spikes)
    options = {"surrogate": smooth, "through_reset": True, "generator": seeded()}
    with pytest.raises(ValueError, match="backend is 'fused', but surrogate is a function"):
        StochasticLIF(3, backend="fused", **options)
    assert not StochasticLIF(3, **options).runs_fused
    assert not LIF(3, dtype=torch.float32, generator=seeded()).half().runs_fused
    # By the type of the argument: the checked annotation or the check at the door.
    with pytest.raises(Exception, match="backend"):
        LIF(3, backend="quick", generator=seeded())


def test_a_parameter_that_is_computed_runs_as_its_value_and_gets_its_gradient():
    class Half(torch.nn.Module):
        def forward(self, value: Tensor) -> Tensor:
            return value / 2

    computed, plain = (LIF(3, generator=seeded()) for _ in range(2))
    with torch.no_grad():
        plain.bias.fill_(0.25)
        computed.bias.fill_(0.5)
    parametrize.register_parametrization(computed, "bias", Half())
    assert computed.runs_fused
    currents, uniforms = inputs(plain)
    found, expected = (it(currents, uniforms=uniforms)[0].spikes for it in (computed, plain))
    assert torch.equal(found, expected)
    for spikes in (found, expected):
        spikes.sum().backward()
    original = computed.get_parameter("parametrizations.bias.original")
    assert plain.bias.grad.abs().max() > 0
    assert torch.equal(original.grad, plain.bias.grad / 2)


def test_a_function_as_surrogate_needs_torch_only_where_spikes_pass_a_gradient_on():
    check_equal(neurons_of((StochasticLIF, {"surrogate": smooth})))
