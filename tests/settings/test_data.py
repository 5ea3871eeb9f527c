"""The settings of data: which part, and how events are binned; filled in, checked, written down."""

import pytest
from pydantic import ValidationError

from sqsnn.data.specs import SPECS, find_spec
from sqsnn.errors import ConfigError
from sqsnn.settings.data import DataSettings, require_spec
from sqsnn.settings.run import from_flat
from sqsnn.settings.toml import from_toml, to_toml

EVENTS = [name for name, spec in SPECS.items() if spec.events is not None]
DELAYED = [name for name, spec in SPECS.items() if spec.delay is not None]


def test_there_are_datasets_of_every_sort():
    assert EVENTS == ["nmnist", "shd", "braille", "mnist-dvs"]
    assert DELAYED == ["recall", "order", "xor", "duration"]


@pytest.mark.parametrize("name", ["cifar", "tonic", ""])
def test_an_unknown_dataset_is_refused_with_those_that_there_are(name):
    with pytest.raises(
        ConfigError,
        match=rf"one of digits, mnist.*tonic:NAME, a file of your own.* but is '{name}'",
    ):
        require_spec(name)


def test_a_slip_in_a_name_is_answered_with_the_name_that_was_meant():
    with pytest.raises(ConfigError, match="but is 'digit'; did you mean digits"):
        require_spec("digit")


def test_the_data_of_the_library_tonic_need_no_list():
    assert require_spec("tonic:DVSGesture") == find_spec("tonic:DVSGesture")


@pytest.mark.parametrize("name", EVENTS)
def test_the_binning_of_events_comes_from_the_preset(name):
    data, events = from_flat(name, {}).data, SPECS[name].events
    assert events is not None
    assert (data.pool, data.duration, data.polarity) == (events.pool, events.duration, "sum")


@pytest.mark.parametrize(
    ("dataset", "given", "polarity"),
    [
        ("nmnist", {}, "sum"),
        ("nmnist", {"channels": 2}, "channels"),
        ("nmnist", {"channels": 2, "polarity": "sum"}, "sum"),
        ("nmnist", {"channels": 3}, "sum"),
        ("nmnist", {"channels": 2, "neurons": "lif"}, "channels"),
        ("shd", {"channels": 2}, "sum"),
        ("tonic:DVSGesture", {"channels": 2, "duration": 1.0}, "channels"),
    ],
)
def test_polarities_are_channels_where_there_are_two_of_both(dataset, given, polarity):
    assert from_flat(dataset, given).data.polarity == polarity


def test_the_steps_of_events_are_free():
    settings = from_flat("nmnist", {"steps": 7, "pool": 1, "duration": 0.1})
    assert settings.encoding.steps == 7
    assert (settings.data.pool, settings.data.duration) == (1, 0.1)


def test_values_have_neither_delay_nor_binning():
    data = from_flat("digits", {}).data
    assert (data.cue_delay, data.pool, data.polarity, data.duration) == (None,) * 4


@pytest.mark.parametrize("name", DELAYED)
def test_the_steps_of_a_task_follow_from_its_delay(name):
    spec = SPECS[name]
    assert spec.delay is not None
    default = from_flat(name, {})
    assert (default.data.cue_delay, default.encoding.steps) == (spec.delay, spec.steps())
    assert from_flat(name, {"cue_delay": None}) == default
    for delay in (1, 9, 20):
        settings = from_flat(name, {"cue_delay": delay})
        assert settings.encoding.steps == spec.steps() + delay - spec.delay
        assert from_flat(name, {"cue_delay": delay, "steps": settings.encoding.steps}) == settings
        assert from_toml(to_toml(settings), "here") == settings


@pytest.mark.parametrize(
    ("dataset", "given", "message"),
    [
        (
            "digits",
            {"cue_delay": 3},
            "^cue_delay is 3, but digits has none; it goes with recall, order",
        ),
        ("nmnist", {"cue_delay": 3}, "^cue_delay is 3, but nmnist has none"),
        ("recall", {"cue_delay": "x"}, "^cue_delay: .*valid integer.* but is 'x'"),
        (
            "recall",
            {"cue_delay": None, "steps": 50},
            "^steps must be the 7 .* of recall, but is 50",
        ),
        ("recall", {"cue_delay": 0}, "^cue_delay: .*greater than or equal to 1, but is 0"),
        ("digits", {"pool": 2}, "^pool is 2, but digits has no events; .*nmnist, shd, braille"),
        ("recall", {"polarity": "sum"}, "^polarity is 'sum', but recall has no events"),
        ("mnist", {"duration": 1.0}, "^duration is 1.0, but mnist has no events"),
        ("nmnist", {"polarity": "channels"}, "needs neurons of 2 channels, but channels is 1: add"),
        (
            "nmnist",
            {"neurons": "published_sqs", "polarity": "channels"},
            "needs neurons of 2 channels, but channels is 1",
        ),
        (
            "shd",
            {"polarity": "channels", "channels": 2},
            "polarity must be 'sum', because the events of shd are neither ON nor OFF",
        ),
        ("braille", {"polarity": "maps"}, "polarity must be 'sum', .* nor OFF, but is 'maps'"),
        ("tonic:DVSGesture", {}, "^duration must be given for tonic:DVSGesture.*--duration"),
        ("nmnist", {"pool": 0}, "^pool: .*greater than or equal to 1, but is 0"),
        ("nmnist", {"polarity": "both"}, "^polarity: .*'channels', 'maps' or 'sum', but is 'both'"),
        ("nmnist", {"duration": 0}, "^duration: .*greater than or equal to .*, but is 0"),
        ("nmnist", {"duration": float("nan")}, "^duration: .*finite"),
        ("nmnist", {"duration": float("inf")}, "^duration: .*finite"),
        ("digits", {"classes": "3"}, "^classes: .*at least 2"),
        ("digits", {"train_samples": 0}, "^train_samples: .*greater than or equal to 1, but is 0"),
    ],
    ids=str,
)
def test_what_does_not_fit_the_dataset_is_refused(dataset, given, message):
    with pytest.raises(ConfigError, match=message) as refused:
        from_flat(dataset, given)
    assert "\n" not in str(refused.value)


def test_settings_of_events_say_how_they_are_binned():
    text = to_toml(from_flat("nmnist", {}))
    assert 'polarity = "sum"' in text
    with pytest.raises(ConfigError, match="here: nmnist has events, and pool is not set"):
        from_toml(text.replace("pool = 2\n", ""), "here")
    with pytest.raises(ValidationError, match="pool, polarity, duration is not set"):
        DataSettings(dataset="shd")


@pytest.mark.parametrize("name", ["./nothing/", "data/my.txt"])
def test_a_folder_that_is_not_there_is_refused_with_what_a_file_may_be(name):
    with pytest.raises(ConfigError, match=rf"no folder {name}, and a file must be one of .npz"):
        require_spec(name)
