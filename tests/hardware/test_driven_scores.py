"""Scores of driven neurons from a device's bits: recorded spikes replayed by fixed angles.

The spikes are those of a free run on the device, of conditional circuits. Their scores need no
condition: the record says which angle each step had. They are on average the exact gradient.
"""

import pytest
import torch
from tools import quantum_neurons, seeded
from torch import Tensor

from sqsnn.errors import HardwareError
from sqsnn.hardware.bit_source import DeviceBits
from sqsnn.hardware.devices import find
from sqsnn.hardware.executor import Executor
from sqsnn.learning.bit_source import SimulatedBits
from sqsnn.learning.estimators import Geometric
from sqsnn.learning.layers import Layer
from sqsnn.learning.scores import Exact, Measured, Pulled, Signals
from sqsnn.neurons.drive import Leaky
from sqsnn.neurons.population import Record
from sqsnn.neurons.sqs import SQSNeurons

STEPS = 3
DRIVES = {"K = 2": 2, "the whole membrane": None}


def neurons_of(circuit: str, length: int | None, size: int) -> SQSNeurons:
    """Equal neurons, far from any special value and from the kinks of their drive."""
    drive = Leaky(reset_steps=length, through_reset=False)
    neurons = quantum_neurons(circuit, 1, 1, size, drive=drive)
    with torch.no_grad():
        neurons.angles[:] = torch.linspace(0.2, 0.4, neurons.angles.shape[1])
        neurons.gains[:] = 0.8
        neurons.beta.fill_(0.7)
        neurons.bias.fill_(0.1)
        neurons.reset.fill_(0.2)
    return neurons


def layer_of(neurons: SQSNeurons, spikes: Tensor) -> tuple[Layer, Signals]:
    """One sample, the same for all neurons, with the same record and signals."""
    shape = (STEPS, 1, neurons.size, 1)
    rows = torch.tensor([[0.8, 0.3, 0.3], [0.3, -0.5, 0.6], [0.1, 0.7, 1.4]], dtype=torch.float64)
    currents, told, score = (row[:, None, None, None].expand(shape).contiguous() for row in rows)
    currents.requires_grad_()
    unknown = torch.zeros(shape, dtype=torch.float64)
    record = Record(spikes.double().expand(shape).contiguous(), unknown, unknown[..., 0])
    return Layer("output", (), neurons, currents, currents, record), Signals(told, score[..., 0])


def flat(pulled: Pulled) -> Tensor:
    """Gradients by angles, gains, beta, theta, c and currents of every neuron, (H, values)."""
    parts = [part.flatten(1) for part in pulled.parameters]
    return torch.cat([*parts, pulled.currents[:, 0, :, 0].T], dim=1).detach()


@pytest.mark.parametrize("drive", DRIVES)
@pytest.mark.parametrize(("circuit", "scores"), [("crx", "aer"), ("bidirectional", "simulated")])
def test_scores_of_a_free_run_are_on_average_exact(circuit, scores, drive):
    # In all 38 means of 60 draws or more, each beyond 4.7 standard errors by chance once in 60,000
    # (Student's t): one seed in 1600 would fail.
    device, one = DeviceBits(Executor(find("aer"))), neurons_of(circuit, DRIVES[drive], 1)
    source, copies = (device, 60) if scores == "aer" else (SimulatedBits(), 1000)
    blank, _ = layer_of(one, torch.zeros(STEPS, 1, 1, 1))
    spikes = device.run(one, blank.driven.detach(), seeded(1))
    assert spikes.all()  # the likeliest record; each spike has a part in what follows
    layer, signals = layer_of(neurons_of(circuit, DRIVES[drive], copies), spikes)
    estimator = Geometric(repeats=5, max_trials=16)
    pulled = Measured(window=STEPS, estimator=estimator, source=source).pull(
        layer, signals, seeded(2)
    )
    assert pulled.cost.truncations < 1e-3 * pulled.cost.events
    exact, _ = layer_of(one, spikes)
    told = Signals(*(signal[:, :, :1] for signal in signals))
    (truth,) = flat(Exact().pull(exact.with_data(), told, seeded(0)))
    found = flat(pulled)
    off, error = found.mean(0) - truth, found.std(0) / copies**0.5
    assert (off.abs() <= 4.7 * error + 1e-9).all(), off / error
    # Precise enough to tell: what an own spike takes is seen to have a gradient, too.
    reset = layer.population.gains[0].numel() + layer.population.angles[0].numel() + 1
    assert truth[reset].abs() > 5 * error[reset], truth / error


@pytest.mark.parametrize("drive", DRIVES)
def test_scores_need_no_conditions(drive):
    # A device without `if_else` cannot run free, but measures the scores of recorded spikes.
    source, one = DeviceBits(Executor(find("fake_lima"))), neurons_of("crx", DRIVES[drive], 1)
    layer, signals = layer_of(one, torch.tensor([1, 0, 1])[:, None, None, None])
    with pytest.raises(HardwareError, match="fake_lima offers no if_else"):
        source.run(one, layer.driven.detach(), seeded(0))
    score = Measured(window=STEPS, estimator=Geometric(max_trials=5), source=source)
    assert flat(score.pull(layer, signals, seeded(0))).isfinite().all()
    assert source.executor.counts.jobs > 0
