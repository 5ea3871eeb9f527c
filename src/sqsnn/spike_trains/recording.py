"""A recording to fit: spike trains, the stimulus that goes with them, and a part held out."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sqsnn.data.own.faults import refuse, unreadable
from sqsnn.data.own.npz import read_arrays
from sqsnn.data.own.reading import check_openable
from sqsnn.data.spike_trains import SpikeTrains
from sqsnn.errors import ConfigError, DataError
from sqsnn.spike_trains.stimulus import read_stimulus

# Fewer trains are cut in time; of as many, whole ones are held out.
WHOLE_TRAINS = 5


class Recording(NamedTuple):
    """Spike trains, the stimulus of each, (T_i, F), and what went before each, if it is known."""

    trains: SpikeTrains
    stimulus: list[np.ndarray] | None = None
    before: "Recording | None" = None


def hold_out(
    recording: Recording, share: float, warm_up: int = 0
) -> tuple[Recording, Recording | None]:
    """Split a recording into a part to fit a model to and a part to test it.

    With five trains or more, the last ones are held out; with fewer, the last bins of each, of
    which the part to fit is what went before.

    Args:
        recording: All of it.
        share: Of the trains or bins that are held out, in [0, 1); 0 holds nothing out.
        warm_up: Bins at the beginning of each train that are not scored.

    Raises:
        ConfigError: If a part holds no spikes after the warm-up, or a train is too short to be cut.
        ValueError: If the share lies outside its range.
    """
    if not 0 <= share < 1:
        raise ValueError(f"held_out must be at least 0 and below 1, but is {share}")
    if share == 0:
        return _scorable(recording, "the recording", warm_up), None
    trains, stimulus, _ = recording
    if len(trains) < WHOLE_TRAINS:
        shortest = min(map(len, trains))
        if not warm_up < round((1 - share) * shortest) < shortest:
            raise ConfigError(
                f"the shortest train (bins: {shortest}, warm-up: {warm_up}) is too short to be "
                "cut in two: choose another --held-out, or 0"
            )
        first, last = trains.split(1 - share)
        early = late = None
        if stimulus is not None:
            pairs = list(zip(stimulus, map(len, first), strict=True))
            early, late = [it[:cut] for it, cut in pairs], [it[cut:] for it, cut in pairs]
    else:
        cut = len(trains) - min(max(1, round(share * len(trains))), len(trains) - 1)
        first, last = trains[:cut], trains[cut:]
        early, late = (None, None) if stimulus is None else (stimulus[:cut], stimulus[cut:])
    training = _scorable(Recording(first, early), "the part to fit", warm_up)
    before = training if len(trains) < WHOLE_TRAINS else None
    test = Recording(last, late, before)
    return training, _scorable(test, "the held-out part", warm_up if before is None else 0)


def whole(recording: Recording) -> Recording:
    """Join a recording to what went before."""
    trains, stimulus, before = recording
    if before is None:
        return recording
    pairs = zip(before.trains, trains, strict=True)
    joined = replace(trains, spikes=tuple(np.concatenate(pair) for pair in pairs))
    if stimulus is None or before.stimulus is None:
        return Recording(joined)
    pairs = zip(before.stimulus, stimulus, strict=True)
    return Recording(joined, [np.concatenate(pair) for pair in pairs])


def read_stimulus_file(
    path: Path, lengths: Sequence[int] | None = None, features: int | None = None
) -> list[np.ndarray]:
    """Read the stimulus of trains.

    Args:
        path: An .npz file of the array `stimulus`, (n, T) or (n, T, F).
        lengths: Bins of each train; what goes on after the end of a train is left out. None for n
            trains of T bins.
        features: F that it must have; None for any.

    Raises:
        DataError: If the file is absent, damaged, or does not fit the trains.
    """
    try:
        check_openable(path, (".npz",))
        if path.suffix.lower() != ".npz":
            raise DataError(f"{path} has the suffix {path.suffix!r}: a .npz file is needed")
        arrays = read_arrays(path, ("stimulus",))
    except DataError:
        raise
    except OSError as error:
        raise unreadable(path, error) from error
    if "stimulus" not in arrays:
        raise refuse(path, "", "an array stimulus, (n, T) or (n, T, F)", "none of them")
    stimulus = arrays["stimulus"]
    fits = stimulus.ndim in (2, 3) and stimulus.size > 0 and stimulus.dtype.kind in "biuf"
    if fits and lengths is None:
        lengths = [stimulus.shape[1]] * len(stimulus)
    if not fits or not lengths or len(stimulus) != len(lengths) or len(stimulus[0]) < max(lengths):
        size = f", with n = {len(lengths)} and T at least {max(lengths)}" if lengths else ""
        found = f"{stimulus.dtype} of shape {stimulus.shape}"
        raise refuse(path, "stimulus", f"numbers of shape (n, T) or (n, T, F){size}", found)
    values = [values[:length] for values, length in zip(stimulus, lengths, strict=True)]
    like = SpikeTrains.from_bins([np.zeros(length, np.uint8) for length in lengths])
    try:
        read_stimulus(values, like, 1, features)
    except ValueError as error:
        raise DataError(f"{path}: {error}") from None
    return values


def _scorable(part: Recording, name: str, warm_up: int) -> Recording:
    if not any(train[warm_up:].any() for train in part.trains):
        after = f" after a warm-up of {warm_up} bins" if warm_up else ""
        raise ConfigError(f"{name} holds no spikes{after}: hold out another share, or record more")
    return part
