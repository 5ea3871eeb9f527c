"""`sqsnn.train` and `sqsnn.load`: a training, and a trained network, in one line of Python."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from sqsnn import launch
from sqsnn.errors import ConfigError
from sqsnn.runs import run as runs
from sqsnn.runs.arrays import kept_arrays
from sqsnn.runs.model import read_model
from sqsnn.runs.trained import Run
from sqsnn.settings.run import continued, from_flat
from sqsnn.training.callback import Callback


def train(
    data: str | Path | ArrayLike,
    y: ArrayLike | None = None,
    *,
    lengths: ArrayLike | None = None,
    out: Path | str | None = None,
    begins_with: Path | str | None = None,
    callbacks: Sequence[Callback] = (),
    **settings: Any,
) -> Run:
    """Train a network and test it, as `sqsnn train` does, also in a script under `torchrun`.

    Args:
        data: Name of a dataset (`sqsnn.data.names()` lists them), path of a file (.npz, .csv, .tsv,
            .parquet, .ts or .arff), or samples: `(n, features)`, series `(n, T, features)`, a list
            of series, or a data frame, of which `label` may name the column of the labels.
        y: Labels or real values of the samples, `(n,)`, `(n, K)` or `(n, T, K)`.
        lengths: Steps of each padded series.
        out: Folder of the run; None for the first free runs/<dataset>-<n>.
        begins_with: Folder of a run, or file of a network, to train further: its network, encoding
            and readout stay as they are.
        callbacks: Follow the training.
        **settings: Settings by the names of the flags of `sqsnn train`, e.g. `hidden=(64,)`,
            `epochs=20`, `seed=0`, `label="species"`; `rule`, `encoding`, `readout` and `noise` may
            also be the objects.

    Raises:
        ConfigError: If there is no such dataset or setting, or settings do not fit each other.
        DataError: If a file is missing or broken.

    Example:
        >>> run = train("digits", hidden=(8,), epochs=1, out=folder)
        >>> 0 <= run.metrics["test_accuracy"] <= 1
        True
    """
    path = None if out is None else Path(out)
    if isinstance(data, str | Path):
        if y is not None or lengths is not None:
            raise ConfigError("y and lengths go with samples, not with the name of data")
        return _train(str(data), path, begins_with, callbacks, settings)
    if launch.is_launched():
        raise ConfigError(
            "data are arrays, but torchrun started several processes, each of which would need "
            "the same arrays: save the samples as .npz and give its path"
        )
    frame: Any = data
    if y is None and settings.get("label") in getattr(frame, "columns", ()):
        label = settings.pop("label")
        data, y = frame.drop(columns=label), frame[label]
    with kept_arrays(path, data, y, lengths) as dataset:
        return _train(str(dataset), dataset.parent, begins_with, callbacks, settings)


def _train(
    dataset: str,
    path: Path | None,
    begins_with: Path | str | None,
    callbacks: Sequence[Callback],
    settings: dict[str, Any],
) -> Run:
    if begins_with is None:
        chosen = from_flat(dataset, settings)
    else:
        start = Path(begins_with)
        chosen = continued(read_model(start).settings, start, dataset, settings)
    return load(runs.begin(chosen, path, callbacks=callbacks).path)


def load(path: Path | str, device: str | None = None) -> Run:
    """Load a trained network; its dataset is not needed.

    Args:
        path: Folder of a run with at least one whole epoch, or a file that `Run.save` wrote.
        device: "cpu" or "cuda"; None for that of the training.

    Raises:
        CheckpointError: If there is no run, no epoch has ended yet, or it is damaged.
        ConfigError: If its settings are of another format, or broken.
    """
    place = Path(path)
    return Run.of(read_model(place), place, device)
