"""A recording from a grasshopper's auditory receptor, as the package nitime distributes it.

Two stretches of ten seconds; each presents a tone of 2.5 kHz whose amplitude fluctuates at random,
by 6 dB, below 200 or 800 Hz (so say the headers of the files; the experiment is that of Rokem et
al., Journal of Neurophysiology 95, 2541, 2006). Spike times are in microseconds, amplitudes in
steps of 50.
"""

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64

from sqsnn.data.spike_trains import SpikeTrains
from sqsnn.errors import DataError
from sqsnn_bench.spikes.options import FOLDS
from sqsnn_bench.spikes.scoring import Data

CUT_OFFS = {200: 1, 800: 2}  # Hz, and the number of the files
BIN, SECONDS = 1e-3, 10.0  # s
BLOCK = 250  # bins; every tenth block is held out at a time
SMALLEST_VARIANCE = 1e-2  # of a principal component of the stimulus, beside the largest
LAGS = 16  # bins: the receptor answers a stimulus after 3 to 10 ms


class Stretch(NamedTuple):
    """Ten seconds of the recording.

    Attributes:
        trains: One train of 10,000 bins of a millisecond.
        level: Logarithm of the mean amplitude of the sound in each bin.
    """

    trains: SpikeTrains
    level: Float64[np.ndarray, " T"]


def read(cut_off: int) -> Stretch:
    """Read one stretch from the installed package.

    Args:
        cut_off: Of the amplitude's fluctuations, 200 or 800 Hz.

    Raises:
        DataError: If nitime is not installed.
    """
    if cut_off not in CUT_OFFS:
        raise ValueError(f"cut_off must be one of {sorted(CUT_OFFS)} Hz, but is {cut_off}")
    number = CUT_OFFS[cut_off]
    microseconds = np.loadtxt(_file(f"grasshopper_spike_times{number}.txt"))
    samples = np.loadtxt(_file(f"grasshopper_stimulus{number}.txt"), usecols=1)
    bins = round(SECONDS / BIN)
    return Stretch(
        SpikeTrains.from_times([microseconds / 1e6], BIN, stop=SECONDS),
        np.log(samples.reshape(bins, -1).mean(1)),
    )


def fold(stretch: Stretch, number: int, warm_up: int, with_stimulus: bool) -> tuple[Data, Data]:
    """Split a stretch: blocks `number`, `number` + 10, ... of 250 ms are held out.

    Slow changes, such as the adaptation of the first seconds, are thereby in both parts alike. The
    bins before a held-out block are its warm-up: seen, but not scored. The first block of all has
    none before it, and gives its own first bins.

    Args:
        stretch: Ten seconds.
        number: Of the fold, from 0 to 9.
        warm_up: Bins.
        with_stimulus: Whether models see the levels of the last 16 bins: as principal components of
            the training bins, each of variance 1.

    Returns:
        What to fit, and what to score.
    """
    spikes = stretch.trains[0]
    blocks = np.arange(len(spikes)) // BLOCK
    held_out = blocks % FOLDS == number
    lagged = _lagged(stretch.level)
    shown = _whitened(lagged, lagged[~held_out])

    def cut(pieces: list[slice]) -> Data:
        trains = SpikeTrains(tuple(spikes[piece] for piece in pieces), BIN)
        return Data(trains, tuple(shown[piece] for piece in pieces) if with_stimulus else ())

    scored = [slice(max(piece.start - warm_up, 0), piece.stop) for piece in _pieces(held_out)]
    return cut(_pieces(~held_out)), cut(scored)


def _pieces(chosen: Bool[np.ndarray, " T"]) -> list[slice]:
    """The uninterrupted pieces of what is chosen."""
    edges = np.flatnonzero(np.diff(chosen, prepend=False, append=False))
    return [slice(start, stop) for start, stop in edges.reshape(-1, 2).tolist()]


def _lagged(level: Float64[np.ndarray, " T"]) -> Float64[np.ndarray, "T K"]:
    """The level of this bin and of those before it; before the first, as in the first."""
    padded = np.concatenate([np.full(LAGS - 1, level[0]), level])
    return np.lib.stride_tricks.sliding_window_view(padded, LAGS)[:, ::-1]


def _whitened(
    shown: Float64[np.ndarray, "T K"], of: Float64[np.ndarray, "_ K"]
) -> Float64[np.ndarray, "T J"]:
    """The principal components of some bins, each of variance 1, without those of little power.

    To models that are linear in the levels they say the same, and gradients that fit them converge.
    """
    center = of.mean(0)
    variances, directions = np.linalg.eigh(np.cov(of.T))
    kept = variances > SMALLEST_VARIANCE * variances[-1]
    return (shown - center) @ (directions[:, kept] / np.sqrt(variances[kept]))


def _file(name: str) -> Path:
    try:
        return Path(str(distribution("nitime").locate_file(f"nitime/data/{name}")))
    except PackageNotFoundError:
        raise DataError(
            "nitime is not installed, which brings the recording: pip install 'sqsnn-bench[spikes]'"
        ) from None
