"""Where training stands, in one safetensors file with its JSON in the header; never pickle.

Tensors and JSON lie in the same file, so they cannot come apart, and the file is replaced in one
step: after a crash there is the last checkpoint, whole, or none. Random generators need no saving:
they follow from the seed and the number of the epoch (`sqsnn.training.build.seeded`).
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from safetensors.torch import save as save_bytes
from torch import Tensor

from sqsnn.errors import CheckpointError
from sqsnn.network import SpikingNetwork
from sqsnn.storage import write_atomically
from sqsnn.training.config import RunConfig
from sqsnn.training.evaluate import Accuracy
from sqsnn.training.trainer import Best, Progress

FORMAT = 2


def save(path: Path, progress: Progress, config: RunConfig) -> None:
    """Write where training stands, in one step.

    Args:
        path: the file, replaced if it is there.
        progress: where training stands, between two epochs.
        config: the settings of the run, kept to refuse going on with others.
    """
    optimizer = progress.optimizer.state_dict()
    best = progress.best
    tensors = _named("network", progress.network.state_dict())
    tensors |= _named("rule", progress.rule.state_dict())
    for index, state in optimizer["state"].items():
        tensors |= _named(f"optimizer/{index}", state)
    if best is not None:
        tensors |= _named("best", best.weights)
    header = {
        "format": FORMAT,
        "epoch": progress.epoch,
        "optimizer_groups": optimizer["param_groups"],
        "schedule": progress.schedule.state_dict(),
        "best": best and {"epoch": best.epoch, "accuracy": best.accuracy, "loss": best.loss},
        "config": _comparable(config),
    }
    _save(path, tensors, header)


def load(path: Path, progress: Progress, config: RunConfig) -> None:
    """Put training back to where it stood.

    Args:
        path: what `save` wrote.
        progress: a fresh start with the same settings; changed in place.
        config: the settings of the run.

    Raises:
        CheckpointError: if the file is damaged or belongs to other settings.
    """
    tensors, header = _load(path)
    # Through the model: a setting that there was not yet counts as its default.
    old = _comparable(RunConfig.model_validate(header["config"]))
    changed = _differences(old, _comparable(config))
    if changed:
        raise CheckpointError(
            f"{path} was written with other settings: {', '.join(changed)} changed in config.toml; "
            "change them back, or start a new run"
        )
    load_weights(progress.network, _under("network", tensors), path)
    device = next(progress.network.parameters()).device
    remembered = _under("rule", tensors)
    progress.rule.load_state_dict({name: kept.to(device) for name, kept in remembered.items()})
    groups = header["optimizer_groups"]
    for group in groups:
        group["betas"] = tuple(group["betas"])  # JSON knows no tuples
    state = {index: _under(f"optimizer/{index}", tensors) for index in groups[0]["params"]}
    progress.optimizer.load_state_dict({"state": state, "param_groups": groups})
    progress.schedule.load_state_dict(header["schedule"])
    progress.epoch = header["epoch"]
    if header["best"] is not None:
        progress.best = Best(
            header["best"]["epoch"],
            Accuracy(*header["best"]["accuracy"]),
            header["best"]["loss"],
            _under("best", tensors),
        )


def save_weights(path: Path, weights: Mapping[str, Tensor], epoch: int) -> None:
    """Write the weights of a network, in one step.

    Args:
        path: the file, replaced if it is there.
        weights: the network's state dict.
        epoch: the epoch that they are from.
    """
    _save(path, _named("network", weights), {"format": FORMAT, "epoch": epoch})


def load_weights(network: SpikingNetwork, weights: Mapping[str, Tensor], path: Path) -> None:
    """Put weights into a network.

    Args:
        network: the network, changed in place.
        weights: a state dict.
        path: where the weights came from, for the message.

    Raises:
        CheckpointError: if they do not fit.
    """
    try:
        network.load_state_dict(dict(weights))
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(f"{path} holds the weights of another network: {reason}") from error


def read_weights(path: Path) -> tuple[dict[str, Tensor], int]:
    """Read weights and the epoch that they are from.

    Args:
        path: what `save_weights` wrote.

    Raises:
        CheckpointError: if the file is missing or damaged.
    """
    tensors, header = _load(path)
    return _under("network", tensors), header["epoch"]


def _save(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, Any]) -> None:
    # Sorted, because the same training shall give the same bytes.
    metadata = {"sqsnn": json.dumps(header, sort_keys=True, allow_nan=False)}
    whole = {name: tensors[name].detach().cpu().contiguous() for name in sorted(tensors)}
    write_atomically(path, lambda path: path.write_bytes(save_bytes(whole, metadata)))


def _load(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    if not path.is_file():
        raise CheckpointError(
            f"{path} is missing: no epoch of this run has ended yet, or the file was lost"
        )
    try:
        with safe_open(path, "pt") as file:
            header = json.loads((file.metadata() or {})["sqsnn"])
        tensors = load_file(path)
    except (SafetensorError, KeyError, json.JSONDecodeError) as error:
        raise CheckpointError(
            f"{path} is damaged, or not a checkpoint of sqsnn: {error}"
        ) from error
    if header["format"] != FORMAT:
        raise CheckpointError(
            f"{path} has format {header['format']}, but this version of sqsnn reads {FORMAT}"
        )
    return tensors, header


def _named(part: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {f"{part}/{name}": tensor for name, tensor in tensors.items()}


def _under(part: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    start = f"{part}/"
    return {
        name.removeprefix(start): tensor
        for name, tensor in tensors.items()
        if name.startswith(start)
    }


def _comparable(config: RunConfig) -> dict[str, Any]:
    # The data may be moved between two sittings; every other setting changes what is computed.
    return config.model_dump(mode="json", exclude={"data": {"data_dir"}})


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    return [
        f"{section}.{name}"
        for section in sorted(old.keys() | new.keys())
        for name in sorted(old.get(section, {}).keys() | new.get(section, {}).keys())
        if old.get(section, {}).get(name) != new.get(section, {}).get(name)
    ]
