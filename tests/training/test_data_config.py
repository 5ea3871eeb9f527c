"""How the events of a dataset are binned is a setting: filled in, checked and written down."""

import pytest
from pydantic import ValidationError

from sqsnn.data.events import Binning
from sqsnn.data.presets import EVENTS, PRESETS
from sqsnn.errors import ConfigError
from sqsnn.training.build import binning
from sqsnn.training.config import (
    DataConfig,
    DataOptions,
    EncodingConfig,
    ModelConfig,
    Recipe,
    for_dataset,
    from_toml,
    to_toml,
)

TWO = Recipe(model=ModelConfig(channels=2))


@pytest.mark.parametrize("name", EVENTS)
def test_what_is_left_open_is_the_preset_of_the_dataset(name):
    config = for_dataset(name, DataOptions(), Recipe())
    preset, events = PRESETS[name], EVENTS[name]
    assert (config.data.pool, config.data.duration) == (events.pool, events.duration)
    assert (config.encoding.encoding, config.encoding.steps) == ("spikes", preset.steps)
    assert config.model.hidden == preset.hidden
    assert from_toml(to_toml(config), "here") == config
    assert binning(config) == Binning(preset.steps, events.duration, events.pool, "sum")


def test_polarities_are_channels_where_there_are_two_of_both():
    assert for_dataset("nmnist", DataOptions(), Recipe()).data.polarity == "sum"
    assert for_dataset("nmnist", DataOptions(), TWO).data.polarity == "channels"
    assert for_dataset("shd", DataOptions(), TWO).data.polarity == "sum"
    kept = for_dataset("nmnist", DataOptions(polarity="sum"), TWO)
    assert kept.data.polarity == "sum"
    three = Recipe(model=ModelConfig(channels=3))
    assert for_dataset("nmnist", DataOptions(), three).data.polarity == "sum"
    unknown = for_dataset("tonic:DVSGesture", DataOptions(duration=1.0), TWO)
    assert unknown.data.polarity == "channels"


def test_the_steps_of_events_are_free():
    recipe = Recipe(encoding=EncodingConfig(steps=7))
    config = for_dataset("nmnist", DataOptions(pool=1, duration=0.1), recipe)
    assert binning(config) == Binning(7, 0.1, 1, "sum")
    assert binning(for_dataset("digits", DataOptions(), recipe)) is None


@pytest.mark.parametrize(
    ("dataset", "options", "recipe", "message"),
    [
        ("digits", {"pool": 2}, {}, "pool is 2, but digits has no events; .*nmnist, shd, braille"),
        ("recall", {"polarity": "sum"}, {}, "polarity is 'sum', but recall has no events"),
        ("mnist", {"duration": 1.0}, {}, "duration is 1.0, but mnist has no events"),
        (
            "nmnist",
            {"polarity": "channels"},
            {},
            "polarity is 'channels', which needs neurons of 2 channels, but channels is 1",
        ),
        (
            "shd",
            {"polarity": "channels"},
            {"model": {"channels": 2}},
            "polarity must be 'sum', because the events of shd are neither ON nor OFF",
        ),
        ("tonic:DVSGesture", {}, {}, "duration must be given for tonic:DVSGesture.*--duration"),
        ("tonic", {"duration": 1.0}, {}, "dataset must be one of digits, .*, or tonic:NAME"),
        ("nmnist", {"delay": 3}, {}, "delay is 3, but nmnist has none"),
        ("braille", {}, {"encoding": {"encoding": "rate"}}, "encoding must be 'spikes'"),
        ("shd", {}, {"readout": {"report_steps": 51}}, "report_steps must be at most steps, 50"),
    ],
)
def test_settings_that_do_not_fit_the_events_are_refused(dataset, options, recipe, message):
    with pytest.raises(ConfigError, match=message):
        for_dataset(dataset, DataOptions(**options), Recipe(**recipe))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pool": 0}, "pool"),
        ({"polarity": "both"}, "polarity"),
        ({"duration": 0}, "duration"),
        ({"duration": float("nan")}, "duration"),
        ({"duration": float("inf")}, "duration"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(ValidationError, match=message):
        DataOptions(**options)


def test_a_saved_run_on_events_says_how_they_are_binned():
    text = to_toml(for_dataset("nmnist", DataOptions(), Recipe()))
    assert 'polarity = "sum"' in text
    with pytest.raises(ConfigError, match="here: data: nmnist has events, and pool is not set"):
        from_toml(text.replace("pool = 2\n", ""), "here")
    with pytest.raises(ValidationError, match="pool, polarity, duration is not set"):
        DataConfig(dataset="shd")
