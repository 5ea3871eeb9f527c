"""Layers in a few words and graphs in full: what they mean, and what does not go together."""

import pytest
import torch

from sqsnn.errors import ConfigError
from sqsnn.network.connection import Connection, LearnedDelay
from sqsnn.settings.layers import Graph, Layers
from sqsnn.settings.run import for_dataset, from_flat
from sqsnn.synapses import Convolution, Dense, Identity, Pool

LOOP = {
    "populations": {"maps": (2, 4, 4), "hidden": 5, "output": "classes"},
    "connections": [
        {
            "source": "input",
            "target": "maps",
            "synapses": {"kind": "convolution", "maps": 2, "kernel": 5},
        },
        {
            "source": "maps",
            "target": "hidden",
            "synapses": [{"kind": "pool", "window": 2}, {"kind": "dense", "bias": True}],
            "trace": 0.9,
        },
        {"source": "hidden", "target": "hidden", "delay": 1, "synapses": {"kind": "identity"}},
        {"source": "hidden", "target": "output", "delay": {"kind": "learned", "longest": 3}},
    ],
}
CONNECTIONS = [
    Connection("input", "maps", Convolution(2, 5)),
    Connection("maps", "hidden", (Pool(2), Dense(bias=True)), trace=0.9),
    Connection("hidden", "hidden", Identity(), delay=1),
    Connection("hidden", "output", delay=LearnedDelay(longest=3)),
]


def test_tables_and_objects_are_the_same_graph():
    written = for_dataset("digits", {"graph": LOOP})
    given = {"populations": LOOP["populations"], "connections": CONNECTIONS}
    assert from_flat("digits", given) == written
    assert list(written.graph.connections) == CONNECTIONS
    # A graph has no layers, whatever the preset says.
    assert (written.hidden, written.population_names) == ((), ["maps", "hidden", "output"])


def test_a_graph_has_an_output_neuron_per_class():
    graph = Graph.model_validate(LOOP)
    shapes, connections = graph.wire(10)
    assert shapes == {"maps": (2, 4, 4), "hidden": (5,), "output": (10,)}
    assert connections == CONNECTIONS
    said = Graph.model_validate({**LOOP, "populations": {**LOOP["populations"], "output": 10}})
    assert said.wire(10) == graph.wire(10)
    with pytest.raises(
        ValueError, match=r"'output', the last .*, has 10 neurons, but there are 7 "
    ):
        said.wire(7)
    with pytest.raises(ValueError, match="output has a neuron per class, but there are no classes"):
        graph.wire(None)
    assert said.wire(None)[0]["output"] == (10,)


def test_layers_in_words_are_wired_as_they_say():
    settings = from_flat(
        "nmnist",
        {"conv": "4c5-p2", "hidden": "8", "skip": True, "recurrent": True, "delay": 1}
        | {"wiring": "all", "channels": 2},
    )
    shapes, connections = settings.wire((1, 17, 17), 10)
    assert shapes == {"conv": (4, 13, 13), "hidden": (8,), "output": (10,)}
    assert settings.population_names == list(shapes)
    dense = Dense(wiring="all")
    assert connections == [
        Connection("input", "conv", Convolution(4, 5), delay=1),
        Connection("conv", "hidden", (Pool(2), dense), delay=1),
        Connection("hidden", "output", dense, delay=1),
        Connection("hidden", "hidden", dense, delay=1),
        Connection("input", "output", dense, delay=1),
    ]
    assert settings.in_words == "4c5-p2-8 hidden"
    assert settings.joined_in_words == ("recurrent", "input also to output", "delay 1")


@pytest.mark.parametrize(("delay", "start"), [(0, 1.0), (3, 3.0)])
def test_learned_delays_start_at_the_delay(delay, start):
    layers = Layers(longest_delay=6, delay=delay)
    _, connections = layers.wire((4,), 2)
    assert {it.delay for it in connections} == {LearnedDelay(start=start, longest=6)}
    assert layers.joined_in_words == ("delays learned up to 6",)


@pytest.mark.parametrize(
    ("share", "on_a_grid", "on_a_line"),
    [
        ("map", "map", "none"),
        ("none", "none", "none"),
        ("population", "population", "population"),
    ],
)
def test_only_grids_share_by_map(share, on_a_grid, on_a_line):
    layers = Layers(share=share)
    assert layers.share_of((3, 4, 4)) == on_a_grid
    assert layers.share_of((8,)) == on_a_line


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"conv": "2c3"}, "^conv goes with layers, but the populations and connections of a graph"),
        ({"hidden": (3,), "delay": 1, "skip": True}, "^hidden, skip, delay goes with layers"),
        ({"recurrent": True, "wiring": "all"}, "^recurrent, wiring goes with layers"),
    ],
)
def test_a_graph_is_said_in_full(changed, message):
    with pytest.raises(ConfigError, match=message):
        for_dataset("digits", {"graph": LOOP, **changed})


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"conv": "12x5"}, "conv is '12x5': '12x5' is neither .*; it has convolutions such"),
        ({"delay": -1}, "^delay: .*greater than or equal to 0, but is -1"),
        ({"delay": 5}, "delay is 5, .* reaches the last layer after 10 steps, but steps is 10"),
        ({"longest_delay": 2, "delay": 3}, "longest_delay is 2, but delays start at delay, 3"),
        ({"grid": "64"}, "grid has 1 numbers; it needs maps, rows and columns, or maps and length"),
        ({"share": "row"}, "^share: .*'none', 'map' or 'population', but is 'row'"),
        ({"populations": {}, "connections": ()}, "populations is empty; the last population is"),
        ({"populations": {"a": 0}, "connections": ()}, "^a: .* or 'classes', but is 0"),
        ({"populations": {"a": 3}}, "^connections: Field required"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_line(given, message):
    with pytest.raises(ConfigError, match=message) as refused:
        from_flat("digits", given)
    assert "\n" not in str(refused.value)


def test_a_skip_shortens_the_way_to_the_output():
    assert from_flat("digits", {"delay": 5, "skip": True}).delay == 5


@pytest.mark.parametrize(
    ("connection", "message"),
    [
        (
            {"source": "input", "target": "a", "delay": -1},
            r"^connections\[0\]\.delay: .*dictionary .*, but is -1",
        ),
        (
            {"source": "input", "target": "a", "trace": 1.5},
            r"^connections\[0\]\.trace: .*less than 1, but is 1.5",
        ),
        (
            {"source": "input", "target": "a", "synapses": {"kind": "x"}},
            r"^connections\[0\]\.synapses: kind may be one of 'dense.*, but is {'kind': 'x'}$",
        ),
        (
            {"source": "input", "target": "a", "synapses": {"kind": "dense", "sparsity": 2}},
            r"^connections\[0\]\.synapses\.sparsity: .*less than 1, but is 2$",
        ),
        (
            {"source": "input", "target": "a", "synapses": [{"kind": "pool"}, {"kind": "dense"}]},
            r"^connections\[0\]\.synapses\[0\]\.window: Field required$",
        ),
        (
            {"source": "input", "target": "a", "delay": {"kind": "learned", "start": 9.0}},
            r"^connections\[0\]\.delay: start is 9.0; it must lie between .*, 8$",
        ),
        (
            {"source": "input", "goal": "a"},
            r"^connections\[0\]\.target: .*required; connections\[0\]\.goal: ",
        ),
        ({"source": "b", "target": "a"}, r"^connections\[0\]\.source is 'b'; it may be 'input' or"),
    ],
)
def test_a_wrong_connection_is_named(connection, message):
    with pytest.raises(ConfigError, match=message):
        from_flat("digits", {"populations": {"a": 3}, "connections": [connection]})


@pytest.mark.parametrize(
    ("connections", "message"),
    [
        ([("input", "a", 2), ("a", "output", 8)], "'output' after 10 steps, but steps is 10"),
        ([("input", "a", 2), ("a", "a", 1), ("a", "output", 7), ("a", "output", 8)], None),
        ([("input", "a", 9), ("a", "output", 9), ("input", "output", 9)], None),
        ([("a", "a", 1), ("a", "output", 0)], "'output' never"),
    ],
)
def test_an_output_that_no_spike_reaches_in_time_is_refused(connections, message):
    joined = [Connection(source, target, delay=delay) for source, target, delay in connections]
    given = {"populations": {"a": 3, "output": "classes"}, "connections": joined}
    if message is None:
        assert len(from_flat("digits", given).graph.connections) == len(connections)
        return
    with pytest.raises(ConfigError, match=f"the first spike of the input reaches {message}"):
        from_flat("digits", given)


def test_a_population_that_leads_nowhere_is_refused_before_data_are_read():
    joined = [{"source": "input", "target": name} for name in ("a", "output")]
    with pytest.raises(ConfigError, match="population 'a' does not reach the output, 'output'"):
        from_flat("digits", {"populations": {"a": 3, "output": "classes"}, "connections": joined})


@pytest.mark.parametrize(
    "synapses", [Dense(mask=torch.ones(10, 64, dtype=torch.bool)), torch.nn.Linear(64, 10)]
)
def test_what_settings_cannot_hold_is_left_to_python(synapses):
    given = {
        "populations": {"output": "classes"},
        "connections": [Connection("input", "output", synapses)],
    }
    with pytest.raises(ConfigError, match=r"'input' to 'output' hold tensors, .* SpikingNetwork"):
        from_flat("digits", given)
