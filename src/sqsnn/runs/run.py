"""A whole run: from settings to a folder with the trained network, its figures and its pictures."""

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any

from sqsnn.data.dataset import Dataset
from sqsnn.data.preparation import Preparation
from sqsnn.data.specs import is_folder, is_own
from sqsnn.errors import CheckpointError, ConfigError
from sqsnn.learning.local import Local
from sqsnn.ownership import owned
from sqsnn.processes import ALONE, Processes, joined
from sqsnn.runs import backend, checkpoint, costs, folder
from sqsnn.runs.folder import RunFolder
from sqsnn.runs.loading import Loaded, Tested, figures, load_data, test
from sqsnn.runs.model import read_model
from sqsnn.runs.noise import settle_noise
from sqsnn.runs.pictures import draw_run
from sqsnn.settings.run import RunSettings
from sqsnn.storage import write_json
from sqsnn.training import trainer
from sqsnn.training.callback import Callback, following
from sqsnn.training.machine import describe_machine, threads
from sqsnn.training.progress import Best, Progress


class Watcher(Callback):
    """Follows a whole run, and not its training alone; this one does nothing."""

    def opened(
        self, folder: RunFolder, settings: RunSettings, dataset: Dataset, epochs: int
    ) -> None:
        """The folder is there, after `epochs` whole epochs; training comes next."""

    def spend(self, estimate: str, billed: bool) -> None:
        """A backend will run jobs of this estimate; raise an error to stop before it does."""

    def testing(self, epoch: int) -> None:
        """Training is over; the weights of this epoch will be tested."""

    def result(self, folder: RunFolder) -> None:
        """The result is written; only pictures are left to draw."""


SILENT = Watcher()


def begin(
    settings: RunSettings,
    out: Path | None,
    watcher: Watcher = SILENT,
    *,
    callbacks: Sequence[Callback] = (),
    pictures: bool = True,
) -> RunFolder:
    """Train a network in a new folder and test it.

    Under `torchrun` its processes share the work; the first writes the files.

    Args:
        settings: The settings; with `begins_with`, the weights of that network are the first ones.
        out: The folder, or None for the first free runs/<dataset>-<n>.
        watcher: Follows the run.
        callbacks: Follow the training; watchers among them the whole run.
        pictures: Whether to draw the pictures at the end.

    Raises:
        ConfigError: If the folder is in use, or the settings do not fit the machine or each other.
        DataError: If the dataset cannot be had.
        HardwareError: If the device that gives the noise is unknown.
        ProcessError: If another of the processes that share the work has ended.
        TrainingError: If a loss or a gradient is not finite.
        ValueError: If a setting does not fit the dataset or the circuit.
        WriteError: If a file of the run cannot be written.
    """
    if isinstance(settings.rule, Local) and settings.rule.source is not None:
        raise ConfigError(
            "source is a running object, which config.toml cannot hold, and resuming would lose "
            "it: name a backend instead, or train by `rule.step`"
        )
    with threads(settings.training.threads), joined() as processes:
        if out is not None and processes.is_first:
            folder.refuse_used(out, settings.data.dataset)
        settled, dataset = prepare(settings, processes)
        # Before the folder: a refused run leaves nothing behind.
        progress = _start(settled, dataset, processes)
        _ask(settled, dataset, progress, watcher)
        free = partial(folder.first_free, Path("runs"), settled.data.dataset)
        place = processes.of_first(free) if out is None else out
        with _owned(place, processes):
            made = processes.of_first(partial(folder.create, place, settled))
            _run(made, settled, dataset, progress, watcher, callbacks, pictures)
    return made


def resume(
    run: RunFolder,
    watcher: Watcher = SILENT,
    *,
    callbacks: Sequence[Callback] = (),
    pictures: bool = True,
) -> None:
    """Go on with a run as if it had never stopped, also with another number of processes."""
    settled = run.read_settings()
    with (
        threads(settled.training.threads),
        joined() as processes,
        _owned(run.path, processes),
    ):
        # Without a checkpoint the run was stopped in its first epoch, and starts again.
        has_begun = run.has_checkpoint()
        if has_begun:  # before anything is done with settings that may have changed
            header = checkpoint.read_progress(run.checkpoint)[1]
            checkpoint.check_settings(run.checkpoint, header, settled)
        dataset = _load_in_turn(settled, processes)
        progress = _start(settled, dataset, processes)
        if has_begun:
            lines = run.read_metrics()
            checkpoint.load(run.checkpoint, progress, settled, dataset.preparation, lines)
        _ask(settled, dataset, progress, watcher)
        if processes.is_first:
            run.truncate_metrics(progress.epoch)
        _run(run, settled, dataset, progress, watcher, callbacks, pictures)


def prepare(settings: RunSettings, processes: Processes = ALONE) -> tuple[RunSettings, Dataset]:
    """Load the data, and write down what only files and devices know: a rerun asks neither."""
    dataset = _load_in_turn(settings, processes)
    data_dir = settings.data.data_dir and settings.data.data_dir.expanduser().absolute()
    known: dict[str, Any] = {"source": dataset.source, "data_dir": data_dir}
    if is_own(settings.data.dataset) or is_folder(settings.data.dataset):
        known["dataset"] = str(Path(settings.data.dataset).expanduser().absolute())
    data = settings.data.model_copy(update=known)
    return settle_noise(settings, processes).model_copy(update={"data": data}), dataset


def _owned(path: Path, processes: Processes) -> AbstractContextManager[None]:
    """Own the folder of a run for all processes that share it."""
    return owned(path) if processes.is_first else nullcontext()


def _load_in_turn(settings: RunSettings, processes: Processes) -> Dataset:
    """Load the data, the first process before the others: it may have to fetch or bin them."""
    loaded: list[Dataset] = []

    def load() -> str:
        loaded.append(load_data(settings, _earlier(settings)))
        return loaded[0].source

    source = processes.of_first(load)
    if not loaded and load() != source:
        # Weights would not show it: the processes add up their gradients.
        raise ConfigError(
            f"process {processes.rank} has {settings.data.dataset} from {loaded[0].source}, but "
            f"process 0 from {source}, which has other values: give all processes the same files"
        )
    return loaded[0]


def _run(
    run: RunFolder,
    settled: RunSettings,
    dataset: Dataset,
    progress: Progress,
    watcher: Watcher,
    callbacks: Sequence[Callback],
    pictures: bool,
) -> None:
    if not progress.processes.is_first:
        watcher.opened(run, settled, dataset, progress.epoch)  # it says how to go on
        return _share(settled, dataset, progress)
    callbacks = [watcher, *callbacks]
    watchers = [it for it in callbacks if isinstance(it, Watcher)]
    with backend.measuring(progress.source, settled, run):
        with following(callbacks):
            for one in watchers:
                one.opened(run, settled, dataset, progress.epoch)
            _keep_preparation(run, dataset)
            # The best weights are in the checkpoint too: their file may be missing after a crash.
            if progress.best is not None:
                _save_best(run, settled, dataset, progress.best)
            _train(run, settled, dataset, progress, callbacks)
            best = checkpoint.load_best(run.best, progress.network)
            for one in watchers:
                one.testing(best)
            loaded = Loaded(settled, dataset, progress.network, best, progress.source)
            tested = _test(run, loaded, progress.processes)
            for one in watchers:
                one.result(run)
        # Last of all: whatever stops the drawing, the run is finished.
        if pictures:
            draw_run(run, loaded, tested)


def _keep_preparation(run: RunFolder, dataset: Dataset) -> None:
    """Write down how samples become inputs, or see that the run began with the same."""
    if not run.preparation.exists():
        write_json(run.preparation, dataset.preparation.to_json())
    elif run.read_preparation().to_json() != dataset.preparation.to_json():
        raise CheckpointError(
            f"{run.preparation} does not fit the data, {dataset.source}: restore the one that "
            "changed, or remove the preparation, which is then written again"
        )


def _train(
    run: RunFolder,
    settled: RunSettings,
    dataset: Dataset,
    progress: Progress,
    callbacks: Sequence[Callback],
) -> None:
    seconds = run.read_timing(progress.epoch)
    digest = checkpoint.chain(run.read_metrics())
    epochs = trainer.epochs(progress, settled, dataset.train, dataset.validation, callbacks)
    for epoch in epochs:
        # A line without its checkpoint is cut off on resuming, so the line comes first.
        run.append_metrics(epoch.metrics)
        digest = checkpoint.chain([epoch.metrics], digest)
        checkpoint.save(run.checkpoint, progress, settled, dataset.preparation, digest)
        if progress.best is not None and progress.best.epoch == progress.epoch:
            _save_best(run, settled, dataset, progress.best)
        seconds.append(epoch.seconds)
        machine = describe_machine(settled.training, progress.network, progress.processes.count)
        run.write_timing(seconds, machine)


def _save_best(run: RunFolder, settled: RunSettings, dataset: Dataset, best: Best) -> None:
    checkpoint.save_weights(run.best, best.weights, best.epoch, settled, dataset.preparation)


def _share(settled: RunSettings, dataset: Dataset, progress: Progress) -> None:
    """Do the own part of a run that the first process writes down."""
    for _ in trainer.epochs(progress, settled, dataset.train, dataset.validation):
        pass
    assert progress.best is not None  # every epoch is validated
    progress.network.load_state_dict(progress.best.weights)
    loaded = Loaded(settled, dataset, progress.network, progress.best.epoch)
    test(loaded, processes=progress.processes)
    progress.processes.wait_for_first()


def _test(run: RunFolder, loaded: Loaded, processes: Processes) -> Tested:
    """Test the best weights, count costs, and write the result."""
    tested = test(loaded, processes=processes)
    counted: dict[str, Any] | None = None  # a backend would be paid for the samples once more
    if loaded.source is None:
        counted = costs.of_test(loaded, tested.samples)
    run.write_result({**figures(loaded, tested), "costs": counted})
    processes.wait_for_first()  # the others come back when the result is there
    return tested


def _start(settled: RunSettings, dataset: Dataset, processes: Processes) -> Progress:
    progress = trainer.start(
        settled,
        dataset.shape,
        dataset.outputs,
        len(dataset.train.targets),
        backend.build_source(settled),
        processes,
    )
    if settled.begins_with is None:
        trainer.fit_readout(progress.network, settled, dataset.train)
    else:
        model = read_model(settled.begins_with)
        _refuse_other_sizes(settled, dataset, model.preparation)
        checkpoint.load_weights(progress.network, model.weights, settled.begins_with)
    return progress


def _refuse_other_sizes(settled: RunSettings, dataset: Dataset, earlier: Preparation) -> None:
    """Refuse a dataset whose samples or answers do not fit the network to begin with."""
    for what, found, wanted in (
        ("features", dataset.features, earlier.features),
        ("classes" if dataset.class_names else "values", dataset.outputs, earlier.outputs),
    ):
        if found != wanted:
            raise ConfigError(
                f"{dataset.name} has {found} {what}, but the network of {settled.begins_with} was "
                f"trained on {wanted}"
            )


def _earlier(settled: RunSettings) -> Preparation | None:
    """The labels and the scaling of the network with which a training begins."""
    return None if settled.begins_with is None else read_model(settled.begins_with).preparation


def _ask(settled: RunSettings, dataset: Dataset, progress: Progress, watcher: Watcher) -> None:
    """Estimate the jobs of a backend before it runs them."""
    if progress.source is not None:
        expected = backend.estimate(settled, dataset, progress)
        watcher.spend(expected.in_words(), backend.is_billed(progress.source))
