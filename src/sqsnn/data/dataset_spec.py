"""What is known about a dataset before a file is opened; needs neither torch nor NumPy."""

import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

Part = Literal["train", "test"]

# From so many blank steps on, a membrane that is to bridge them starts with this decay per step.
LONG_DELAY, SLOW_BETA = 10, 0.9


@dataclass(frozen=True)
class DataFile:
    """One file of a dataset as its authors distribute it.

    Attributes:
        name: Name of the file, on disk and on the mirrors.
        md5: Published MD5 sum; None where there is no download.
        mirrors: Addresses of the file, or of folders (ending in "/") that hold it, best first.
        packing: ".gz" where the mirrors hold the file packed; the MD5 sum is then the packed one.
    """

    name: str
    md5: str | None = None
    mirrors: tuple[str, ...] = ()
    packing: Literal["", ".gz"] = ""

    @property
    def packed(self) -> str:
        """Name of the file as the mirrors hold it."""
        return self.name + self.packing

    @property
    def addresses(self) -> tuple[str, ...]:
        """Full address of the file on each mirror."""
        return tuple(
            mirror + self.packed if mirror.endswith("/") else mirror for mirror in self.mirrors
        )


@dataclass(frozen=True)
class Source:
    """A set of files, or a library, from which both parts of a dataset are read.

    Attributes:
        label: Name of the source in results and run folders.
        reader: Function that reads a part, "module:function" in this package, imported when used.
            Values: (spec, paths of all files, part) -> RawSamples. Tasks: (spec, delay, part) ->
            RawSamples. Events: (spec, path of the part, part) -> Recordings; if there are no
            files, the path is that of the folder.
        folder: Folder of the dataset below the data folder.
        files: All files; of events first the training part, then the test part.
    """

    label: str
    reader: str
    folder: str = ""
    files: tuple[DataFile, ...] = ()

    def load_reader(self) -> Callable[..., Any]:
        """Import the function that reads the source."""
        return pkgutil.resolve_name(f"sqsnn.data.{self.reader}")


class Sensor(NamedTuple):
    """A sensor that records events.

    Attributes:
        columns: Columns; x is 0..columns-1.
        rows: Rows; y is 0..rows-1. 1 where the units form a line.
        polarities: 2 where events are ON or OFF, else 1.
    """

    columns: int
    rows: int = 1
    polarities: int = 1

    def pooled(self, pool: int) -> tuple[int, int]:
        """Rows and columns that remain when neighbours are merged; the last ones may be smaller.

        Args:
            pool: Rows, and columns, that become one.
        """
        return -(-self.rows // pool), -(-self.columns // pool)


@dataclass(frozen=True)
class EventSpec:
    """Events of a dataset, and how they become spike trains by default.

    Attributes:
        sensor: Sensor that recorded them; None where only the files tell.
        duration: Seconds that the time steps span; None where the user must give them.
        pool: Neighbouring rows and columns that become one input.
        in_order: Whether the times of a recording must not fall.
    """

    sensor: Sensor | None
    duration: float | None
    pool: int
    in_order: bool = True

    @property
    def polarities(self) -> int | None:
        """2 where events are ON or OFF, else 1; None where only the files tell."""
        return None if self.sensor is None else self.sensor.polarities


@dataclass(frozen=True)
class Task:
    """A generated task in time: a window of cues, blank steps, and a step for the answer.

    Attributes:
        stream: Number of its random streams; unique, and never changed: it fixes the samples.
        windows: Equally likely windows of each class, without noise, separated by spaces. One
            character per step: the number of the cue line that fires, or "." for none.
        delay: Blank steps between cue and report by default.
    """

    stream: int
    windows: tuple[str, ...]
    delay: int

    @property
    def lines(self) -> int:
        """Input lines: the cue lines and, as the last, "go"."""
        return 2 + max(int(step) for window in self.windows for step in window if step.isdigit())

    def steps(self, delay: int) -> int:
        """Count the time steps of a sample: window, delay and report.

        Args:
            delay: Blank steps between cue and report, at least 1.
        """
        return len(self.windows[0].split()[0]) + delay + 1


@dataclass(frozen=True)
class Series:
    """Series in time: generated ones, or those of a user's own file.

    Attributes:
        length: Steps of a series; None for values that do not change in time.
        law: The function of `series` that generates them; empty for own files.
        features: Values per step.
        target_names: Names of the real values to predict; empty for classes.
        every_step: Whether there is a value to predict for each step.
        report_steps: Last steps that are the network's answer; None for all.
        are_spikes: Whether the values are spikes.
        trace_decay: Decay of the traces from which real values are read.
    """

    length: int | None
    law: str = ""
    features: int = 1
    target_names: tuple[str, ...] = ()
    every_step: bool = False
    report_steps: int | None = None
    are_spikes: bool = False
    trace_decay: float | None = None


@dataclass(frozen=True)
class DatasetSpec:
    """Everything known about one dataset: what it is, its files, how it is read and trained.

    Attributes:
        name: Name in `sqsnn train NAME`.
        text: One line: what it is, by whom, under which licence.
        class_names: Names of the classes in the order of the labels; empty until the data are read
            where only they tell.
        sources: Where the data may come from, the preferred first, the one to download last.
        train_size: Samples of the training part, validation included, as published.
        test_counts: Test samples per class as published; one total where the classes are not.
        hidden: Neurons of each hidden layer.
        epochs: Passes over the training data.
        sample_steps: Time steps of a sample by default; of a task, its delay decides.
        batch_size: Samples per training step.
        learning_rate: Highest learning rate of the one-cycle schedule.
        loss_on: What the loss of simulated outputs sees, "probability" or "count".
        rates: Learning rates of other neurons than SQS, by their kind; best on validation samples.
        reset_steps: Steps of the leaky drive's reset; with 3, a device runs the whole sample in one
            circuit. None for the whole membrane.
        image_shape: Rows and columns of an image; None for spike trains.
        task: The generated task in time, if it is one.
        events: The events and their default binning, if it has events.
        series: The series, if it has series or real values to predict.
    """

    name: str
    text: str
    class_names: tuple[str, ...]
    sources: tuple[Source, ...]
    train_size: int
    test_counts: tuple[int, ...]
    hidden: tuple[int, ...]
    epochs: int = 30
    sample_steps: int = 10
    batch_size: int = 64
    learning_rate: float = 0.01
    loss_on: Literal["probability", "count"] = "probability"
    rates: Mapping[str, float] = field(default_factory=dict, hash=False)
    reset_steps: int | None = None
    image_shape: tuple[int, int] | None = None
    task: Task | None = None
    events: EventSpec | None = None
    series: Series | None = None

    @property
    def is_spike_trains(self) -> bool:
        """Whether the samples are spike trains, else values that an encoding turns into spikes."""
        of_spikes = self.series is not None and self.series.are_spikes
        return self.task is not None or self.events is not None or of_spikes

    @property
    def is_series(self) -> bool:
        """Whether the samples are series of values."""
        return not self.is_spike_trains and self.length is not None

    @property
    def length(self) -> int | None:
        """Steps of a series; None for other samples."""
        return None if self.series is None else self.series.length

    @property
    def predicts_values(self) -> bool:
        """Whether real values are to be predicted, not classes."""
        return self.series is not None and bool(self.series.target_names)

    @property
    def delay(self) -> int | None:
        """Blank steps between cue and report by default; None where there is no delay."""
        return None if self.task is None else self.task.delay

    @property
    def report_steps(self) -> int | None:
        """Last steps that are the network's answer; None for all steps."""
        if self.series is not None:
            return self.series.report_steps
        return None if self.task is None else 1

    @property
    def features(self) -> int | None:
        """Values per sample, or per step of a spike train; None where only the files tell."""
        if self.task is not None:
            return self.task.lines
        if self.series is not None:
            return self.series.features
        if self.events is None:
            rows, columns = self.image_shape or (0, 0)
        elif self.events.sensor is None:
            return None
        else:
            rows, columns = self.events.sensor.pooled(self.events.pool)
        return rows * columns

    @property
    def preset(self) -> dict[str, Any]:
        """Settings of `sqsnn train` with which the dataset trains well in minutes."""
        return self.preset_for(None)

    def preset_for(self, delay: int | None, neurons: str = "sqs") -> dict[str, Any]:
        """Make the preset of a task with another delay, or for other neurons.

        The polarity of events is not part of it: it follows from the channels of the neurons.

        Args:
            delay: Blank steps of a task in time; None for its default.
            neurons: The kind of the neurons.
        """
        delay = self.delay if delay is None else delay
        settings: dict[str, Any] = {
            "hidden": [*self.hidden],
            "encoding": {"kind": self._encoding, "steps": self.steps(delay)},
            "training": {
                "epochs": self.epochs,
                "batch_size": self.batch_size,
                "learning_rate": self.rates.get(neurons, self.learning_rate),
            },
        }
        if self.loss_on != "probability":
            settings["rule"] = {"loss_on": self.loss_on}
        drive: dict[str, Any] = {}
        if self.reset_steps is not None:
            drive["reset_steps"] = self.reset_steps
        if max(delay or 0, self.length or 0) >= LONG_DELAY:
            drive["beta"] = SLOW_BETA
        if drive:
            settings["neurons"] = {"drive": drive}
        if self.task is not None:
            settings |= {"report_steps": self.report_steps, "data": {"cue_delay": delay}}
        elif self.events is not None:
            data = {"duration": self.events.duration, "pool": self.events.pool}
            settings["data"] = {name: value for name, value in data.items() if value is not None}
        elif self.series is not None:
            settings |= self._series_preset
        return settings

    @property
    def _encoding(self) -> str:
        """The kind of the encoding that suits the samples."""
        if self.is_spike_trains:
            return "spikes"
        # The random spikes of few values would limit what can be told from them.
        return "rate" if self.image_shape else "current"

    @property
    def _series_preset(self) -> dict[str, Any]:
        assert self.series is not None
        settings: dict[str, Any] = {}
        if self.series.report_steps is not None:
            settings["report_steps"] = self.series.report_steps
        if self.predicts_values:
            settings["readout"] = {"kind": "traces", "every_step": self.series.every_step}
            if self.series.trace_decay is not None:
                settings["readout"]["trace_decay"] = self.series.trace_decay
        return settings

    def steps(self, delay: int | None = None) -> int:
        """Count the time steps of a sample.

        Args:
            delay: Blank steps of a task in time; None for its default. Of no effect elsewhere.
        """
        if self.length is not None:
            return self.length
        if self.task is None:
            return self.sample_steps
        return self.task.steps(self.task.delay if delay is None else delay)

    def size(self, part: Part) -> int:
        """Count the samples of a part as published.

        Args:
            part: Training or test part.
        """
        return self.train_size if part == "train" else sum(self.test_counts)
