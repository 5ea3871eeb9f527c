"""Where training stands, in one safetensors file with its JSON in the metadata; never pickle.

Tensors and JSON lie in the same file, so they cannot come apart, and the file is replaced in one
step: after a crash there is the last checkpoint, whole, or none. Random generators need no saving:
they follow from the seed and the number of the epoch (`sqsnn.training.build.seeded`).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from safetensors.torch import save as save_bytes
from torch import Tensor

from sqsnn.errors import CheckpointError
from sqsnn.network import SpikingNetwork
from sqsnn.options import explain
from sqsnn.settings import flat
from sqsnn.settings.run import RunSettings
from sqsnn.settings.toml import FORMAT
from sqsnn.storage import write_atomically
from sqsnn.training.trainer import Best, Progress


class Header(BaseModel):
    """What a file of weights says beside its tensors."""

    model_config = ConfigDict(extra="forbid")

    format: int
    epoch: int
    """The epoch that the weights are from, or that training has reached."""


class BestHeader(BaseModel):
    """The best epoch so far."""

    epoch: int
    figures: dict[str, float | None]


class ProgressHeader(Header):
    """What a checkpoint says beside its tensors."""

    optimizer_groups: list[dict[str, Any]]
    schedule: dict[str, Any]
    best: BestHeader | None
    settings: dict[str, Any]


_Header = TypeVar("_Header", bound=Header)


def save(path: Path, progress: Progress, settings: RunSettings) -> None:
    """Write where training stands, in one step."""
    optimizer = progress.optimizer.state_dict()
    best = progress.best
    tensors = _named("network", progress.network.state_dict())
    tensors |= _named("rule", progress.rule.state_dict())
    for index, state in optimizer["state"].items():
        tensors |= _named(f"optimizer/{index}", state)
    if best is not None:
        tensors |= _named("best", best.weights)
    header = ProgressHeader(
        format=FORMAT,
        epoch=progress.epoch,
        optimizer_groups=optimizer["param_groups"],
        schedule=progress.schedule.state_dict(),
        best=best and BestHeader(epoch=best.epoch, figures=best.figures),
        settings=_comparable(settings),
    )
    _save(path, tensors, header)


def load(path: Path, progress: Progress, settings: RunSettings) -> None:
    """Put training back to where it stood."""
    tensors, header = _load(path, ProgressHeader)
    now = flat.flatten(RunSettings, _comparable(settings))
    then = flat.flatten(RunSettings, header.settings)
    changed = sorted(name for name in now | then if now.get(name) != then.get(name))
    if changed:
        raise CheckpointError(
            f"{path} was written with other settings: {', '.join(changed)} changed in config.toml; "
            "change them back, or start a new run"
        )
    load_weights(progress.network, _under("network", tensors), path)
    device = next(progress.network.parameters()).device
    remembered = _under("rule", tensors)
    progress.rule.load_state_dict({name: kept.to(device) for name, kept in remembered.items()})
    groups = header.optimizer_groups
    for group in groups:
        group["betas"] = tuple(group["betas"])  # JSON knows no tuples
    state = {index: _under(f"optimizer/{index}", tensors) for index in groups[0]["params"]}
    progress.optimizer.load_state_dict({"state": state, "param_groups": groups})
    progress.schedule.load_state_dict(header.schedule)
    progress.epoch = header.epoch
    best = header.best
    if best is not None:
        progress.best = Best(best.epoch, best.figures, _under("best", tensors))


def save_weights(path: Path, weights: Mapping[str, Tensor], epoch: int) -> None:
    """Write the weights of a network, in one step."""
    _save(path, _named("network", weights), Header(format=FORMAT, epoch=epoch))


def load_weights(network: SpikingNetwork, weights: Mapping[str, Tensor], path: Path) -> None:
    """Put weights into a network."""
    try:
        network.load_state_dict(dict(weights))
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"{path} holds the weights of another network: {reason}") from error


def read_weights(path: Path) -> tuple[dict[str, Tensor], int]:
    """Read weights and the epoch that they are from."""
    tensors, header = _load(path, Header)
    return _under("network", tensors), header.epoch


def load_best(path: Path, network: SpikingNetwork) -> int:
    """Put the best weights of a run into a network."""
    weights, epoch = read_weights(path)
    load_weights(network, weights, path)
    return epoch


def _save(path: Path, tensors: Mapping[str, Tensor], header: Header) -> None:
    metadata = {"sqsnn": header.model_dump_json()}
    # Sorted, because the same training shall give the same bytes.
    whole = {name: tensors[name].detach().cpu().contiguous() for name in sorted(tensors)}
    write_atomically(path, lambda path: path.write_bytes(save_bytes(whole, metadata)))


def _load(path: Path, kind: type[_Header]) -> tuple[dict[str, Tensor], _Header]:
    if not path.is_file():
        raise CheckpointError(
            f"{path} is missing: no epoch of this run has ended yet, or the file was lost"
        )
    try:
        with safe_open(path, "pt") as file:
            text = (file.metadata() or {})["sqsnn"]
        tensors = load_file(path)
    except (SafetensorError, KeyError) as error:
        raise CheckpointError(
            f"{path} is damaged, or not a checkpoint of sqsnn: {error}"
        ) from error
    _check_format(path, text)
    try:
        return tensors, kind.model_validate_json(text)
    except ValidationError as error:
        raise CheckpointError(f"{path} is damaged: {explain(error)}") from error


class _Format(BaseModel):
    format: int


def _check_format(path: Path, text: str) -> None:
    try:
        found = _Format.model_validate_json(text).format
    except ValidationError as error:
        raise CheckpointError(f"{path} is damaged: {explain(error)}") from error
    if found != FORMAT:
        raise CheckpointError(
            f"{path} has format {found}, but this version of sqsnn reads format {FORMAT}: train "
            "the network again with this version, or use the version that wrote the file"
        )


def _named(part: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{part}/{name}": tensor for name, tensor in tensors.items()}


def _under(part: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    start = f"{part}/"
    return {
        name.removeprefix(start): tensor
        for name, tensor in tensors.items()
        if name.startswith(start)
    }


def _comparable(settings: RunSettings) -> dict[str, Any]:
    # The data may be moved between stop and resume; every other setting changes what is computed.
    return settings.model_dump(mode="json", exclude={"data": {"data_dir"}})
