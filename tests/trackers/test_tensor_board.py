"""Event files hold all figures in single precision, the settings, and no name of the machine."""

import re

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData
from tools import StopAt
from trackers_reading import assert_names_no_place, curves_of, result_of

import sqsnn
from sqsnn.errors import ConfigError
from sqsnn.runs import run
from sqsnn.runs.folder import RunFolder
from sqsnn.trackers.tensor_board import TensorBoard


def read(place):
    return EventAccumulator(str(place)).Reload()


def assert_holds(place, folder):
    """Fail unless the event files hold every figure of the run once."""
    events, curves, test = read(place), curves_of(folder), result_of(folder)
    for name in curves[1]:
        found = [(event.step, np.float32(event.value)) for event in events.Scalars(name)]
        assert found == [(epoch, np.float32(it[name])) for epoch, it in curves.items()], name
    for name, figure in test.items():
        (event,) = events.Scalars(name)
        assert (event.step, event.value) == (test["best_epoch"], np.float32(figure))
    assert set(events.Tags()["scalars"]) == {*curves[1], *test}


def test_a_run_holds_its_curves_and_settings(settings, tmp_path):
    folder = run.begin(settings, tmp_path / "run", callbacks=[TensorBoard()], pictures=False)
    assert_holds(folder.path, folder)
    assert not (folder.path / "trackers.json").exists()
    metadata = read(folder.path).summary_metadata
    start, end = (
        HParamsPluginData.FromString(metadata[f"_hparams_/session_{it}_info"].plugin_data.content)
        for it in ("start", "end")
    )
    assert start.session_start_info.hparams["hidden"].string_value == "3"
    assert start.session_start_info.hparams["epochs"].number_value == 3
    assert end.session_end_info.status == 1  # success
    (file,) = folder.path.glob("events.*")
    assert re.fullmatch(r"events\.out\.tfevents\.\d+", file.name)  # others add the machine's name
    assert_names_no_place(file.read_bytes())


def test_a_run_goes_on_behind_a_file_that_a_crash_tore(settings, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        run.begin(settings, tmp_path / "run", StopAt(3), callbacks=[TensorBoard()], pictures=False)
    folder = RunFolder(tmp_path / "run")
    (file,) = folder.path.glob("events.*")
    file.write_bytes(file.read_bytes()[:-9])  # of epoch 2
    assert len(read(folder.path).Scalars("train_loss")) == 1
    run.resume(folder, callbacks=[TensorBoard()], pictures=False)
    assert_holds(folder.path, folder)


def test_files_go_into_a_folder_of_choice(settings, tmp_path):
    tracker = TensorBoard(tmp_path / "curves")
    folder = run.begin(settings, tmp_path / "run", callbacks=[tracker], pictures=False)
    assert_holds(tmp_path / "curves", folder)
    assert not list(folder.path.glob("events.*"))


def test_values_are_predicted_and_an_estimator_names_a_folder(tmp_path):
    X, y = np.random.default_rng(0).random((40, 4)), np.arange(40) / 40
    words = {"hidden": (3,), "epochs": 1, "random_state": 0}
    sqsnn.SQSNNRegressor(callbacks=[TensorBoard(tmp_path / "c")], **words).fit(X, y)
    assert [event.step for event in read(tmp_path / "c").Scalars("train_loss")] == [1]
    with pytest.raises(ConfigError, match="TensorBoard needs a folder"):
        sqsnn.SQSNNRegressor(callbacks=[TensorBoard()], **words).fit(X, y)
