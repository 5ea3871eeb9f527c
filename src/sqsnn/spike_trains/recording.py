"""A recording to fit: spike trains, the stimulus that goes with them, and a part held out."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sqsnn.data.own.faults import refuse, unreadable
from sqsnn.data.own.npz import read_arrays
from sqsnn.data.own.reading import check_openable
from sqsnn.data.spike_trains import SpikeTrains
from sqsnn.errors import ConfigError, DataError

# Fewer trains are cut in time; of as many, whole ones are held out.
WHOLE_TRAINS = 5


class Recording(NamedTuple):
    """Spike trains, and the stimulus of each, (T_i, F)."""

    trains: SpikeTrains
    stimulus: list[np.ndarray] | None = None


def hold_out(
    recording: Recording, share: float, warm_up: int = 0
) -> tuple[Recording, Recording | None]:
    """Split a recording into a part to fit a model to and a part to test it.

    Of five trains or more, the last ones are held out; of fewer, the last bins of each.

    Args:
        recording: All of it.
        share: Of the trains or bins that are held out, in [0, 1); 0 holds nothing out.
        warm_up: Bins at the beginning of each train that are not scored.

    Raises:
        ConfigError: If a part holds no spikes after the warm-up.
        ValueError: If the share lies outside its range, or a train is too short to be cut.
    """
    if not 0 <= share < 1:
        raise ValueError(f"held_out must be at least 0 and below 1, but is {share}")
    if share == 0:
        return _scorable(recording, "the recording", warm_up), None
    trains, stimulus = recording
    if len(trains) < WHOLE_TRAINS:
        first, last = trains.split(1 - share)
        early = late = None
        if stimulus is not None:
            pairs = list(zip(stimulus, map(len, first), strict=True))
            early, late = [it[:cut] for it, cut in pairs], [it[cut:] for it, cut in pairs]
    else:
        cut = len(trains) - min(max(1, round(share * len(trains))), len(trains) - 1)
        first, last = trains[:cut], trains[cut:]
        early, late = (None, None) if stimulus is None else (stimulus[:cut], stimulus[cut:])
    return (
        _scorable(Recording(first, early), "the part to fit", warm_up),
        _scorable(Recording(last, late), "the held-out part", warm_up),
    )


def read_stimulus_file(path: Path, lengths: Sequence[int]) -> list[np.ndarray]:
    """Read the stimulus of trains.

    Args:
        path: An .npz file of the array `stimulus`, (n, T) or (n, T, F).
        lengths: Bins of each train; what goes on after the end of a train is left out.

    Raises:
        DataError: If the file is absent, damaged, or does not fit the trains.
    """
    try:
        check_openable(path, (".npz",))
        arrays = read_arrays(path, ("stimulus",))
    except DataError:
        raise
    except OSError as error:
        raise unreadable(path, error) from error
    if "stimulus" not in arrays:
        raise refuse(path, "", "an array stimulus, (n, T) or (n, T, F)", "none of them")
    stimulus = arrays["stimulus"]
    n, longest = len(lengths), max(lengths)
    fits = stimulus.ndim in (2, 3) and len(stimulus) == n and stimulus.shape[1] >= longest
    if not fits or stimulus.dtype.kind not in "biuf":
        expected = f"numbers of shape (n, T) or (n, T, F), with n = {n} and T at least {longest}"
        found = f"{stimulus.dtype} of shape {stimulus.shape}"
        raise refuse(path, "stimulus", expected, found)
    return [values[:length] for values, length in zip(stimulus, lengths, strict=True)]


def _scorable(part: Recording, name: str, warm_up: int) -> Recording:
    if not any(train[warm_up:].any() for train in part.trains):
        after = f" after a warm-up of {warm_up} bins" if warm_up else ""
        raise ConfigError(f"{name} holds no spikes{after}: hold out another share, or record more")
    return part
