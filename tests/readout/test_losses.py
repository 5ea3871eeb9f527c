"""Targets and losses: masks, weights, units, and what is refused."""

import math

import pytest
import torch
from tools import seeded
from torch.nn import functional

from sqsnn.neurons.population import Record
from sqsnn.readout import ClassLoss, Targets, TraceReadout, Traces, ValueLoss

pytestmark = pytest.mark.usefixtures("device")

STEPS, BATCH, NEURONS, VALUES = 6, 4, 3, 2


def some_mask() -> torch.Tensor:
    rows = [[0, 1, 1, 1, 0, 0], [1] * 6, [0, 0, 0, 0, 0, 1], [1, 0, 0, 0, 0, 0]]
    return torch.tensor(rows).T.double()


def some_weights() -> torch.Tensor:
    return torch.tensor([1.0, 0.0, 2.0, 0.5], dtype=torch.float64)


def record() -> Record:
    probability = torch.rand(STEPS, BATCH, NEURONS, 1, generator=seeded(0), dtype=torch.float64)
    spikes = (probability > 0.5).double()
    return Record(spikes, probability, probability[..., 0], None)


def value_loss(**options) -> ValueLoss:
    read = TraceReadout(
        NEURONS, VALUES, options=Traces(**options), generator=seeded(1), dtype=torch.float64
    )
    read.fit_scale(torch.tensor([[1.0, 10.0], [3.0, 30.0]], dtype=torch.float64))
    return ValueLoss(read)


def real_targets(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, VALUES, generator=seeded(2), dtype=torch.float64)


@pytest.mark.parametrize("loss_on", ["probability", "count"])
def test_the_loss_of_classes_counts_masked_steps_and_weighs_samples(loss_on):
    labels = torch.tensor([0, 1, 2, 0])
    seen = record().probability if loss_on == "probability" else record().spikes
    found = ClassLoss(loss_on).total(record(), Targets(labels, some_mask(), some_weights()))
    scores = (seen[..., 0] * some_mask()[..., None]).sum(0)
    each = functional.cross_entropy(scores, labels, reduction="none")
    torch.testing.assert_close(found, (some_weights() * each).sum() / BATCH, rtol=0, atol=1e-14)


def test_predicting_the_mean_of_the_targets_costs_their_variance():
    loss = value_loss()
    with torch.no_grad():
        loss.readout.weight.zero_()
    samples = torch.tensor([[1.0, 10.0], [3.0, 30.0]] * 2, dtype=torch.float64)
    assert loss.total(record(), Targets(samples)).item() == pytest.approx(1.0)


@pytest.mark.parametrize("shape", [(BATCH,), (STEPS, BATCH)])
def test_the_loss_of_values_is_the_mean_over_steps_that_count(shape):
    loss, wanted = value_loss(), real_targets(*shape)
    found = loss.total(record(), Targets(wanted, some_mask(), some_weights()))
    mean = loss.readout(record().spikes)[0].mean
    squared = ((mean - wanted) / loss.readout.target_scale).square().mean(-1)  # (T, B)
    each = (squared * some_mask()).sum(0) / some_mask().sum(0)
    torch.testing.assert_close(found, (some_weights() * each).sum() / BATCH, rtol=0, atol=1e-13)
    steps = loss.steps(loss.readout.rows(record().spikes)[0], Targets(wanted, some_mask()))
    torch.testing.assert_close(steps.sum(0), each, rtol=0, atol=1e-13)
    assert not steps[some_mask() == 0].any()


def test_the_gaussian_loss_is_the_negative_log_likelihood():
    loss, wanted = value_loss(value_loss="gaussian"), real_targets(BATCH)
    found = loss.total(record(), Targets(wanted))
    values = loss.readout(record().spikes)[0]
    law = torch.distributions.Normal(values.mean, values.variance.sqrt())
    scale = loss.readout.target_scale
    # In units of the scale, and without the constant log(2 pi) / 2.
    expected = -(law.log_prob(wanted) + scale.log() + 0.5 * math.log(2 * math.pi))
    torch.testing.assert_close(found, expected.mean(), rtol=0, atol=1e-12)


def test_what_comes_after_the_end_of_a_sample_changes_nothing():
    loss, wanted = value_loss(), real_targets(BATCH)
    mask = torch.ones(STEPS, BATCH, dtype=torch.float64)
    mask[3:, 0] = 0
    noisy = record()
    noisy.spikes[3:, 0] = 1 - noisy.spikes[3:, 0]
    for law, values in ((loss, wanted), (ClassLoss("count"), torch.tensor([0, 1, 2, 0]))):
        one = law.total(record(), Targets(values, mask))
        assert torch.equal(one, law.total(noisy, Targets(values, mask)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Targets(real_targets(BATCH), some_mask()[:-1]), "mask must have shape"),
        (lambda: Targets(real_targets(BATCH), some_mask() * 0), "mask leaves out every step"),
        (
            lambda: Targets(real_targets(BATCH), None, -some_weights()),
            "weights must not be negative",
        ),
        (lambda: Targets(real_targets(BATCH), None, some_weights()[1:]), "weights must have shape"),
        (lambda: Targets(real_targets(BATCH - 1)), "targets must have shape"),
        (lambda: Targets(real_targets(BATCH) * torch.nan), "targets must be finite"),
    ],
)
def test_targets_that_do_not_fit_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        value_loss().check(make(), NEURONS, torch.zeros(STEPS, BATCH, 1, 1))


def test_classes_are_no_real_values():
    with pytest.raises(TypeError, match="real values"):
        value_loss().check(
            Targets(torch.zeros(BATCH, VALUES, dtype=torch.int64)),
            NEURONS,
            torch.zeros(STEPS, BATCH, 1, 1),
        )
