"""From settings to the things they name: network, rule, spikes, random generators.

The trainer, the evaluation and the scikit-learn classifier all build here, so that the same
settings mean the same network everywhere.
"""

from enum import IntEnum

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from sqsnn import encoding as encodings
from sqsnn.checks import check_shape, require_compiler
from sqsnn.data.events import Binning
from sqsnn.errors import ConfigError
from sqsnn.learning.backprop import BackpropRule
from sqsnn.learning.bit_source import BitSource, SimulatedBits
from sqsnn.learning.estimators import Estimator
from sqsnn.learning.local import LocalRule
from sqsnn.learning.online import OnlineLocalRule
from sqsnn.learning.rule import Rule
from sqsnn.learning.scores import ExactScore, MeasuredScore, Score
from sqsnn.learning.signals import LearningSignal
from sqsnn.network import SpikingNetwork
from sqsnn.training.config import EncodingConfig, Recipe, RunConfig, TrainingConfig
from sqsnn.training.neurons import build_neurons
from sqsnn.training.rule_config import RuleConfig
from sqsnn.uniforms import draw_uniforms


class Purpose(IntEnum):
    """What random numbers are for; each purpose has its own stream. Never renumber."""

    WEIGHTS = 0
    ORDER = 1
    TRAINING = 2
    VALIDATION = 3
    TEST = 4
    PREDICTION = 5
    INSPECTION = 6
    DEVICE = 7


def seeded(
    seed: int, purpose: Purpose, *, epoch: int = 0, device: torch.device | str = "cpu"
) -> torch.Generator:
    """Make the generator that a seed, a purpose and an epoch stand for.

    Because it depends on nothing else, a resumed run draws what an uninterrupted one would have
    drawn, and nothing but the number of the epoch has to be kept.

    Args:
        seed: the seed of the run, at least 0, of any size.
        purpose: what the numbers are for.
        epoch: the epoch, from 1, or 0 for what happens once.
        device: where the generator draws.
    """
    sequence = np.random.SeedSequence([seed, int(purpose), epoch])
    # torch takes signed 64-bit seeds: drop one bit.
    state = int(sequence.generate_state(1, np.uint64)[0]) >> 1
    return torch.Generator(device).manual_seed(state)


def choose_device(training: TrainingConfig) -> torch.device:
    """Choose the device; refuse what the machine does not have.

    Args:
        training: the settings of the training loop.

    Returns:
        the device that the settings name.

    Raises:
        ConfigError: if CUDA is asked for where torch finds no CUDA device.
        CompilerMissingError: if `compile` is asked for where there is no C++ compiler.
    """
    if training.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("device is 'cuda', but torch finds no CUDA device here; use --device cpu")
    if training.compile:
        require_compiler()
    return torch.device(training.device)


def build_network(recipe: Recipe, features: int, classes: int) -> SpikingNetwork:
    """Build the network that settings describe, with its first weights.

    The weights are drawn on the CPU and then moved, so that a seed means the same on every device.

    Args:
        recipe: the settings.
        features: values of a sample, one presynaptic neuron each.
        classes: classes, one output neuron each.

    Raises:
        ConfigError: if the neurons cannot be built, or other settings do not go with them.
    """
    training = recipe.training
    network = SpikingNetwork(
        [features, *recipe.model.hidden, classes],
        neurons=build_neurons(recipe),
        generator=seeded(training.seed, Purpose.WEIGHTS),
        dtype=getattr(torch, training.dtype),
    )
    return network.to(training.device)


def build_rule(recipe: Recipe, source: BitSource | None = None) -> Rule:
    """Build the learning rule that settings name.

    Args:
        recipe: the settings.
        source: what measures the spikes of a backend.
    """
    rule, report_steps = recipe.rule, recipe.readout.report_steps
    if rule.rule == "backprop":
        return BackpropRule(
            loss_on=rule.loss_on, rate_penalty=rule.rate_penalty, report_steps=report_steps
        )
    signal = LearningSignal(
        rule.signal,
        feedback=rule.feedback,
        path=rule.feedback_path,
        samples=rule.samples,
        baseline=rule.baseline,
        horizon=rule.horizon,
        discount=rule.discount,
        output_score=rule.output_score,
        reward_weight=rule.reward_weight,
    )
    if rule.score == "online":
        return OnlineLocalRule(signal, report_steps=report_steps)
    return LocalRule(
        signal, score=_build_score(rule, source), report_steps=report_steps, source=source
    )


def _build_score(rule: RuleConfig, source: BitSource | None) -> Score:
    if rule.score not in ("shift", "spsa"):
        return ExactScore()
    estimator = Estimator(
        rule.score, rule.estimator, rule.repeats, shots=rule.shots, max_trials=rule.max_trials
    )
    return MeasuredScore(rule.window, estimator, source or SimulatedBits())


def binning(config: RunConfig) -> Binning | None:
    """How the events of a run's dataset become spike trains; None where it has no events.

    Args:
        config: the settings of the run.
    """
    data = config.data
    if data.duration is None or data.pool is None or data.polarity is None:
        return None
    return Binning(config.encoding.steps, data.duration, data.pool, data.polarity)


def encode(
    encoding: EncodingConfig,
    values: Float[Tensor, "B P"] | Float[Tensor, "B T P"] | Float[Tensor, "B T P N"],
    *,
    generator: torch.Generator,
    shared: bool = False,
) -> Float[Tensor, "T B P N"]:
    """Turn values into spikes as the settings say.

    Args:
        encoding: the settings.
        values: intensities in [0, 1], shape (B, P), or spike trains, shape (B, T, P) or
            (B, T, P, N), where `encoding` is "spikes".
        generator: where the random numbers come from, on the device of `values`.
        shared: give every sample the same random numbers.

    Returns:
        spikes, or the values themselves where `encoding` is "direct", shape (T, B, P, N), N being
            1 but for spike trains of more channels.

    Raises:
        ValueError: if `values` are out of range or do not fit the encoding.
    """
    if encoding.encoding == "spikes":
        channels = ("N",) if values.ndim == 4 else ()
        check_shape("values (encoding 'spikes')", values, ("B", encoding.steps, "P", *channels))
        spikes = values.movedim(1, 0)
        return spikes if channels else spikes.unsqueeze(-1)
    if encoding.encoding == "latency":
        return encodings.latency(values, encoding.steps)
    if encoding.encoding == "direct":
        return encodings.direct(values, encoding.steps)
    if not shared:
        return encodings.rate(
            values, encoding.steps, max_rate=encoding.max_rate, generator=generator
        )
    batch, features = values.shape
    uniforms = draw_uniforms(
        encoding.steps, 1, features, generator, values.dtype, values.device
    ).expand(-1, batch, -1)
    return encodings.rate(values, encoding.steps, max_rate=encoding.max_rate, uniforms=uniforms)
