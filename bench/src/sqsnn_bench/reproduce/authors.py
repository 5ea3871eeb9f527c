"""The local rule of the authors' script, written anew in NumPy; all seeds are trained at once.

Two hidden neurons, the input joined to both layers. The script's neuron, SQS.py, applies both of
its rotations to the qubit that is measured, and takes the state of that qubit after the measurement
for the memory. It so has no quantum memory, but the law of `sqsnn.PublishedSQS`:

    p_t = sin^2((phi_t + theta_in + theta_mem + theta_ent s_{t-1}) / 2)

One sample runs free; then every step t is learned alone, as if no spike came before it:

    output o    sum_t  d log p(target_ot)                  the output of the class should fire
    hidden h    sum_t  l_t d log p(s_ht),                  l_t = sum_o log p_free(target_ot)

    d/d weights   5 random directions of size 0.03, on the input of one connection alone, and then
                  multiplied by 0.03 once more
    d/d angles    [log p(angle + pi/2) - log p(angle - pi/2)] / 2

With no spike before it theta_ent reaches no probability and never learns; theta_in and theta_mem
learn alike. Two terms for log p are no shift rule, since log p is no expectation. All of this is
the script's, not ours. Gradients are clipped value by value; plain steps, no optimiser.

Source: github.com/kclip/SQSNN, SQS.py and SQSNN_locals.py, by the authors of arXiv:2506.21324.
"""

from collections.abc import Callable, Sequence
from typing import Annotated, NamedTuple

import numpy as np
from jaxtyping import Float, Int
from numpy.random import Generator
from pydantic import Field

from sqsnn.options import Count, options

_HIDDEN = OUTPUTS = 2
_TINY = 1e-10  # probabilities are kept so far from 0 and 1
_DIRECTIONS, _SIZE = 5, 0.03
_STARTS = np.pi * np.array([1 / 4, 1 / 3, 1 / 2, 2 / 3])
_LIMIT, _OF_ANGLES = 0.05, 0.02  # of a value of the gradient; the second, of hidden angles


@options
class AuthorsRule:
    """How the script trains."""

    epochs: Count = 100
    """Passes over the samples, one step per sample, always in the same order."""
    steps: Count = 10
    """Time steps; the spikes of a sample are drawn once for all epochs."""
    max_rate: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Highest probability of an input spike: larger values are cut, not scaled."""
    learning_rate: Annotated[float, Field(gt=0)] = 0.02
    """Of outputs; hidden neurons learn at half of it."""


class Neurons(NamedTuple):
    """The angles of neurons, `(seeds, neurons)` each: theta_mem, theta_in and theta_ent."""

    memory: np.ndarray
    channel: np.ndarray
    coupling: np.ndarray

    @property
    def angle(self) -> np.ndarray:
        """What is turned whatever comes in, theta_in + theta_mem."""
        return self.channel + self.memory

    def run(
        self, currents: Float[np.ndarray, "S T H"], uniforms: Float[np.ndarray, "S T H"]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Run from no spike on: spikes and probabilities of a spike, `(S, T, H)`."""
        spikes, probabilities = np.empty_like(currents), np.empty_like(currents)
        last = np.zeros_like(self.coupling)
        for t in range(currents.shape[1]):
            probabilities[:, t] = spike_law(currents[:, t], self.angle + self.coupling * last)
            last = spikes[:, t] = uniforms[:, t] < probabilities[:, t]
        return spikes, probabilities


class Network(NamedTuple):
    """The parameters of all seeds; `learn` changes them in place."""

    hidden: Neurons
    output: Neurons
    to_hidden: np.ndarray  # (S, 2, P)
    skip: np.ndarray  # (S, 2, P)
    to_output: np.ndarray  # (S, 2, 2)

    def run(
        self, inputs: Float[np.ndarray, "S T P"], uniforms: Float[np.ndarray, "2 S T 2"]
    ) -> tuple[np.ndarray, ...]:
        """Run free: the currents without hidden ones, hidden spikes, outputs, and their law."""
        weights = np.concatenate([self.to_hidden, self.skip], axis=1)
        direct = inputs @ weights.swapaxes(1, 2)  # (S, T, 4)
        fired, _ = self.hidden.run(direct[..., :_HIDDEN], uniforms[0])
        above = fired @ self.to_output.swapaxes(1, 2)
        spikes, law = self.output.run(direct[..., _HIDDEN:] + above, uniforms[1])
        return direct, fired, above, spikes, law


def rotations(currents: np.ndarray) -> np.ndarray:
    """Give the angle of the encoding, pi max(z, 0)."""
    return np.pi * np.maximum(currents, 0)


def draw_inputs(
    values: Float[np.ndarray, "B P"], rule: AuthorsRule, generator: Generator
) -> np.ndarray:
    """Draw the spikes of samples, `(B, T, P)`."""
    rates = np.minimum(values, rule.max_rate)[:, None]
    return (generator.random((len(values), rule.steps, values.shape[1])) < rates).astype(float)


def begin(generators: list[Generator], inputs: int) -> Network:
    """Draw the initial parameters, those of each seed from its own generator."""
    return together([_begin(generator, inputs) for generator in generators])


def together(made: Sequence[Network]) -> Network:
    """Join networks of one seed each into one of all seeds."""

    def neurons(each: Sequence[Neurons]) -> Neurons:
        return Neurons(*(np.stack(angles) for angles in zip(*each, strict=True)))

    return Network(
        neurons([one.hidden for one in made]),
        neurons([one.output for one in made]),
        np.stack([one.to_hidden for one in made]),
        np.stack([one.skip for one in made]),
        np.stack([one.to_output for one in made]),
    )


def _begin(generator: Generator, inputs: int) -> Network:
    def angles(count: int) -> Neurons:
        drawn = [
            generator.choice(_STARTS, count) + generator.uniform(-0.05, 0.05, count)
            for _ in Neurons._fields
        ]
        return Neurons(*drawn)

    def weights(presynaptic: int) -> np.ndarray:
        bound = presynaptic**-0.5
        return generator.uniform(-bound, bound, (2, presynaptic))

    network = Network(angles(2), angles(2), weights(inputs), weights(inputs), weights(2))
    network.output.memory[1] += np.pi
    for one in (network.skip, network.to_output):
        one[1] *= -1
    return network


def learn(
    network: Network,
    inputs: Float[np.ndarray, "S T P"],
    labels: Int[np.ndarray, " S"],
    rule: AuthorsRule,
    generators: list[Generator],
) -> None:
    """Take the step of one sample of each seed."""
    seeds, steps, presynaptic = inputs.shape
    uniforms = np.stack([one.random((2, steps, 2)) for one in generators], axis=1)
    direct, fired, above, _, law = network.run(inputs, uniforms)
    target = np.zeros_like(law)
    target[np.arange(seeds), :, labels] = 1
    weight = log_law(law, target).sum(-1, keepdims=True)  # l_t

    # Every neuron asks for its own spikes, hidden ones for those that they emitted.
    wanted = np.concatenate([fired, target], axis=-1)  # (S, T, 4)
    angle = np.concatenate([network.hidden.angle, network.output.angle], axis=-1)[:, None]
    scale = np.concatenate([np.repeat(weight, 2, axis=-1), np.ones_like(target)], axis=-1)
    shape = steps, 4, _DIRECTIONS, presynaptic
    bits = np.stack([_bits(one, shape) for one in generators])  # (S, T, 4, K, P), 0 or 1
    present = inputs[:, :, None, :, None].astype(np.float32)
    along = 2 * (bits @ present)[..., 0] - inputs.sum(-1)[..., None, None]
    slopes = _slopes(direct, _SIZE * along, angle, wanted) * scale[..., None]
    there = slopes.astype(np.float32)[..., None, :] @ bits  # (S, T, 4, 1, P)
    by_input = 2 * there[..., 0, :].sum(1) - slopes.sum((1, 3))[..., None]
    small = np.stack([_bits(one, (steps, 2, _DIRECTIONS, _HIDDEN)) for one in generators])
    signs = 2 * small - 1
    along = (signs * fired[:, :, None, None]).sum(-1)
    slopes = _slopes(above, _SIZE * along, angle[..., _HIDDEN:], target)
    by_hidden = np.einsum("stnk,stnkp->snp", slopes, signs)

    total = direct + np.concatenate([np.zeros_like(above), above], axis=-1)
    ends = [log_law(spike_law(total, angle + turn), wanted) for turn in (np.pi / 2, -np.pi / 2)]
    by_angle = (scale * (ends[0] - ends[1]) / 2).sum(1)

    rate, half = rule.learning_rate, rule.learning_rate / 2
    _add(network.to_hidden, half, by_input[:, :_HIDDEN], _LIMIT / 2)
    _add(network.skip, rate, by_input[:, _HIDDEN:], _LIMIT)
    _add(network.to_output, rate, by_hidden, _LIMIT)
    for angles in (network.hidden.channel, network.hidden.memory):
        _add(angles, half, by_angle[:, :_HIDDEN], _OF_ANGLES)
    for angles in (network.output.channel, network.output.memory):
        _add(angles, rate, by_angle[:, _HIDDEN:], _LIMIT)
    for neurons in (network.hidden, network.output):
        for angles in neurons:
            angles %= 2 * np.pi


def _slopes(
    currents: np.ndarray, along: np.ndarray, angle: np.ndarray, wanted: np.ndarray
) -> np.ndarray:
    """Give what multiplies each direction of signs, averaged over directions, `(S, T, N, K)`."""
    plus, minus = (
        log_law(spike_law(currents[..., None] + way * along, angle[..., None]), wanted[..., None])
        for way in (1, -1)
    )
    return (plus - minus) / 2 / _DIRECTIONS


def spike_law(currents: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Give the probability of a spike."""
    return np.sin((rotations(currents) + angle) / 2) ** 2


def log_law(probability: np.ndarray, spikes: np.ndarray) -> np.ndarray:
    """Give the log-probability of spikes, 0 or 1."""
    kept = np.clip(probability, _TINY, 1 - _TINY)
    return np.log(np.where(spikes > 0, kept, 1 - kept))


def _bits(generator: Generator, shape: tuple[int, ...]) -> np.ndarray:
    count = int(np.prod(shape))
    drawn = np.frombuffer(generator.bytes(-(-count // 8)), np.uint8)
    return np.unpackbits(drawn, count=count).reshape(shape).astype(np.float32)


def _add(values: np.ndarray, rate: float, gradient: np.ndarray, limit: float) -> None:
    values += rate * np.clip(gradient, -limit, limit)


def train(
    train: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    seeds: Sequence[int],
    rule: AuthorsRule,
    watch: Callable[[str], None],
) -> Float[np.ndarray, " S"]:
    """Train a network per seed on values and labels, and test each once, after the last epoch."""
    generators = [np.random.default_rng(seed) for seed in seeds]
    network = begin(generators, train[0].shape[1])
    spikes = np.stack([draw_inputs(train[0], rule, one) for one in generators])
    seen = np.stack([draw_inputs(test[0], rule, one) for one in generators])
    for epoch in range(rule.epochs):
        for number, label in enumerate(train[1]):
            learn(network, spikes[:, number], np.full(len(seeds), label), rule, generators)
        if (epoch + 1) % 10 == 0:
            watch(f"the authors' rule: {epoch + 1} of {rule.epochs} epochs")
    return accuracy(network, seen, test[1], generators)


def accuracy(
    network: Network,
    inputs: Float[np.ndarray, "S B T P"],
    labels: Int[np.ndarray, " B"],
    generators: list[Generator],
) -> Float[np.ndarray, " S"]:
    """Give the share of samples that the counts of spikes name; summed probabilities if all are 0.

    Of equal counts the first class is named, as in the script.
    """
    named = []
    for number in range(len(labels)):
        uniforms = np.stack([one.random((2, inputs.shape[2], 2)) for one in generators], axis=1)
        *_, spikes, law = network.run(inputs[:, number], uniforms)
        counts, summed = spikes.sum(1), law.sum(1)
        named.append(np.where(counts.any(-1), counts.argmax(-1), summed.argmax(-1)))
    return (np.stack(named, axis=1) == labels).mean(1)
