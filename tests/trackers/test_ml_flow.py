"""MLflow's store holds all figures exactly, the settings, and how the training ended."""

import pytest
from mlflow import MlflowClient
from tools import StopAt
from trackers_reading import assert_names_no_place, curves_of, result_of

from sqsnn.errors import TrackerError, TrainingError
from sqsnn.runs import run
from sqsnn.runs.folder import RunFolder
from sqsnn.trackers.ml_flow import MLflow
from sqsnn.training.callback import Callback


class Broken(Callback):
    def step(self, step):
        raise TrainingError("the loss is nan")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return tmp_path_factory.mktemp("mlflow") / "store.db"


@pytest.fixture
def uri(store, monkeypatch):
    """A database of the module: to make one takes seconds."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{store}")
    return f"sqlite:///{store}"


def test_an_interrupted_run_goes_on_in_the_store(settings, tmp_path, uri, store):
    client, place = MlflowClient(uri), tmp_path / "first"
    with pytest.raises(KeyboardInterrupt):
        run.begin(settings, place, StopAt(2), callbacks=[MLflow()], pictures=False)
    experiment = client.get_experiment_by_name("sqsnn").experiment_id
    (found,) = client.search_runs([experiment])
    assert (found.info.status, found.info.run_name) == ("KILLED", "first")
    folder = RunFolder(place)
    run.resume(folder, callbacks=[MLflow()], pictures=False)

    (found,) = client.search_runs([experiment])
    assert found.info.status == "FINISHED"
    assert found.data.params["hidden"] == "3"
    assert (found.data.params["dataset"], found.data.params["skip"]) == ("digits", "False")
    curves, test = curves_of(folder), result_of(folder)
    for name in curves[1]:
        history = client.get_metric_history(found.info.run_id, name)
        assert {it.step: it.value for it in history} == {e: it[name] for e, it in curves.items()}
        assert len(history) == len(curves)
    for name, figure in test.items():
        (kept,) = client.get_metric_history(found.info.run_id, name)
        assert (kept.step, kept.value) == (test["best_epoch"], figure)
    assert set(found.data.metrics) == {*curves[1], *test}
    assert set(found.data.tags) == {"mlflow.runName"}
    said = f"{found.data.params} {found.data.tags} {found.info.user_id}"
    assert_names_no_place(said.encode())


def test_a_training_that_breaks_is_marked(settings, tmp_path, uri):
    with pytest.raises(TrainingError):
        trackers = [MLflow(experiment="broken"), Broken()]
        run.begin(settings, tmp_path / "run", callbacks=trackers, pictures=False)
    client = MlflowClient(uri)
    (found,) = client.search_runs([client.get_experiment_by_name("broken").experiment_id])
    assert found.info.status == "FAILED"


def test_a_server_that_is_away_stops_the_run_and_its_password_is_not_told(settings, tmp_path):
    with pytest.raises(TrackerError, match=r"MLflow failed: .*--track mlflow`$") as raised:
        tracker = MLflow("http://me:5ecret@127.0.0.1:9/")
        run.begin(settings, tmp_path / "run", callbacks=[tracker], pictures=False)
    assert "5ecret" not in str(raised.value)
    assert "127.0.0.1" in str(raised.value)
    for path in (tmp_path / "run").iterdir():
        assert_names_no_place(path.read_bytes())
