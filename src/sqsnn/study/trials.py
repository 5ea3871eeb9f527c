"""One training of a study: a trial of the search, or one that is tested; each ends as a JSON file.

OUT/search/<dataset>/<model>/<digest>.json        a trial of the search
OUT/trials/<dataset>/<model>/seed-<s>-<digest>.json    a training that was tested
OUT/runs/<dataset>/<model>/seed-<s>-<digest>      its run folder
"""

import json
import shutil
from pathlib import Path
from typing import Any

from sqsnn import __version__
from sqsnn.errors import TrainingError
from sqsnn.storage import write_json
from sqsnn.study.identity import (
    all_settings,
    changed_settings,
    digest,
    refuse_changed,
    refuse_other_data,
)
from sqsnn.study.plan import Found, Plan, final_settings, search_settings
from sqsnn.training import run, trainer
from sqsnn.training.config import RunConfig
from sqsnn.training.machine import describe_machine
from sqsnn.training.neurons import count_trained
from sqsnn.training.noise_config import RATES
from sqsnn.training.run_folder import RunFolder

Record = dict[str, Any]


def final_path(plan: Plan, dataset: str, model: str, found: Found, seed: int) -> Path:
    """Where the record of a training that is tested lies.

    Args:
        plan: the study.
        dataset: name of the group.
        model: name of the model.
        found: the settings that the search chose, by their dotted names.
        seed: the seed.
    """
    settings = final_settings(plan, dataset, model, found, seed)
    return plan.out / "trials" / dataset / model / f"seed-{seed}-{digest(settings)}.json"


def search_path(plan: Plan, dataset: str, model: str, found: Found) -> Path:
    """Where the record of a trial of the search lies.

    Args:
        plan: a study with a search.
        dataset: name of the group.
        model: name of the model.
        found: the settings to try, by their dotted names.
    """
    settings = search_settings(plan, dataset, model, found)
    return plan.out / "search" / dataset / model / f"{digest(settings)}.json"


def read_record(path: Path) -> Record | None:
    """Read the record of a trial; None where there is none.

    Args:
        path: the file.
    """
    return json.loads(path.read_text("utf-8")) if path.is_file() else None


def read_fitting(path: Path, plan: Plan, dataset: str, settings: RunConfig) -> Record | None:
    """Read the record of a trial that must fit a study as it stands; None where there is none.

    Args:
        path: the file.
        plan: the study.
        dataset: name of the group.
        settings: the settings that it must be of.

    Raises:
        ConfigError: if it was made with others, or of other data.
    """
    record = read_record(path)
    if record is not None:
        refuse_changed(record["all_settings"], settings, path)
        refuse_other_data(record.get("source"), plan.facts[dataset].source, path)
    return record


def run_search(plan: Plan, dataset: str, model: str, found: Found) -> Record:
    """Train with settings to try, on the training and validation samples alone, unless that was
    done before.

    Args:
        plan: a study with a search.
        dataset: name of the group.
        model: name of the model.
        found: the settings to try, by their dotted names.

    Returns:
        the record, with an "error" where a loss was not finite.
    """
    settings = search_settings(plan, dataset, model, found)
    path = search_path(plan, dataset, model, found)
    if (record := read_fitting(path, plan, dataset, settings)) is not None:
        return record
    record = _record(plan, dataset, model, found, settings)
    try:
        record |= _validate(settings)
    except TrainingError as error:
        record["error"] = str(error)
    _write(path, record)
    return record


def run_final(plan: Plan, dataset: str, model: str, found: Found, seed: int) -> Record:
    """Train once and test once, going on where it was stopped, unless that was done before.

    Args:
        plan: the study.
        dataset: name of the group.
        model: name of the model.
        found: the settings that the search chose, by their dotted names.
        seed: the seed.

    Returns:
        the record, with an "error" where a loss was not finite.
    """
    settings = final_settings(plan, dataset, model, found, seed)
    path = final_path(plan, dataset, model, found, seed)
    if (record := read_fitting(path, plan, dataset, settings)) is not None:
        return record
    record = _record(plan, dataset, model, found, settings)
    folder = RunFolder(plan.out / "runs" / dataset / model / path.stem)
    try:
        _train(settings, folder)
        record |= _tested(folder)
    except TrainingError as error:
        record["error"] = str(error)
    _write(path, record)
    folder.checkpoint.unlink(missing_ok=True)
    return record


def _record(plan: Plan, dataset: str, model: str, found: Found, settings: RunConfig) -> Record:
    return {
        "study": plan.study.name,
        "dataset": dataset,
        "model": model,
        "label": plan.study.models[model].label or model,
        "seed": settings.training.seed,
        "found": dict(found),
        "hidden": list(settings.model.hidden),
        "source": plan.facts[dataset].source,
        "settings": changed_settings(settings),
        "all_settings": all_settings(settings),
        "sqsnn": __version__,
    }


def _validate(settings: RunConfig) -> Record:
    """Train without a folder, and say what the best epoch reached on the validation samples."""
    settled, dataset = run.prepare(settings)
    progress = trainer.start(
        settled, dataset.features, len(dataset.class_names), len(dataset.train.labels)
    )
    epochs = list(trainer.epochs(progress, settled, dataset.train, dataset.validation))
    best = progress.best
    if best is None:
        raise TrainingError("no epoch was validated")
    return {
        "parameters": count_trained(progress.network, settings.model),
        **_validated(epochs[best.epoch - 1].metrics),
        "best_epoch": best.epoch,
        "epochs": len(epochs),
        "seconds": sum(epoch.timing.seconds for epoch in epochs),
        "machine": describe_machine(settled.training),
    }


def _train(settings: RunConfig, folder: RunFolder) -> None:
    """Bring a run to its end, whatever was done of it before."""
    if folder.config.is_file():
        before = all_settings(folder.read_config())
        if settings.noise.is_open:
            # A run has written down the rates of the device, which the study names alone.
            before["noise"] = {
                name: value for name, value in before["noise"].items() if name not in RATES
            }
        refuse_changed(before, settings, folder.path)
        if not folder.is_finished():
            run.resume(folder, pictures=False)
        return
    # Stopped before its settings were written.
    if folder.path.exists():
        shutil.rmtree(folder.path)
    run.begin(settings, folder.path, pictures=False)


def _tested(folder: RunFolder) -> Record:
    result, epochs = folder.read_result(), folder.read_metrics()
    timing = json.loads(folder.timing.read_text("utf-8"))
    names = ("parameters", "test_accuracy", "test_accuracy_probability", "test_accuracy_spikes")
    return {
        **{name: result[name] for name in (*names, "spikes_per_sample", "best_epoch")},
        "test_samples": result["test_samples"],
        **_validated(epochs[result["best_epoch"] - 1]),
        "epochs": len(epochs),
        "seconds": timing["training_seconds"],
        "machine": timing["machine"],
        "costs": result.get("costs"),
    }


def _validated(metrics: Record) -> Record:
    return {name: value for name, value in metrics.items() if name.startswith("validation_")}


def _write(path: Path, record: Record) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, record)
