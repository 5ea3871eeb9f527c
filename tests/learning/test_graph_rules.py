"""Rules of learning on networks of every shape: against finite differences, and each other."""

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import network_reference
import numpy as np
import pytest
import torch
from graph_cases import (
    ACYCLIC,
    CASES,
    CYCLIC,
    MIXED,
    Case,
    by_name,
    inputs_of,
    network_of,
    reference_graph,
    samples,
)
from network_reference import Floats
from tools import seeded
from torch import Tensor

from sqsnn.learning import (
    Backprop,
    Both,
    Feedback,
    Local,
    Online,
    Reinforce,
    Rule,
)
from sqsnn.network import Connection, LearnedDelay, Pathway, SpikingNetwork
from sqsnn.neurons.drive import Leaky, Rectified
from sqsnn.neurons.population import Record
from sqsnn.readout import Targets, TraceReadout
from sqsnn.synapses import Dense

pytestmark = pytest.mark.usefixtures("device")

STEPS, BATCH, CLASSES = 4, 2, 2
AS_DATA = Leaky(through_reset=False)
SYMMETRIC = Feedback("symmetric")
ALL = CASES | {"mixed channels": MIXED}

Gradients = dict[str, Tensor]


def some_labels() -> Tensor:
    return torch.arange(BATCH) % CLASSES


def gradients(
    rule: Rule, network: SpikingNetwork, spikes: Tensor, targets: Tensor | Targets | None = None
) -> Gradients:
    """Of every parameter that holds a number, 0 where a rule gave none."""
    network.zero_grad()
    rule.step(network, spikes, some_labels() if targets is None else targets, seeded(5))
    named = network.named_parameters()
    return {
        name: torch.zeros_like(p) if p.grad is None else p.grad.clone()
        for name, p in named
        if p.numel()
    }


def assert_equal(found: Gradients, expected: Gradients, atol: float) -> None:
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=0, atol=atol, msg=name)


def assert_differences(
    network: SpikingNetwork, found: Gradients, value: Callable[[], float], atol: float
) -> None:
    """Compare with differences of a value, each part moved along a random direction.

    Parts are populations and connections. The differences are right to about 5e-10.
    """
    generator, step = seeded(11), 4e-6
    parts: dict[str, list[str]] = {}
    for name in found:
        parts.setdefault(".".join(name.split(".")[:2]), []).append(name)
    values = dict(network.named_parameters())
    with torch.no_grad():
        for part, names in parts.items():
            before = {name: values[name].clone() for name in names}
            directions = {
                name: torch.randn(start.shape, generator=generator, dtype=torch.float64)
                for name, start in before.items()
            }
            sides = []
            for moved in (step, -step):
                for name in names:
                    values[name].copy_(before[name] + moved * directions[name])
                sides.append(value())
            for name in names:
                values[name].copy_(before[name])
            along = sum((found[name] * directions[name]).sum().item() for name in names)
            expected = (sides[0] - sides[1]) / (2 * step)
            assert along == pytest.approx(expected, rel=0, abs=atol), part


def ran(network: SpikingNetwork, spikes: Tensor) -> list[dict[str, dict[str, Floats]]]:
    """What `gradients` makes a network do: for each sample, spikes and probabilities by name."""
    with torch.no_grad():
        record = network(spikes, generator=seeded(5))
    parts = {key: by_name(network, [getattr(r, key) for r in record.layers])
             for key in ("spikes", "probability")}  # fmt: skip
    return [{key: samples(part, b) for key, part in parts.items()} for b in range(spikes.shape[1])]


def smooth_network_of(case: Case, **options: Any) -> tuple[SpikingNetwork, Tensor]:
    """The first network, and its inputs, no drive of which comes near a kink."""
    for seed in range(100):
        network = network_of(case, seed=seed, **options)
        inputs = inputs_of(network, STEPS, BATCH)
        graph = reference_graph(network)
        distances = [
            network_reference.distance_to_kinks(
                graph,
                network_reference.score(graph, inputs[:, sample].cpu().numpy(), each["spikes"]),
            )
            for sample, each in enumerate(ran(network, inputs))
        ]
        if min(distances) > 0.01:
            return network, inputs
    raise AssertionError("every network comes near a kink")


def output_of(network: SpikingNetwork) -> str:
    return list(network.populations)[-1]


def of_outputs(network: SpikingNetwork) -> tuple[str, ...]:
    """How the names of the outputs' parameters begin, and of those that feed them."""
    output = output_of(network)
    feeding = (n for n, pathway in enumerate(network.pathways) if pathway.target == output)
    return (f"populations.{output}.", *(f"pathways.{n}." for n in feeding))


# Backpropagation


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *((name, {}) for name in CASES),
        ("all at once", {"drive": Leaky()}),
        ("outputs that feed back", {"drive": Leaky(reset_steps=2)}),
        ("loop of two", {"drive": Leaky(), "channels": 2}),
        ("recurrent", {"drive": Rectified(), "channels": 2}),
        ("skip", {"channels": 2}),
        ("deep", {"loss_on": "count"}),
        ("a population after the outputs", {"loss_on": "count", "drive": Leaky()}),
        ("mixed channels", {"drive": Leaky()}),
    ],
    ids=str,
)
def test_backpropagation_is_the_derivative_of_the_relaxed_network(name, options):
    loss_on = options.get("loss_on", "probability")
    options = {key: value for key, value in options.items() if key != "loss_on"}
    network, inputs = smooth_network_of(ALL[name], **options)
    found = gradients(Backprop(loss_on=loss_on), network, inputs)
    done = ran(network, inputs)
    through_reset = options.get("drive", AS_DATA) not in (AS_DATA, Rectified())

    def loss() -> float:
        graph, total = reference_graph(network), 0.0
        for sample, each in enumerate(done):
            followed = network_reference.relaxed(
                graph, inputs[:, sample].cpu().numpy(), each["spikes"], each["probability"],
                through_reset=through_reset,
            )  # fmt: skip
            label = int(some_labels()[sample])
            total += network_reference.cross_entropy(
                followed, output_of(network), label, on_spikes=loss_on == "count"
            )
        return total / len(done)

    assert_differences(network, found, loss, 1e-7)


def test_the_networks_above_lie_on_both_sides_of_clip_and_floor():
    beyond = {"clip": 0, "silence": 0, "floor": 0}
    for case in CYCLIC.values():
        network, inputs = smooth_network_of(case)
        graph = reference_graph(network)
        for sample, each in enumerate(ran(network, inputs)):
            done = network_reference.score(graph, inputs[:, sample].cpu().numpy(), each["spikes"])
            potentials = network_reference.potentials(graph, done)
            beyond["clip"] += sum(u > 1 for u in potentials)
            beyond["silence"] += sum(-1 < u < 0 for u in potentials)
            beyond["floor"] += sum(u == -1 for u in potentials)
    assert min(beyond.values()) > 10, beyond


# The score


@pytest.mark.parametrize(("name", "channels"), [*((name, 1) for name in ALL), ("all at once", 2)])
def test_the_score_is_the_derivative_of_the_likelihood_of_all_spikes(name, channels):
    network, inputs = smooth_network_of(ALL[name], channels=channels)
    rule = Local(Reinforce(samples=1, baseline="none", horizon="episodic"))
    found = gradients(rule, network, inputs)
    done = ran(network, inputs)
    output = output_of(network)
    # Every spike answers for the whole loss, less that without spikes; outputs, besides, lower the
    # loss through their own probabilities. Spikes are data throughout.
    answers = []
    for sample, each in enumerate(done):
        logits = each["probability"][output].sum((0, 2))
        loss = np.logaddexp.reduce(logits) - logits[int(some_labels()[sample])]
        answers.append(loss - np.log(CLASSES))

    def value() -> float:
        graph, total = reference_graph(network), 0.0
        for sample, (each, answer) in enumerate(zip(done, answers, strict=True)):
            scored = network_reference.score(graph, inputs[:, sample].cpu().numpy(), each["spikes"])
            label = int(some_labels()[sample])
            total += answer * np.log(scored.joint)
            total += network_reference.cross_entropy(scored, output, label)
        return total / len(done)

    assert_differences(network, found, value, 1e-7)


# Rewards are unbiased


def loop(delay: int | LearnedDelay = 1) -> Case:
    """One neuron and two outputs in a loop."""
    back = Connection("b", "a", delay=delay)
    forward = [Connection("input", "a"), Connection("a", "b", Dense(bias=True))]
    return Case((2,), {"a": 1, "b": 2}, [*forward, back])


def detour() -> Case:
    """The loop closed by way of a neuron that comes after the outputs."""
    *forward, _ = loop().connections
    back = [Connection("b", "echo", Dense(bias=True)), Connection("echo", "a", delay=1)]
    return Case((2,), {"echo": 1, "a": 1, "b": 2}, [*forward, *back])


def every_history(network: SpikingNetwork, steps: int) -> dict[str, Tensor]:
    """All spikes of all neurons, `(T, histories, H, 1)` by name."""
    found = list(network_reference.every_history(reference_graph(network), steps))
    return {name: torch.as_tensor(np.stack([each[name] for each in found], 1)) for name in found[0]}


def force(network: SpikingNetwork, histories: Mapping[str, Tensor]) -> None:
    """Make a network draw given spikes, whatever the generator."""
    below, above = torch.tensor([0.0, 1 - 2.0**-53], dtype=torch.float64)
    forced = [torch.where(histories[n][..., 0] > 0, below, above) for n in network.populations]
    network.draw_uniforms = lambda steps, _batch, _generator: tuple(u[:steps] for u in forced)


def weighted_by_law(network: SpikingNetwork, inputs: Tensor, histories: int) -> Tensor:
    """The probability of every history."""
    law = network_reference.joint_law(reference_graph(network), inputs[:, 0].cpu().numpy())
    assert len(law) == histories
    assert law.min() > 1e-12  # else a history could not be forced
    return torch.as_tensor(law)


def expected_loss(network: SpikingNetwork, inputs: Tensor, label: int) -> Callable[[], float]:
    """The exact mean loss over all histories, as a function of the network's values."""

    def loss() -> float:
        graph = reference_graph(network)
        return network_reference.expected_loss(graph, inputs[:, 0].cpu().numpy(), "b", label)

    return loss


# Each with a seed at which every parameter has a gradient.
LOOPS = {
    "with memory": (loop(), {"drive": AS_DATA, "seed": 12}),
    "without any memory but the loop": (
        loop(),
        {"memory_qubits": 0, "drive": Rectified(), "seed": 13},
    ),
    "delays learned": (
        loop(LearnedDelay(start=1.5, shortest=1, longest=2)),
        {"memory_qubits": 0, "seed": 19},
    ),
    "by way of a neuron after the outputs": (detour(), {"drive": Rectified(), "seed": 6}),
}


@pytest.mark.parametrize(
    ("name", "horizon"), [*((name, "to_go") for name in LOOPS), ("with memory", "episodic")]
)
def test_rewards_in_a_loop_are_unbiased(name, horizon):
    """The mean over every history, weighted by its law, is the gradient of the mean loss."""
    (case, options), steps, label = LOOPS[name], 2, 1
    network = network_of(case, **options)
    inputs = inputs_of(network, steps, 1)
    histories = every_history(network, steps)
    count = histories["a"].shape[1]
    law = weighted_by_law(network, inputs, count)
    force(network, histories)
    targets = Targets(torch.full((count,), label), weights=law * count)
    rule = Local(Reinforce(samples=1, baseline="none", horizon=horizon))
    spikes = inputs.expand(-1, count, -1, -1).contiguous()
    found = gradients(rule, network, spikes, targets)
    assert_differences(network, found, expected_loss(network, inputs, label), 1e-9)
    assert all(gradient.abs().max() > 1e-3 for gradient in found.values())


def test_rewards_less_the_mean_of_other_runs_are_unbiased_in_a_loop():
    """The mean over every pair of histories."""
    steps, label = 2, 1
    network = network_of(loop(), seed=12)
    inputs = inputs_of(network, steps, 1)
    histories = every_history(network, steps)
    count = histories["a"].shape[1]
    law = weighted_by_law(network, inputs, count)
    pairs = torch.tensor(list(itertools.product(range(count), repeat=2)))
    force(network, {name: spikes[:, pairs.T.flatten()] for name, spikes in histories.items()})
    targets = Targets(torch.full((len(pairs),), label), weights=law[pairs].prod(1) * len(pairs))
    spikes = inputs.expand(-1, len(pairs), -1, -1).contiguous()
    found = gradients(Local(Reinforce(samples=2)), network, spikes, targets)
    assert_differences(network, found, expected_loss(network, inputs, label), 1e-9)


# Symmetric feedback


def backpropagated(network: SpikingNetwork, spikes: Tensor) -> Gradients:
    """Backpropagation in which spikes that travel back, in a cycle, are data.

    Then populations can run all steps at once, each after those that it hears of the same step.
    """
    with torch.no_grad():
        data = network(spikes, generator=seeded(5))
    uniforms = by_name(network, network.draw_uniforms(*spikes.shape[:2], seeded(5)))
    emitted = {"input": spikes}
    records: dict[str, Record] = {}
    for name in [name for component in network.components for name in component.names]:
        currents = torch.zeros(())
        for pathway in network.pathways:
            if pathway.target == name:
                is_back = network.leads_back(pathway)
                source = data[pathway.source].spikes if is_back else emitted[pathway.source]
                currents = currents + carried(pathway, source)
        records[name], _ = network.populations[name](currents, uniforms=uniforms[name])
        emitted[name] = records[name].spikes
        assert torch.equal(emitted[name].detach(), data[name].spikes)
    logits = records[output_of(network)].probability.sum((0, 3))
    loss = torch.nn.functional.cross_entropy(logits, some_labels())
    named = {name: p for name, p in network.named_parameters() if p.numel()}
    found = torch.autograd.grad(loss, list(named.values()), materialize_grads=True)
    return dict(zip(named, found, strict=True))


def carried(pathway: Pathway, spikes: Tensor) -> Tensor:
    """Currents of one connection: every presynaptic neuron's own delay, trace, synapses."""
    if isinstance(pathway.delay, int):
        delays = torch.full(spikes.shape[2:3], float(pathway.delay), dtype=torch.float64)
    else:
        delays = pathway.steps
    steps, arrived = len(spikes), []
    for t in range(steps):
        now = torch.zeros_like(spikes[0])
        for lag in range(t + 1):  # a hat: 1 at the delay, 0 one step away from it
            share = (1 - (delays - lag).abs()).clamp_min(0)[:, None]
            now = now + share * spikes[t - lag]
        if pathway.trace is not None and arrived:
            now = now + pathway.trace * arrived[-1]
        arrived.append(now)
    return pathway.synapses(torch.stack(arrived))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *((name, {}) for name in ALL),
        *((name, {"channels": 2, "drive": Leaky()}) for name in ("skip", "deep", "all at once")),
        *((name, {"surrogate": "sigmoid", "encoding_slope": "exact"}) for name in
          ("convolution in one dimension", "learned delays", "outputs that feed back")),
    ],
    ids=str,
)  # fmt: skip
def test_symmetric_feedback_is_backpropagation_along_what_leads_forward(name, options):
    network = network_of(
        ALL[name], **{"drive": Leaky(), "encoding_slope": "exponential", **options}
    )
    inputs = inputs_of(network, STEPS, BATCH)
    found = gradients(Local(SYMMETRIC), network, inputs)
    assert_equal(found, backpropagated(network, inputs), 1e-12)
    whole = gradients(Backprop(), network, inputs)
    if name in ACYCLIC:
        assert_equal(found, whole, 1e-12)
    else:  # what leads back is cut: not the whole gradient
        assert any((found[key] - gradient).abs().max() > 1e-6 for key, gradient in whole.items())


@pytest.mark.parametrize("name", ["skip", "deep", "learned delays"])
def test_symmetric_feedback_is_backpropagation_of_the_loss_on_values(name):
    network = network_of(CASES[name], channels=2, encoding_slope="exponential")
    network.readout = TraceReadout(2, 3, channels=2, generator=seeded(3), dtype=torch.float64)
    inputs = inputs_of(network, STEPS, BATCH)
    values = torch.randn(STEPS, BATCH, 3, generator=seeded(4), dtype=torch.float64)
    found, expected = (gradients(rule, network, inputs, Targets(values))
                       for rule in (Local(SYMMETRIC), Backprop()))  # fmt: skip
    assert_equal(found, expected, 1e-12)


@pytest.mark.parametrize(
    "name", ["skip", "deep", "convolution", "convolution in one dimension", "all at once"]
)
def test_random_feedback_by_the_weights_of_the_synapses_is_symmetric(name):
    network = network_of(CASES[name], channels=2, encoding_slope="exponential")
    inputs = inputs_of(network, STEPS, BATCH)
    own, random = Local(Feedback("random")), Local(Feedback("random"))
    gradients(random, network, inputs)  # draws its weights
    theirs = network.pathways
    own.load_state_dict({
        key: theirs[int(key.split("/")[1])].synapses.get_parameter(key.split("/")[2]).detach()
        for key in random.state_dict()
    })  # fmt: skip
    expected = gradients(Local(SYMMETRIC), network, inputs)
    assert_equal(gradients(own, network, inputs), expected, 1e-14)
    found = gradients(random, network, inputs)
    assert any((found[key] - gradient).abs().max() > 1e-6 for key, gradient in expected.items())


@pytest.mark.parametrize("name", ["deep", "outputs that feed back"])
def test_both_is_the_sum_of_feedback_and_rewards_on_the_same_draws(name):
    network = network_of(CASES[name], drive=Leaky(), encoding_slope="exponential")
    inputs, reward = inputs_of(network, STEPS, BATCH), Reinforce(samples=2)
    repeated = inputs.repeat(1, 2, 1, 1), some_labels().repeat(2)
    by_feedback = gradients(Local(SYMMETRIC), network, *repeated)
    by_reward = gradients(Local(reward), network, inputs)
    found = gradients(Local(Both(SYMMETRIC, reward)), network, inputs)
    outputs = of_outputs(network)
    expected = {
        # Outputs lower the loss through their own probabilities, by either signal.
        key: gradient if key.startswith(outputs) else gradient + by_feedback[key]
        for key, gradient in by_reward.items()
    }
    assert_equal(found, expected, 1e-12)


# Online


DENSE = ["skip", "branches that join, not named in order", "recurrent", "outputs that feed back"]


@pytest.mark.parametrize(("horizon", "channels"), [("to_go", 1), ("discounted", 2)])
@pytest.mark.parametrize("name", DENSE)
def test_rewards_reach_all_but_outputs_online_as_if_time_could_run_back(name, horizon, channels):
    network = network_of(CASES[name], channels=channels)
    inputs = inputs_of(network, STEPS, BATCH)
    signal = Reinforce(samples=3, horizon=horizon)
    found = gradients(Local(signal, score=Online()), network, inputs)
    expected = gradients(Local(signal), network, inputs)
    others = [key for key in expected if not key.startswith(of_outputs(network))]
    assert others
    for key in others:
        torch.testing.assert_close(found[key], expected[key], rtol=1e-9, atol=1e-12, msg=key)


def test_with_one_step_online_gives_up_nothing():
    network = network_of(CASES["skip"])
    inputs = inputs_of(network, 1, BATCH)
    found = gradients(Local(SYMMETRIC, score=Online()), network, inputs)
    assert_equal(found, gradients(Local(SYMMETRIC), network, inputs), 1e-12)


@pytest.mark.parametrize(
    ("name", "signal", "named"),
    [
        ("learned delays", Reinforce(), "input -> hidden"),
        ("convolution", Reinforce(), "input -> maps"),
        ("deep", SYMMETRIC, "first -> second"),
        ("traces", SYMMETRIC, "hidden -> output"),
    ],
)
def test_what_online_traces_cannot_follow_is_refused_by_name(name, signal, named):
    network = network_of(CASES[name])
    with pytest.raises(ValueError, match=named):
        gradients(Local(signal, score=Online()), network, inputs_of(network, STEPS, BATCH))


# Shared circuits


@pytest.mark.parametrize("share", ["map", "population"])
@pytest.mark.parametrize("rule", [Backprop(), Local(SYMMETRIC), Local(Reinforce())], ids=str)
@pytest.mark.parametrize("name", ["convolution in one dimension", "all at once"])
def test_the_gradient_of_a_shared_circuit_is_the_sum_of_its_neurons_own(name, share, rule):
    case = CASES[name]
    shared, alone = network_of(case, share=share), network_of(case)
    inputs = inputs_of(shared, STEPS, BATCH)
    keys = ("angles", "gains", "beta", "reset", "bias")
    with torch.no_grad():
        for population in case.populations:
            for key in keys:
                own = getattr(alone.populations[population], key)
                own.copy_(getattr(shared.populations[population], key))
        for pathway, theirs in zip(shared.pathways, alone.pathways, strict=True):
            theirs.load_state_dict(pathway.state_dict())
    found, expected = (gradients(rule.fresh(), network, inputs) for network in (shared, alone))
    assert sum(map(torch.numel, found.values())) < sum(map(torch.numel, expected.values()))
    for key, gradient in found.items():
        each = expected[key.replace("parametrizations.", "").removesuffix(".original")]
        summed = each.unflatten(0, (len(gradient), -1)).sum(1) if "original" in key else each
        torch.testing.assert_close(gradient, summed, rtol=0, atol=1e-12, msg=key)
