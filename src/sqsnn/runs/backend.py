"""Training on a quantum backend: what measures the spikes, its estimate, and how jobs are sent."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sqsnn.data.dataset import Dataset
from sqsnn.learning.bit_source import Backend, BitSource, run_network
from sqsnn.learning.scores import Measured
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.quantum.shift_rules import Shifts
from sqsnn.readout import Targets, last_steps
from sqsnn.runs.folder import RunFolder
from sqsnn.settings.run import Recipe, RunSettings
from sqsnn.training.build import require_classes
from sqsnn.training.trainer import Progress, fresh_rule

if TYPE_CHECKING:
    from sqsnn.hardware import DeviceBits, Executor
    from sqsnn.hardware.cost import Estimate, Total


def backend_of(recipe: Recipe) -> Backend | None:
    """Find the backend that measures the spikes of a training; None where they are simulated."""
    score = getattr(recipe.rule, "score", None)
    return score.backend if isinstance(score, Measured) else None


def build_source(recipe: Recipe) -> "DeviceBits | None":
    """Build what measures the network's spikes; None where they are simulated."""
    backend = backend_of(recipe)
    if backend is None:
        return None
    require_classes(recipe, f"training on a backend ({backend.backend})")
    # Here and not above: the extra `hardware` may not be installed.
    from sqsnn import hardware

    device, threads = hardware.find(backend.backend), recipe.training.threads
    pack = None if backend.pack == "all" else backend.pack
    return hardware.DeviceBits(hardware.Executor(device, pack=pack, threads=threads))


def is_billed(source: BitSource | None) -> bool:
    """Whether the jobs of a source run on a device of an account."""
    executor = getattr(source, "executor", None)
    return executor is not None and executor.device.kind == "ibm"


@contextmanager
def measuring(source: "BitSource | None", recipe: Recipe, run: RunFolder) -> Iterator[None]:
    """Keep the jobs of a real device while a network trains, and send them as the settings say.

    A training that died half-way then pays for no job twice.
    """
    backend = backend_of(recipe)
    if backend is None or not is_billed(source):
        yield
        return
    from sqsnn import hardware
    from sqsnn.hardware import ibm

    executor: Executor = source.executor  # pyright: ignore[reportAttributeAccessIssue, reportOptionalMemberAccess]
    executor.journal = journal = hardware.Journal(run.jobs)
    with journal.held(), ibm.open_mode(executor.device.backend, backend.mode) as mode:
        executor.mode = mode
        yield


def estimate(settings: RunSettings, dataset: Dataset, progress: Progress) -> "Total":
    """Estimate the jobs of the epochs that are left, with validation and the test at the end.

    A step of the rule is played through on blank samples, which shows the circuits that it runs.
    """
    from sqsnn.hardware.cost import Total

    network, batch = progress.network, settings.training.batch_size
    like = next(network.parameters())
    shape = (settings.encoding.steps, settings.encoding.features(dataset.features), 1)
    generator = torch.Generator(like.device).manual_seed(0)
    executor: Executor = progress.source.executor  # pyright: ignore[reportAttributeAccessIssue, reportOptionalMemberAccess]

    def learned(samples: int) -> Total:
        blank = _Blank(executor)
        labels = torch.zeros(samples, dtype=torch.int64, device=like.device)
        spikes = like.new_zeros(shape[0], samples, *shape[1:])
        rule = fresh_rule(settings, blank)
        mask = last_steps(shape[0], samples, settings.report_steps)
        rule.step(network, spikes, Targets(labels, mask), generator)
        network.zero_grad()
        return Total.of(blank.estimates)

    def evaluated(samples: int) -> Total:
        blank = _Blank(executor)
        run_network(network, like.new_zeros(shape[0], samples, *shape[1:]), blank, generator)
        return Total.of(blank.estimates)

    def in_batches(samples: int, one: Callable[[int], Total]) -> Total:
        whole, rest = divmod(samples, batch)
        return Total.of(
            one(size).times(number) for number, size in ((whole, batch), (1, rest)) if number * size
        )

    train, validation = len(dataset.train.targets), len(dataset.validation.targets)
    epoch = Total.of([in_batches(train, learned), in_batches(validation, evaluated)])
    left = settings.training.epochs - progress.epoch
    return Total.of([epoch.times(left), in_batches(dataset.test_samples, evaluated)])


class _Blank:
    """A source of bits that runs nothing, returns no spikes, and keeps the estimates."""

    def __init__(self, executor: "Executor") -> None:
        self._executor = executor
        self.estimates: list[Estimate] = []

    def run(
        self, neurons: SQSNeurons, currents: Float[Tensor, "T B H N"], generator: torch.Generator
    ) -> Bool[Tensor, "T B H N"]:
        """See `BitSource.run`."""
        from sqsnn.hardware import free_run

        steps, batch = currents.shape[:2]
        planned = free_run.plan(neurons, steps)
        self.estimates.append(free_run.estimate(self._executor, neurons, planned, batch))
        return torch.zeros_like(currents, dtype=torch.bool)

    def sample(
        self,
        neurons: SQSNeurons,
        potentials: Float[Tensor, "W B H N"],
        shifts: Sequence[Shifts],
        shots: int,
        generator: torch.Generator,
    ) -> Bool[Tensor, "shifts shots W B H N"]:
        """See `BitSource.sample`."""
        steps, batch = potentials.shape[:2]
        rows = len(shifts) * batch * neurons.size
        self.estimates.append(self._executor.estimate(neurons.circuit, steps, rows, shots))
        shape = (len(shifts), shots, *potentials.shape)
        return torch.zeros((), dtype=torch.bool, device=potentials.device).expand(shape)
