"""Recorded spike trains in time bins: what a model of spike trains is fitted to."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
from jaxtyping import Bool, Float32, Float64, UInt8

from sqsnn.checks import check_positive, check_positive_int
from sqsnn.data.spike_arrays import binary_trains, unit_times
from sqsnn.data.spike_binning import Stop, bin_times
from sqsnn.storage import write_atomically


@dataclass(frozen=True, eq=False, repr=False)
class SpikeTrains:
    """Recorded spike trains in time bins.

    Make them by `from_bins` or `from_times`, or read them by `sqsnn.read_spike_trains`. The arrays
    are copies that cannot be written.

    Attributes:
        spikes: One train each, (T_i, N), 0 and 1: N units recorded together.
        bin_width: Seconds; None where bins were given without one.
        merged: Spikes merged with another of their unit, in the same bin. A part of some trains
            keeps the number of the whole.

    Raises:
        ValueError: If a train holds anything but 0 and 1, has no bin, or has other units.

    Example:
        >>> trains = SpikeTrains.from_times([[0.1, 0.3], [0.2]], bin_width=0.1, stop=0.5)
        >>> [train[:, 0].tolist() for train in trains.spikes]
        [[0, 1, 0, 1, 0], [0, 0, 1, 0, 0]]
        >>> trains.count, trains.bins, trains.rate.tolist()
        (3, 10, [0.3])
    """

    spikes: tuple[UInt8[np.ndarray, "_ N"], ...]
    bin_width: float | None = None
    merged: int = 0

    def __post_init__(self) -> None:
        spikes = binary_trains("spikes", list(self.spikes))
        for train in spikes:
            train.flags.writeable = False
        object.__setattr__(self, "spikes", spikes)
        if self.bin_width is not None:
            object.__setattr__(self, "bin_width", check_positive("bin_width", self.bin_width))

    @classmethod
    def from_bins(cls, trains: Any, bin_width: float | None = None) -> "SpikeTrains":
        """Take trains that are binned already.

        Args:
            trains: An array or tensor (n, T) or (n, T, N) of 0 and 1; a list of n arrays (T_i,) or
                (T_i, N), whose lengths may differ; or `SpikeTrains`, which come back.
            bin_width: Seconds; None where it does not matter.

        Raises:
            TypeError: If the trains are not numbers.
            ValueError: If there is no train, a value is neither 0 nor 1, or a shape does not fit.

        Example:
            >>> SpikeTrains.from_bins([[0, 1, 0], [1, 0]]).bins
            5
        """
        if not isinstance(trains, SpikeTrains):
            return cls(binary_trains("trains", trains), bin_width)
        if bin_width not in (None, trains.bin_width):
            raise ValueError(
                f"bin_width is {bin_width}, but trains have bins of {trains.bin_width} s; bin "
                "their times again by SpikeTrains.from_times"
            )
        return trains

    @classmethod
    def from_times(
        cls, times: Any, bin_width: float, start: float = 0.0, stop: Stop = None
    ) -> "SpikeTrains":
        """Bin the times of spikes.

        A spike at time t falls into bin floor((t - start) / bin_width); a time that lies on the
        edge of a bin up to rounding belongs to the bin that begins there. A bin holds at most one
        spike of a unit: several are merged into one, `merged` counts the others, and a warning says
        how many; more than 10 % of all spikes are refused.

        Args:
            times: Seconds, rising: a list of trains, each an array of times, or a list of N arrays,
                one per unit. A single array is one train of one unit.
            bin_width: Seconds.
            start: Seconds, where the first bin of every train begins.
            stop: Seconds, where the recording ends: one number, or one per train. A last bin that
                it cuts counts as a whole one. None ends each train with the bin of its last spike.
                That makes trains look shorter and busier than they are, since the silence after
                the last spike is part of the recording, too: give `stop` wherever it is known.

        Raises:
            TypeError: If the times are not numbers.
            ValueError: If a time is not finite, does not rise, or lies outside of the recording; if
                a train has no spike and no stop; if more than 10 % of the spikes would be merged;
                if the bins are too many, or too narrow for times of this size; or if there are more
                than 10 million bins with fewer than one spike in 20,000, as where times are in
                another unit.
        """
        spikes, merged = bin_times(unit_times("times", times), bin_width, start, stop)
        return cls(spikes, bin_width, merged)

    def __repr__(self) -> str:
        return (
            f"SpikeTrains(trains={len(self)}, units={self.units}, bins={self.bins}, "
            f"spikes={self.count}, bin_width={self.bin_width}, merged={self.merged})"
        )

    def __len__(self) -> int:
        return len(self.spikes)

    def __iter__(self) -> Iterator[UInt8[np.ndarray, "_ N"]]:
        return iter(self.spikes)

    @overload
    def __getitem__(self, which: slice) -> "SpikeTrains": ...
    @overload
    def __getitem__(self, which: int) -> UInt8[np.ndarray, "T N"]: ...
    def __getitem__(self, which: int | slice) -> "SpikeTrains | UInt8[np.ndarray, 'T N']":
        """One train, (T, N), or the trains of a slice."""
        found = self.spikes[which]
        return self._part(found) if isinstance(found, tuple) else found

    @property
    def units(self) -> int:
        """Units recorded together, N."""
        return self.spikes[0].shape[1]

    @property
    def bins(self) -> int:
        """Bins of all trains together."""
        return sum(map(len, self.spikes))

    @property
    def count(self) -> int:
        """Spikes of all trains and units together."""
        return sum(int(np.count_nonzero(train)) for train in self.spikes)

    @property
    def rate(self) -> Float64[np.ndarray, " N"]:
        """Spikes per bin of each unit."""
        counts = np.array([train.sum(0, dtype=np.int64) for train in self.spikes])  # (n, N)
        return counts.sum(0) / self.bins

    def windows(self, length: int) -> "SpikeTrains":
        """Cut each train into consecutive windows of that many bins; a shorter rest is kept.

        Args:
            length: Bins of a window.
        """
        check_positive_int("length", length)
        starts = ((train, start) for train in self for start in range(0, len(train), length))
        return self._part(tuple(train[start : start + length] for train, start in starts))

    def split(self, fraction: float) -> "tuple[SpikeTrains, SpikeTrains]":
        """Cut each train in time: its first bins, to fit a model to, and the rest, to test it.

        To hold out whole trains, take slices instead.

        Args:
            fraction: Share of the bins of each train in the first part, in (0, 1).

        Raises:
            ValueError: If a train is too short to leave a bin on both sides.
        """
        if not 0 < check_positive("fraction", fraction) < 1:
            raise ValueError(f"fraction must lie between 0 and 1, but is {fraction}")
        cuts = [round(fraction * len(train)) for train in self]
        for number, (train, cut) in enumerate(zip(self, cuts, strict=True)):
            if not 0 < cut < len(train):
                raise ValueError(
                    f"fraction is {fraction}, but train {number} has {len(train)} bins: one part "
                    "would have none"
                )
        pairs = list(zip(self, cuts, strict=True))
        first = tuple(train[:cut] for train, cut in pairs)
        return self._part(first), self._part(tuple(train[cut:] for train, cut in pairs))

    def padded(self) -> tuple[Float32[np.ndarray, "T n N"], Bool[np.ndarray, "T n"]]:
        """Stack all trains, time first.

        Returns:
            The spikes, (T, n, N), T the bins of the longest train, 0 beyond the end of a train; and
            which bins belong to the trains, (T, n).
        """
        lengths = np.array(list(map(len, self.spikes)))
        present = np.arange(lengths.max())[:, None] < lengths  # (T, n)
        spikes = np.zeros((*present.shape, self.units), np.float32)
        for number, train in enumerate(self.spikes):
            spikes[: len(train), number] = train
        return spikes, present

    def to_npz(self, path: Path | str) -> None:
        """Write a file that `sqsnn.read_spike_trains` reads.

        Args:
            path: The file, named .npz.

        Raises:
            WriteError: If it cannot be written.
        """
        path = Path(path).expanduser()
        if path.suffix != ".npz":
            raise ValueError(f"path must end in .npz, but is {path}")
        spikes, present = self.padded()
        held = {
            "spikes": spikes.astype(np.uint8).swapaxes(0, 1),  # (n, T, N)
            "lengths": present.sum(0),
            "merged": np.array(self.merged),
        }
        if self.bin_width is not None:
            held["bin_width"] = np.array(self.bin_width)

        def write(place: Path) -> None:
            with place.open("wb") as file:
                np.savez_compressed(file, allow_pickle=False, **held)

        write_atomically(path, write)

    def _part(self, spikes: tuple[UInt8[np.ndarray, "_ N"], ...]) -> "SpikeTrains":
        return SpikeTrains(spikes, self.bin_width, self.merged)
