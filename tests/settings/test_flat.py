"""Flat names and nested tables say the same, and a flat name means one thing."""

from itertools import combinations
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import settings as trials
from tools import chosen_settings, small_run

from sqsnn.encoding import Latency
from sqsnn.errors import ConfigError
from sqsnn.learning.local import Local
from sqsnn.learning.online import Online
from sqsnn.learning.signals import Both, Feedback, Reinforce
from sqsnn.neurons.drive import Leaky, Rectified, Saturating
from sqsnn.settings import flat
from sqsnn.settings.run import RunSettings, from_flat, validated

LEAVES = flat.leaves(RunSettings)
DEFAULTS = {leaf.name: leaf.default for leaf in LEAVES}
KINDS = {
    leaf.name: get_args(leaf.field.annotation)
    for leaf in LEAVES
    if any(leaf.name in other.kinds for other in LEAVES)
}


@trials(max_examples=50)
@given(chosen=chosen_settings())
def test_nesting_and_flattening_undo_each_other(chosen):
    table = flat.nest(RunSettings, chosen, {})
    assert flat.flatten(RunSettings, table) | chosen == flat.flatten(RunSettings, table)
    settings = from_flat("digits", chosen)
    mine = flat.flatten(RunSettings, settings.model_dump())
    assert chosen.items() <= mine.items()
    nested = flat.nest(RunSettings, mine, {})
    assert flat.flatten(RunSettings, nested) == mine
    assert validated(RunSettings, nested) == settings


def test_a_flat_name_means_one_thing():
    for one, other in combinations(LEAVES, 2):
        if one.name == other.name:
            shared = one.kinds.keys() & other.kinds.keys()
            assert any(one.kinds[choice] != other.kinds[choice] for choice in shared), one.name


def test_a_name_of_several_kinds_reaches_the_one_that_is_chosen():
    both = small_run(rule="local", signal="both", feedback="symmetric", samples=7, discount=0.9)
    assert both.rule == Local(Both(Feedback("symmetric"), Reinforce(7)))
    assert small_run(rule="local", feedback="symmetric").rule == Local(Feedback("symmetric"))


def test_there_are_choices():
    learning = {"rule", "signal", "score", "estimator"}
    assert KINDS.keys() == {"neurons", "drive", "encoding", "readout"} | learning


@pytest.mark.parametrize("name", sorted({leaf.name for leaf in LEAVES if leaf.kinds}))
def test_a_setting_of_a_kind_that_is_not_chosen_is_refused_with_that_kind(name):
    places = [leaf for leaf in LEAVES if leaf.name == name]
    refusals = 0
    for leaf in places:
        *above, (choice, _) = leaf.kinds.items()
        for kind in KINDS[choice]:
            chosen = {**dict(above), choice: kind}
            # Of a choice below, the default counts.
            counting = DEFAULTS | chosen
            if any(place.kinds.items() <= counting.items() for place in places):
                continue
            with pytest.raises(ConfigError) as refused:
                flat.nest(RunSettings, {**chosen, name: "something"}, {})
            message = str(refused.value)
            assert message.startswith(f"{name} is 'something', but goes with ")
            assert all(place.goes_with in message for place in places)
            assert "\n" not in message
            refusals += 1
    # Every encoding has steps, and every rule a loss.
    assert refusals or name in ("steps", "loss_on")


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ({"hiden": 3}, r"^there is no setting hiden; did you mean hidden\?$"),
        ({"qwertz": 3}, "^there is no setting qwertz$"),
        ({"kind": "lif"}, "^there is no setting kind"),
        ({"training": {"epochs": 3}}, "^there is no setting training"),
        ({"data": "digits"}, "^there is no setting data"),
        ({"neurons": "perceptron"}, "it may be one of sqs, lif, stochastic_lif, qlif, published_"),
        ({"rule": "local", "signal": "morse"}, "one of feedback, reinforce, both, none$"),
        ({"rule": Local(), "window": 4}, "^window is 4, but rule is given as an object: set it"),
        (
            {"rule": "local", "signal": Reinforce(), "samples": 9},
            "^samples is 9, but signal is given as an object",
        ),
    ],
)
def test_a_name_that_means_nothing_is_refused(chosen, message):
    with pytest.raises(ConfigError, match=message):
        flat.nest(RunSettings, chosen, {})


def test_the_first_of_several_wrong_names_is_named():
    for names in (("first", "second"), ("second", "first")):
        with pytest.raises(ConfigError, match=f"no setting {names[0]}"):
            flat.nest(RunSettings, dict.fromkeys(names, 1), {})


def test_objects_stand_for_what_they_carry():
    rule = Local(Feedback("symmetric"), Online())
    table = flat.nest(RunSettings, {"rule": rule, "encoding": Latency(3)}, {})
    assert table == {"rule": rule, "encoding": Latency(3)}
    signal = flat.nest(RunSettings, {"rule": "local", "signal": Both()}, {})
    assert signal == {"rule": {"kind": "local", "signal": Both()}}


PRESET = {"encoding": {"kind": "rate", "steps": 5, "max_rate": 0.5}, "hidden": [7]}


@pytest.mark.parametrize(
    ("given", "encoding"),
    [
        ({}, {"kind": "rate", "steps": 5, "max_rate": 0.5}),
        ({"encoding": {"max_rate": 0.25}}, {"kind": "rate", "steps": 5, "max_rate": 0.25}),
        ({"encoding": {"kind": "rate"}}, {"kind": "rate", "steps": 5, "max_rate": 0.5}),
        # Both kinds have steps, and only one has a rate.
        ({"encoding": {"kind": "latency"}}, {"kind": "latency", "steps": 5}),
        ({"encoding": {"kind": "latency", "steps": 9}}, {"kind": "latency", "steps": 9}),
        ({"encoding": Latency(4)}, Latency(4)),
    ],
)
def test_a_preset_fills_what_is_left_open(given, encoding):
    assert flat.merge(RunSettings, PRESET, given) == {"encoding": encoding, "hidden": [7]}


def test_a_table_without_kind_is_of_the_default_kind_below_a_choice_too():
    given = {"rule": {"kind": "local", "signal": {"feedback": "symmetric"}}}
    signal = {"kind": "feedback", "feedback": "symmetric"}
    assert flat.merge(RunSettings, {}, given) == {"rule": {"kind": "local", "signal": signal}}


def test_a_choice_inside_a_choice_has_its_own_settings():
    leaky = {"kind": "leaky", "reset_steps": 2, "floor": -0.5}
    chosen = {"reset_steps": 2, "floor": -0.5}
    expected = {"neurons": {"kind": "sqs", "drive": leaky}}
    assert flat.nest(RunSettings, chosen, {}) == expected
    assert small_run(**chosen).neurons.drive == Leaky(floor=-0.5, reset_steps=2)
    assert small_run(drive="rectified").neurons.drive == Rectified()
    assert small_run(drive=Saturating()).neurons.drive == Saturating()


def test_a_name_of_two_depths_reaches_the_kind_that_is_chosen():
    assert small_run(beta=0.25).neurons.drive.beta == 0.25
    assert small_run(neurons="lif", beta=0.25).neurons.beta == 0.25


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        (
            {"drive": "rectified", "beta": 0.5},
            "^beta is 0.5, but goes with neurons 'sqs' and drive 'leaky', or with neurons 'lif',",
        ),
        (
            {"neurons": "lif", "reset_steps": 2},
            "^reset_steps is 2, but goes with neurons 'sqs' and drive 'leaky' only$",
        ),
        (
            {"neurons": "lif", "drive": "leaky"},
            "^drive is 'leaky', but goes with neurons 'sqs' only",
        ),
        ({"drive": "eager"}, "^drive is 'eager'; it may be one of rectified, saturating, leaky$"),
        ({"drive": Leaky(), "beta": 0.5}, "^beta is 0.5, but drive is given as an object: set it"),
    ],
    ids=str,
)
def test_a_drive_that_is_not_chosen_has_no_settings(chosen, message):
    with pytest.raises(ConfigError, match=message):
        flat.nest(RunSettings, chosen, {})


DRIVE_PRESET = {"neurons": {"drive": {"reset_steps": 3}}}


@pytest.mark.parametrize(
    ("neurons", "expected"),
    [
        ({}, {"kind": "sqs", "drive": {"kind": "leaky", "reset_steps": 3}}),
        ({"drive": {"beta": 0.9}}, {"drive": {"kind": "leaky", "reset_steps": 3, "beta": 0.9}}),
        ({"drive": {"reset_steps": "none"}}, {"drive": {"kind": "leaky", "reset_steps": None}}),
        ({"drive": {"kind": "rectified"}}, {"drive": {"kind": "rectified"}}),
        ({"drive": Leaky()}, {"drive": Leaky()}),
        ({"kind": "lif"}, {"kind": "lif"}),
    ],
    ids=str,
)
def test_a_preset_fills_a_choice_inside_a_choice(neurons, expected):
    found = flat.merge(RunSettings, DRIVE_PRESET, {"neurons": neurons} if neurons else {})
    assert found == {"neurons": {"kind": "sqs", **expected}}


def test_the_kind_of_a_preset_holds_for_flat_names():
    base = {"encoding": {"kind": "latency"}}
    assert flat.nest(RunSettings, {"steps": 3}, base) == {
        "encoding": {"kind": "latency", "steps": 3}
    }
    with pytest.raises(ConfigError, match=r"max_rate is .*, but goes with encoding 'rate'"):
        flat.nest(RunSettings, {"max_rate": 0.5}, base)
