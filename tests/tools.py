"""Helpers that the tests of several rooms share."""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reference
import reference_drive
import torch
from elsewhere import THERE
from hypothesis import strategies as st
from scipy.stats import chisquare
from torch import Tensor

from sqsnn.native import library
from sqsnn.network import SpikingNetwork
from sqsnn.neurons.drive import Drive, Leaky, Rectified, Saturating
from sqsnn.neurons.population import Population
from sqsnn.neurons.sqs import SQSNeurons, SQSState
from sqsnn.quantum import instrument, replay
from sqsnn.quantum.circuit import Circuit
from sqsnn.quantum.control import Fixed, Turns
from sqsnn.quantum.noise import Noise
from sqsnn.quantum.shift_rules import Shifts
from sqsnn.runs import folder, run
from sqsnn.runs.folder import RunFolder
from sqsnn.runs.run import Watcher
from sqsnn.settings.run import RunSettings, from_flat
from sqsnn.synapses import Synapses
from sqsnn.training.progress import Epoch, Progress, Step


def populations_of(network: SpikingNetwork) -> list[Population]:
    """The populations of a network, in order."""
    return [network.population(name) for name in network.names]


def synapses_of(network: SpikingNetwork) -> list[Synapses]:
    """The synapses of all connections of a network, in order."""
    return [pathway.synapses for pathway in network.pathways]


def layer_of(network: SpikingNetwork, parameter: str) -> int:
    """The number of the layer, from 0, that a parameter of a network of layers belongs to."""
    part, place, _ = parameter.split(".", 2)
    return int(place) if part == "pathways" else network.names.index(place)


def sizes_of(network: SpikingNetwork) -> tuple[int, ...]:
    """The inputs of a network and the sizes of its populations."""
    return (math.prod(network.inputs), *(population.size for population in populations_of(network)))


_KERNEL = library.open_build(torch.backends.cpu.get_cpu_capability())
needs_kernel = pytest.mark.skipif(_KERNEL.obstacle is not None, reason=str(_KERNEL.obstacle))


def on_all_builds(monkeypatch: pytest.MonkeyPatch, compute: Callable[[], list[Tensor]]) -> None:
    """Compare, bit for bit, what the builds of the kernel compute; skip where only one runs."""
    if torch.backends.cpu.get_cpu_capability() != "AVX512":
        pytest.skip("this processor runs one build alone")
    found = []
    for capability in library.BUILDS:
        built = library.open_build(capability)
        if built.obstacle is not None:
            pytest.skip(built.obstacle)
        monkeypatch.setattr(library, "load", lambda built=built: built.kernel)
        found.append(compute())
    assert all(map(torch.equal, *found))


def seeded(seed: int = 0) -> torch.Generator:
    """Make a generator with a seed, on the default device where that computes."""
    device = torch.get_default_device()
    computes = device.type == "cuda" or device == THERE
    return torch.Generator(device if computes else "cpu").manual_seed(seed)


# quantum

CIRCUITS = ("crx", "bidirectional", "integrate_and_fire", "hardware_efficient")
ALL_CIRCUITS = (*CIRCUITS, "clock", "universal")  # with those that generate spike trains
NEED_MEMORY = ("integrate_and_fire", "clock")


def circuit_cases(
    names: Sequence[str] = ALL_CIRCUITS,
    channels: Sequence[int] = (1, 2, 3),
    memory_qubits: Sequence[int] = (0, 1, 2, 3),
) -> list[tuple[str, int, int]]:
    """Every named circuit (name, N, M) at every size that it can have and a test can wait for."""
    return [
        (name, N, M)
        for name, N, M in itertools.product(names, channels, memory_qubits)
        if (name not in NEED_MEMORY or M > 0) and (name not in ("clock", "universal") or N + M < 6)
    ]


def random_angles(circuit: Circuit, neurons: int = 1, seed: int = 0) -> Tensor:
    """Angles of a circuit, `(neurons, parameters)`, normal with deviation 2."""
    shape = (neurons, circuit.parameters)
    return 2 * torch.randn(shape, generator=seeded(seed), dtype=torch.float64)


def frame_change(qubits: int) -> Tensor:
    """D = diag(1, -i) on every qubit, by the reference."""
    return torch.as_tensor(reference.on({q: np.diag([1, -1j]) for q in range(qubits)}, qubits))


# Every drive; those with a reset of K steps stand for each other where one law holds for all.
DRIVES: dict[str, Drive] = {
    "rectified": Rectified(),
    "saturating": Saturating(),
    "leaky": Leaky(),
    **{f"leaky, K = {K}": Leaky(reset_steps=K) for K in range(5)},
}


def for_drives(*names: str) -> pytest.MarkDecorator:
    """Run a test with every drive, or with those of these names."""
    chosen = names or tuple(DRIVES)
    return pytest.mark.parametrize("drive", [DRIVES[name] for name in chosen], ids=chosen)


def quantum_neurons(
    circuit: str | Circuit,
    channels: int = 1,
    memory_qubits: int = 1,
    size: int = 2,
    noise: Noise | None = None,
    drive: Drive = DRIVES["rectified"],
) -> SQSNeurons:
    """Neurons in double precision, angles, gains and drive far from any special value."""
    neurons = SQSNeurons(
        size,
        circuit=circuit,
        channels=channels,
        memory_qubits=memory_qubits,
        noise=noise,
        drive=drive,
        dtype=torch.float64,
        encoding_slope="exact",
        generator=seeded(0),
    )
    with torch.no_grad():
        neurons.angles.normal_(0, 1.5, generator=seeded(0))
        neurons.gains.normal_(0, 1, generator=seeded(1))
        if isinstance(drive, Leaky):
            neurons.beta.uniform_(0.4, 0.9, generator=seeded(6))
            neurons.reset.uniform_(0.2, 1.2, generator=seeded(7))
            neurons.bias.uniform_(-0.2, 0.2, generator=seeded(8))
    return neurons


def p_value(counts: np.ndarray, law: np.ndarray) -> float:
    """Of a chi-square test in which rare sequences, below 5 expected, are counted together."""
    expected = law * counts.sum()
    rare = expected < 5
    if rare.any():
        counts = np.append(counts[~rare], counts[rare].sum())
        expected = np.append(expected[~rare], expected[rare].sum())
    return chisquare(counts, expected, sum_check=False).pvalue


def twin(neurons: SQSNeurons, neuron: int, noise: reference.Noise | None = None):
    """One of the neurons by tests/reference.py, and its drive."""
    angles, gains = neurons.angles[neuron].tolist(), neurons.gains[neuron].tolist()
    channels, memory_qubits = neurons.channels, neurons.memory_qubits
    same = reference.named(neurons.circuit.name, channels, memory_qubits, angles, gains)
    drive = neurons.drive
    if not isinstance(drive, Leaky):
        theirs = reference_drive.Drive(drive.kind)
    else:
        reset = neurons.reset[neuron].tolist()
        theirs = reference_drive.Drive(
            "leaky",
            neurons.beta[neuron].tolist(),
            neurons.bias[neuron].tolist(),
            drive.floor,
            **{"whole_reset" if drive.reset_steps is None else "reset": reset},
        )
    return replace(same, noise=noise or reference.Noise()), theirs


def currents_of_both_signs(neurons: SQSNeurons, steps: int, batch: int = 2) -> Tensor:
    """Currents `(T, B, H, N)`, away from the kink at 0."""
    shape = (steps, batch, neurons.size, neurons.channels)
    z = torch.randn(shape, generator=seeded(2), dtype=torch.float64)
    return z + 0.1 * z.sign()


def assert_equal_states(one: SQSState, other: SQSState) -> None:
    """Compare memory and drive bit for bit."""
    for field, value in one._asdict().items():
        expected = getattr(other, field)
        assert value is expected is None or torch.equal(value, expected), field


def encoded(neurons: SQSNeurons, currents: Tensor) -> Tensor:
    """The angle of every rotation of the encoding, `(T, B, H, E)`."""
    return torch.stack(neurons.encoding_angles(currents), dim=-1).detach()


def replayed_law(
    circuit: Circuit, angles: Tensor, encoding: Tensor, settings: Sequence[Shifts]
) -> Tensor:
    """The exact noiseless law of replayed circuits, `(J, B, H, 2**(N W))`, step 1 the first digit.

    Args:
        circuit: The circuit of one step.
        angles: Its angles, `(H, parameters)`.
        encoding: The angle of every rotation of the encoding, `(W, B, H, E)`.
        settings: The gates that are turned in each of the J circuits.
    """
    driven = torch.ones_like(encoding, dtype=torch.bool)
    turned, by_gate, by_rotation, _ = replay.turn(circuit, angles, encoding, driven, settings)
    steps = [instrument.prepare(turned, each) for each in by_gate]
    remaining = iter(steps)

    def branch(memory: Tensor, turns: Turns) -> Tensor:
        return instrument.branches(next(remaining), memory, torch.stack(list(turns.angles), -1))

    ground = instrument.ground_state(steps[0], encoding.shape[1])
    leaves = instrument.branch_tree(
        circuit, branch, Fixed(by_rotation.unbind(-1)), ground, len(steps)
    )
    law = instrument.squared_norm(leaves).movedim(0, -1)  # (B, J * H, sequences)
    return law.unflatten(1, (len(settings), -1)).movedim(1, 0)


# settings and training

SMALL = {"classes": (0, 1, 2), "train_samples": 80, "test_samples": 40}
SMALL |= {"hidden": (12,), "steps": 4, "epochs": 3, "batch_size": 40}


def small_run(**chosen: Any) -> RunSettings:
    """Make the settings of a small run on digits, changed by settings under their flat names."""
    return from_flat("digits", {**SMALL, **chosen})


def chosen_settings() -> st.SearchStrategy[dict[str, Any]]:
    """Draw settings of a run on digits under their flat names, with kinds that go together."""
    count, share = st.integers(1, 10**6), st.floats(0, 1)

    def some(**optional: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
        return st.fixed_dictionaries({}, optional=optional)

    def kind(choice: str, name: str, **optional: Any) -> st.SearchStrategy[dict[str, Any]]:
        return st.fixed_dictionaries({choice: st.just(name)}, optional=optional)

    feedback = {"feedback": st.sampled_from(["random", "symmetric"])}
    reward = {"samples": st.integers(2, 9), "baseline": st.sampled_from(["running", "none"])}
    signals = st.one_of(
        kind("signal", "feedback", **feedback),
        kind("signal", "reinforce", **reward),
        kind("signal", "both", reward_weight=st.floats(1e-3, 10), **feedback, **reward),
        kind("signal", "none"),
    )
    estimators = st.one_of(
        kind("estimator", "geometric", repeats=count, max_trials=count),
        kind("estimator", "laplace", shots=count),
    )
    scores = st.one_of(
        kind("score", "exact"),
        kind("score", "online", update_every_step=st.booleans()),
        st.tuples(kind("score", "measured", window=count, backend=st.just("aer")), estimators),
    )
    rules = st.one_of(
        some(rate_penalty=st.floats(0, 1e6), rate_bounds=st.just((0.1, 0.2))),
        kind("rule", "backprop", loss_on=st.just("count")),
        st.tuples(kind("rule", "local"), signals, scores),
    )
    neurons = st.one_of(
        some(memory_qubits=st.integers(0, 6), output_memory_qubits=st.integers(0, 6)),
        kind("drive", "leaky", beta=share, floor=st.floats(-2, 0), reset_steps=st.integers(0, 4)),
        kind("drive", "rectified", through_collapse=st.booleans()),
        some(false_spike=share, idle_depolarising=share),
        kind("circuit", "hardware_efficient", circuit_options=some(layers=st.integers(1, 3))),
        kind("neurons", "lif", beta=share, channels=st.integers(1, 4)),
        kind("neurons", "qlif", learn=st.booleans(), encoding_slope=st.just("exact")),
        kind("neurons", "published_sqs", surrogate=st.just("sigmoid")),
    )
    encodings = st.one_of(
        some(steps=count, max_rate=st.floats(1e-6, 1)),
        kind("encoding", "latency", steps=st.integers(2, 9)),
        kind("encoding", "current"),
        kind("encoding", "population", fields=st.integers(3, 9), field_width=st.floats(0.1, 9)),
        kind("encoding", "phase", bits=st.integers(1, 10)),
    )
    others = some(
        hidden=st.lists(count, max_size=3).map(tuple),
        report_steps=st.just(1),
        learning_rate=st.floats(1e-3, 1),
        final_learning_rate=st.floats(1e-12, 1e-3),
        patience=count,
        seed=st.integers(0, 2**62),
        classes=st.lists(st.integers(0, 9), min_size=2, max_size=4).map(tuple),
        train_samples=count,
    )
    return st.tuples(others, neurons, encodings, rules).map(_joined)


def _joined(parts: Any) -> dict[str, Any]:
    """Join nested tuples of dictionaries."""
    if isinstance(parts, dict):
        return parts
    return {name: value for part in parts for name, value in _joined(part).items()}


# The checks of scikit-learn that no training by random batches can pass.
STOCHASTIC = {
    "check_sample_weight_equivalence_on_dense_data": "a repeated sample changes all batches"
}


# runs and command line

TINY = {"classes": (0, 1), "train_samples": 40, "test_samples": 10, "hidden": (3,)}
TINY |= {"steps": 2, "epochs": 1, "batch_size": 20}


class StopAt(Watcher):
    """Interrupts a run at a training step, or after an epoch is kept."""

    def __init__(self, epoch: int, batch: int | None = None) -> None:
        self.place = (epoch, batch)

    def step(self, step: Step) -> None:
        """Interrupt at the batch."""
        if (step.epoch, step.batch) == self.place:
            raise KeyboardInterrupt

    def epoch(self, epoch: Epoch, progress: Progress) -> None:
        """Interrupt after the epoch."""
        if (epoch.metrics["epoch"], None) == self.place:
            raise KeyboardInterrupt


def stopped(settings: RunSettings, path: Path, epoch: int, batch: int | None = None) -> RunFolder:
    """Begin a run that is interrupted at a training step, or after an epoch."""
    with pytest.raises(KeyboardInterrupt):
        run.begin(settings, path, StopAt(epoch, batch), pictures=False)
    return folder.find(path)


def make_old(path: Path) -> None:
    """Write the settings of a run folder of the old format, which named no format."""
    path.mkdir(parents=True, exist_ok=True)
    old = '[data]\ndataset = "digits"\n\n[model]\nhidden = [64]\nneurons = "sqs"\n'
    (path / "config.toml").write_text(old, "utf-8")
