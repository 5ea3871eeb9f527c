"""A recording to fit: spike trains, the stimulus that goes with them, and a part held out."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from sqsnn.data.spike_trains import SpikeTrains
from sqsnn.errors import ConfigError

# Fewer trains are cut in time; of as many, whole ones are held out.
WHOLE_TRAINS = 5


class Recording(NamedTuple):
    """Spike trains, the stimulus of each, (T_i, F), and what went before each, if it is known."""

    trains: SpikeTrains
    stimulus: list[np.ndarray] | None = None
    before: "Recording | None" = None


def pieces(recording: Recording, which: Sequence[tuple[int, slice]]) -> Recording:
    """Take pieces of a recording: the number of a train, and which of its bins."""
    spikes = tuple(recording.trains[number][bins] for number, bins in which)
    stimulus = recording.stimulus
    shown = None if stimulus is None else [stimulus[number][bins] for number, bins in which]
    return Recording(replace(recording.trains, spikes=spikes), shown)


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
    lengths = list(map(len, recording.trains))
    few = len(lengths) < WHOLE_TRAINS
    if few:
        shortest = min(lengths)
        if not warm_up < round((1 - share) * shortest) < shortest:
            raise ConfigError(
                f"the shortest train (bins: {shortest}, warm-up: {warm_up}) is too short to be "
                "cut in two: choose another --held-out, or 0"
            )
        cuts = [round((1 - share) * length) for length in lengths]
    else:
        held = min(max(1, round(share * len(lengths))), len(lengths) - 1)
        cuts = [*lengths[:-held], *[0] * held]
    early = [(number, slice(cut)) for number, cut in enumerate(cuts) if cut]
    late = [(n, slice(cut, None)) for n, cut in enumerate(cuts) if cut < lengths[n]]
    training = _scorable(pieces(recording, early), "the part to fit", warm_up)
    test = pieces(recording, late)
    if few:
        return training, _scorable(test._replace(before=training), "the held-out part", 0)
    return training, _scorable(test, "the held-out part", warm_up)


def whole(recording: Recording) -> Recording:
    """Join a recording to what went before."""
    trains, stimulus, before = recording
    if before is None:
        return recording
    spikes = map(np.concatenate, zip(before.trains, trains, strict=True))
    joined = replace(trains, spikes=tuple(spikes))
    if stimulus is None or before.stimulus is None:
        return Recording(joined)
    return Recording(joined, list(map(np.concatenate, zip(before.stimulus, stimulus, strict=True))))


def _scorable(part: Recording, name: str, warm_up: int) -> Recording:
    if not any(train[warm_up:].any() for train in part.trains):
        after = f" after a warm-up of {warm_up} bins" if warm_up else ""
        raise ConfigError(f"{name} holds no spikes{after}: hold out another share, or record more")
    return part
