"""`sqsnn spikes`: models of recorded spike trains."""

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, Parameter
from pydantic import BeforeValidator, Field
from rich.table import Table
from rich.text import Text

from sqsnn.cli.ends import Output
from sqsnn.cli.help import FLAGS
from sqsnn.options import Whole, options
from sqsnn.settings.section import split_commas

if TYPE_CHECKING:
    from sqsnn.spike_trains.model import SpikeTrainModel
    from sqsnn.spike_trains.recording import Recording

spikes = App(
    name="spikes",
    help="Fit quantum neurons to recorded spike trains, and draw spike trains from them.",
    help_flags=FLAGS,
)


@options
class Reading:
    """How a recording is read."""

    bin_width: float | None = None
    """Seconds of a bin, which holds one spike of a unit at most; times of spikes need it."""
    time_unit: Literal["s", "ms", "us"] = "s"
    """Unit of the times in the file."""
    units: Annotated[tuple[Whole, ...], BeforeValidator(split_commas)] | None = None
    """Numbers of the units to read, as 0,3 [default: all]."""
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


@spikes.command
def fit(
    file: Path,
    /,
    *,
    out: Path,
    reading: Annotated[Reading | None, Parameter(name="*")] = None,
    fitting: Annotated[Fitting | None, Parameter(name="*")] = None,
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
        Share of the trains that is held out; of fewer than five trains, of the bins of each.
    """
    from sqsnn.spike_trains import folder
    from sqsnn.spike_trains.figures import in_words, size_in_words
    from sqsnn.spike_trains.recording import hold_out
    from sqsnn.spike_trains.report import REPORT

    console, chosen = Output(), fitting or Fitting()
    model = _model(chosen)
    with folder.begun(out, model.circuit):
        training, test = hold_out(_read(console, file, reading), held_out, model.warm_up)
        said = f"Fitting {size_in_words(training.trains)}; starts: {model.starts}"
        console.print(Text(said), soft_wrap=True)
        model.fit(*training)
        parts = {"training": training} | ({} if test is None else {"held out": test})
        figures = folder.write(out, file.name, model, parts, chosen.seed)
    console.print(_table(file.name, in_words(model, figures)))
    for name in (folder.MODEL, folder.METRICS, REPORT):
        console.print(Text(str(out / name)), soft_wrap=True)


@spikes.command
def sample(
    model: Path,
    /,
    *,
    out: Path,
    trains: Annotated[int, Parameter(show_default=True)] = 10,
    bins: Annotated[int, Parameter(show_default=True)] = 1000,
    stimulus: Annotated[Path | None, Parameter(show_default=False)] = None,
    seed: Annotated[int, Parameter(show_default=True)] = 0,
) -> None:
    """Draw spike trains from a model.

    Parameters
    ----------
    model
        Folder or file of the model.
    out
        The .npz file, which `sqsnn spikes fit` reads, too.
    trains
        How many.
    bins
        Bins of each.
    stimulus
        As in `fit`, for a model with a stimulus.
    seed
        Seed of the spikes.
    """
    from sqsnn.spike_trains import folder
    from sqsnn.spike_trains.recording import read_stimulus_file

    found = folder.load(model)
    given = None if stimulus is None else read_stimulus_file(stimulus, [bins] * trains)
    drawn = found.sample(trains, bins, given, random_state=seed)
    drawn.to_npz(out)
    Output().print(Text(f"{out}: {drawn.count:,} spikes in {trains:,} trains"), soft_wrap=True)


@spikes.command
def score(
    model: Path,
    file: Path,
    /,
    *,
    reading: Annotated[Reading | None, Parameter(name="*")] = None,
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
    from sqsnn.spike_trains import folder
    from sqsnn.spike_trains.figures import in_words, measure

    console, found = Output(), folder.load(model)
    recording = _read(console, file, reading, found.bin_width_)
    figures = {"recording": measure(found, recording, seed)}
    console.print(_table(file.name, in_words(found, figures)))


def _model(fitting: Fitting) -> "SpikeTrainModel":
    """Make a model that is not fitted, with what was chosen."""
    from sqsnn.spike_trains.model import SpikeTrainModel
    from sqsnn.spike_trains.saved import DRIVE

    chosen = {name: value for name, value in vars(fitting).items() if value is not None}
    if "drive" in chosen:
        chosen["drive"] = DRIVE.validate_python({"kind": chosen["drive"]})
    return SpikeTrainModel(random_state=chosen.pop("seed"), **chosen)


def _read(
    console: Output, file: Path, reading: Reading | None, bin_width: float | None = None
) -> "Recording":
    """Read a recording, and print what is said of it in warnings."""
    from sqsnn.data.own.spike_times import read_spike_trains
    from sqsnn.spike_trains.recording import Recording, read_stimulus_file

    given = dict(vars(reading or Reading()))
    stimulus = given.pop("stimulus")
    if given["bin_width"] is None:
        given["bin_width"] = bin_width
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        trains = read_spike_trains(file, **given)
    for one in caught:
        console.print(Text(str(one.message), style="yellow"), soft_wrap=True)
    if stimulus is None:
        return Recording(trains)
    return Recording(trains, read_stimulus_file(stimulus, list(map(len, trains))))


def _table(title: str, rows: dict[str, str]) -> Table:
    table = Table(title=Text(title), show_header=False)
    for name, value in rows.items():
        table.add_row(name, Text(value))
    return table
