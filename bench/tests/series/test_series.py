"""The comparison of classifiers of series: equal searches, random convolutions, and the table."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch

from sqsnn.data.dataset import Samples
from sqsnn_bench.series import problems, rocket, run, text
from sqsnn_bench.series.options import SeriesOptions
from sqsnn_bench.series.problems import PROBLEMS, Problem

ROOT = Path(__file__).parents[3]
STORED = ROOT / "bench" / "results" / "series.json"
TINY = Problem("Tiny", 1000, 1, 16)


def write_series(path, count, seed):
    """Series of 12 to 14 steps of two classes; a class is the sign of the slope."""
    generator = np.random.default_rng(seed)
    lines = ["@problemName Tiny", "@univariate true", "@equalLength false"]
    lines += ["@classLabel true up down", "@data"]
    for number in range(count):
        slope = 1 - 2 * (number % 2)
        steps = 12 + number % 3
        values = slope * np.linspace(-1, 1, steps) + 0.1 * generator.standard_normal(steps)
        label = "up" if slope > 0 else "down"
        lines.append(",".join(f"{value:.4f}" for value in values) + f":{label}")
    path.write_text("\n".join(lines) + "\n", "utf-8")


@pytest.fixture
def archive(tmp_path, monkeypatch):
    """An archive of one problem, which is all that is compared."""
    folder = tmp_path / "archive" / "Tiny"
    folder.mkdir(parents=True)
    write_series(folder / "Tiny_TRAIN.ts", 40, 0)
    write_series(folder / "Tiny_TEST.ts", 20, 1)
    for module in (problems, run, text):
        monkeypatch.setattr(module, "PROBLEMS", (TINY,))
    return folder.parent


def convolved(series, weights, bias, dilation, padding):
    """Slide one kernel over a series, in plain loops."""
    padded = np.pad(series, ((padding, padding), (0, 0)))
    length = weights.shape[1]
    last = len(padded) - (length - 1) * dilation
    return np.array(
        [
            bias + sum((weights[:, k] * padded[t + k * dilation]).sum() for k in range(length))
            for t in range(last)
        ]
    )


def test_features_are_the_maximum_and_the_positive_share_of_each_convolution():
    generator = np.random.default_rng(0)
    series = torch.from_numpy(generator.standard_normal((3, 30, 4)).astype(np.float32))
    kernels = rocket.draw(20, 30, 4, generator)
    found = rocket.transform(series, kernels)
    assert found.shape == (3, 40)
    place = 0
    for group in kernels:
        count = len(group.bias)
        for k in range(count):
            weights, bias = group.weights[k].double().numpy(), float(group.bias[k])
            for row in range(3):
                values = convolved(
                    series[row].double().numpy(), weights, bias, group.dilation, group.padding
                )
                assert found[row, place + k] == pytest.approx(values.max(), abs=1e-4)
                share = found[row, place + count + k]
                assert share == pytest.approx((values > 0).mean(), abs=1e-6)
        place += 2 * count


def test_kernels_are_those_of_the_paper():
    """Lengths, centred weights, biases, and dilations that fit the series; half are padded."""
    steps, features, count = 100, 6, 3000
    kernels = rocket.draw(count, steps, features, np.random.default_rng(0))
    assert sum(len(group.bias) for group in kernels) == count
    padded = 0
    for weights, bias, dilation, padding in kernels:
        length = weights.shape[2]
        assert length in rocket.LENGTHS
        assert weights.sum(2).abs().max() < 1e-5
        assert bias.abs().max() <= 1
        seen = (weights != 0).any(2).sum(1)
        assert seen.min() >= 1
        assert seen.max() <= features
        assert (length - 1) * dilation <= steps - 1
        assert padding in (0, (length - 1) * dilation // 2)
        padded += len(bias) * (padding > 0)
    # Binomial, deviation 0.009: beyond five of it in less than one of a million seeds.
    assert padded / count == pytest.approx(0.5, abs=5 * math.sqrt(0.25 / count))


def test_short_series_are_refused():
    with pytest.raises(ValueError, match="steps must be above 11, but is 11"):
        rocket.draw(1, 11, 1, np.random.default_rng(0))


def test_series_are_standardised_by_training_steps_without_their_padding():
    values = torch.tensor([[[1.0], [3.0], [9.0]], [[2.0], [2.0], [2.0]]])
    train = Samples(values, torch.tensor([0, 1]), torch.tensor([2, 3]))
    test = Samples(values + 1, torch.tensor([0, 1]))
    one, other = rocket.standardised([train, test])
    inside = torch.tensor([1.0, 3.0, 2.0, 2.0, 2.0])
    deviation = inside.std(correction=0)
    torch.testing.assert_close(one[0, :, 0], torch.tensor([-1.0, 1.0, 0.0]) / deviation)
    torch.testing.assert_close(other[0, :, 0], torch.tensor([0.0, 2.0, 8.0]) / deviation)


def test_random_convolutions_tell_slopes_apart(archive):
    from sqsnn.data import load

    data = load(TINY.dataset(archive), clip=False)
    found = rocket.accuracy(data.train, data.validation, data.load_test(), 50, 0)
    assert found == 1


def test_every_model_has_as_many_trials_and_parameters(archive, monkeypatch):
    tried = []

    def validate(settings):
        tried.append(settings)
        wanted = settings.encoding.kind == "population" and settings.training.learning_rate == 0.01
        figures = {"accuracy": 0.5 + 0.5 * wanted, "accuracy_probability": None, "loss": 1.0}
        return {f"validation_{name}": figure for name, figure in figures.items()}

    monkeypatch.setattr(run.library, "validate", validate)
    found = run.one(TINY, archive, SeriesOptions(seeds=2, kernels=10), lambda line: None)
    assert {settings.training.seed for settings in tried} == {run.SEARCH_SEED}
    trials = {
        (settings.neurons.kind, getattr(settings.neurons, "memory_qubits", None)): set()
        for settings in tried
    }
    for settings in tried:
        name = settings.neurons.kind, getattr(settings.neurons, "memory_qubits", None)
        trials[name].add((settings.encoding.kind, settings.training.learning_rate))
    assert len(trials) == len(run.MODELS) == 4
    grid = {(kind, rate) for kind in TINY.encodings for rate in run.LEARNING_RATES}
    assert all(own == grid for own in trials.values())
    for row in found["models"].values():
        assert (row["encoding"], row["learning_rate"]) == ("population", 0.01)
        assert row["parameters"] == pytest.approx(TINY.parameters, rel=0.01)
        assert len(row["accuracy"]["seeds"]) == 2
        assert row["accuracy"]["mean"] == pytest.approx(np.mean(row["accuracy"]["seeds"]))
    assert found["chance"] == 0.5
    assert found["samples"] == [36, 4, 20]


def test_series_are_compared_from_the_command_line(archive, bench, here, monkeypatch):
    monkeypatch.setattr(run, "LEARNING_RATES", (0.01,))
    monkeypatch.setattr(run, "MODELS", {"LIF": run.MODELS["LIF"]})
    options = f"--archive {archive} --kernels 10 --seeds 2 --out out/series.json"
    done = bench("series", *options.split())
    assert (done.code, done.err) == (0, "")
    content = json.loads((here / "out" / "series.json").read_text("utf-8"))
    assert content["command"] == f"sqsnn-bench series --archive {archive} --kernels 10 --seeds 2"
    assert text.tables(content).strip() in done.out
    assert done.out.splitlines()[0].startswith("Tiny, LIF: ")
    assert done.out.splitlines()[-1] == "out/series.json"


def test_a_folder_without_the_files_is_refused_with_where_they_come_from(bench, here):
    done = bench("series", "--archive", "nowhere")
    assert (done.code, done.out) == (2, "")
    assert (
        "archive is nowhere, which lacks ItalyPowerDemand/ItalyPowerDemand_TRAIN.ts, " in done.err
    )
    assert "pip download --no-deps sktime" in done.err


def test_the_tables_of_the_docs_are_those_of_the_stored_figures():
    content = json.loads(STORED.read_text("utf-8"))
    page = (ROOT / "docs" / "results.md").read_text("utf-8")
    assert f"`{content['command']}`" in page
    for table in text.tables(content).split("\n\n")[1::2]:
        assert table.strip() in page
    assert list(content["problems"]) == [problem.name for problem in PROBLEMS]
    assert all(list(found["models"]) == list(run.MODELS) for found in content["problems"].values())
