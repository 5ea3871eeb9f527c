"""`sqsnn report`: reads the folder of a run or of a study and writes its page."""

import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from sqsnn.errors import ConfigError, SqsnnError
from sqsnn.reports import circuit_drawing, page, plots, study_report, style
from sqsnn.reports.report import RunFacts, run_page
from sqsnn.storage import write_atomically
from sqsnn.training import config as configs
from sqsnn.training import run, run_folder
from sqsnn.training.build import Purpose, seeded
from sqsnn.training.command import settings, train_command
from sqsnn.training.config import ModelConfig, RunConfig
from sqsnn.training.neurons import build_circuit
from sqsnn.training.pictures import draw_run
from sqsnn.training.run_folder import RunFolder

_CURVE, _RASTER, _CONFUSION, _CIRCUIT = (
    "learning-curve.png",
    "raster.png",
    "confusion-matrix.png",
    "circuit.png",
)
_INSPECTED = ("noise.png", "gradients.png")
_NAMES = {
    "lif": "LIF neurons",
    "stochastic_lif": "stochastic LIF neurons",
    "qlif": "QLIF neurons",
    "published_sqs": "neurons of the published formula",
}


class Written(NamedTuple):
    """A page that was written, and why pictures are missing on it."""

    path: Path
    left_out: tuple[str, ...]


class _Drawn(NamedTuple):
    pictures: dict[str, bytes]
    why: str | None = None  # others are missing


def write_report(path: Path, out: Path | None = None, data_dir: Path | None = None) -> Written:
    """Write a run or a study as one HTML file that holds all that it shows.

    Args:
        path: the folder of a run or of a study.
        out: the file; None for report.html in that folder.
        data_dir: where the datasets lie now, for pictures that have to be drawn anew; None for
            where they lay in training.

    Raises:
        ConfigError: if the folder is neither, or its files are broken.
    """
    left_out: tuple[str, ...] = ()
    if (path / "config.toml").is_file():
        facts, left_out = _read_run(run_folder.find(path), data_dir)
        content = run_page(facts)
    elif (path / study_report.RESULTS).is_file():
        content = study_report.study_page(path)
    else:
        raise ConfigError(
            f"{path} must be the folder of a run (sqsnn train), which has a config.toml, or of a "
            f"study (sqsnn compare), which has a {study_report.RESULTS}, but has neither"
        )
    target = path / "report.html" if out is None else out
    text = page.render(content)
    write_atomically(target, lambda part: part.write_text(text, "utf-8"))
    return Written(target, left_out)


def _read_run(folder: RunFolder, data_dir: Path | None) -> tuple[RunFacts, tuple[str, ...]]:
    config = folder.read_config()
    result = folder.read_result() if folder.is_finished() else None
    epochs = _read_epochs(folder)
    timing = json.loads(folder.timing.read_text("utf-8")) if folder.timing.is_file() else {}
    wanted = [_CURVE, _RASTER, _CONFUSION]
    if config.model.neurons == "sqs":
        wanted.append(_CIRCUIT)
    there = _read_pictures(folder.path, [*wanted, *_INSPECTED])
    missing = [name for name in wanted if name not in there]
    drawn = _draw(folder, config, missing, data_dir) if missing else _Drawn({})
    pictures = there | drawn.pictures
    all_settings = settings(config)
    # A folder of this machine is nothing to anybody else.
    data = config.data.model_copy(update={"data_dir": None})
    facts = RunFacts(
        dataset=config.data.dataset,
        model=_describe(config.model),
        command=train_command(config),
        config=configs.to_toml(config.model_copy(update={"data": data})),
        chosen=[
            (one.name, _shown(one.value), _shown(one.default), one.meaning)
            for one in all_settings
            if one.is_chosen
        ],
        others=[
            (one.name, _shown(one.value), one.meaning) for one in all_settings if not one.is_chosen
        ],
        planned_epochs=config.training.epochs,
        epochs=epochs,
        result=result,
        costs=_read_costs(folder, result),
        training_seconds=timing.get("training_seconds"),
        machine=timing.get("machine", {}),
        pictures=pictures,
        left_out=[name for name in wanted if name not in pictures],
    )
    return facts, () if drawn.why is None else (drawn.why,)


def _read_epochs(folder: RunFolder) -> list[dict[str, Any]]:
    """Read the whole lines: the last one of a run at work may be half written."""
    if not folder.metrics.is_file():
        return []
    lines = folder.metrics.read_text("utf-8").splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def _read_costs(folder: RunFolder, result: dict[str, Any] | None) -> dict[str, Any] | None:
    """The costs of the run, or those counted later by `sqsnn inspect costs`."""
    counted = folder.path / "costs.json"
    if result is not None and result.get("costs") is not None:
        return result["costs"]
    return json.loads(counted.read_text("utf-8")) if counted.is_file() else None


def _read_pictures(folder: Path, names: list[str]) -> dict[str, bytes]:
    """Read the pictures that there are; a broken file is none."""
    found = {name: (folder / name).read_bytes() for name in names if (folder / name).is_file()}
    return {name: content for name, content in found.items() if content.startswith(page.PNG)}


def _draw(
    folder: RunFolder, config: RunConfig, missing: list[str], data_dir: Path | None
) -> _Drawn:
    """Draw pictures anew, beside the folder: a report changes nothing in it."""
    with TemporaryDirectory() as scratch:
        place = RunFolder(Path(scratch))
        why = None
        if folder.is_finished() and {_RASTER, _CONFUSION} & set(missing):
            why = _draw_tested(folder, config, place, data_dir)
        _draw_known(folder, config, place)
        return _Drawn(_read_pictures(place.path, missing), why)


def _draw_tested(
    folder: RunFolder, config: RunConfig, place: RunFolder, data_dir: Path | None
) -> str | None:
    """Test the network once more and draw; say why where it cannot be."""
    if config.rule.backend is not None:
        return f"No test is repeated for pictures: {config.rule.backend} measured its spikes"
    shutil.copyfile(folder.metrics, place.metrics)
    try:
        loaded = run.load(folder, data_dir)
        tested = run.score_test(loaded)
    except SqsnnError as error:
        return f"Pictures are missing, because the test cannot be repeated: {error}"
    training = config.training
    generator = seeded(training.seed, Purpose.TEST, device=training.device)
    draw_run(place, loaded.config, loaded.network, loaded.dataset.class_names, tested, generator)
    return None


def _draw_known(folder: RunFolder, config: RunConfig, place: RunFolder) -> None:
    """Draw what takes no network."""
    epochs = _read_epochs(folder)
    if epochs:
        style.save(plots.learning_curve(epochs), place.path / _CURVE)
    if config.model.neurons == "sqs":
        circuit = build_circuit(config.model)
        style.save(circuit_drawing.circuit(circuit), place.path / _CIRCUIT)


def _describe(model: ModelConfig) -> str:
    hidden = "-".join(map(str, model.hidden)) or "no"
    layers = f"{hidden} hidden"
    if model.neurons != "sqs":
        return f"{layers} {_NAMES[model.neurons]}"
    qubits = f"N={model.channels}, M={model.memory_qubits}"
    return f"{layers} SQS neurons, {model.circuit}, {qubits}"


def _shown(value: Any) -> str:
    if value is None or value == {}:
        return page.MISSING
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    if isinstance(value, dict):
        return ", ".join(f"{name} {one}" for name, one in value.items())
    return str(value).lower() if isinstance(value, bool) else str(value)
