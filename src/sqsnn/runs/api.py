"""`sqsnn.train` and `sqsnn.load`: a training, and a trained network, in one line of Python."""

from pathlib import Path
from typing import Any, NamedTuple

from sqsnn.network import SpikingNetwork
from sqsnn.runs import checkpoint, run
from sqsnn.runs import folder as folders
from sqsnn.runs.folder import RunFolder
from sqsnn.settings.run import RunSettings, TrainingSettings, from_flat, validated
from sqsnn.training.build import build_network


class Run(NamedTuple):
    """A trained run.

    Attributes:
        folder: Its folder.
        settings: Its settings.
        network: The network with the weights that did best on the validation samples.
        metrics: Its result: `test_accuracy` and the other figures of metrics.json; empty for a run
            that is not finished.
    """

    folder: RunFolder
    settings: RunSettings
    network: SpikingNetwork
    metrics: dict[str, Any]


def train(dataset: str, *, out: Path | str | None = None, **settings: Any) -> Run:
    """Train a network on a dataset and test it, as `sqsnn train` does.

    Args:
        dataset: Name of the dataset; `sqsnn.data.names()` lists them.
        out: Folder of the run; None for the first free runs/<dataset>-<n>.
        **settings: Settings by the names of the flags of `sqsnn train`, e.g. `hidden=(64,)`,
            `epochs=20`, `seed=0`; `rule`, `encoding` and `noise` may also be the objects.

    Raises:
        ConfigError: If there is no such dataset or setting, or settings do not fit each other.

    Example:
        >>> run = train("digits", hidden=(8,), epochs=1, out=folder)
        >>> 0 <= run.metrics["test_accuracy"] <= 1
        True
    """
    path = None if out is None else Path(out)
    return load(run.begin(from_flat(dataset, settings), path).path)


def load(folder: Path | str, device: str | None = None) -> Run:
    """Load a trained run; its dataset is not needed.

    Args:
        folder: Folder of a run with at least one whole epoch.
        device: "cpu" or "cuda"; None for that of the training.

    Raises:
        CheckpointError: If the folder holds no run, no epoch has ended yet, or it is damaged.
        ConfigError: If its settings are of another format, or broken.
    """
    found = folders.find(Path(folder))
    settings = found.read_settings()
    if device is not None:
        training = validated(TrainingSettings, {**dict(settings.training), "device": device})
        settings = settings.model_copy(update={"training": training})
    weights, _ = checkpoint.read_weights(found.best)
    last = len(settings.hidden)
    features = weights["synapses.0.weight"].shape[2]
    network = build_network(settings, features, weights[f"synapses.{last}.weight"].shape[1])
    checkpoint.load_weights(network, weights, found.best)
    return Run(found, settings, network.eval(), found.read_result() if found.is_finished() else {})
