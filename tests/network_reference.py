"""A network once more, slow and obviously right: loops over steps, populations and neurons.

A graph is named populations and connections. At step t a connection takes the spikes of its source,
delays those of presynaptic neuron p by d_p steps, lets them decay, and sums them by a matrix:

    x'[t]  = (1 - f) x[t - k] + f x[t - k - 1],   k = floor(d_p), f = d_p - k, nothing before step 0
    x''[t] = sum_j decay^j x'[t - j]              x' itself without a trace
    z[h,n] = sum_pc W[h,n,p,c] x''[p,c] + b[h,n]  summed over all connections into a population

Neurons are those of tests/reference.py behind the drives of tests/reference_drive.py: density
matrices, each of which follows its neuron's own spikes. Nothing here is shared with `sqsnn`, and
nothing here imports torch. A network runs one sample at a time.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import reference
import reference_drive
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Spikes = Mapping[str, Floats]  # (T, neurons, channels) of every population
Neurons = Sequence[tuple[reference.Neuron, reference_drive.Drive]]


# Linear maps as matrices


class Matrix(NamedTuple):
    """A linear map from P presynaptic neurons of C channels to H neurons of N channels."""

    weight: Floats  # (H, N, P, C)
    bias: Floats  # (H, N)


def _map(weight: Floats, bias: ArrayLike | None) -> Matrix:
    shape = weight.shape[:2]
    return Matrix(weight, np.zeros(shape) if bias is None else np.asarray(bias, float))


def matching(weight: ArrayLike, source_channels: int, bias: ArrayLike | None = None) -> Matrix:
    """Channel n to channel n by weights (N, H, P), or one channel of the source to all N.

    `bias` is (H, N) everywhere but in a convolution.
    """
    given = np.asarray(weight, float)
    channels, neurons, presynaptic = given.shape
    made = np.zeros((neurons, channels, presynaptic, source_channels))
    for n in range(channels):
        made[:, n, :, n if source_channels > 1 else 0] = given[n]
    return _map(made, bias)


def convolution(
    kernel: ArrayLike,
    source: Sequence[int],
    source_channels: int,
    stride: int = 1,
    padding: int = 0,
    bias: ArrayLike | None = None,
) -> Matrix:
    """Slide kernels (N, maps, source maps, *size) over a source (source maps, *lengths).

    Weight (h, n, p, c) is the kernel's where the map h, at its place times the stride, reaches p.
    `bias` is (N, maps). Channels as in `matching`.
    """
    given = np.asarray(kernel, float)
    channels, maps, source_maps, *size = given.shape
    lengths = source[1:]
    places = [(n + 2 * padding - k) // stride + 1 for n, k in zip(lengths, size, strict=True)]
    made = np.zeros((maps, *places, channels, *source, source_channels))
    constant = np.zeros((maps, *places, channels))
    for n, m in itertools.product(range(channels), range(maps)):
        for place in itertools.product(*map(range, places)):
            if bias is not None:
                constant[(m, *place, n)] = np.asarray(bias)[n, m]
            for tap in itertools.product(*map(range, size)):
                there = [stride * i + a - padding for i, a in zip(place, tap, strict=True)]
                if all(0 <= at < length for at, length in zip(there, lengths, strict=True)):
                    for c in range(source_maps):
                        to, by = (m, *place, n), (c, *there, n if source_channels > 1 else 0)
                        made[to + by] = given[(n, m, c, *tap)]
    neurons, presynaptic = maps * math.prod(places), math.prod(source)
    weight = made.reshape(neurons, channels, presynaptic, source_channels)
    return Matrix(weight, constant.reshape(neurons, channels))


def all_to_all(weight: ArrayLike, source_channels: int, bias: ArrayLike | None = None) -> Matrix:
    """Every channel to every channel by weights (N, H, P x C), the columns neuron by neuron."""
    given = np.asarray(weight, float)
    channels, neurons, columns = given.shape
    made = given.reshape(channels, neurons, columns // source_channels, source_channels)
    return _map(made.transpose(1, 0, 2, 3), bias)


def pool(window: int, source: Sequence[int], channels: int, source_channels: int) -> Matrix:
    """The mean over windows of a grid, side by side; what is left over at the end feeds nothing."""
    maps, dimensions = source[0], len(source) - 1
    mean = np.full((window,) * dimensions, 1 / window**dimensions)
    kernel = np.zeros((channels, maps, maps, *mean.shape))
    kernel[:, range(maps), range(maps)] = mean
    return convolution(kernel, source, source_channels, stride=window)


def identity(neurons: int, channels: int, source_channels: int) -> Matrix:
    """Neuron p feeds neuron p."""
    return matching([np.eye(neurons)] * channels, source_channels)


def then(first: Matrix, second: Matrix) -> Matrix:
    """The second map of what the first gives."""
    weight = np.einsum("hnqm,qmpc->hnpc", second.weight, first.weight)
    return Matrix(weight, np.einsum("hnqm,qm->hn", second.weight, first.bias) + second.bias)


# Graphs


@dataclass(frozen=True)
class Connection:
    """Spikes of the source, delayed, decaying and summed into currents of the target."""

    source: str
    target: str
    matrix: Matrix
    delays: Sequence[float]  # of each presynaptic neuron, in steps
    trace: float | None = None  # decay per step


@dataclass(frozen=True)
class Graph:
    """Populations by name; their input is named "input"."""

    populations: Mapping[str, Neurons]
    connections: Sequence[Connection]

    def order(self) -> list[str]:
        """The populations such that all that one needs of the same step was computed before it."""
        waiting, known = list(self.populations), {"input"}
        placed: list[str] = []
        while waiting:
            for name in waiting:
                now = [c for c in self.connections if c.target == name and min(c.delays) < 1]
                if all(c.source in known for c in now):
                    break
            else:
                raise ValueError(f"a cycle without delay among {waiting}")
            waiting.remove(name)
            known.add(name)
            placed.append(name)
        return placed


def arriving(connection: Connection, spikes: Sequence[Floats], t: int) -> Floats:
    """What reaches the synapses at step t, (P, C), of the source's spikes up to now."""
    silent = np.zeros((len(connection.delays), connection.matrix.weight.shape[-1]))
    total = silent.copy()
    for p, delay in enumerate(connection.delays):
        whole = math.floor(delay)
        share = delay - whole
        for j in range(t + 1 if connection.trace is not None else 1):
            decayed = 1.0 if connection.trace is None else connection.trace**j
            for lag, part in ((whole, 1 - share), (whole + 1, share)):
                if part > 0 and t - j - lag >= 0:
                    total[p] += decayed * part * spikes[t - j - lag][p]
    return total


class Followed(NamedTuple):
    """What the neurons of a graph did in a sample; each entry has one array per population."""

    spikes: dict[str, Floats]  # (T, H, N), what is fed onward
    probability: dict[str, Floats]  # of each channel, given the past, (T, H, N)
    likelihood: dict[str, Floats]  # p(s_t | past), (T, H)
    currents: dict[str, Floats]  # (T, H, N)

    @property
    def joint(self) -> float:
        """The probability of all spikes of all neurons, given the input."""
        return math.prod(float(np.prod(values)) for values in self.likelihood.values())


Choice = Callable[[str, int, int, Floats], int]  # (population, step, neuron, law) -> outcome
Rows = tuple[tuple[float, ...], ...]  # (steps, channels)


@lru_cache(maxsize=20_000)
def _memories(
    neuron: reference.Neuron, drive: reference_drive.Drive, currents: Rows, bits: Rows, reset: Rows
) -> reference.Matrix:
    """The memory that each outcome of the last step leaves: its trace is P(all spikes so far).

    Currents are those of all steps, bits the own spikes before the last, and reset what of these
    the drive sees.
    """
    if bits:
        before = _memories(neuron, drive, currents[:-1], bits[:-1], reset[:-1])
        memory = before[reference.outcome_index(bits[-1])]
    else:
        memory = reference.start(neuron)
    return reference.step(neuron, memory, reference_drive.encoded(drive, currents, reset))


def _rows(values: Sequence[Floats], neuron: int) -> Rows:
    return tuple(tuple(step[neuron].tolist()) for step in values)


def _follow(
    graph: Graph,
    inputs: Floats,
    choose: Choice,
    onward: Callable[[str, int, Floats, Floats], Floats] = lambda _name, _t, bits, _p: bits,
    *,
    through_reset: bool = False,
) -> Followed:
    """Run all steps; `onward` makes of bits and probabilities (H, N) what other neurons receive.

    Own spikes are bits, but what resets the drive is also what `onward` made `through_reset`.
    """
    received = {"input": list(inputs)} | {name: [] for name in graph.populations}
    done: list[dict[str, list[Floats]]] = [{name: [] for name in received} for _ in range(4)]
    currents, own, probability, likelihood = done
    order = graph.order()
    for t in range(len(inputs)):
        for name in order:
            neurons = graph.populations[name]
            summed = np.zeros((len(neurons), neurons[0][0].channels))
            for connection in graph.connections:
                if connection.target == name:
                    weight, bias = connection.matrix
                    arrived = arriving(connection, received[connection.source], t)
                    summed += np.einsum("hnpc,pc->hn", weight, arrived) + bias
            currents[name].append(summed)
            bits, marginals = np.zeros_like(summed), np.zeros_like(summed)
            chances = np.zeros(len(neurons))
            seen = received[name] if through_reset else own[name]
            for h, (neuron, drive) in enumerate(neurons):
                past, before = _rows(currents[name], h), _rows(own[name], h)
                memories = _memories(neuron, drive, past, before, _rows(seen, h))
                joint = np.einsum("sii->s", memories).real
                law = joint / joint.sum() if joint.any() else joint  # 0 after what cannot happen
                s = choose(name, t, h, law)
                bits[h] = reference.outcome_bits(s, neuron.channels)
                marginals[h] = reference.marginals(law, neuron.channels)
                chances[h] = law[s]
            received[name].append(onward(name, t, bits, marginals))
            own[name].append(bits)
            probability[name].append(marginals)
            likelihood[name].append(chances)
    return Followed(
        *(
            {name: np.array(found[name]) for name in graph.populations}
            for found in (received, probability, likelihood, currents)
        )
    )


def run(graph: Graph, inputs: ArrayLike, uniforms: Mapping[str, ArrayLike]) -> Followed:
    """What a graph does with input spikes (T, P, C) and uniform numbers, (T, H) per population."""
    numbers = {name: np.asarray(values, float) for name, values in uniforms.items()}

    def draw(name: str, t: int, h: int, law: Floats) -> int:
        return reference.draw(law, numbers[name][t, h])

    return _follow(graph, np.asarray(inputs, float), draw)


def _given(spikes: Spikes) -> Choice:
    return lambda name, t, h, _law: reference.outcome_index(spikes[name][t, h])


def score(graph: Graph, inputs: ArrayLike, spikes: Spikes) -> Followed:
    """How probable given spikes of all populations are, (T, H, N) each."""
    return _follow(graph, np.asarray(inputs, float), _given(spikes))


def relaxed(
    graph: Graph,
    inputs: ArrayLike,
    spikes: Spikes,
    at: Spikes,
    *,
    through_reset: bool = False,
) -> Followed:
    """Probabilities where a spike that is fed onward is s + p - p0: what straight-through means.

    The memories follow the spikes s; p0 (`at`) are the probabilities at the point of interest,
    where the values are the network's own. The derivative there is the straight-through gradient.
    """
    start = np.asarray(inputs, float)

    def onward(name: str, t: int, bits: Floats, marginals: Floats) -> Floats:
        return bits + marginals - at[name][t]

    return _follow(graph, start, _given(spikes), onward, through_reset=through_reset)


def potentials(graph: Graph, followed: Followed) -> list[float]:
    """What all neurons encode, at all steps and on all channels: z, or u of a leaky drive."""
    found: list[float] = []
    for name, neurons in graph.populations.items():
        for h, (_, drive) in enumerate(neurons):
            currents = followed.currents[name][:, h].tolist()
            spikes = followed.spikes[name][:, h].tolist()
            for t in range(len(currents)):
                found += reference_drive.potential(drive, currents[: t + 1], spikes[:t])
    return found


def distance_to_kinks(graph: Graph, followed: Followed) -> float:
    """How far the drives of all neurons stay from their kinks: 0, 1 and the floor."""
    return min(
        reference_drive.distance_to_kinks(
            drive, followed.currents[name][:, h].tolist(), followed.spikes[name][:, h].tolist()
        )
        for name, neurons in graph.populations.items()
        for h, (_, drive) in enumerate(neurons)
    )


def every_history(graph: Graph, steps: int) -> Iterator[dict[str, Floats]]:
    """All spikes that a graph can emit in some steps: 2^(steps x neurons x channels) of them."""
    shapes = {
        name: (steps, len(neurons), neurons[0][0].channels)
        for name, neurons in graph.populations.items()
    }
    ends = np.cumsum([math.prod(shape) for shape in shapes.values()])
    for bits in itertools.product((0.0, 1.0), repeat=int(ends[-1])):
        parts = np.split(np.array(bits), ends[:-1])
        yield {
            name: part.reshape(shape)
            for (name, shape), part in zip(shapes.items(), parts, strict=True)
        }


def joint_law(graph: Graph, inputs: ArrayLike) -> Floats:
    """The probability of every history, in the order of `every_history`."""
    given = np.asarray(inputs, float)
    return np.array([score(graph, given, s).joint for s in every_history(graph, len(given))])


def cross_entropy(followed: Followed, output: str, label: int, *, on_spikes: bool = False) -> float:
    """The loss in nats: logits are probabilities (or spikes), summed over steps and channels."""
    logits = (followed.spikes if on_spikes else followed.probability)[output].sum((0, 2))
    return float(np.logaddexp.reduce(logits) - logits[label])


def expected_loss(graph: Graph, inputs: ArrayLike, output: str, label: int) -> float:
    """The mean of the cross-entropy over every history."""
    given = np.asarray(inputs, float)
    found = (score(graph, given, spikes) for spikes in every_history(graph, len(given)))
    return sum(each.joint * cross_entropy(each, output, label) for each in found)
