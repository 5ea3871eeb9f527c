"""A run on the terminal: a bar for the epoch at work, one line per epoch, a final table."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from sqsnn import launch
from sqsnn.cli.ends import Output, OutputError, last_words
from sqsnn.cli.spending import asking
from sqsnn.data.dataset import Dataset
from sqsnn.errors import ProcessError, WriteError
from sqsnn.network.wiring import say_layer
from sqsnn.runs.folder import RunFolder
from sqsnn.runs.run import Watcher
from sqsnn.settings.run import RunSettings
from sqsnn.training import progress as training
from sqsnn.training.progress import Epoch, Step


class Screen(Watcher):
    """Shows how a run goes.

    The bar appears on terminals only; elsewhere there is one line per epoch.
    """

    def __init__(self, yes: bool = False, track: str = "") -> None:
        self._console = Output(quiet=launch.rank() > 0)  # of several processes one speaks
        self._yes, self._track = yes, track
        self._bar = Progress(
            TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]:.3f}{task.fields[accuracy]}"),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._folder: RunFolder | None = None
        self._epochs = 0

    def opened(
        self, folder: RunFolder, settings: RunSettings, dataset: Dataset, epochs: int
    ) -> None:
        """Say what is trained and where it goes, and start the bar."""
        self._folder, self._epochs = folder, settings.training.epochs
        if self._console.quiet:
            return
        goes_on = f", going on after epoch {epochs}" if epochs else ""
        self.say(f"Training on {settings.data.dataset}, run folder {folder.path}{goes_on}")
        self.say(_described(dataset))
        self._task = self._bar.add_task(
            "", total=None, epoch=epochs + 1, epochs=self._epochs, loss=float("nan"), accuracy=""
        )
        self._bar.start()

    def step(self, step: Step) -> None:
        """Move the bar."""
        self._bar.update(
            self._task,
            total=step.batches,
            completed=step.batch,
            epoch=step.epoch,
            loss=step.loss,
            accuracy="" if step.accuracy is None else f"  accuracy {step.accuracy:.1%}",
        )

    def spend(self, estimate: str, billed: bool) -> None:
        """Print the estimate of a backend's jobs; ask before they are billed."""
        asking(self._console, self._yes)(estimate, billed)

    def epoch(self, epoch: Epoch, progress: training.Progress) -> None:
        """Print the line of an epoch."""
        figures = epoch.metrics
        self.say(
            f"epoch {figures['epoch']:>3}/{self._epochs}  loss {figures['train_loss']:.4f}  "
            f"{_reached(figures)}  {epoch.seconds:.1f} s{_measured(figures)}"
        )

    def testing(self, epoch: int) -> None:
        """Take the bar away and say what comes."""
        self.close()
        self.say(f"Testing the weights of epoch {epoch}, the best on validation")

    def result(self, folder: RunFolder) -> None:
        """Show the result before the pictures are drawn."""
        self.show_result(folder)
        self.say("Drawing pictures")

    def say(self, line: str) -> None:
        """Print a line, above the bar if there is one."""
        self._console.print(Text(line), soft_wrap=True)

    def close(self) -> None:
        """Take the bar away."""
        with suppress(OSError):  # of a terminal that is gone
            self._bar.stop()

    def how_to_go_on(self) -> str:
        """The command that goes on with an interrupted run."""
        if self._folder is None:
            return "Interrupted before training began; nothing was written."
        if self._folder.is_finished():
            again = f"sqsnn report {shlex.quote(str(self._folder.path))}"
            return f"Interrupted: the result is kept. For a page with all pictures:\n  {again}"
        how = " with any number of processes, or without torchrun" if launch.is_launched() else ""
        again = f"{self._folder.resume_command}{self._track}"
        return f"Interrupted: {self._folder.kept()}. To go on{how}:\n  {again}"

    def show_result(self, folder: RunFolder) -> None:
        """Show the figures of a finished run."""
        result, epochs = folder.read_result(), folder.read_metrics()
        seconds = folder.read_times().get("training_seconds")
        table = _figures(result, f"Result on {result['dataset']}")
        table.add_row("best epoch on validation", f"{result['best_epoch']} of {len(epochs)}")
        if seconds is not None:
            table.add_row("training time", f"{seconds:.1f} s")
        self._console.print(table)

    def show_files(self, folder: RunFolder) -> None:
        """Show what lies where in the folder of a run."""
        if self._console.quiet:
            return
        files = Table(title=Text(str(folder.path)), show_header=False)
        for path in sorted(folder.path.glob("[!.]*")):
            kind = path.stem.rstrip("0123456789")
            files.add_row(path.name, _CONTENTS.get(path.name) or _CONTENTS.get(kind, ""))
        self._console.print(files)

    def show_evaluation(self, path: Path, figures: dict[str, Any]) -> None:
        """Show what an evaluation of a network gave."""
        shots = "1 shot" if figures["shots"] == 1 else f"{figures['shots']} shots"
        table = _figures(figures, f"{path} on {figures['dataset']}, {shots}")
        self._console.print(table)


@contextmanager
def watching(yes: bool = False, track: str = "") -> Iterator[Screen]:
    """Open a screen for a run; an interrupt says how to go on, with these flags, too."""
    screen = Screen(yes, track)
    try:
        with last_words(screen.how_to_go_on):
            yield screen
    except (ProcessError, WriteError) as error:
        raise type(error)(f"{error}. {screen.how_to_go_on()}") from error
    except OutputError as error:
        raise OutputError(f"{error}. {screen.how_to_go_on()}", error.is_closed) from error
    except KeyboardInterrupt:
        raise KeyboardInterrupt(screen.how_to_go_on()) from None
    finally:
        screen.close()


def _described(dataset: Dataset) -> str:
    """What the data are taken for: samples, features, and classes or values."""
    prepared = dataset.preparation
    names = prepared.class_names or prepared.target_names
    shown = ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
    kind = "classes" if prepared.labels else "real values" if len(names) > 1 else "real value"
    steps = "" if dataset.steps is None else f" at {dataset.steps} steps"
    values = "1 feature" if dataset.features == 1 else f"{dataset.features} features"
    return (
        f"{len(dataset.train.targets)} training, {len(dataset.validation.targets)} validation and "
        f"{dataset.test_samples} test samples of {values}{steps}; "
        f"{len(names)} {kind}: {shown}"
    )


def _measured(figures: dict[str, Any]) -> str:
    """Circuits and shots of an epoch that learned from measured bits."""
    if "train_shots" not in figures:
        return ""
    given_up = figures["train_truncations"]
    of = f", {given_up:,} of {figures['train_events']:,} events given up" if given_up else ""
    return f"  {figures['train_circuits']:,} circuits, {figures['train_shots']:,} shots{of}"


def _reached(figures: dict[str, Any]) -> str:
    """How well the training and the validation samples are answered after an epoch."""
    if "validation_mse" in figures:
        nmse = figures["validation_nmse"]
        return f"validation error {_number(nmse)} of the variance"
    by_probability = figures["validation_accuracy_probability"]
    said = "" if by_probability is None else f", {by_probability:.1%} by probability"
    return (
        f"accuracy {figures['train_accuracy']:.1%}  "
        f"validation {figures['validation_accuracy']:.1%}{said}"
    )


def _figures(figures: dict[str, Any], title: str) -> Table:
    """Lay out what a test gave, beside chance and a linear model."""
    table = Table(title=Text(title), show_header=False)
    baseline = figures.get("baseline")
    if "test_mse" in figures:
        table.add_row("test error, share of the variance (NMSE)", _number(figures["test_nmse"]))
        if baseline:
            table.add_row(f"  {baseline['model']}", _number(baseline["figures"]["nmse"]))
        if "chance" in figures:
            table.add_row("  the mean of the training targets", _number(figures["chance"]))
        table.add_row("mean absolute error", _number(figures["test_mae"]))
        table.add_row("R2", _number(figures["test_r2"]))
    else:
        table.add_row("test accuracy (spikes alone)", f"{figures['test_accuracy']:.2%}")
        if figures["test_accuracy_probability"] is not None:
            ties = figures["test_accuracy_ties_by_probability"]
            table.add_row("  ties by probability", f"{ties:.2%}")
            table.add_row("  by probability", f"{figures['test_accuracy_probability']:.2%}")
        if baseline:
            table.add_row(f"  {baseline['model']}", f"{baseline['figures']['accuracy']:.2%}")
        if "chance" in figures:
            table.add_row("  always the most frequent class", f"{figures['chance']:.2%}")
    table.add_row("test samples", str(figures["test_samples"]))
    table.add_row("parameters", str(figures["parameters"]))
    spikes_of = figures["spikes_per_sample"]
    for name, spikes in zip(figures["populations"], spikes_of, strict=True):
        table.add_row(f"spikes per sample, {say_layer(name)}", f"{spikes:.1f}")
    return table


def _number(figure: float | None) -> str:
    return "not defined: the targets do not vary" if figure is None else f"{figure:.4g}"


_CONTENTS = {
    "config.toml": "the settings",
    "preparation.json": "how samples become inputs, and answers labels",
    "data.npz": "the samples",
    "metrics.jsonl": "figures of each epoch",
    "metrics.json": "the result",
    "trackers.json": "ids under which trackers know the run",
    "events.out.tfevents": "curves for TensorBoard",
    "timing.json": "seconds, and the machine",
    "checkpoint.safetensors": "where training stands after the last epoch",
    "best.safetensors": "the weights that did best on validation",
    "learning-curve.png": "loss and accuracy over the epochs",
    "raster.png": "spikes of a right and a wrong test sample",
    "confusion-matrix.png": "which class was taken for which",
    "predictions.png": "predictions beside the truth",
    "network.png": "populations and connections",
    "circuit.png": "the circuit of a neuron",
    "circuit-output.png": "the circuit of an output neuron",
    "evaluation.json": "the test repeated, with one shot",
    "evaluation-shots-": "the test repeated, with more shots",
    "costs.json": "costs of an inference",
    "noise.json": "accuracy under the noise of a device",
    "noise.png": "the same as a picture",
    "report.html": "all of it on one page",
}
