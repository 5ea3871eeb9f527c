"""Pictures for papers show what was measured, and refuse what they cannot show."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.collections import LineCollection
from tools import seeded

import sqsnn
from sqsnn import plots
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.quantum.noise import Noise


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    small = {"hidden": 8, "steps": 3, "epochs": 2, "train_samples": 200, "test_samples": 40}
    return [sqsnn.train("digits", seed=seed, out=folder / str(seed), **small) for seed in (0, 1)]


@pytest.fixture(scope="module")
def samples(runs):
    test = sqsnn.data.load("digits").load_test()
    return test.values[:40], np.array(runs[0].preparation.labels)[test.targets[:40]]


def line(axes, label):
    (found,) = (each for each in axes.lines if each.get_label() == label)
    return found.get_ydata()


def test_the_curve_of_several_runs_is_their_mean(runs):
    _, accuracy = plots.learning_curve(*runs).axes
    each = [[epoch["validation_accuracy"] for epoch in run.folder.read_metrics()] for run in runs]
    drawn = line(accuracy, "validation, by spikes")
    np.testing.assert_allclose(drawn, 100 * np.mean(each, axis=0))
    (band, *_) = accuracy.collections[1:]
    heights = band.get_paths()[0].vertices[:, 1]
    assert heights.min() == pytest.approx(100 * np.min(each))
    assert heights.max() == pytest.approx(100 * np.max(each))


def test_the_curve_of_one_run_is_that_of_its_report(runs):
    _, accuracy = plots.learning_curve(runs[0]).axes
    assert "validation" in accuracy.get_title(loc="left")


def test_runs_without_a_folder_or_of_other_epochs_are_refused(runs):
    with pytest.raises(ValueError, match="run 1 has no folder; a learning curve needs both"):
        plots.learning_curve(runs[0], replace(runs[1], folder=None))
    with pytest.raises(ValueError, match="runs must be at least one, of equal numbers"):
        plots.learning_curve()


def test_the_confusion_matrix_counts_every_sample_once(runs, samples):
    X, y = samples
    figure = plots.confusion_matrix(runs[0], X, y)
    shown = sum(int(text.get_text()) for text in figure.axes[0].texts)
    assert shown == len(y)
    right = (runs[0].predict(X) == y).sum()
    assert f"{right} of {len(y)} correct" in figure.axes[0].get_title(loc="left")


def test_the_raster_shows_a_right_and_a_wrong_sample(runs, samples):
    figure = plots.raster(runs[0], *samples)
    titles = [text.get_text() for axes in figure.axes for text in [axes.title, *axes.texts]]
    titles += [text.get_text() for text in figure.texts]
    named = [title for title in titles if "is named" in title]
    assert len(named) == 2


def test_the_memory_starts_at_zero_and_stays_on_the_sphere(monkeypatch):
    g = seeded(3)
    neurons = SQSNeurons(2, memory_qubits=1, circuit="clock", generator=g, dtype=torch.float64)
    currents = torch.full((20, 1, 2, 1), 0.3, dtype=torch.float64)
    drawn = []
    draw = plots.sphere.bloch
    monkeypatch.setattr(plots.sphere, "bloch", lambda *it: drawn.append(it) or draw(*it))
    plots.bloch(neurons, currents, generator=seeded(4), neuron=1)
    ((vectors, spikes),) = drawn
    np.testing.assert_allclose(vectors[0], [0, 0, 1])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-12)
    # One step at a time gives the spikes of one pass, and the memory that the pass ends with.
    record, state = neurons(currents, generator=seeded(4))
    assert spikes.tolist() == record.spikes[:, 0, 1, 0].bool().tolist()
    zero, one = state.memory[0, 1]
    assert vectors[-1, 2] == pytest.approx((zero.abs() ** 2 - one.abs() ** 2).item())
    assert vectors[-1, 0] == pytest.approx(2 * (zero.conj() * one).real.item(), abs=1e-12)


@pytest.mark.parametrize("current", [-1.0, 1.0])
def test_a_neuron_that_never_or_always_fires_is_drawn(current):
    neurons = SQSNeurons(1, memory_qubits=1, drive=sqsnn.Rectified(), generator=seeded(0))
    with torch.no_grad():
        neurons.angles.zero_()
    figure = plots.bloch(neurons, torch.full((5, 1, 1, 1), current), generator=seeded(0))
    lines = [it for it in figure.axes[0].collections if isinstance(it, LineCollection)]
    assert [len(it.get_segments()) for it in lines] == [5]


def test_neurons_without_one_pure_memory_qubit_are_refused():
    for options in ({"memory_qubits": 2}, {"memory_qubits": 1, "noise": Noise(false_spike=0.1)}):
        neurons = SQSNeurons(1, generator=seeded(0), **options)
        with pytest.raises(ValueError, match="neurons must have one memory qubit and no noise"):
            plots.bloch(neurons, torch.zeros(2, 1, 1, 1), generator=seeded(0))


def test_the_autocorrelation_shows_the_exact_law_beside_the_recording():
    trains = np.zeros((6, 200), dtype=int)
    for train, starts in zip(trains, np.random.default_rng(0).integers(4, 8, (6, 60)), strict=True):
        train[np.cumsum(starts)[np.cumsum(starts) < 200]] = 1  # intervals of 4 to 7 bins
    model = sqsnn.SpikeTrainModel(memory_qubits=1, circuit="clock", starts=3, random_state=0)
    model.fit(trains)
    (axes,) = plots.autocorrelation(model, trains, longest=12).axes
    np.testing.assert_allclose(line(axes, "model"), model.autocorrelation(12))
    with pytest.raises(ValueError, match="longest"):
        plots.autocorrelation(model, trains, longest=0)
