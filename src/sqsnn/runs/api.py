"""`sqsnn.train` and `sqsnn.load`: a training, and a trained network, in one line of Python."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sqsnn.data.preparation import is_ragged, padded
from sqsnn.errors import ConfigError
from sqsnn.runs import folder as folders
from sqsnn.runs import run as runs
from sqsnn.runs.model import read_model
from sqsnn.runs.trained import Run
from sqsnn.settings.run import from_flat
from sqsnn.training.callback import Callback


def train(
    data: str | Path | ArrayLike,
    y: ArrayLike | None = None,
    *,
    out: Path | str | None = None,
    begins_with: Path | str | None = None,
    callbacks: Sequence[Callback] = (),
    **settings: Any,
) -> Run:
    """Train a network and test it, as `sqsnn train` does.

    Args:
        data: Name of a dataset (`sqsnn.data.names()` lists them), path of a file (.npz, .csv, .tsv,
            .parquet, .ts or .arff), or samples, `(n, features)` or `(n, T, features)`.
        y: Labels or real values of the samples, `(n,)`, `(n, K)` or `(n, T, K)`.
        out: Folder of the run; None for the first free runs/<dataset>-<n>.
        begins_with: A run, or the file of a network, whose weights are the first ones.
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
        if y is not None:
            raise ConfigError("y goes with samples, not with the name of a dataset or a file")
        dataset = str(data)
    else:
        path = folders.first_free(Path("runs"), "arrays") if path is None else path
        dataset = str(_write_arrays(path, data, y))
    chosen = from_flat(dataset, settings)
    if begins_with is not None:
        chosen = chosen.model_copy(update={"begins_with": Path(begins_with).absolute()})
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


def _write_arrays(path: Path, X: ArrayLike, y: ArrayLike | None) -> Path:
    """Keep samples in the folder of the run, so that it can be resumed and tested again."""
    if y is None:
        raise ConfigError("y is missing: samples need labels, or real values to predict")
    labels = np.asarray(y)
    if labels.dtype.kind == "O":  # text of pandas, of one kind
        labels = np.asarray(labels.tolist())
    arrays: dict[str, Any] = {"y": labels}
    if is_ragged(X):
        arrays["X"], arrays["lengths"] = padded(list(X))  # pyright: ignore[reportArgumentType] (a list)
    else:
        arrays["X"] = np.asarray(X)
    if hasattr(X, "columns"):
        arrays["feature_names"] = np.asarray([str(name) for name in X.columns])  # pyright: ignore[reportAttributeAccessIssue]
    for name, array in arrays.items():
        if np.asarray(array).dtype.kind not in "biufU":
            raise ConfigError(f"{name} must hold numbers, or text for labels, of one kind")
    folders.refuse_used(path)
    path.mkdir(parents=True, exist_ok=True)
    place = folders.RunFolder(path).data
    np.savez_compressed(place, **arrays)
    return place
