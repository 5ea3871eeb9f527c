"""Give neurons and learning rules extreme numbers, and see that numbers come back.

Angles, gains, currents, random numbers, spikes and states are drawn from the whole range of their
precision, denormals and powers of ten included. Each case must end in finite numbers, equal to
those of float64 where rounding allows to tell, or in an error of sqsnn that names what is wrong.
Then come long runs in float32, whose memory must keep its norm. Prints tables; the exit status
tells whether all holds.

    python tests/campaigns/extremes.py --cases 10000 --steps 100000 --seed 0
"""

import argparse
import sys
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

import sqsnn
from sqsnn.learning.backprop import Backprop
from sqsnn.learning.estimators import Geometric, Laplace
from sqsnn.learning.local import Local
from sqsnn.learning.online import Online
from sqsnn.learning.scores import Exact, Measured
from sqsnn.learning.signals import Both, Feedback, Reinforce
from sqsnn.network import SpikingNetwork
from sqsnn.neurons.drive import Leaky, Rectified, Saturating
from sqsnn.neurons.lif import LIF
from sqsnn.neurons.population import LARGEST_CURRENT, Population
from sqsnn.neurons.published_sqs import PublishedSQS
from sqsnn.neurons.qlif import QLIF
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.neurons.stochastic_lif import StochasticLIF
from sqsnn.quantum.noise import Noise
from sqsnn.readout import TraceReadout
from sqsnn.readout.traces import Traces

OUTCOMES = ("equal", "finite", "refused", "nan", "wrong", "foreign")
GOOD = ("equal", "finite", "refused")
CIRCUITS = ("crx", "bidirectional", "integrate_and_fire", "hardware_efficient")
DRIVES = (Rectified(), Saturating(), Leaky(), Leaky(reset_steps=2), Leaky(through_reset=False))
CLASSICAL = {"lif": LIF, "stochastic_lif": StochasticLIF, "qlif": QLIF, "published": PublishedSQS}
PACKAGE = str(Path(sqsnn.__file__).parent)
NORM = 1e-5  # how far the squared norm of a memory may be from 1, in float32


class Outcome(NamedTuple):
    """How a case ended."""

    name: str
    kind: str
    text: str = ""


class WrongNumberError(Exception):
    """A number that is not what it must be."""


class Draw:
    """Random numbers of one case, in one precision."""

    def __init__(self, seed: int, number: int) -> None:
        self.rng = np.random.default_rng([seed, number])
        self.dtype = self.choice((torch.float32, torch.float64))
        self.generator = torch.Generator().manual_seed(int(self.rng.integers(2**31)))

    def choice(self, options: Any) -> Any:
        """One of some options."""
        return options[self.rng.integers(len(options))]

    def sometimes(self, chance: float) -> bool:
        """Whether something happens that has this chance."""
        return bool(self.rng.random() < chance)

    def extreme(self, shape: tuple[int, ...], largest: float) -> Tensor:
        """Numbers of all sizes and both signs, up to `largest`."""
        info, count = torch.finfo(self.dtype), int(np.prod(shape))
        tame = self.sometimes(0.3)
        lowest = -3 if tame else np.log10(info.smallest_normal) - 8
        sizes = 10 ** self.rng.uniform(lowest, np.log10(largest), count)
        special = np.array([0, 0, 1, 2, 4, 0.5, info.smallest_normal, info.eps, np.pi, np.pi / 2])
        kinds = self.rng.integers(4, size=count)
        plain, chosen = self.rng.normal(size=count), self.rng.choice(special, count)
        values = np.choose(kinds, [sizes, plain, chosen, np.sqrt(info.smallest_normal) * plain])
        values = np.clip(values * self.rng.choice([1, 1, -1], count), -largest, largest)
        return torch.tensor(values.reshape(shape)).to(self.dtype)

    def uniforms(self, shape: tuple[int, ...]) -> Tensor:
        """Numbers in [0, 1), the ends included."""
        info, drawn = torch.finfo(self.dtype), self.rng.random(shape)
        special = np.array([0, info.smallest_normal, info.smallest_normal / 16, 1 - info.eps / 2])
        picked = np.where(self.rng.random(shape) < 0.3, self.rng.choice(special, shape), drawn)
        return torch.tensor(picked).to(self.dtype).clamp_max(1 - info.eps / 2)


def quantum(draw: Draw) -> SQSNeurons:
    """Quantum neurons of any kind."""
    M, N = int(draw.rng.integers(5)), int(draw.rng.integers(1, 3))
    circuit = draw.choice(CIRCUITS if M else [c for c in CIRCUITS if c != "integrate_and_fire"])
    noise = draw.choice((None, None, None, "density_matrix", "trajectories"))
    if noise == "density_matrix" and N + M > 4:
        noise = None
    rates = draw.choice((0.0, 1e-30, 0.02, 0.5, 1.0))
    options: dict[str, Any] = {}
    if noise is None:
        options["through_collapse"] = draw.sometimes(0.3)
        options["backend"] = draw.choice(("torch", "fused"))
    else:
        options["noise"] = Noise(
            depolarising_1q=rates, amplitude_damping_2q=rates, false_spike=min(rates, 0.5)
        )
        options["noise_simulation"] = noise
    return SQSNeurons(
        3,
        channels=N,
        memory_qubits=M,
        circuit=circuit,
        drive=draw.choice(DRIVES),
        surrogate=draw.choice(("straight_through", "sigmoid")),
        encoding_slope=draw.choice(("exponential", "exact")),
        dtype=draw.dtype,
        generator=draw.generator,
        **options,
    )


def classical(draw: Draw, kind: str) -> Population:
    """Neurons that are no circuits."""
    options: dict[str, Any] = {}
    if "lif" in kind and kind != "qlif":
        options = {
            "backend": draw.choice(("torch", "fused")),
            "through_reset": draw.sometimes(0.5),
            "floor": draw.choice((None, 0.0, -1.0, -1e30)),
        }
    if kind == "stochastic_lif":
        options["tau"] = 10.0 ** draw.rng.uniform(-12, 6)
    return CLASSICAL[kind](3, dtype=draw.dtype, generator=draw.generator, **options)


def spoil(draw: Draw, neurons: Population) -> str | None:
    """Give all parameters extreme values; now and then one that is to be refused, by this name."""
    refused = None
    for name, parameter in neurons.named_parameters():
        if draw.sometimes(0.3):
            continue
        with torch.no_grad():
            parameter.copy_(draw.extreme(tuple(parameter.shape), LARGEST_CURRENT))
            if parameter.numel() and draw.sometimes(0.01):
                wrong = draw.choice((np.nan, np.inf, -np.inf, 1e30))
                parameter.view(-1)[-1] = wrong
                refused = f"{refused or ''} {name}"
    return refused


def judge_neurons(draw: Draw, kind: str) -> Outcome:
    """Run neurons in two pieces, forward and back."""
    neurons = quantum(draw) if kind == "sqs" else classical(draw, kind)
    steps, batch = int(draw.rng.integers(2, 7)), 2
    shape = steps, batch, neurons.size, neurons.channels
    currents = draw.extreme(shape, LARGEST_CURRENT)
    refused = spoil(draw, neurons)
    if draw.sometimes(0.02):
        currents.view(-1)[0] = draw.choice((np.nan, np.inf, -np.inf, 1.5e6))
        refused = refused or "currents"
    simulation = getattr(neurons, "noise_simulation", "") if getattr(neurons, "noise", 0) else ""
    samples = simulation == "trajectories"
    given: dict[str, Tensor]
    if draw.sometimes(0.4) and not samples:
        given = {"observed": torch.tensor(draw.rng.integers(2, size=shape)).to(draw.dtype)}
    else:
        given = {"uniforms": draw.uniforms((steps, batch, *neurons.uniforms_shape))}
    currents.requires_grad_()
    half = steps // 2
    try:
        with torch.set_grad_enabled(not samples):
            first, state = neurons(currents[:half], **{k: x[:half] for k, x in given.items()})
            second, state = neurons(
                currents[half:], state, **{k: x[half:] for k, x in given.items()}
            )
    except (ValueError, TypeError) as error:
        if refused is None or str(error).split()[0] not in refused:
            raise
        return Outcome("refused", kind, str(error))
    if refused is not None:
        raise WrongNumberError(f"{refused} should have been refused")
    parts = [torch.cat(pair) for pair in zip(first[:3], second[:3], strict=True)]
    spikes, probability, likelihood = parts
    check_record(neurons, parts, drawn="uniforms" in given, samples=samples)
    check_state(neurons, state, simulation)
    if samples:
        return Outcome("finite", kind)
    check_gradients(draw, neurons, currents, parts, state)
    compared = compare(neurons, currents, spikes.detach(), probability.detach(), likelihood)
    return Outcome("equal" if compared else "finite", kind)


def check_record(neurons: Population, parts: list[Tensor], *, drawn: bool, samples: bool) -> None:
    """Refuse probabilities outside [0, 1], and likelihoods that no law gives."""
    spikes, probability, likelihood = parts
    if not bool(((spikes == 0) | (spikes == 1)).all()):
        raise WrongNumberError("spikes are not 0 and 1")
    if not bool(((probability >= 0) & (probability <= 1)).all()):
        raise WrongNumberError(f"probability runs from {probability.min()} to {probability.max()}")
    if samples:
        return
    # Of density matrices, rounding after a rare event can break positivity.
    most = 0.1 if getattr(neurons, "noise", None) is not None else 1e-5
    if bool(likelihood.isnan().any()) or float(likelihood.detach().max()) > most:
        raise WrongNumberError(f"likelihood runs from {likelihood.min()} to {likelihood.max()}")
    if drawn and not bool(likelihood.isfinite().all()):
        raise WrongNumberError("drawn spikes are impossible")


def check_state(neurons: Population, state: Any, simulation: str) -> None:
    """Refuse a state that is not finite, or a memory whose norm is neither 1 nor 0."""
    for name, part in state._asdict().items():
        if part is not None and not bool(
            torch.view_as_real(part).isfinite().all()
            if part.is_complex()
            else part.isfinite().all()
        ):
            raise WrongNumberError(f"state.{name} is not finite")
    if not isinstance(neurons, SQSNeurons):
        return
    if simulation == "density_matrix":
        norms = state.memory.diagonal(dim1=-2, dim2=-1).real.sum(-1)
    else:
        norms = state.memory.abs().square().sum(-1)
    off = (norms - 1).abs()[norms != 0]
    if len(off) and float(off.max()) > NORM:
        raise WrongNumberError(f"a memory has squared norm {1 + float(off.max())}")


def check_gradients(
    draw: Draw, neurons: Population, currents: Tensor, parts: list[Tensor], state: Any
) -> None:
    """Refuse a gradient that is not finite."""
    weights = [torch.tensor(draw.rng.normal(size=tuple(x.shape))).to(x) for x in parts]
    chosen = [draw.sometimes(0.6) for _ in range(4)]
    terms = [
        (weight * torch.where(x.isfinite(), x, 0.0)).sum()
        for weight, x, wanted in zip(weights, parts, chosen, strict=False)
        if wanted and x.requires_grad
    ]
    if chosen[3]:
        terms += [
            (torch.view_as_real(x) if x.is_complex() else x).sum()
            for x in state
            if x is not None and x.requires_grad
        ]
    if not terms:
        return
    torch.stack(terms).sum().backward()
    for name, parameter in [("currents", currents), *neurons.named_parameters()]:
        if parameter.grad is not None and not bool(parameter.grad.isfinite().all()):
            raise WrongNumberError(f"the gradient by {name} is not finite")


def compare(
    neurons: Population, currents: Tensor, spikes: Tensor, probability: Tensor, likelihood: Tensor
) -> bool:
    """Compare with float64 through torch, as far as rounding allows; whether it does at all."""
    if not isinstance(neurons, SQSNeurons) or neurons.noise is not None:
        return False
    exact = double(neurons)
    # The potentials of float32 are those that the angles of both come from.
    with torch.no_grad():
        potentials = neurons.potentials(currents.detach(), spikes)
        if not isinstance(neurons.drive, Rectified):  # beyond 1 all are the same
            potentials = potentials.clamp(-LARGEST_CURRENT, LARGEST_CURRENT)
        record, _ = exact(potentials.double(), observed=spikes.double())
    coarse = neurons.angles.dtype == torch.float32
    tolerance, rare = (3e-5, 1e-3) if coarse else (1e-9, 1e-3)
    # From a rare event on, its own rounding counts; and a likelihood adds the channels' together.
    common = (record.log_likelihood > np.log(rare)).cumprod(0).bool()
    before = torch.cat([torch.ones_like(common[:1]), common[:-1]])
    size = neurons.gains.detach().abs().amax(-1) if neurons.gains.numel() else torch.ones(1)
    before = before & (size < 1e3)
    off = (record.probability - probability.double()).abs()[before]
    if off.numel() and float(off.max()) > tolerance:
        raise WrongNumberError(f"a probability is off by {float(off.max()):g}")
    off = (record.log_likelihood - likelihood.detach().double()).abs()[common & before]
    if off.numel() and float(off.max()) > 100 * tolerance:
        raise WrongNumberError(f"a likelihood is off by {float(off.max()):g}")
    return True


def double(neurons: SQSNeurons) -> SQSNeurons:
    """The same circuits in float64, without a membrane, through torch."""
    drive = Rectified() if isinstance(neurons.drive, Rectified) else Saturating()
    twin = SQSNeurons(
        neurons.size,
        channels=neurons.channels,
        memory_qubits=neurons.memory_qubits,
        circuit=neurons.circuit,
        drive=drive,
        backend="torch",
        dtype=torch.float64,
        generator=torch.Generator(),
    )
    with torch.no_grad():
        twin.angles.copy_(neurons.angles)
        twin.gains.copy_(neurons.gains)
    return twin


def judge_rule(draw: Draw) -> Outcome:
    """Let a rule learn from a batch with extreme parameters."""
    signal = draw.choice(
        (Feedback(), Feedback("symmetric"), Reinforce(samples=2), Both(reward=Reinforce(samples=2)))
    )
    score = draw.choice(
        (
            Exact(),
            Online(),
            Measured(),
            Measured(window=2, estimator=Laplace(shots=4)),
            Measured(estimator=Geometric(max_trials=5)),
        )
    )
    backprop = Backprop(draw.choice(("probability", "count")), rate_penalty=0.1)
    rule: Any = draw.choice((backprop, Local(signal, score), Local(signal, score)))
    gaussian = draw.sometimes(0.3)
    values = draw.sometimes(0.3) and not isinstance(getattr(rule, "score", None), Online)
    sizes = {"memory_qubits": int(draw.rng.integers(3)), "drive": draw.choice(DRIVES)}
    readout = None
    if values:
        kind = Traces(value_loss="gaussian" if gaussian else "squared")
        readout = TraceReadout(3, 2, options=kind, generator=draw.generator, dtype=draw.dtype)
    network = SpikingNetwork(
        [4, 5, 3],
        generator=draw.generator,
        dtype=draw.dtype,
        readout=readout,
        backend=draw.choice(("torch", "fused")),
        **sizes,
    )
    for name in network.names:
        for parameter in network.population(name).parameters():
            if draw.sometimes(0.7):
                with torch.no_grad():
                    parameter.copy_(draw.extreme(tuple(parameter.shape), draw.choice((10, 1e6))))
    for pathway in network.pathways:
        for parameter in pathway.parameters():
            with torch.no_grad():
                parameter.copy_(draw.extreme(tuple(parameter.shape), 1e5))
    spikes = torch.tensor(draw.rng.integers(2, size=(4, 3, 4, 1))).to(draw.dtype)
    targets = draw.extreme((3, 2), 1e3) if values else torch.arange(3)
    kind = f"{rule.kind} {rule.score.kind if isinstance(rule, Local) else ''}".strip()
    figures = rule.step(network, spikes, targets, draw.generator)
    for name, figure in figures.items():
        if not np.isfinite(figure):
            raise WrongNumberError(f"{kind}: {name} is {figure}")
    for name, parameter in network.named_parameters():
        if parameter.grad is not None and not bool(parameter.grad.isfinite().all()):
            raise WrongNumberError(f"{kind}: the gradient by {name} is not finite")
    return Outcome("finite", kind)


def judge(seed: int, number: int) -> Outcome:
    """Run one case."""
    draw, kind = Draw(seed, number), "sqs"
    try:
        if number % 5 == 0:
            kind = "rule"
            try:
                return judge_rule(draw)
            except ValueError as error:  # a membrane can leave the range of currents
                if "potentials holds" not in str(error):
                    raise
                return Outcome("refused", kind, str(error))
        if number % 5 == 1:
            kind = draw.choice(tuple(CLASSICAL))
        return judge_neurons(draw, kind)
    except WrongNumberError as error:
        return Outcome("nan" if "not finite" in str(error) else "wrong", kind, str(error))
    except Exception:
        return Outcome("foreign", kind, traceback.format_exc())


def run(count: int, seed: int, first: int = 0) -> list[Outcome]:
    """Run cases; tell on stderr which were not judged well."""
    found = []
    for number in range(first, first + count):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found.append(judge(seed, number))
        if found[-1].name not in GOOD:
            print(f"case {number}: {found[-1]}", file=sys.stderr)
    return found


def drift(M: int, N: int, circuit: str, backend: Any, steps: int, seed: int) -> float:
    """How far the squared norm of a memory in float32 gets from 1."""
    generator = torch.Generator().manual_seed(seed)
    neurons = SQSNeurons(
        8,
        channels=N,
        memory_qubits=M,
        circuit=circuit,
        drive=Rectified(),
        backend=backend,
        generator=generator,
    )
    with torch.no_grad():
        neurons.angles.normal_(0, 1.5, generator=generator)
    worst, state = 0.0, None
    for begin in range(0, steps, 1000):
        length = min(1000, steps - begin)
        currents = torch.randn(length, 1, 8, N, generator=generator)
        with torch.no_grad():
            record, state = neurons(currents, state, generator=generator, keep_memory=True)
        memory: Any = record.memory
        worst = max(worst, float((memory.abs().square().sum(-1) - 1).abs().max()))
        if not bool(record.log_likelihood.isfinite().all()):
            return float("nan")
    return worst


def long_runs(steps: int, seed: int, report: Callable[[str], None]) -> bool:
    """Let memories run for many steps; whether all norms held."""
    good = True
    for M in range(5):
        for N in (1, 2):
            row = []
            for circuit in CIRCUITS:
                if circuit == "integrate_and_fire" and not M:
                    continue
                row.append(drift(M, N, circuit, "fused", steps, seed))
            row.append(
                drift(M, N, "bidirectional", "torch", steps // 100, seed)
            )  # 100 times slower
            worst = float(np.max(row))
            good = good and worst <= NORM
            report(f"{M:2} {N:2} {steps:8} {worst:12.2e}")
    return good


def main() -> int:
    """Run the campaign and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--steps", type=int, default=100_000, help="of the long runs")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    found = run(chosen.cases, chosen.seed, chosen.first)
    print(f"{'':16} cases", *(f"{name:>8}" for name in OUTCOMES))
    for kind in [*sorted({outcome.kind for outcome in found}), "all"]:
        own = [outcome for outcome in found if kind in (outcome.kind, "all")]
        counts = Counter(outcome.name for outcome in own)
        print(f"{kind:16} {len(own):5}", *(f"{counts[name]:8}" for name in OUTCOMES))
    good = all(outcome.name in GOOD for outcome in found)
    if chosen.steps:
        print("\n M  N    steps  norm off by")
        good = long_runs(chosen.steps, chosen.seed, print) and good
    return int(not good)


if __name__ == "__main__":
    sys.exit(main())
