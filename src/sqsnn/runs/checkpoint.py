"""Where training stands, and the best weights, each in one file of tensors that proves itself.

Both say of which settings and which preparation they are, and a checkpoint also which lines of
metrics it continues, so that files of two runs are not mixed. What follows from settings and epoch
is not stored: random generators (`sqsnn.training.build.seeded`), learning rates and momenta.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from pydantic import NonNegativeInt
from torch import Tensor

from sqsnn.data.preparation import Preparation
from sqsnn.errors import CheckpointError
from sqsnn.learning.local import Local
from sqsnn.network import SpikingNetwork
from sqsnn.neurons.driven import DrivenPopulation
from sqsnn.readfile import Stored, checked, digest_of
from sqsnn.runs.tensors import read_tensors, write_tensors
from sqsnn.settings.run import RunSettings
from sqsnn.settings.toml import portable
from sqsnn.training.trainer import Best, Progress, rank

_MOMENTS = {"exp_avg", "exp_avg_sq", "step"}  # what Adam keeps of each parameter


class Header(Stored):
    """What a file of weights says beside its tensors."""

    epoch: NonNegativeInt
    """The epoch that the weights are from, or that training has reached."""
    settings: dict[str, Any]
    preparation: str
    """The digest of preparation.json."""


class BestHeader(Stored):
    """The best epoch so far."""

    epoch: NonNegativeInt
    figures: dict[str, float | None]


class ProgressHeader(Header):
    """What a checkpoint says beside its tensors."""

    metrics: str
    """The digest of the lines of metrics.jsonl, see `chain`."""
    best: BestHeader | None


class Weights(NamedTuple):
    """The weights of a network as a run keeps them."""

    tensors: dict[str, Tensor]
    header: Header
    digest: str


def chain(lines: Iterable[Mapping[str, Any]], digest: str = "") -> str:
    """Give the digest of lines of metrics, from that of the lines before them."""
    for figures in lines:
        digest = digest_of([digest, figures])
    return digest


def save(
    path: Path, progress: Progress, settings: RunSettings, preparation: Preparation, metrics: str
) -> None:
    """Write where training stands, in one step.

    Args:
        path: The file.
        progress: Where training stands.
        settings: The settings of the run.
        preparation: How samples become inputs.
        metrics: The digest of the lines of metrics so far.
    """
    best = progress.best
    tensors = _named("network", progress.network.state_dict())
    tensors |= _named("rule", progress.rule.state_dict())
    for index, state in progress.optimizer.state_dict()["state"].items():
        tensors |= _named(f"optimizer/{index}", state)
    if best is not None:
        tensors |= _named("best", best.weights)
    header = ProgressHeader(
        epoch=progress.epoch,
        settings=_portable(settings),
        preparation=digest_of(preparation.to_json()),
        metrics=metrics,
        best=best and BestHeader(epoch=best.epoch, figures=best.figures),
    )
    write_tensors(path, tensors, header.model_dump())


def read_progress(path: Path) -> tuple[dict[str, Tensor], ProgressHeader]:
    """Read a checkpoint."""
    tensors, header, _ = read_tensors(path)
    return tensors, checked(header, ProgressHeader.model_validate, path)


def load(
    path: Path,
    progress: Progress,
    settings: RunSettings,
    preparation: Preparation,
    lines: Sequence[Mapping[str, Any]],
) -> None:
    """Put training back to where it stood.

    Args:
        path: The file.
        progress: A training that has not begun.
        settings: The settings of the run.
        preparation: How samples become inputs, of the data as they are now.
        lines: The lines of metrics up to the checkpoint.

    Raises:
        CheckpointError: If the file is damaged, or its parts do not fit each other.
    """
    tensors, header = read_progress(path)
    check_origin(path, header, settings, preparation)
    _check_best(path, header, lines)
    parts = {part: _under(part, tensors) for part in ("network", "rule", "best", "optimizer")}
    if unknown := set(tensors) - {f"{part}/{name}" for part in parts for name in parts[part]}:
        raise CheckpointError(f"{path} holds {min(unknown)!r}, which no checkpoint has")
    # All is checked before anything is changed.
    names = progress.network.state_dict()
    for part in ("network", "best") if header.best or parts["best"] else ("network",):
        _check_weights(names, parts[part], path, part)
        for name, found in parts[part].items():
            if found.dtype != names[name].dtype:
                raise CheckpointError(
                    f"{path}: {part}/{name} is {found.dtype}, but must be {names[name].dtype}"
                )
    steps = header.epoch * (_total_steps(progress) // settings.training.epochs)
    moments = _moments(path, progress, parts["optimizer"], steps)
    remembered = parts["rule"]
    for name, kept in remembered.items():
        if not kept.is_floating_point() or kept.isinf().any():
            raise CheckpointError(f"{path}: rule/{name} must hold finite numbers")
    load_weights(progress.network, parts["network"], path)
    device = next(progress.network.parameters()).device
    progress.rule.load_state_dict({name: kept.to(device) for name, kept in remembered.items()})
    if header.epoch:
        # The schedule is a formula in its step, and sets rate and momentum of the optimiser.
        progress.schedule.load_state_dict({"last_epoch": steps - 1, "_step_count": steps + 1})
        progress.schedule.step()
    groups = progress.optimizer.state_dict()["param_groups"]
    progress.optimizer.load_state_dict({"state": moments, "param_groups": groups})
    progress.epoch = header.epoch
    if header.best is not None:
        progress.best = Best(header.best.epoch, header.best.figures, parts["best"])


def save_weights(
    path: Path,
    weights: Mapping[str, Tensor],
    epoch: int,
    settings: RunSettings,
    preparation: Preparation,
) -> None:
    """Write the best weights of a run, in one step."""
    digest = digest_of(preparation.to_json())
    header = Header(epoch=epoch, settings=_portable(settings), preparation=digest)
    write_tensors(path, _named("network", weights), header.model_dump())


def read_weights(path: Path) -> Weights:
    """Read the best weights of a run."""
    if not path.exists():
        raise CheckpointError(
            f"{path} is missing: no epoch of this run has ended yet, or the file was lost"
        )
    tensors, header, digest = read_tensors(path)
    return Weights(_under("network", tensors), checked(header, Header.model_validate, path), digest)


def load_weights(network: SpikingNetwork, weights: Mapping[str, Tensor], path: Path) -> None:
    """Put weights into a network; what does not fit is refused by name, and nothing is changed."""
    _check_weights(network.state_dict(), weights, path)
    try:
        for name, module in network.named_modules():
            if isinstance(module, DrivenPopulation):
                module.set_extra_state(weights[f"{name}._extra_state"])  # which only compares
        network.load_state_dict(dict(weights))
    except (RuntimeError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"{path} holds the weights of another network: {reason}") from error


def load_best(path: Path, network: SpikingNetwork) -> int:
    """Put the best weights of a run into a network."""
    weights, header, _ = read_weights(path)
    load_weights(network, weights, path)
    return header.epoch


def check_settings(path: Path, header: Header, settings: RunSettings) -> None:
    """Refuse a file beside which the settings have changed, or of another run."""
    now, then = _portable(settings), header.settings
    if now != then:
        one, two = dict(_dotted(now)), dict(_dotted(then))
        names = sorted(name for name in one | two if one.get(name) != two.get(name))
        raise CheckpointError(
            f"{path} was written with other settings: {', '.join(names)} changed in config.toml; "
            "change them back, or start a new run"
        )


def check_origin(
    path: Path, header: Header, settings: RunSettings, preparation: Preparation
) -> None:
    """Refuse a file beside which settings or preparation have changed, or of another run."""
    check_settings(path, header, settings)
    if header.preparation != digest_of(preparation.to_json()):
        raise CheckpointError(
            f"{path} was written with another preparation than that of the data, or of "
            f"{path.with_name('preparation.json')}, now: restore the file that changed"
        )


def _check_best(path: Path, header: ProgressHeader, lines: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a best epoch that is not that of the lines of metrics."""
    expected = None
    if lines:
        best = max(lines, key=rank)  # of equals the first
        figures = {name: it for name, it in best.items() if name.startswith("validation_")}
        expected = BestHeader(epoch=best["epoch"], figures=figures)
    if header.epoch != len(lines) or header.best != expected:
        found = "none" if header.best is None else header.best.epoch
        raise CheckpointError(
            f"{path} is of epoch {header.epoch}, with {found} as the best, but metrics.jsonl has "
            f"{len(lines)} lines, of which {expected and expected.epoch} is the best: restore both "
            "from a copy"
        )


def _check_weights(
    names: Mapping[str, Tensor], weights: Mapping[str, Tensor], path: Path, part: str = "network"
) -> None:
    """Refuse weights of other names or shapes, and numbers that are not finite."""
    if missing := sorted(names.keys() ^ weights.keys()):
        where = "lacks" if missing[0] in names else "has"
        raise CheckpointError(
            f"{path} holds the weights of another network: it {where} {part}/{missing[0]}"
        )
    for name, own in names.items():
        found = weights[name]
        if own.is_floating_point() != found.is_floating_point() or (
            own.is_floating_point() and found.shape != own.shape
        ):
            raise CheckpointError(
                f"{path} holds the weights of another network: {part}/{name} has a size mismatch, "
                f"{tuple(found.shape)} of {found.dtype} and not {tuple(own.shape)} of {own.dtype}"
            )
        if found.is_floating_point() and not torch.isfinite(found).all():
            raise CheckpointError(f"{path}: {part}/{name} holds numbers that are not finite")


def _moments(
    path: Path, progress: Progress, tensors: Mapping[str, Tensor], steps: int
) -> dict[int, dict[str, Tensor]]:
    """The state of the optimiser by the number of the parameter, checked against the parameters."""
    every_step = isinstance(progress.rule, Local) and progress.rule.updates_every_step
    found: dict[int, dict[str, Tensor]] = {}
    for index, parameter in enumerate(progress.optimizer.param_groups[0]["params"]):
        state = _under(str(index), tensors)
        if not state and not (steps and parameter.requires_grad):
            continue
        for name in sorted(state.keys() | _MOMENTS):
            fault = _fault(name, state.get(name), parameter, steps, every_step)
            if fault is not None:
                raise CheckpointError(f"{path}: optimizer/{index}/{name} {fault}")
        found[index] = state
    if unknown := set(tensors) - {f"{index}/{name}" for index in found for name in found[index]}:
        raise CheckpointError(f"{path} holds optimizer/{min(unknown)}, of no parameter")
    return found


def _fault(
    name: str, kept: Tensor | None, parameter: Tensor, steps: int, every_step: bool
) -> str | None:
    """Say what is wrong with a tensor of the optimiser."""
    if kept is None or name not in _MOMENTS:
        return "is missing" if kept is None else "is nothing that Adam keeps"
    shape, dtype = tuple(parameter.shape), parameter.dtype
    if name == "step":
        shape, dtype = (), torch.float32
    if (tuple(kept.shape), kept.dtype) != (shape, dtype):
        return f"is {tuple(kept.shape)} of {kept.dtype}, but must be {shape} of {dtype}"
    if not torch.isfinite(kept).all() or (name == "exp_avg_sq" and (kept < 0).any()):
        return "holds numbers that no training gives"
    if name == "step":
        step = float(kept)
        if not (step >= steps and step.is_integer() if every_step else step == steps):
            return f"is {step}, but the epochs so far have {steps} steps"
    return None


def _portable(settings: RunSettings) -> dict[str, Any]:
    """The settings as JSON without the places of files, which may move."""
    return portable(settings).model_dump(mode="json")


def _dotted(table: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, Mapping) and value:
            yield from _dotted(value, f"{above}{name}.")
        else:
            yield above + name, value


def _total_steps(progress: Progress) -> int:
    schedule: Any = progress.schedule
    return schedule.total_steps


def _named(part: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{part}/{name}": tensor for name, tensor in tensors.items()}


def _under(part: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    start = f"{part}/"
    return {
        name.removeprefix(start): tensor
        for name, tensor in tensors.items()
        if name.startswith(start)
    }
