"""What a network with a readout of real values predicts, and how its errors are measured."""

import math

import pytest
import torch
from sklearn import metrics
from tools import seeded, small_run

from sqsnn.data.dataset import Samples
from sqsnn.encoding import Current
from sqsnn.errors import ConfigError
from sqsnn.readout import Traces
from sqsnn.settings.run import Recipe
from sqsnn.training import evaluate, values
from sqsnn.training.build import build_network
from sqsnn.training.values import Predictions

SAMPLES, STEPS, FEATURES, VALUES = 11, 6, 2, 3


def recipe_of(report_steps: int | None = None, **readout) -> Recipe:
    return Recipe(
        hidden=(8,),
        encoding=Current(steps=STEPS),
        readout=Traces(**readout),
        report_steps=report_steps,
    )


def made(recipe: Recipe):
    """A network whose values differ from sample to sample and from run to run."""
    network = build_network(recipe, FEATURES, VALUES)
    generator = seeded(3)
    network.readout.fit_scale(5 + 2 * torch.randn(50, VALUES, generator=generator))
    return network


def series(lengths: list[int] | None = None) -> Samples:
    X = torch.rand(SAMPLES, STEPS, FEATURES, generator=seeded(1))
    ends = None if lengths is None else torch.tensor(lengths)
    return Samples(X, torch.zeros(SAMPLES, VALUES), ends)


LENGTHS = [2, 6, 3, 5, 4, 6, 2, 3, 6, 1, 5]


def by_hand(network, recipe, samples: Samples, shots: int) -> list:
    """The values at each step of each run: mean and variance, `(T, n, K)` each."""
    generator = seeded(0)
    runs = []
    for _ in range(shots):
        draw = evaluate.draw(
            network, recipe, samples.values, lengths=samples.lengths, generator=generator
        )
        with torch.no_grad():
            runs.append(network.readout(draw[1].layers[-1].spikes)[0])
    return runs


def predict(network, recipe, samples, **options) -> Predictions:
    given = {"generator": seeded(0), "batch_size": SAMPLES, **options}
    return values.predict(network, recipe, samples, **given)


def test_values_at_every_step_are_the_mean_of_the_runs():
    recipe = recipe_of(every_step=True)
    network, samples = made(recipe), series()
    runs = by_hand(network, recipe, samples, shots=3)
    found = predict(network, recipe, samples, shots=3)
    expected = torch.stack([run.mean for run in runs]).mean(0)
    torch.testing.assert_close(found.values, expected.movedim(0, 1))
    assert found.deviation is None and found.counts is None
    assert not torch.allclose(runs[0].mean, runs[1].mean)


@pytest.mark.parametrize("lengths", [None, LENGTHS])
@pytest.mark.parametrize("report_steps", [None, 2])
def test_one_value_is_the_mean_over_the_steps_that_report(lengths, report_steps):
    recipe = recipe_of(report_steps)
    network, samples = made(recipe), series(lengths)
    (run,) = by_hand(network, recipe, samples, shots=1)
    found = predict(network, recipe, samples)
    for sample, end in enumerate(lengths or [STEPS] * SAMPLES):
        first = 0 if report_steps is None else max(end - report_steps, 0)
        expected = run.mean[first:end, sample].mean(0)
        torch.testing.assert_close(found.values[sample], expected)


def test_the_deviation_has_the_variance_within_runs_and_steps_and_between_them():
    recipe = recipe_of(value_loss="gaussian")
    network, samples = made(recipe), series()
    runs = by_hand(network, recipe, samples, shots=4)
    found = predict(network, recipe, samples, shots=4)
    means = torch.stack([run.mean for run in runs]).flatten(0, 1)  # (shots * T, n, K)
    within = torch.stack([run.variance for run in runs]).flatten(0, 1).mean(0)
    between = means.var(0, correction=0)
    assert (between > 1e-4 * within).any()
    # The difference of two squares near 25 in float32: 25 * 1e-7 each, over deviations near 1.
    expected = (within + between).sqrt()
    torch.testing.assert_close(found.deviation, expected, rtol=1e-4, atol=1e-4)


def test_what_stands_behind_the_end_of_a_series_changes_nothing():
    recipe = recipe_of(every_step=True, report_steps=2)
    network, samples = made(recipe), series(LENGTHS)
    noisy = samples.values.clone()
    for place, end in zip(noisy, LENGTHS, strict=True):
        place[end:] = 9.0
    one = predict(network, recipe, samples)
    other = predict(network, recipe, samples._replace(values=noisy))
    steps, ends = torch.arange(STEPS), torch.tensor(LENGTHS)[:, None]
    assert torch.equal(one.counts, (steps < ends) & (steps >= ends - 2))
    assert torch.equal(one.values[one.counts], other.values[other.counts])


def test_predictions_at_every_step_can_be_cut():
    recipe = recipe_of(every_step=True, value_loss="gaussian")
    whole = predict(made(recipe), recipe, series(LENGTHS))
    for part, kept in zip(whole[:3], whole.until(4)[:3], strict=True):
        assert torch.equal(kept, part[:, :4])
    single = Predictions(torch.ones(3, 2), None, None, (0.0,))
    assert single.until(4) is single


def test_shared_numbers_make_a_sample_independent_of_the_others():
    recipe = recipe_of(value_loss="gaussian")
    network, samples = made(recipe), series(LENGTHS)
    whole = predict(network, recipe, samples, batch_size=4, shots=2, shared=True)
    order = torch.randperm(SAMPLES, generator=seeded(2))
    mixed = predict(network, recipe, samples.chosen(order), batch_size=4, shots=2, shared=True)
    assert torch.equal(mixed.values, whole.values[order])
    assert torch.equal(mixed.deviation, whole.deviation[order])
    assert mixed.spikes == pytest.approx(whole.spikes)


def test_the_figures_are_those_of_scikit_learn():
    wanted = torch.randn(40, VALUES, generator=seeded(4)) * torch.tensor([1.0, 10, 0.1]) + 3
    found = wanted + torch.randn(40, VALUES, generator=seeded(5)) * torch.tensor([0.5, 2, 0.2])
    figures = values.figures(Predictions(found, None, None, (0.0,)), wanted)
    pair = wanted.double().numpy(), found.double().numpy()
    r2 = metrics.r2_score(*pair)  # averaged over the values
    assert figures == {
        "nmse": pytest.approx(1 - r2),
        "mae": pytest.approx(metrics.mean_absolute_error(*pair)),
        "r2": pytest.approx(r2),
        "mse": pytest.approx(metrics.mean_squared_error(*pair)),
    }


def test_steps_that_do_not_count_are_in_no_figure():
    wanted = torch.randn(5, STEPS, VALUES, generator=seeded(4))
    found = wanted + 0.5
    counts = torch.rand(5, STEPS, generator=seeded(6)) < 0.5
    found[~counts] = 1e9
    figures = values.figures(Predictions(found, None, counts, (0.0,)), wanted)
    assert figures["mse"] == pytest.approx(0.25)
    assert figures["nmse"] == pytest.approx(
        float((0.25 / wanted[counts].double().var(0, correction=0)).mean())
    )


def test_targets_that_do_not_vary_have_no_share_of_their_variance():
    figures = values.figures(
        Predictions(torch.ones(4, 2), None, None, (0.0,)), torch.tensor([[3.0, 1]]).expand(4, 2)
    )
    assert (figures["nmse"], figures["r2"]) == (None, None)
    assert (figures["mae"], figures["mse"]) == (1.0, 2.0)
    assert not any(math.isnan(figure) for figure in figures.values() if figure is not None)


def test_networks_are_compared_by_errors_to_which_every_value_adds_whatever_its_unit():
    assert values.measure({"nmse": 0.5, "mse": 9e9}) == 0.5
    assert values.measure({"validation_nmse": None, "validation_mse": 2.0}, "validation_") == 2


def test_a_network_that_names_classes_predicts_no_values():
    recipe = small_run()
    network = build_network(recipe, 20, 4)
    with pytest.raises(ConfigError, match="names classes; it has no readout of real values"):
        predict(network, recipe, Samples(torch.ones(3, 20), torch.zeros(3)))
