"""Training on a quantum backend: what measures the spikes, what it will cost, how it is sent."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.quantum.shift_rules import Setting
from sqsnn.training.build import build_network, build_rule
from sqsnn.training.config import Recipe
from sqsnn.training.neurons import build_circuit
from sqsnn.training.run_folder import RunFolder

if TYPE_CHECKING:
    from sqsnn.hardware import DeviceBits, Executor
    from sqsnn.hardware.cost import Estimate, Total


def build_source(recipe: Recipe) -> "DeviceBits | None":
    """Build what measures the network's spikes, or None where they are simulated.

    Args:
        recipe: the settings.

    Raises:
        HardwareError: if there is no such backend, or it cannot run the neurons.
    """
    rule = recipe.rule
    if rule.backend is None:
        return None
    # Here and not above: the extra `hardware` may not be installed.
    from sqsnn import hardware

    device = hardware.find(rule.backend)
    executor = hardware.Executor(device, pack=rule.pack, threads=recipe.training.threads)
    # Refuses what cannot run, before there is a run folder.
    executor.compiled(build_circuit(recipe.model), recipe.encoding.steps)
    return hardware.DeviceBits(executor)


@contextmanager
def measuring(source: "DeviceBits | None", recipe: Recipe, folder: RunFolder) -> Iterator[None]:
    """While a network trains: keep the jobs on a real device, so that a training that died half-way
    pays for none twice, and send them in the batch or session that settings ask for.

    Args:
        source: what `build_source` gave.
        recipe: the settings.
        folder: where the jobs are kept.
    """
    if source is None or source.executor.device.kind != "ibm":
        yield
        return
    from sqsnn import hardware
    from sqsnn.hardware import ibm

    executor = source.executor
    executor.journal = hardware.Journal(folder.jobs)
    with ibm.open_mode(executor.device.backend, recipe.rule.mode) as mode:
        executor.mode = mode
        yield


def estimate(
    source: "DeviceBits",
    recipe: Recipe,
    features: int,
    classes: int,
    *,
    train: int,
    validation: int,
    test: int,
    epochs: int,
) -> "Total":
    """Estimate what a training takes of a backend, with validation and the test at the end.

    A step of the rule is played through on blank samples, to see which circuits it asks for.

    Args:
        source: what `build_source` gave.
        recipe: the settings.
        features: values of a sample.
        classes: number of classes.
        train: training samples.
        validation: validation samples, looked at once an epoch.
        test: test samples, looked at once.
        epochs: epochs that are still to be done.
    """
    from sqsnn import hardware
    from sqsnn.hardware.cost import Total

    network = build_network(recipe, features, classes)
    batch, steps = recipe.training.batch_size, recipe.encoding.steps
    like = next(network.parameters())
    generator = torch.Generator(like.device).manual_seed(0)

    def learned(samples: int) -> Total:
        asking = _Asking(source.executor)
        labels = torch.zeros(samples, dtype=torch.int64, device=like.device)
        spikes = like.new_zeros(steps, samples, features, 1)
        build_rule(recipe, asking).step(network, spikes, labels, generator)
        return Total.of(asking.asked)

    def evaluated(samples: int) -> Total:
        asking = _Asking(source.executor)
        spikes = like.new_zeros(steps, samples, features, 1)
        hardware.run_network(network, spikes, asking, generator)
        return Total.of(asking.asked)

    def in_batches(samples: int, one: Callable[[int], Total]) -> Total:
        whole, rest = divmod(samples, batch)
        return Total.of(
            one(size).times(number) for number, size in ((whole, batch), (1, rest)) if number * size
        )

    epoch = Total.of([in_batches(train, learned), in_batches(validation, evaluated)])
    return Total.of([epoch.times(epochs), in_batches(test, evaluated)])


class _Asking:
    """A source of bits that runs nothing, says that nobody fires, and keeps what was asked."""

    def __init__(self, executor: "Executor") -> None:
        self._executor = executor
        self.asked: list[Estimate] = []

    def sample(
        self,
        neurons: SQSNeurons,
        currents: Float[Tensor, "W B H N"],
        settings: Sequence[Setting],
        shots: int,
        generator: torch.Generator,
    ) -> Bool[Tensor, "settings shots W B H N"]:
        """See `BitSource.sample`."""
        steps, batch = currents.shape[:2]
        rows = len(settings) * batch * neurons.size
        self.asked.append(self._executor.estimate(neurons.circuit, steps, rows, shots))
        shape = (len(settings), shots, *currents.shape)
        return torch.zeros((), dtype=torch.bool, device=currents.device).expand(shape)
