"""Layers as populations and connections: shapes by the law of convolution, names, and refusals."""

import pytest

from sqsnn.network.connection import Connection, LearnedDelay
from sqsnn.network.wiring import layers, name_layers, parse_conv
from sqsnn.synapses import Convolution, Dense, Pool

EVENTS = Dense(method="events", wiring="all")


def test_dense_layers_feed_one_another_in_turn():
    populations, connections = layers((64,), [128, 32], 10)
    assert populations == {"hidden_1": (128,), "hidden_2": (32,), "output": (10,)}
    assert connections == [
        Connection("input", "hidden_1"),
        Connection("hidden_1", "hidden_2"),
        Connection("hidden_2", "output"),
    ]


def test_pools_join_the_connection_that_follows_them():
    populations, connections = layers((2, 34, 34), [], 10, conv="12c5-p2-64c5-p2")
    # 34 - 5 + 1 = 30, halved 15; 15 - 5 + 1 = 11, halved without the last 5.
    assert populations == {"conv_1": (12, 30, 30), "conv_2": (64, 11, 11), "output": (10,)}
    assert connections == [
        Connection("input", "conv_1", Convolution(12, 5)),
        Connection("conv_1", "conv_2", (Pool(2), Convolution(64, 5))),
        Connection("conv_2", "output", (Pool(2), Dense())),
    ]


def test_series_of_one_dimension_are_convolved_along_their_length():
    populations, connections = layers((1, 140), [8], 20, conv="p2-4c7s3p2")
    # (70 + 2 * 2 - 7) // 3 + 1
    assert populations == {"conv": (4, 23), "hidden": (8,), "output": (20,)}
    assert connections[0].synapses == (Pool(2), Convolution(4, 7, 3, 2))


def test_hidden_layers_feed_themselves_and_the_input_feeds_the_output():
    _, connections = layers((5,), [4, 3], 2, recurrent=True, skip=True, delay=2)
    assert connections == [
        Connection("input", "hidden_1", delay=2),
        Connection("hidden_1", "hidden_2", delay=2),
        Connection("hidden_2", "output", delay=2),
        Connection("hidden_1", "hidden_1", delay=1),
        Connection("hidden_2", "hidden_2", delay=1),
        Connection("input", "output", delay=2),
    ]
    learned = LearnedDelay(longest=5)
    _, connections = layers((5,), [4], 2, recurrent=True, delay=learned)
    assert [it.delay for it in connections] == [learned, learned, 1]


def test_the_method_is_that_of_the_inputs_and_the_wiring_of_all():
    _, connections = layers(
        (1, 4, 4), [4], 2, conv="2c2", recurrent=True, skip=True, synapses=EVENTS
    )
    found = {(it.source, it.target): it.synapses for it in connections}
    hidden = Dense(wiring="all")
    assert found.pop(("input", "conv")) == Convolution(2, 2)
    assert found.pop(("input", "output")) == EVENTS
    assert set(found) == {("conv", "hidden"), ("hidden", "output"), ("hidden", "hidden")}
    assert all(it == hidden for it in found.values())


def test_a_network_may_end_with_its_last_hidden_layer():
    populations, connections = layers((5,), [4], None)
    assert (populations, connections) == ({"hidden": (4,)}, [Connection("input", "hidden")])
    assert layers((5,), [], 3) == ({"output": (3,)}, [Connection("input", "output")])


@pytest.mark.parametrize(
    ("hidden", "conv"), [((), ""), ((3,), ""), ((3, 4), "2c2"), ((3,), "2c2-p2-1c1"), ((), "p2")]
)
@pytest.mark.parametrize("outputs", [None, 2])
def test_names_are_known_without_shapes(hidden, conv, outputs):
    if outputs is None and not hidden:
        assert name_layers(0, conv, has_output=False) == []
    else:
        populations, _ = layers((1, 9, 9), hidden, outputs, conv=conv)
        assert name_layers(len(hidden), conv, has_output=outputs is not None) == [*populations]


def test_text_is_read_part_by_part():
    assert parse_conv("") == []
    assert parse_conv("12c5s2p1-p3") == [Convolution(12, 5, 2, 1), Pool(3)]


@pytest.mark.parametrize(
    ("text", "message"),
    [("2c3-0c3", "conv is '2c3-0c3': Convolution: maps: "), ("p0", "conv is 'p0': Pool: window: ")],
)
def test_numbers_that_make_no_convolution_or_pool_are_refused_by_name(text, message):
    with pytest.raises(ValueError, match=message):
        parse_conv(text)


@pytest.mark.parametrize("text", ["12", "c5", "12c", "12c5-", "12c5p2s1", "p", "12C5", "12c5 -p2"])
def test_text_that_is_neither_convolution_nor_pool_is_refused(text):
    with pytest.raises(ValueError, match=r"conv is '.*': '.*' is neither .*; .* such as"):
        parse_conv(text)


@pytest.mark.parametrize(
    ("inputs", "given", "message"),
    [
        ((64,), {"conv": "2c3"}, "'2c3', but the inputs are a line of 64 values without a grid"),
        ((1, 4, 4), {"conv": "2c5"}, "conv is '2c5': .*5"),
        ((1, 4, 4), {"conv": "2c0"}, "kernel"),
        ((1, 4, 4), {"conv": "p5"}, "conv is 'p5': .*5"),
        ((5,), {"hidden": [], "recurrent": True}, "recurrent needs a dense hidden layer"),
        ((5,), {"outputs": None, "skip": True}, "skip joins the input to output neurons"),
        ((5,), {"hidden": [], "skip": True}, "skip needs a hidden layer"),
        ((1, 4, 4), {"conv": "2c2", "synapses": EVENTS}, "'events', but conv is '2c2': .* dense"),
        ((1, 4, 4), {"conv": "2c2-p2", "hidden": [], "outputs": None}, "no layer follows its last"),
    ],
)
def test_parts_without_something_to_join_are_refused(inputs, given, message):
    with pytest.raises(ValueError, match=message):
        layers(inputs, **{"hidden": [3], "outputs": 2} | given)
