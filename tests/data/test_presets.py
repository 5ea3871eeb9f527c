"""The presets: complete, and cheap to read."""

import dataclasses
import subprocess
import sys

import pytest

from sqsnn.data import catalog, event_sets, origins, presets, temporal


def test_every_dataset_has_a_preset_and_a_description():
    assert tuple(presets.PRESETS) == catalog.names()
    assert tuple(presets.DESCRIPTIONS) == catalog.names()


def test_the_presets_are_those_of_the_specification():
    assert presets.PRESETS["digits"] == presets.Preset(hidden=(64,), steps=10, epochs=30, batch=64)
    assert presets.PRESETS["mnist"] == presets.Preset(
        hidden=(256,), steps=5, epochs=10, batch=128, learning_rate=0.003
    )


@pytest.mark.parametrize("name", presets.DELAYS)
def test_the_preset_of_a_task_in_time_fits_its_samples(name):
    preset, data = presets.PRESETS[name], catalog.load(name)
    assert (preset.steps, preset.report_steps) == (data.steps, data.report_steps)
    assert preset.encoding == "spikes"
    assert data.steps == temporal.TEMPORAL_TASKS[name].steps(presets.DELAYS[name])


@pytest.mark.parametrize("name", presets.DELAYS)
def test_the_best_score_of_a_task_in_time_is_the_one_described(name):
    best = 100 * temporal.best_accuracy(temporal.TEMPORAL_TASKS[name])
    assert f" {best:.4g} % is the best possible" in presets.DESCRIPTIONS[name]


def test_every_task_in_time_and_no_other_dataset_has_a_delay():
    assert set(presets.DELAYS) == set(temporal.TEMPORAL_TASKS)


@pytest.mark.parametrize("name", presets.EVENTS)
def test_the_presets_of_events_fit_their_sensors(name):
    event_set, preset = event_sets.EVENT_SETS[name], presets.EVENTS[name]
    assert preset.polarities == event_set.sensor.polarities
    assert presets.PRESETS[name].encoding == "spikes"
    binning = origins.preset_binning(name)
    assert binning.units(event_set.sensor) > event_set.sensor.rows
    assert presets.find_events(name) == preset
    assert presets.find_preset(name) == presets.PRESETS[name]


def test_every_dataset_of_events_and_no_other_has_a_duration():
    assert set(presets.EVENTS) == set(event_sets.EVENT_SETS)
    assert presets.find_events("digits") is None
    # How long the recordings of tonic are, nobody knows before they are read.
    assert presets.find_events("tonic:DVSGesture").duration is None
    assert presets.find_preset("tonic:DVSGesture").encoding == "spikes"
    assert presets.find_preset("tonic") is None
    with pytest.raises(ValueError, match="binning must be given for tonic:DVSGesture"):
        origins.preset_binning("tonic:DVSGesture")


def test_presets_cannot_be_changed_for_others():
    with pytest.raises(dataclasses.FrozenInstanceError):
        presets.PRESETS["digits"].epochs = 1
    with pytest.raises(TypeError):
        presets.PRESETS["mine"] = presets.Preset((1,), 1, 1)


def test_a_description_is_one_line():
    assert all("\n" not in text for text in presets.DESCRIPTIONS.values())


def test_presets_are_read_without_torch():
    code = "import sys, sqsnn.data.presets; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
