"""The pictures of a run show what its test scored."""

import pytest
import torch
from tools import small_run

from sqsnn import readout
from sqsnn.reports import raster
from sqsnn.runs import loading, pictures, run
from sqsnn.settings.run import from_flat


@pytest.fixture(scope="module")
def tested(tmp_path_factory):
    """A small run whose test takes several batches, and its test."""
    settings = small_run(epochs=1)
    training = settings.training.model_copy(update={"batch_size": 8})
    settings = settings.model_copy(update={"training": training})
    folder = run.begin(settings, tmp_path_factory.mktemp("run") / "run", pictures=False)
    loaded = loading.load(folder)
    return loaded, loading.test(loaded)


@pytest.fixture
def drawn(monkeypatch):
    """The samples whose spikes were drawn last."""
    seen = []
    draw = raster.raster

    def watched(samples, class_names):
        seen[:] = samples
        return draw(samples, class_names)

    monkeypatch.setattr(raster, "raster", watched)
    return seen


def test_a_run_on_spike_trains_ends_with_pictures_and_a_result(tmp_path, drawn):
    settings = from_flat(
        "recall", {"hidden": (8,), "train_samples": 200, "test_samples": 100, "epochs": 1}
    )
    folder = run.begin(settings, tmp_path / "run")
    assert (folder.path / "raster.png").is_file()
    assert folder.read_result()["test_samples"] == 100
    settled = folder.read_settings()
    assert (settled.data.source, settled.report_steps) == ("generated, delay 5", 1)
    tested = loading.test(loading.load(folder))
    scores, samples = tested.answers, tested.samples
    assert scores.counts.max() == 1  # of one step and one channel
    assert drawn[0].input_spikes.shape == (7, 64, 3, 1)
    check_drawn(drawn, scores, samples.targets, report_steps=1)


def check_drawn(drawn, scores, labels, report_steps=None):
    """What is drawn is what the test scored: of the first right and the first wrong sample."""
    right = (scores.predicted == labels).tolist()
    firsts = [right.index(outcome) for outcome in (True, False) if outcome in right]
    for first, shown in zip(firsts, drawn, strict=True):
        assert shown.title.startswith("Right" if right[first] else "Wrong")
        assert (shown.label, shown.prediction) == (labels[first], scores.predicted[first])
        output = shown.record.layers[-1]
        mask = readout.last_steps(*output.spikes.shape[:2], report_steps)
        answer = readout.masked(output, mask)
        assert torch.equal(readout.count(answer)[shown.place], scores.counts[first])
        assert torch.equal(readout.probability(answer)[shown.place], scores.probabilities[first])


@pytest.mark.parametrize("outcome", ["both", "late", "right", "wrong"])
def test_the_raster_shows_what_the_test_scored(tested, drawn, outcome):
    loaded, found = tested
    scores, samples = found.answers, found.samples
    predicted, classes = scores.predicted, len(loaded.dataset.class_names)
    labels = samples.targets if outcome == "both" else predicted.clone()
    if outcome == "late":
        labels[30] = (labels[30] + 1) % classes  # in a later batch
    elif outcome == "wrong":
        labels = (predicted + 1) % classes
    pictures.draw_test(loaded, found._replace(samples=samples._replace(targets=labels)))
    assert len(drawn) == (1 if outcome in ("right", "wrong") else 2)
    check_drawn(drawn, scores, labels)
    if outcome in ("right", "wrong"):
        assert f", as all {len(labels)} test samples: " in drawn[0].title
