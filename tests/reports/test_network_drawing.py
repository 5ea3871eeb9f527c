"""The drawing of a network shows every population and every connection, where it belongs."""

from itertools import pairwise

import pytest
from tools import seeded

import sqsnn
from sqsnn import Connection, Convolution, Dense, LearnedDelay, Pool, SpikingNetwork
from sqsnn.quantum import circuits


def network_of_many_shapes() -> SpikingNetwork:
    return SpikingNetwork(
        inputs=(2, 8, 8),
        populations={"conv": (3, 6, 6), "loop": 5, "output": 2},
        connections=[
            Connection("input", "conv", Convolution(3, 3)),
            Connection("conv", "loop", (Pool(2), Dense(bias=True)), delay=LearnedDelay(longest=4)),
            Connection("loop", "loop", delay=2, trace=0.5),
            Connection("loop", "output"),
            Connection("input", "output"),
        ],
        generator=seeded(0),
    )


def artists(figure):
    (axes,) = figure.axes
    return {it.get_gid(): it for it in axes.get_children() if it.get_gid()}


def words(figure) -> list[str]:
    return [text.get_text() for text in figure.axes[0].texts]


def test_every_population_is_a_box_and_every_connection_an_arrow():
    figure = sqsnn.draw(network_of_many_shapes())
    boxes = {f"box {name}" for name in ("input", "conv", "loop", "output")}
    assert set(artists(figure)) == boxes | {f"connection {number}" for number in range(5)}


def test_synapses_delays_and_traces_are_written_beside_their_arrows():
    said = words(sqsnn.draw(network_of_many_shapes()))
    for text in (
        "Convolution(maps=3, kernel=3)",
        "Pool(window=2)\nthen Dense(bias=True)\ndelay learned in 0..4",
        "Dense()\ndelay 2\ntrace 0.5",
        "3 x 6 x 6, SQSNeurons",
    ):
        assert text in said


def test_boxes_stand_in_the_order_of_evaluation_and_none_overlaps():
    figure = sqsnn.draw(network_of_many_shapes())
    found = artists(figure)
    places = [
        found[f"box {name}"].get_window_extent() for name in ("input", "conv", "loop", "output")
    ]
    for left, right in pairwise(places):
        assert left.x1 < right.x0


def test_what_is_neither_circuit_nor_network_is_refused():
    with pytest.raises(TypeError, match="SpikingNetwork"):
        sqsnn.draw(3)
    with pytest.raises(TypeError, match="drive goes with a circuit"):
        sqsnn.draw(network_of_many_shapes(), sqsnn.Leaky())
    assert sqsnn.draw(circuits.get("crx", 1, 1)).axes
