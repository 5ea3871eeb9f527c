"""The command `sqsnn-bench`: studies, claims, gradients, reservoirs, series, spikes, scaling."""

import json
import re
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter
from cyclopts.validators import Number
from pydantic import ValidationError
from rich.text import Text

from sqsnn import launch
from sqsnn.cli import ends
from sqsnn.cli.ends import Output, OutputError
from sqsnn.errors import ConfigError, SqsnnError
from sqsnn.options import explain
from sqsnn_bench import __version__
from sqsnn_bench.gradients.options import GradientOptions
from sqsnn_bench.reproduce.commands import reproduce
from sqsnn_bench.reservoir.options import ReservoirOptions
from sqsnn_bench.rhythms.commands import rhythms
from sqsnn_bench.scaling.commands import scaling
from sqsnn_bench.series.options import SeriesOptions
from sqsnn_bench.shapes.commands import shapes
from sqsnn_bench.spikes.commands import spikes

app = App(
    name="sqsnn-bench",
    help="Compare stochastic quantum spiking neural networks with others, fairly.",
    version=__version__,
    default_parameter=Parameter(negative=()),
    help_epilogue="Start with: sqsnn-bench compare examples/study.toml",
    suppress_keyboard_interrupt=False,
    result_action="return_value",
)
app.command(reproduce)
app.command(rhythms)
app.command(shapes)
app.command(scaling)
app.command(spikes)


@app.command
def compare(
    study: Path,
    /,
    *,
    out: Annotated[Path | None, Parameter(show_default=False)] = None,
    jobs: Annotated[int, Parameter(validator=Number(gte=1))] = 1,
    cluster: Annotated[str | None, Parameter(show_default=False)] = None,
    storage: Annotated[str | None, Parameter(show_default=False)] = None,
    only: tuple[str, ...] = (),
    test_again: Annotated[str | None, Parameter(show_default=False)] = None,
) -> None:
    """Compare models fairly, and write results.json, results.md and pictures.

    All have the same number of parameters, data, training and search, and each seed is tested once.
    Trials that are done are kept: the same command again goes on where it stopped.

    Args:
        study: File of the study, e.g. study.toml.
        out: Folder of the results [default: runs/NAME, by the name of the study].
        jobs: Trials at a time, each in a process of its own.
        cluster: Address of a Dask scheduler, e.g. tcp://10.0.0.1:8786: its workers run the trials.
        storage: URL of a database, e.g. postgresql://user@host/search: commands that name the same
            share the study, and each trial is run by one of them.
        only: Row to run, as GROUP/MODEL; repeat the flag for several [default: all].
        test_again: Why networks are tested again whose record is gone; it goes into tested.jsonl,
            the log of the test part, without which they are refused.
    """
    # Here and not above: `sqsnn-bench --help` waits for neither.
    from sqsnn_bench.study.config import read_study

    read = read_study(study)
    folder = out or Path("runs") / read.name
    from sqsnn_bench.study import headline
    from sqsnn_bench.study.page import RESULTS, shown
    from sqsnn_bench.study.progress import Lines
    from sqsnn_bench.study.run import compare as run_study

    console = Output()
    lines = Lines(read, console)
    try:
        with lines.shown():
            run_study(
                read,
                study,
                folder,
                jobs,
                lines,
                cluster=cluster,
                storage=storage,
                only=only,
                test_again=test_again,
            )
    except (KeyboardInterrupt, OutputError) as error:
        command = f"sqsnn-bench compare {shlex.quote(str(study))}"
        command += f" --out {shlex.quote(str(folder))}" if out else ""
        command += f" --jobs {jobs}" if jobs > 1 else ""
        command += f" --cluster {shlex.quote(cluster)}" if cluster else ""
        if storage:
            from sqsnn_bench.study.storage_url import read_url

            command += f" --storage {shlex.quote(read_url(storage).shown)}"
        command += "".join(f" --only {shlex.quote(pair)}" for pair in only)
        command += f" --test-again {shlex.quote(test_again)}" if test_again else ""
        said = f"Interrupted: trials that are done are kept. To go on:\n  {command}"
        if isinstance(error, OutputError):
            raise OutputError(f"{error}. {said}", error.is_closed) from error
        raise KeyboardInterrupt(said) from None
    rows = json.loads((folder / RESULTS).read_text("utf-8"))["rows"]
    for row in rows if not only else filter(lambda row: row["seeds"], rows):
        judged = headline.of(row)
        figure = f"{shown(row[judged.test], judged)} {judged.unit}".rstrip()
        lines.note(
            f"{row['dataset']}, {row['label']}: {judged.label} {figure} over "
            f"{len(row['seeds'])} seeds"
        )
    for name in ("results.md", "results.json"):
        console.print(Text(str(folder / name)), soft_wrap=True)


@app.command
def tables(folder: Path, /) -> None:
    """Write the tables and pictures of a study again, from its records alone.

    Args:
        folder: Folder of a study, with its study.toml and trials.jsonl.gz.
    """
    from sqsnn_bench.study import records
    from sqsnn_bench.study import tables as writing
    from sqsnn_bench.study.config import read_study

    writing.write(read_study(folder / "study.toml"), folder, records.read(folder))
    for name in ("results.md", "results.json"):
        Output().print(Text(str(folder / name)), soft_wrap=True)


@app.command
def report(
    folder: Path, /, *, out: Annotated[Path | None, Parameter(show_default=False)] = None
) -> None:
    """Write a study as one HTML page that holds its figures and pictures and loads nothing.

    Args:
        folder: Folder of a study.
        out: The file [default: report.html in the folder].
    """
    from sqsnn.storage import write_atomically
    from sqsnn_bench.study.page import study_page

    target, text = out or folder / "report.html", study_page(folder)
    write_atomically(target, lambda path: path.write_text(text, "utf-8"))
    Output().print(Text(str(target)), soft_wrap=True)


@app.command
def gradients(
    run: Path,
    /,
    *,
    options: Annotated[GradientOptions | None, Parameter(name="*")] = None,
    data_dir: Annotated[Path | None, Parameter(show_default=False)] = None,
) -> None:
    """Measure bias and noise of gradients from measured bits.

    They are compared with the exact gradient of the same spikes, on validation samples. Writes
    gradients.json and gradients.png into the folder of the run.

    Args:
        run: Folder of the run.
        options: Which estimators, and how thoroughly.
        data_dir: Folder of the datasets [default: that of the training].
    """
    from sqsnn.runs import folder as folders
    from sqsnn_bench.gradients import text
    from sqsnn_bench.gradients.run import diagnose_run

    console = Output()

    def watch(estimator: str, number: int, of: int) -> None:
        console.print(Text(f"{number} of {of}: {estimator}"), soft_wrap=True)

    options = options or GradientOptions()
    folder = folders.find(run)
    found = diagnose_run(folder, options, data_dir, watch)
    console.print()
    for table in text.tables(found):
        console.print(table)
    console.print(Text(text.READING))
    if options.signal == "likelihood":
        console.print(Text(text.LIKELIHOOD))
    for name in ("gradients.json", "gradients.png"):
        console.print(Text(str(folder.path / name)), soft_wrap=True)


@app.command
def reservoir(
    *,
    options: Annotated[ReservoirOptions | None, Parameter(name="*")] = None,
    out: Path = Path("bench/results/reservoir.json"),
) -> None:
    """Compare untrained neurons as reservoirs, beside an echo-state network.

    Tasks are NARMA-5, NARMA-10, Mackey-Glass and memory capacity; a ridge regression reads the
    spikes of one step, or their traces. Writes the figures, and prints them as Markdown tables.

    Args:
        options: What is equal for all reservoirs.
        out: File of the figures.
    """
    from sqsnn_bench.reservoir.run import compare as compare_reservoirs
    from sqsnn_bench.reservoir.text import tables as reservoir_tables

    console = Output()

    def watch(line: str, number: int, of: int) -> None:
        console.print(Text(f"{number} of {of}: {line}"), soft_wrap=True)

    content = compare_reservoirs(options or ReservoirOptions(), out, watch)
    console.print()
    console.print(Text(reservoir_tables(content)), soft_wrap=True)
    console.print(Text(str(out)), soft_wrap=True)


@app.command
def series(
    *,
    archive: Path,
    options: Annotated[SeriesOptions | None, Parameter(name="*")] = None,
    out: Path = Path("bench/results/series.json"),
) -> None:
    """Compare neurons that classify time series, beside ridge regressions.

    One ridge regression sees all values, the other random convolutions. Two problems are generated;
    the others come with sktime: `pip download --no-deps sktime==1.2.0`, unzip the wheel, and name
    its folder sktime/datasets/data. Writes the figures, and prints them as Markdown tables.

    Args:
        archive: Folder with a folder per problem, in which lie NAME_TRAIN.ts and NAME_TEST.ts.
        options: What is equal for all models.
        out: File of the figures.
    """
    from sqsnn_bench.series.run import compare as compare_models
    from sqsnn_bench.series.text import tables as series_tables

    console = Output()

    def watch(line: str) -> None:
        console.print(Text(line), soft_wrap=True)

    content = compare_models(archive, options or SeriesOptions(), out, watch)
    console.print()
    console.print(Text(series_tables(content)), soft_wrap=True)
    console.print(Text(str(out)), soft_wrap=True)


@app.command(name="joint-law")
def joint_law(
    *,
    backend: str = "aer",
    circuit: tuple[str, ...] = ("crx", "bidirectional"),
    shots: Annotated[int, Parameter(validator=Number(gte=1000))] = 20_000,
    seed: int = 0,
    out: Annotated[Path | None, Parameter(show_default=False)] = None,
) -> None:
    """Compare the joint law of hidden and output spikes on a device with the exact one.

    Networks of one hidden neuron and one output, of every drive, run one sample many times; by
    chi-square. What the device refuses is noted. Writes the figures, and prints them as a Markdown
    table.

    Args:
        backend: A simulator (aer, braket) or a snapshot, without its noise.
        circuit: Circuit of the neurons; repeat the flag for several.
        shots: Records of each network.
        seed: Of the outcomes, where they are simulated.
        out: File of the figures [default: bench/results/hardware/joint-law-BACKEND.json].
    """
    from sqsnn.storage import write_json
    from sqsnn.training.machine import threads
    from sqsnn_bench import joint_law as laws
    from sqsnn_bench.timing import machine

    console, target = Output(), out
    if target is None:
        target = Path("bench/results/hardware") / f"joint-law-{backend.replace(':', '-')}.json"
    with threads(1):
        content = laws.compare(
            backend, circuit, shots, seed, lambda line: console.print(Text(line), soft_wrap=True)
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    write_json(target, {**content, **machine()})
    console.print()
    console.print(Text(laws.table(content)), soft_wrap=True)
    console.print(Text(str(target)), soft_wrap=True)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with its code, see `sqsnn.cli.ends.CODES`.

    Args:
        arguments: The words after `sqsnn-bench`; None for the arguments of this process.
    """
    ends.stop_politely()
    # For circuits and neurons of one's own, as in sqsnn.
    if "" not in sys.path:
        sys.path.append("")
    try:
        if launch.is_launched():
            raise ConfigError(
                f"{launch.processes()} processes were started, and each would do all of the work: "
                "call `sqsnn-bench` without torchrun; compare shares its trials by --jobs"
            )
        app(arguments, console=Output(), exit_on_error=False, print_error=False)
    except KeyboardInterrupt as interrupt:
        _say(str(interrupt) or "Interrupted.", "yellow")
        sys.exit(ends.INTERRUPTED)
    except OutputError as error:
        _say(str(error), "red")
        sys.exit(ends.CLOSED if error.is_closed else ends.WRONG_USE)
    except CycloptsError as error:
        cause = error.__cause__
        wrong = isinstance(cause, ValidationError)
        _say(explain(cause, flags=True) if wrong else str(error), "red")
        sys.exit(ends.WRONG_USE)
    except (SqsnnError, ValueError, OSError) as error:
        _say(str(error), "red")
        sys.exit(ends.WRONG_USE)
    finally:
        ends.end_at_once()


def _say(message: str, colour: str) -> None:
    # Whoever quotes a word of the call may quote the URL of a storage: not its password.
    message = re.sub(r"(://[^/\s:@]*:)\S*@", r"\1***@", message)
    message = re.sub(r"(password=)[^&\s'\"]*", r"\1***", message)
    ends.say(message, colour)
