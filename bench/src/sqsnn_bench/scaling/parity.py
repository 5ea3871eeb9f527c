"""Whether processes train what one process trains, and where rounding parts them.

In double precision no spike differs: weights and figures are compared after all steps. In single
precision sums of gradients round otherwise, weights follow, and a firing probability on the other
side of its random number is another spike. Such divergences are counted; the gradients are compared
in a second training whose spikes are those of the process alone.
"""

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from sqsnn.data import load
from sqsnn.learning import Local
from sqsnn.processes import Processes
from sqsnn.settings.run import from_flat
from sqsnn.training import trainer
from sqsnn.training.callback import Callback
from sqsnn.training.machine import threads
from sqsnn.training.progress import Progress, Step
from sqsnn_bench.scaling import team
from sqsnn_bench.shapes.kept import Kept

RULES = ("backprop", "local")
COUNTS = (2, 4)
SIZES: dict[str, Any] = {"dataset": "mnist", "hidden": 1000, "time_steps": 10}
SIZES |= {"batch": 512, "steps": 20, "validated": 1000}
TARGETS = {"float64 weights": 1e-9, "float32 gradients": 1e-5}
Watch = Callable[[str], None]


def measure_all(kept: Kept, watch: Watch) -> None:
    """Compare every rule in both precisions."""
    kept.write({"sizes": SIZES, "targets": TARGETS})
    for rule in RULES:
        for dtype in ("float64", "float32"):
            found = kept.once(
                "trainings", f"{rule}, {dtype}", lambda r=rule, d=dtype: compare(r, d)
            )
            for count, row in found.items():
                figures = ", ".join(f"{name} {_text(value)}" for name, value in row.items())
                watch(f"{rule}, {dtype}, {count} processes: {figures}")


def compare(rule: str, dtype: str) -> dict[str, dict[str, Any]]:
    """Train alone and shared; give the differences by the number of processes."""
    with tempfile.TemporaryDirectory() as folder:

        def train(count: int, name: str, given: str | None = None) -> tuple[Any, str]:
            out = str(Path(folder) / name)
            options = {"rule": rule, "dtype": dtype, "out": out, "given": given, "sizes": SIZES}
            return team.measured(count, "parity", options), out

        alone, spikes_alone = train(1, "alone")
        found = {}
        for count in COUNTS:
            shared, out = train(count, f"free-{count}")
            row: dict[str, Any] = {
                "weights": max(_distances(_weights(spikes_alone), _weights(out)).values()),
                "metrics": _relative(alone, shared),
                "divergences": _divergences(_spikes(spikes_alone, 1), _spikes(out, count)),
            }
            if dtype == "float32":
                _, out = train(count, f"given-{count}", spikes_alone)
                given = _divergences(_spikes(spikes_alone, 1), _spikes(out, count))
                if any(given):
                    raise ValueError(f"the given spikes were not taken over, but differ: {given}")
                row["gradients"] = _gradient_distances(spikes_alone, out)
            found[str(count)] = row
        return found


def measure(
    processes: Processes, rule: str, dtype: str, out: str, given: str | None, sizes: dict[str, Any]
) -> dict[str, Any]:
    """Train as one of the processes; write weights, spikes and gradients, and give the figures."""
    options = {"hidden": (sizes["hidden"],), "steps": sizes["time_steps"], "epochs": 1}
    options |= {"batch_size": sizes["batch"], "dtype": dtype, "seed": 1}
    recipe = from_flat(sizes["dataset"], options | ({"rule": Local()} if rule == "local" else {}))
    dataset = load(sizes["dataset"])
    train = dataset.train.chosen(torch.arange(sizes["batch"] * sizes["steps"]))
    validation = dataset.validation.chosen(torch.arange(sizes["validated"]))
    features, classes = dataset.features, dataset.outputs
    progress = trainer.start(recipe, features, classes, len(train.targets), processes=processes)
    rows = processes.rows(sizes["batch"])
    watcher = Watcher(progress, None if given is None else _spikes(given, 1)[:, :, rows])
    with threads(1):
        (epoch,) = trainer.epochs(progress, recipe, train, validation, [watcher])
    save_file({"spikes": torch.stack(watcher.spikes)}, f"{out}-spikes-{processes.rank}")
    if processes.is_first:
        named = progress.network.state_dict().items()
        save_file({name: value.contiguous() for name, value in named}, f"{out}-weights")
        save_file(watcher.gradients, f"{out}-gradients")
    return epoch.metrics


class Watcher(Callback):
    """Keeps spikes and gradients of every training step, and may give the spikes.

    Args:
        progress: The training.
        given: Spikes of every step, `(steps, T, B, neurons)`, which the neurons then draw.
    """

    def __init__(self, progress: Progress, given: Tensor | None) -> None:
        self.network, self.given = progress.network, given
        self.spikes: list[Tensor] = []
        self.gradients: dict[str, Tensor] = {}
        self.newest: dict[str, Tensor] = {}
        for name in self.network.names:
            self.network.population(name).register_forward_hook(self._keep(name))
        if given is not None:
            self.network.draw_uniforms = self._uniforms

    def step(self, step: Step) -> None:
        """Keep what the step did; gradients as the optimiser took them."""
        layers = [self.newest[name].flatten(2) > 0 for name in self.network.names]
        self.spikes.append(torch.cat(layers, dim=2))
        for name, parameter in self.network.named_parameters():
            if parameter.grad is not None:
                self.gradients[f"{step.batch} {name}"] = parameter.grad.clone()

    def _keep(self, name: str) -> Callable[..., None]:
        def keep(population: object, arguments: object, result: Any) -> None:
            self.newest[name] = result[0].spikes.detach()

        return keep

    def _uniforms(self, steps: int, batch: int, generator: torch.Generator) -> tuple[Tensor, ...]:
        """Give numbers that draw the given spikes: 0 fires if it is possible, just below 1 not."""
        done = len(self.spikes)
        network = self.network
        drawn = type(network).draw_uniforms(network, steps, batch, generator)
        if self.given is None or done == len(self.given):  # validation
            return drawn
        below = torch.nextafter(torch.tensor(1.0), torch.tensor(0.0))
        layers = self.given[done].split([uniform[0, 0].numel() for uniform in drawn], dim=2)
        return tuple(
            torch.where(spikes, 0.0, below).to(uniform.dtype).view_as(uniform)
            for spikes, uniform in zip(layers, drawn, strict=True)
        )


def _weights(out: str) -> dict[str, Tensor]:
    return load_file(f"{out}-weights")


def _spikes(out: str, count: int) -> Tensor:
    parts = [load_file(f"{out}-spikes-{rank}")["spikes"] for rank in range(count)]
    return torch.cat(parts, dim=2)  # the rows of all processes, in turn


def _distances(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> dict[str, float]:
    """Give the largest difference of the numbers of each name."""
    return {
        name: float((value.double() - other[name].double()).abs().max())
        for name, value in one.items()
        if value.numel()
    }


def _relative(one: Mapping[str, Any], other: Mapping[str, Any]) -> float:
    """Give the largest relative difference of figures of the same name."""
    found = [0.0]
    for name, value in one.items():
        one_each = not isinstance(value, list)
        pairs = [(value, other[name])] if one_each else zip(value, other[name], strict=True)
        found += [abs(a - b) / abs(a) for a, b in pairs if a != b]
    return max(found)


def _divergences(one: Tensor, other: Tensor) -> list[float]:
    """Give the share of the spikes of each step that differ."""
    return (one != other).flatten(1).double().mean(dim=1).tolist()


def _gradient_distances(alone: str, shared: str) -> list[float]:
    """Give each step's largest difference, over the largest gradient of its tensor."""
    one, other = load_file(f"{alone}-gradients"), load_file(f"{shared}-gradients")
    steps: dict[int, float] = {}
    for name, distance in _distances(one, other).items():
        step, largest = int(name.split()[0]), float(one[name].abs().max())
        steps[step] = max(steps.get(step, 0.0), distance / largest if largest else distance)
    return [steps[step] for step in sorted(steps)]


def _text(value: Any) -> str:
    if isinstance(value, list):
        return f"{value[0]:.1e} to {max(value):.1e}"
    return f"{value:.1e}"
