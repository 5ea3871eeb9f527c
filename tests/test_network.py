"""The network: layers that feed each other, state and random numbers that come from outside."""

from functools import partial

import numpy as np
import pytest
import reference
import reference_drive
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tools import (
    assert_equal_states,
    for_drives,
    needs_kernel,
    populations_of,
    seeded,
    sizes_of,
    synapses_of,
    twin,
)
from torch import Tensor
from torch.testing import assert_close

from sqsnn.network import Connection, NetworkRecord, NetworkState, SpikingNetwork
from sqsnn.neurons.lif import LIF
from sqsnn.neurons.sqs import LEAKY, SQSNeurons

pytestmark = pytest.mark.usefixtures("device")

NAMED = ("crx", "bidirectional", "integrate_and_fire", "hardware_efficient")


def random_spikes(*shape: int, seed: int = 1, dtype=torch.float32) -> Tensor:
    return torch.randint(0, 2, shape, generator=seeded(seed)).to(dtype)


def network_of(
    sizes, circuit="bidirectional", channels=1, *, drive=LEAKY, seed=0, **options
) -> SpikingNetwork:
    neurons = partial(SQSNeurons, circuit=circuit, channels=channels, drive=drive)
    return SpikingNetwork(sizes, neurons=neurons, generator=seeded(seed), **options)


def assert_equal_records(one: NetworkRecord, other: NetworkRecord) -> None:
    for layer, expected in zip(one.layers, other.layers, strict=True):
        for field in ("spikes", "probability", "log_likelihood"):
            assert torch.equal(getattr(layer, field), getattr(expected, field)), field
    assert_equal_network_states(one.state, other.state)


def assert_equal_network_states(one: NetworkState, other: NetworkState) -> None:
    for state, expected in zip(one.populations, other.populations, strict=True):
        assert_equal_states(state, expected)
    assert one.pathways == other.pathways  # without delays and traces they keep nothing


@for_drives("rectified", "leaky", "leaky, K = 2")
@pytest.mark.parametrize(("circuit", "channels"), [("bidirectional", 2), ("hardware_efficient", 1)])
def test_each_layer_is_fed_by_the_spikes_of_the_one_before(circuit, channels, drive):
    network = network_of([4, 3, 2], circuit, channels, drive=drive, dtype=torch.float64)
    spikes = random_spikes(4, 2, 4, channels, dtype=torch.float64)
    run = network(spikes, generator=seeded())
    for synapses, population, record in zip(
        synapses_of(network), populations_of(network), run.layers, strict=True
    ):
        weight = synapses.weight.detach().cpu().numpy()
        currents = np.einsum("nhp,tbpn->tbhn", weight, spikes.detach().cpu().numpy())
        for h in range(population.size):
            emitted = record.spikes[:, 1, h].tolist()
            followed = reference_drive.follow(
                *twin(population, h), currents[:, 1, h].tolist(), emitted
            )
            indices = map(reference.outcome_index, emitted)
            expected = [np.log(law[s]) for (law, _), s in zip(followed, indices, strict=True)]
            made = record.log_likelihood[:, 1, h].detach()
            assert_close(made, torch.as_tensor(expected), rtol=0, atol=1e-10)
        spikes = record.spikes


def test_one_input_channel_feeds_all():
    network = network_of([4, 3], channels=2)
    spikes = random_spikes(3, 2, 4, 1)
    uniforms = network.draw_uniforms(3, 2, seeded())
    shared = network(spikes, uniforms=uniforms)
    assert_equal_records(shared, network(spikes.expand(-1, -1, -1, 2), uniforms=uniforms))


def test_layers_can_have_factories_of_their_own():
    factories = [
        partial(SQSNeurons, circuit="crx", memory_qubits=2),
        partial(SQSNeurons, channels=2),
    ]
    network = SpikingNetwork([4, 3, 2], neurons=factories, generator=seeded())
    run = network(random_spikes(3, 2, 4, 1), generator=seeded(), keep_memory=True)
    assert [tuple(layer.spikes.shape) for layer in run.layers] == [(3, 2, 3, 1), (3, 2, 2, 2)]
    assert [layer.memory.shape[-1] for layer in run.layers] == [4, 2]
    assert sizes_of(network) == (4, 3, 2)


@settings(max_examples=10)
@given(
    st.sampled_from(NAMED),
    st.integers(1, 2),
    st.integers(1, 4),
    st.integers(1, 3),
    st.integers(0, 2**40),
)
def test_a_sequence_in_two_halves_is_the_sequence_bit_for_bit(circuit, channels, cut, batch, seed):
    network = network_of([19, 11, 5], circuit, channels, seed=seed)
    spikes = random_spikes(5, batch, 19, channels, seed=seed)
    whole = network(spikes, generator=seeded(seed))
    generator = seeded(seed)
    first = network(spikes[:cut], generator=generator)
    second = network(spikes[cut:], first.state, generator=generator)
    for layer, start, end in zip(whole.layers, first.layers, second.layers, strict=True):
        for field in ("spikes", "probability", "log_likelihood"):
            joined = torch.cat([getattr(start, field), getattr(end, field)])
            assert torch.equal(getattr(layer, field), joined), field
    assert_equal_network_states(second.state, whole.state)


@pytest.mark.parametrize("circuit", NAMED)
def test_recorded_uniforms_replay_a_run_bit_for_bit(circuit):
    network = network_of([6, 5, 3], circuit)
    spikes = random_spikes(4, 2, 6, 1)
    first = network(spikes, generator=seeded(5))
    uniforms = network.draw_uniforms(4, 2, seeded(5))
    assert [tuple(layer.shape) for layer in uniforms] == [(4, 2, 5), (4, 2, 3)]
    assert_equal_records(network(spikes, uniforms=uniforms), first)
    other = network(spikes, generator=seeded(6))
    assert not torch.equal(other.layers[0].spikes, first.layers[0].spikes)


@settings(max_examples=15)
@given(st.integers(1, 5), st.integers(0, 100))
def test_uniforms_drawn_in_pieces_are_those_drawn_at_once(cut, seed):
    network = network_of([3, 4, 2])
    generator = seeded(seed)
    pieces = [network.draw_uniforms(steps, 2, generator) for steps in (cut, 6 - cut)]
    whole = network.draw_uniforms(6, 2, seeded(seed))
    for layer, expected in zip(zip(*pieces, strict=True), whole, strict=True):
        assert torch.equal(torch.cat(layer), expected)


@for_drives("rectified", "leaky")
def test_the_gradient_of_a_network_is_the_chain_of_its_layers(drive):
    network = network_of([4, 3, 2], drive=drive, dtype=torch.float64)
    spikes = random_spikes(6, 4, 4, 1, dtype=torch.float64)
    uniforms = network.draw_uniforms(6, 4, seeded(1))
    run = network(spikes, uniforms=uniforms)
    loss = run.layers[-1].probability.square().sum()
    parameters = [parameter for parameter in network.parameters() if parameter.numel()]
    made = torch.autograd.grad(loss, parameters)

    (first, second), (hidden, output) = synapses_of(network), populations_of(network)
    z = torch.einsum("nhp,tbpn->tbhn", first.weight, spikes)
    record, _ = hidden(z, uniforms=uniforms[0])
    emitted = record.spikes.detach() + record.probability - record.probability.detach()
    z = torch.einsum("nhp,tbpn->tbhn", second.weight, emitted)
    record, _ = output(z, uniforms=uniforms[1])
    expected = torch.autograd.grad(record.probability.square().sum(), parameters)
    for one, other in zip(made, expected, strict=True):
        assert_close(one, other, rtol=0, atol=1e-12)
    assert all((slope != 0).any() for slope in made)


def test_initial_values_are_the_generators_whatever_the_precision():
    single, double = network_of([4, 3, 2]), network_of([4, 3, 2], dtype=torch.float64)
    for one, other in zip(single.parameters(), double.parameters(), strict=True):
        assert other.dtype == torch.float64
        assert torch.equal(one, other.float())
    different = network_of([4, 3, 2], seed=1)
    assert not torch.equal(synapses_of(different)[0].weight, synapses_of(single)[0].weight)
    angles = [population.angles for population in populations_of(network_of([4, 3, 3]))]
    assert not torch.equal(*angles)  # the layers do not start alike


def test_a_network_has_parameters_and_no_state():
    network = network_of([4, 3])
    names = set(network.state_dict())
    learned = ("angles", "gains", "beta", "reset", "bias", "_extra_state")
    own = {f"populations.output.{name}" for name in learned}
    assert names == {"pathways.0.synapses.weight"} | own
    network(random_spikes(3, 2, 4, 1), generator=seeded())
    assert set(network.state_dict()) == names


def test_a_loaded_network_gives_the_same_run():
    network, copy = network_of([4, 3]), network_of([4, 3], seed=9)
    copy.load_state_dict(network.state_dict())
    spikes = random_spikes(3, 2, 4, 1)
    assert_equal_records(network(spikes, generator=seeded()), copy(spikes, generator=seeded()))


# Refusals


def no_spikes():
    return torch.zeros(3, 2, 4, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda it: it[0],
            r"spikes must have shape \(steps, batch, 4, channels\), but has \(2, 4, 1\)",
        ),
        (lambda it: it[:, :, :3], r"has \(3, 2, 3, 1\)"),
        (lambda it: it.expand(-1, -1, -1, 2), r"has \(3, 2, 4, 2\)"),
        (lambda it: it[:0], "steps"),
        (lambda it: it.double(), "spikes has dtype torch.float64"),
        (lambda it: it.to("meta"), "spikes on meta"),
        (lambda it: it * float("nan"), "finite"),
    ],
)
def test_spikes_that_do_not_fit_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        network_of([4, 3])(change(no_spikes()), generator=seeded())


def test_exactly_one_source_of_randomness_is_required():
    network = network_of([4, 3])
    uniforms = network.draw_uniforms(3, 2, seeded())
    for sources in ({}, {"generator": seeded(), "uniforms": uniforms}):
        with pytest.raises(ValueError, match="exactly one of generator and uniforms"):
            network(no_spikes(), **sources)


def test_uniforms_and_states_that_do_not_fit_the_layers_are_refused():
    network = network_of([4, 3, 2])
    uniforms = network.draw_uniforms(3, 2, seeded())
    state = network(no_spikes(), uniforms=uniforms).state
    with pytest.raises(ValueError, match="uniforms has 1 entries; the network has 2 populations"):
        network(no_spikes(), uniforms=uniforms[:1])
    with pytest.raises(ValueError, match="population 'hidden': uniforms must have shape"):
        network(no_spikes(), uniforms=uniforms[::-1])
    fewer = state._replace(populations=state.populations[:1])
    with pytest.raises(
        ValueError, match=r"state\.populations has 1 entries; the network has 2 populations"
    ):
        network(no_spikes(), fewer, uniforms=uniforms)
    with pytest.raises(ValueError, match=r"population 'hidden': state\.memory must have shape"):
        network(no_spikes(), state._replace(populations=state.populations[::-1]), uniforms=uniforms)
    with pytest.raises(
        ValueError, match=r"state\.pathways has 1 entries; the network has 2 connections"
    ):
        network(no_spikes(), state._replace(pathways=state.pathways[:1]), uniforms=uniforms)


@pytest.mark.usefixtures("own_checks")
def test_the_state_of_a_population_is_no_state_of_a_network():
    network = network_of([4, 3, 2])
    state = network(no_spikes(), generator=seeded()).state
    for other in (state.populations, state.populations[0]):
        with pytest.raises(TypeError, match=r"state must be a NetworkState.*but is a"):
            network(no_spikes(), other, generator=seeded())


def test_a_layer_of_several_channels_cannot_feed_one_of_fewer():
    factories = [partial(SQSNeurons, channels=2), SQSNeurons]
    with pytest.raises(
        ValueError, match=r"'hidden' -> 'output': the source has 2 channels.*target 1"
    ):
        SpikingNetwork([4, 3, 2], neurons=factories, generator=seeded())


@pytest.mark.parametrize(
    ("sizes", "message"), [([4], "at least one layer"), ([4, 0], "sizes"), ([0, 3], "sizes")]
)
def test_a_network_without_layers_or_neurons_is_refused(sizes, message):
    with pytest.raises(ValueError, match=message):
        network_of(sizes)


@pytest.mark.usefixtures("own_checks")
@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"inputs": 3.5}, TypeError, "inputs must be an integer of at least 1, but is 3.5"),
        ({"inputs": (2, 0)}, ValueError, r"inputs\[1\] must be an integer"),
        ({"populations": {"output": ()}}, ValueError, r"populations\['output'\] is empty"),
        ({"populations": {"output": None}}, TypeError, r"populations\['output'\] must be"),
        ({"connections": [("input", "output")]}, TypeError, r"connections\[0\] is \('input'"),
    ],
)
def test_a_part_of_a_graph_that_is_none_is_refused_by_its_place(changed, error, message):
    parts = {
        "inputs": 2,
        "populations": {"output": 3},
        "connections": [Connection("input", "output")],
    }
    with pytest.raises(error, match=message):
        SpikingNetwork(**(parts | changed), generator=seeded())


@pytest.mark.parametrize(
    "made",
    [
        SQSNeurons(3, generator=seeded(), dtype=torch.float64),
        LIF(3, generator=seeded(), device="meta"),
    ],
    ids=str,
)
def test_a_population_of_other_numbers_than_the_network_is_refused_by_name(made):
    with pytest.raises(ValueError, match=r"population 'hidden' is .*, but the network"):
        SpikingNetwork(
            inputs=2,
            populations={"hidden": made, "output": 3},
            connections=[Connection("input", "hidden"), Connection("hidden", "output")],
            generator=seeded(),
        )


def test_the_number_of_factories_is_the_number_of_layers():
    with pytest.raises(
        ValueError, match="neurons has 1 factories; there are 2 populations to make"
    ):
        SpikingNetwork([4, 3, 2], neurons=[SQSNeurons], generator=seeded())


def test_arguments_of_the_neurons_reach_every_layer():
    network = SpikingNetwork([2, 3, 4], circuit="crx", memory_qubits=2, generator=seeded(0))
    assert [population.memory_qubits for population in populations_of(network)] == [2, 2]
    assert {population.circuit.name for population in populations_of(network)} == {"crx"}


def test_arguments_beside_neurons_of_ones_own_are_refused():
    with pytest.raises(TypeError, match="memory_qubits goes with the default neurons only"):
        SpikingNetwork([2, 3], neurons=SQSNeurons, memory_qubits=2, generator=seeded(0))


# Events


@pytest.mark.cpu_only("events run in the compiled kernel")
@needs_kernel
def test_events_are_summed_in_the_first_layer_alone_from_the_same_weights():
    dense, sparse = (network_of([9, 8, 7, 2], synapses=name) for name in ("dense", "events"))
    assert [synapses.method for synapses in synapses_of(sparse)] == ["events", "dense", "dense"]
    for one, other in zip(dense.parameters(), sparse.parameters(), strict=True):
        assert torch.equal(one, other)
    sparse.load_state_dict(dense.state_dict())


@pytest.mark.cpu_only("events run in the compiled kernel")
@needs_kernel
def test_a_layer_of_events_gives_a_sample_the_same_bits_in_any_batch():
    network = network_of([131, 9], synapses="events")
    spikes = random_spikes(4, 7, 131, 1)
    (uniforms,) = network.draw_uniforms(4, 7, seeded())
    whole = network(spikes, uniforms=[uniforms])
    for cut in (1, 4):
        for part in (slice(None, cut), slice(cut, None)):
            made = network(spikes[:, part], uniforms=[uniforms[:, part]])
            assert torch.equal(made.layers[0].spikes, whole.layers[0].spikes[:, part])
