"""`sqsnn spikes`: models of recorded spike trains."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import App, Parameter
from pydantic import BeforeValidator, Field
from rich.table import Table
from rich.text import Text

from sqsnn.cli.ends import Output
from sqsnn.cli.help import FLAGS
from sqsnn.errors import ConfigError, DataError
from sqsnn.options import Whole, options
from sqsnn.settings.section import split_commas

if TYPE_CHECKING:
    from sqsnn.data.own.spike_times import TimeUnit
    from sqsnn.spike_trains.figures import Figures
    from sqsnn.spike_trains.model import SpikeTrainModel
    from sqsnn.spike_trains.recording import Recording

spikes = App(
    name="spikes",
    help="Fit quantum neurons to recorded spike trains, and draw spike trains from them.",
    help_epilogue="Start with: sqsnn spikes fit cell.csv --bin-width 0.001 --out runs/cell",
    help_flags=FLAGS,
)

_Label = Annotated[Whole | str, Field(union_mode="left_to_right")]


@options
class Reading:
    """How a recording is read."""

    bin_width: float | None = None
    """Seconds of a bin, which holds one spike of a unit at most; times of spikes need it."""
    time_unit: Literal["s", "ms", "us"] | None = None
    """Unit of the times in the file [default: s; in `score` that of the fit]."""
    units: Annotated[tuple[_Label, ...], BeforeValidator(split_commas)] | None = None
    """Numbers or names of the units to read, as 0,3 [default: all]."""
    start: float = 0.0
    """Seconds, where the first bin begins."""
    stop: float | None = None
    """Seconds, where the recording ends [default: with its last spike]."""
    stimulus: Path | None = None
    """.npz file of the array `stimulus`, (n, T) or (n, T, F): values of each bin of each train."""


@options
class Fitting:
    """The model and its fit; what is left out is left to `SpikeTrainModel`."""

    memory_qubits: int | None = None
    """Memory qubits [default: 1]."""
    circuit: str | None = None
    """Circuit of the neuron [default: clock]."""
    drive: Literal["rectified", "saturating", "leaky"] | None = None
    """How a stimulus becomes angles; leaky also remembers by a membrane [default: rectified]."""
    stimulus_lags: int | None = None
    """Bins of the stimulus that count for a bin, the last of them its own [default: 1]."""
    warm_up: int | None = None
    """Bins at the beginning of each train that only prepare the memory [default: 0]."""
    starts: int | None = None
    """Random first values that are tried [default: 12]."""
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    """Seed of everything random."""


_READING, _FITTING = Reading(), Fitting()


@spikes.command
def fit(
    file: Path,
    /,
    *,
    out: Path,
    reading: Annotated[Reading, Parameter(name="*")] = _READING,
    fitting: Annotated[Fitting, Parameter(name="*")] = _FITTING,
    held_out: Annotated[float, Parameter(show_default=True)] = 0.2,
) -> None:
    """Fit a quantum neuron to spike trains by maximum likelihood, and test it on held-out ones.

    Writes the model, figures, pictures and a page into a new folder.

    Parameters
    ----------
    file
        The recording: times of spikes (.npz, .csv, .tsv, .txt, .nwb) or bins (.npz).
    out
        The folder.
    held_out
        Share of the trains that is held out; with fewer than five trains, of the bins of each.
    """
    _check_files(file, reading)
    from sqsnn.spike_trains import folder
    from sqsnn.spike_trains.figures import Fitted, size_in_words
    from sqsnn.spike_trains.recording import hold_out
    from sqsnn.spike_trains.report import REPORT

    console, model = Output(), _model(fitting)
    with folder.begun(out, model.circuit):
        training, test = hold_out(_read(console, file, reading), held_out, model.warm_up)
        said = f"Fitting {size_in_words(training.trains)}; starts: {model.starts}"
        console.print(Text(said), soft_wrap=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of a fit in vain: the verdict says it
            model.fit(training.trains, training.stimulus)
        parts = {"training": training} | ({} if test is None else {"held out": test})
        settings = {"starts": model.starts, "seed": fitting.seed, "held_out": held_out}
        settings |= vars(reading) | {"time_unit": reading.time_unit or "s"}
        settings["stimulus"] = reading.stimulus and reading.stimulus.name
        figures = folder.write(out, Fitted(file.name, model, parts, fitting.seed), settings)
    _print(console, file.name, model, figures)
    for name in (folder.MODEL, folder.METRICS, REPORT):
        console.print(Text(str(out / name)), soft_wrap=True)


@spikes.command
def sample(
    model: Path,
    /,
    *,
    out: Path,
    trains: int | None = None,
    bins: int | None = None,
    stimulus: Annotated[Path | None, Parameter(show_default=False)] = None,
    seed: Annotated[int, Parameter(show_default=True)] = 0,
) -> None:
    """Draw spike trains from a model.

    Parameters
    ----------
    model
        Folder or file of the model.
    out
        The new .npz file, which `sqsnn spikes fit` reads, too.
    trains
        How many [default: 10, or as many as the stimulus has].
    bins
        Bins of each [default: 1000, or as many as the stimulus has].
    stimulus
        As in `fit`, for a model with a stimulus.
    seed
        Seed of the spikes.
    """
    if out.suffix != ".npz" or out.exists():
        raise ConfigError(f"out must be a new file that ends in .npz, but is {out}")
    from sqsnn.spike_trains import folder
    from sqsnn.spike_trains.process import check_sample
    from sqsnn.spike_trains.stimulus import read_stimulus_file

    found = folder.load(model)
    _check_stimulus(found, stimulus)
    whole = None if stimulus is None else read_stimulus_file(stimulus)
    count, length = (10, 1000) if whole is None else (len(whole), len(whole[0]))
    trains, bins = count if trains is None else trains, length if bins is None else bins
    check_sample(trains, bins, len(found.rate_))
    values = None
    if stimulus is not None:
        values = read_stimulus_file(stimulus, [bins] * trains, found.stimulus_features_)
    drawn = found.sample(trains, bins, values, random_state=seed)
    drawn.to_npz(out)
    Output().print(Text(f"{out}: {drawn.count:,} spikes in {trains:,} trains"), soft_wrap=True)


@spikes.command
def score(
    model: Path,
    file: Path,
    /,
    *,
    reading: Annotated[Reading, Parameter(name="*")] = _READING,
    seed: Annotated[int, Parameter(show_default=True)] = 0,
) -> None:
    """Test a model on a further recording.

    Times of spikes are read in bins of the model's width, unless another one is given.

    Parameters
    ----------
    model
        Folder or file of the model.
    file
        The recording.
    seed
        Seed of time rescaling, which draws where in its bin a spike lies.
    """
    _check_files(file, reading)
    from sqsnn.spike_trains import folder
    from sqsnn.spike_trains.figures import measure

    console, found = Output(), folder.load(model)
    _check_stimulus(found, reading.stimulus)
    recording = _read(console, file, reading, found, folder.time_unit(model))
    _print(console, file.name, found, {"recording": measure(found, recording, seed)})


def _check_files(file: Path, reading: Reading) -> None:
    """Refuse files that are not there, before a second is spent on the import of torch."""
    for path in (file, reading.stimulus):
        if path is not None and not path.expanduser().exists():
            raise DataError(f"{path} does not exist")


def _check_stimulus(model: "SpikeTrainModel", stimulus: Path | None) -> None:
    if model.stimulus_features_ and stimulus is None:
        raise ConfigError("the model was fitted with a stimulus: give one by --stimulus FILE.npz")
    if stimulus is not None and not model.stimulus_features_:
        raise ConfigError("the model was fitted without a stimulus: leave out --stimulus")


def _model(fitting: Fitting) -> "SpikeTrainModel":
    """Make a model that is not fitted, with what was chosen."""
    from sqsnn.spike_trains.model import SpikeTrainModel
    from sqsnn.spike_trains.saved import DRIVE

    chosen = {name: value for name, value in vars(fitting).items() if value is not None}
    if "drive" in chosen:
        chosen["drive"] = DRIVE.validate_python({"kind": chosen["drive"]})
    return SpikeTrainModel(random_state=chosen.pop("seed"), **chosen)


def _read(
    console: Output,
    file: Path,
    reading: Reading,
    model: "SpikeTrainModel | None" = None,
    unit: "TimeUnit" = "s",
) -> "Recording":
    """Read a recording, for a fitted model if there is one, and print what is said in warnings.

    What is not given is as in the fit, but only for times: bins have their own width and no unit.
    """
    from sqsnn.data.own.spike_times import read_spike_trains
    from sqsnn.spike_trains.recording import Recording
    from sqsnn.spike_trains.stimulus import read_stimulus_file

    given: dict[str, Any] = dict(vars(reading))
    stimulus, width = given.pop("stimulus"), None if model is None else model.bin_width_
    given["time_unit"] = reading.time_unit or ("s" if reading.bin_width is None else unit)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            trains = read_spike_trains(file, **given)
        except ConfigError as error:
            if reading.bin_width is not None or "choose bin_width" not in str(error):
                raise
            if width is None:
                raise ConfigError(f"{error}, such as --bin-width 0.001") from None
            given |= {"bin_width": width, "time_unit": reading.time_unit or unit}
            trains = read_spike_trains(file, **given)
    for one in caught:
        console.print(Text(str(one.message), style="yellow"), soft_wrap=True)
    if width and trains.bin_width not in (None, width):
        found = f"{file} has bins of {1000 * trains.bin_width:g} ms"
        raise ConfigError(f"the model has bins of {1000 * width:g} ms, {found}")
    if stimulus is None:
        return Recording(trains)
    features = None if model is None else model.stimulus_features_
    return Recording(trains, read_stimulus_file(stimulus, list(map(len, trains)), features))


def _print(
    console: Output, title: str, model: "SpikeTrainModel", figures: "Mapping[str, Figures]"
) -> None:
    from sqsnn.spike_trains.figures import in_words, verdict

    table = Table(title=Text(title), show_header=False)
    for name, value in in_words(model, figures).items():
        table.add_row(name, Text(value))
    console.print(table)
    console.print(Text(verdict(model, figures)))
