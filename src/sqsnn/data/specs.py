"""All datasets that sqsnn knows, each described once; needs neither torch nor NumPy."""

import os
from collections.abc import Mapping
from pathlib import Path

from sqsnn.data.dataset_spec import DatasetSpec, EventSpec, Series, Source
from sqsnn.data.event_specs import EVENTS
from sqsnn.data.image_specs import IMAGES
from sqsnn.data.own import SUFFIXES, TABLES
from sqsnn.data.temporal_specs import SERIES, TASKS

TONIC = "tonic:"  # before the name of a dataset that the library tonic reads
SPECS: Mapping[str, DatasetSpec] = {spec.name: spec for spec in (*IMAGES, *TASKS, *EVENTS, *SERIES)}


def find_spec(name: str) -> DatasetSpec | None:
    """Find the description of a dataset; None where the name is unknown.

    Args:
        name: One of `names()`, "tonic:" and the name of any dataset of the library tonic, or the
            folder of a user's own event recordings, with a slash in its name.
    """
    if not (name.startswith(TONIC) or is_folder(name)):
        return SPECS.get(name)
    source = Source(name, "tonic_sets:open_part", "tonic")
    if is_folder(name):
        place = Path(name).expanduser().absolute()
        source = Source(place.name, "own.event_folder:open_part", str(place))
    return DatasetSpec(
        name=name,
        text="Events that the library tonic reads",
        class_names=(),
        sources=(source,),
        train_size=0,
        test_counts=(),
        hidden=(128,),
        events=EventSpec(sensor=None, duration=None, pool=2),
    )


def is_folder(name: str) -> bool:
    """Whether a name is a folder of event recordings: it has a slash, and no suffix of a file."""
    return ("/" in name or os.sep in name) and not is_own(name) and not name.startswith(TONIC)


def is_own(name: str) -> bool:
    """Whether a name is the path of a user's own file, by its suffix."""
    return name.lower().endswith(SUFFIXES)


def is_table(name: str) -> bool:
    """Whether a name is the path of a user's own table, by its suffix."""
    return name.lower().endswith(TABLES)


def own_spec(
    name: str,
    *,
    length: int | None,
    predicts_values: bool,
    every_step: bool = False,
    features: int = 1,
) -> DatasetSpec:
    """Describe a user's own file by what is known of it.

    Args:
        name: Its path.
        length: Steps of its series; None for samples that do not change in time.
        predicts_values: Whether real values are to be predicted, not classes.
        every_step: Whether there is a value to predict for each step.
        features: Values per sample, or per step.
    """
    series = None
    if length is not None or predicts_values:
        series = Series(
            length,
            features=features,
            target_names=("y",) if predicts_values else (),
            every_step=every_step,
            report_steps=1 if predicts_values and not every_step else None,
        )
    return DatasetSpec(
        name=name,
        text="A user's own file",
        class_names=(),
        sources=(Source(name, ""),),
        train_size=0,
        test_counts=(),
        hidden=(64,),
        batch_size=32,
        series=series,
    )


def names() -> tuple[str, ...]:
    """Name all datasets but those that the library tonic reads."""
    return tuple(SPECS)
