"""Promises of the readouts and losses, on records small enough to check by hand."""

import jaxtyping
import pytest
import torch
from tools import seeded, synapses_of

from sqsnn import readout
from sqsnn.network import SpikingNetwork
from sqsnn.neurons.population import Record

pytestmark = pytest.mark.usefixtures("device")


@pytest.fixture
def own_checks():
    """Let wrong arguments through to our own checks, which users meet without the type checker."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)


def make_record(spikes, probability):
    """Build a record of T steps, one sample and one channel from two (T, classes) tables."""
    spikes, probability = (
        torch.tensor(table, dtype=torch.float64)[:, None, :, None]
        for table in (spikes, probability)
    )
    return Record(spikes, probability, torch.zeros(spikes.shape[:3], dtype=torch.float64), None)


def random_record(steps=6, batch=4, classes=3, channels=2, seed=0):
    generator = seeded(seed)
    shape = (steps, batch, classes, channels)
    probability = torch.rand(shape, generator=generator, dtype=torch.float64)
    spikes = (torch.rand(shape, generator=generator, dtype=torch.float64) < probability).double()
    log_likelihood = torch.zeros(shape[:3], dtype=torch.float64)
    return Record(spikes.requires_grad_(), probability.requires_grad_(), log_likelihood, None)


HAND_MADE = make_record(
    #         class 0    1    2    3
    spikes=[
        [0.0, 1.0, 0.0, 0.0],
        [1.0, 0.0, 1.0, 0.0],
        [1.0, 1.0, 0.0, 0.0],
    ],
    probability=[
        [0.1, 0.9, 0.3, 1.0],
        [0.6, 0.2, 0.9, 1.0],
        [0.4, 0.1, 0.3, 1.0],
    ],
)


def test_scores_of_a_hand_made_record():
    assert readout.count(HAND_MADE).tolist() == [[2, 2, 1, 0]]
    assert readout.probability(HAND_MADE)[0].tolist() == pytest.approx([1.1, 1.2, 1.5, 3.0])
    assert readout.first_spike(HAND_MADE).tolist() == [[2, 3, 2, 0]]


def test_predictions_of_a_hand_made_record():
    # Classes 0 and 1 tie at two spikes and the probabilities prefer 1; the improbable silence of
    # class 3 never outweighs a spike.
    assert readout.predict(HAND_MADE).tolist() == [1]
    assert readout.predict(HAND_MADE, "count").tolist() == [1]
    assert readout.predict(HAND_MADE, "probability").tolist() == [3]
    assert readout.predict(HAND_MADE, "first_spike").tolist() == [1]


def test_equal_first_spikes_are_broken_by_probability():
    record = make_record([[1.0, 1.0, 0.0]], [[0.2, 0.3, 0.9]])
    assert readout.predict(record, "first_spike").tolist() == [1]


def test_a_tie_break_never_outweighs_a_spike_however_long_the_sequence():
    steps = 5000
    spikes, probability = torch.zeros(steps, 1, 3, 1), torch.zeros(steps, 1, 3, 1)
    spikes[:-1], spikes[-1, 0, 2] = 1.0, 1.0  # class 2 leads by one spike of 5000
    probability[:, 0, :2] = 1.0
    probability[0, 0, 0] -= 1e-3  # class 1 leads class 0 by little
    record = Record(spikes, probability, torch.zeros(steps, 1, 3), None)
    assert readout.predict(record).tolist() == [2]
    without = Record(spikes[:, :, :2], probability[:, :, :2], torch.zeros(steps, 1, 2), None)
    assert readout.predict(without).tolist() == [1]


def test_only_the_steps_that_count_have_spikes_and_probabilities():
    record, mask = random_record(steps=6), torch.zeros(6, 4)
    mask[4:, :2] = mask[1:3, 2:] = 1
    kept = readout.masked(record, mask)
    for part in ("spikes", "probability"):
        whole, left = getattr(record, part), getattr(kept, part)
        assert torch.equal(left[4:, :2], whole[4:, :2])
        assert torch.equal(left[1:3, 2:], whole[1:3, 2:])
        assert left.sum() == whole[4:, :2].sum() + whole[1:3, 2:].sum()
    # The last step alone prefers class 0, which spikes and is the more probable of the two.
    last = readout.last_steps(*HAND_MADE.spikes.shape[:2], 1)
    assert readout.predict(readout.masked(HAND_MADE, last)).tolist() == [0]


def test_without_a_window_or_padding_all_steps_count():
    assert readout.last_steps(3, 2, None) is None
    assert readout.last_steps(3, 2, 3) is None
    assert readout.masked(HAND_MADE, None) is HAND_MADE


def test_the_last_steps_end_where_the_padding_begins():
    lengths = torch.tensor([4, 2, 1])
    assert readout.last_steps(4, 3, None, lengths).T.tolist() == [
        [1, 1, 1, 1],
        [1, 1, 0, 0],
        [1, 0, 0, 0],
    ]
    assert readout.last_steps(4, 3, 2, lengths).T.tolist() == [
        [0, 0, 1, 1],
        [1, 1, 0, 0],
        [1, 0, 0, 0],
    ]
    assert readout.last_steps(4, 2, 1).T.tolist() == [[0, 0, 0, 1]] * 2


@pytest.mark.parametrize("steps", [0, -1, 4])
def test_a_window_that_does_not_fit_is_refused(steps):
    with pytest.raises(
        ValueError, match=rf"report_steps must be an integer in 1\.\.3, but is {steps}"
    ):
        readout.last_steps(3, 2, steps)


def test_all_channels_vote():
    record = random_record()
    by_hand = record.spikes.detach().movedim(3, 1).reshape(12, 4, 3).sum(dim=0)
    assert torch.equal(readout.count(record).detach(), by_hand)
    spikes = torch.zeros(3, 1, 2, 2)
    spikes[1, 0, 0, 1] = 1.0  # fires on the second channel alone
    quiet = Record(spikes, torch.zeros(3, 1, 2, 2), torch.zeros(3, 1, 2), None)
    assert readout.first_spike(quiet).tolist() == [[2, 0]]


def test_predictions_are_class_indices_without_gradient():
    predicted = readout.predict(random_record())
    assert predicted.dtype == torch.int64
    assert predicted.shape == (4,)


def test_predict_refuses_an_unknown_readout(own_checks):
    with pytest.raises(ValueError, match="one of count, probability, first_spike, but is 'vote'"):
        readout.predict(HAND_MADE, "vote")


@pytest.mark.parametrize("on", ["probability", "count"])
def test_cross_entropy_is_that_of_the_softmax_of_the_scores(on):
    record, labels = random_record(), torch.tensor([0, 2, 1, 1])
    scores = getattr(readout, on)(record)
    chosen = scores.softmax(dim=1)[torch.arange(4), labels]
    loss = readout.cross_entropy(record, labels, on=on)
    assert loss.item() == pytest.approx(-chosen.log().mean().item(), rel=1e-12)


@pytest.mark.parametrize(("on", "field"), [("probability", "probability"), ("count", "spikes")])
def test_cross_entropy_pulls_the_true_class_up_and_the_others_down(on, field):
    record, labels = random_record(), torch.tensor([0, 2, 1, 1])
    readout.cross_entropy(record, labels, on=on).backward()
    gradient = getattr(record, field).grad
    true = torch.nn.functional.one_hot(labels, 3)[None, :, :, None].bool().expand_as(gradient)
    assert torch.all(gradient[true] < 0)
    assert torch.all(gradient[~true] > 0)


@pytest.mark.parametrize("on", ["probability", "count"])
def test_cross_entropy_reaches_every_weight_that_a_spike_passed(on):
    generator = seeded(0)
    network = SpikingNetwork([6, 5, 3], generator=generator, dtype=torch.float64)
    with torch.no_grad():
        for synapses in synapses_of(network):
            synapses.weight.abs_()  # so that most hidden neurons fire
    spikes = torch.ones(4, 8, 6, 1, dtype=torch.float64)
    hidden, output = network(spikes, generator=generator).layers
    readout.cross_entropy(output, torch.arange(8) % 3, on=on).backward()
    for synapses, arriving in zip(synapses_of(network), (spikes, hidden.spikes), strict=True):
        fired = arriving.sum(dim=(0, 1, 3)) > 0
        assert fired.sum() >= 4
        assert torch.all(synapses.weight.grad[..., fired] != 0)


@pytest.mark.parametrize("certain", [0.0, 1.0])
def test_certain_probabilities_give_a_finite_loss_and_gradient(certain):
    probability = torch.full((5, 2, 3, 1), certain, requires_grad=True)
    record = Record(torch.full((5, 2, 3, 1), certain), probability, torch.zeros(5, 2, 3), None)
    loss = readout.cross_entropy(record, torch.tensor([0, 2]))
    loss.backward()
    assert loss.item() == pytest.approx(torch.log(torch.tensor(3.0)).item())
    assert torch.all(probability.grad.isfinite())


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (
            lambda: torch.tensor([0, 1, 2, 3]),
            ValueError,
            r"labels must lie in 0\.\.2, .* from 0 to 3",
        ),
        (
            lambda: torch.tensor([0, 1, 2, -1]),
            ValueError,
            r"labels must lie in 0\.\.2, .* from -1 to 2",
        ),
        (
            lambda: torch.tensor([0, 1, 2]),
            ValueError,
            r"labels must have shape \(4,\), but has \(3,\)",
        ),
        (lambda: torch.zeros(4, 1).long(), ValueError, r"labels must have shape \(4,\)"),
        (
            lambda: torch.zeros(4),
            TypeError,
            "labels must have dtype torch.int64, but have torch.float32",
        ),
        (lambda: torch.zeros(4, device="meta").long(), ValueError, "must lie on one device"),
    ],
)
def test_cross_entropy_refuses_labels(own_checks, make, error, message):
    with pytest.raises(error, match=message):
        readout.cross_entropy(random_record(), make())


def test_cross_entropy_refuses_an_empty_batch_and_an_unknown_score(own_checks):
    with pytest.raises(ValueError, match="labels must hold at least one label"):
        readout.cross_entropy(random_record(batch=0), torch.zeros(0, dtype=torch.int64))
    with pytest.raises(ValueError, match="on must be 'probability' or 'count', but is 'spikes'"):
        readout.cross_entropy(random_record(), torch.zeros(4, dtype=torch.int64), on="spikes")
