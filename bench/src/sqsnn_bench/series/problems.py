"""The problems of the comparison: two generated ones, and files of the archives of time series."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from sqsnn.errors import ConfigError

ANALOGUE = ("current", "population")


class Problem(NamedTuple):
    """Series with classes, and what is equal for all neurons that learn them.

    Attributes:
        name: Name in the catalog of datasets, or in the archive.
        parameters: Trained parameters of every network.
        epochs: Passes over the training samples.
        batch_size: Samples per batch.
        encodings: What a search chooses from.
        in_archive: Whether it is a file of the archive.
    """

    name: str
    parameters: int
    epochs: int
    batch_size: int
    encodings: tuple[str, ...] = ANALOGUE
    in_archive: bool = True

    def dataset(self, archive: Path) -> str:
        """The name of the dataset, or the path of its training part."""
        return str(self.files(archive)[0]) if self.in_archive else self.name

    def files(self, archive: Path) -> tuple[Path, ...]:
        """The files of the training and the test part; none where the problem is generated."""
        parts = ("TRAIN", "TEST") if self.in_archive else ()
        return tuple(archive / self.name / f"{self.name}_{part}.ts" for part in parts)

    def equal(self) -> Mapping[str, Any]:
        """The settings that are equal for all neurons, by their flat names."""
        return {"epochs": self.epochs, "batch_size": self.batch_size}


# The number of parameters grows with the inputs: some width must come within 1 % of it.
PROBLEMS = (
    Problem("sines", 1000, 16, 32, in_archive=False),
    Problem("parity", 1000, 30, 64, ("spikes",), in_archive=False),
    Problem("ItalyPowerDemand", 1000, 300, 16),
    Problem("GunPoint", 1000, 300, 16),
    Problem("BasicMotions", 4000, 150, 16),
    Problem("JapaneseVowels", 8000, 50, 16),
)


def check_archive(archive: Path) -> None:
    """Refuse a folder that lacks a file.

    Raises:
        ConfigError: If it does; it names the files, and says where they come from.
    """
    wanted = [path for problem in PROBLEMS for path in problem.files(archive)]
    missing = [path.relative_to(archive).as_posix() for path in wanted if not path.is_file()]
    if missing:
        raise ConfigError(
            f"archive is {archive}, which lacks {', '.join(missing)}. They come with sktime: pip "
            "download --no-deps sktime==1.2.0, unzip the wheel, and name its folder "
            "sktime/datasets/data"
        )
