"""Help, version, and errors: one line, exit code 2, no traceback."""

import re
import subprocess
import sys

import pytest
from tools import make_old

from sqsnn import __version__
from sqsnn.cli import train as training
from sqsnn.cli.flags import given
from sqsnn.data.specs import names
from sqsnn.runs.on_device import DeviceOptions
from sqsnn.settings.flat import flatten, leaves
from sqsnn.settings.run import RunSettings, from_flat

WRONG = {
    "tarin digits": 'Unknown command "tarin". Did you mean "train"',
    "inspect nois a": 'Did you mean "noise"',
    "digits": "digits is a dataset and no command: did you mean sqsnn train digits",
    "train": "name a dataset, e.g. `sqsnn train digits`",
    "train cifar": "one of digits, mnist",
    "train digts": "did you mean digits",
    "train digits extra": "these words are no flags .*: extra",
    "train digits --hiden 3": "--hiden. Did you mean --hidden",
    "train digits --hidden 0": "--hidden: .*greater than or equal to 1, but is '0'",
    "train digits --hidden 64,,": "--hidden: .*integer.* but is ''",
    "train digits --hidden three": "--hidden: .*integer.* but is 'three'",
    "train digits --epochs 1.5": "--epochs: .*integer.* but is '1.5'",
    "train digits --epochs": "--epochs requires an argument",
    "train digits --memory-qubits -1": "memory_qubits must be .* -1|--memory-qubits: .* '-1'",
    "train digits --memory-qubits two": "--memory-qubits: .* but is 'two'",
    "train digits --encoding morse": "--encoding: .*'morse'",
    "train digits --circuit transmon": "circuit is 'transmon'; it may be one of crx",
    "train digits --circuit-options.layers 2": "'sqs' cannot be built: .*'layers'",
    "train digits --cue-delay 3": "cue_delay is 3, but digits has none",
    "train digits --pool 2": "pool is 2, but digits has no events",
    "train digits --classes 1,99": "99",
    "train digits --window 3": "window is 3, but goes with rule 'local' and score 'measured' only",
    "train digits --rule local --window 3": "window is 3, but goes with .*score 'measured' only",
    "train digits --signal both": "signal is 'both', but goes with rule 'local' only",
    "train digits --rule hebb": "--rule: .*'hebb'",
    "train digits --rule local --score measured --shots 9": "shots is 9, .*'laplace' only",
    "train digits --rule local --score measured --backend aer --mode batch": "mode is 'batch'",
    "train digits --rule local --score measured --window 3 --derivative spsa": "window is 3, but",
    "train digits --rate-bounds 0.5 0.1": r"rate_bounds is \(0.5, 0.1\), but must be",
    "train digits --learning-rate 0": "--learning-rate: .*greater than 0, but is '0'",
    "train digits --final-learning-rate 1": "final_learning_rate must be at most learning_rate",
    "train digits --report-steps 20": "report_steps must be at most steps, 10, but is 20",
    "train digits --conv 12x5": "conv is '12x5': '12x5' is neither",
    "train digits --conv 2c9": "conv is '2c9': .* no place for its window",
    "train recall --conv 2c3": "conv is '2c3', which needs inputs on a grid, but how the 3 values",
    "train digits --hidden= --recurrent": "recurrent needs a dense hidden layer",
    "train digits --delay 5": "delay is 5, .* after 10 steps, but steps is 10",
    "train --config nowhere.toml": "there is no file nowhere.toml",
    "train --config a.toml --from b": "--config goes with neither --continue nor --from",
    "train --resume nowhere --config a.toml": "--resume takes no dataset and no settings",
    "train recall --encoding rate": "must be 'spikes'",
    "train recall --report-steps 0": "--report-steps: .* but is '0'",
    "train tonic:DVSGesture": "--duration SECONDS",
    "train --resume nowhere": "nowhere holds no run",
    "train digits --resume nowhere": "--resume takes no dataset and no settings",
    "train --resume nowhere --seed 0": "--resume takes no dataset and no settings",
    "evaluate nowhere": "nowhere holds no run",
    "evaluate": "RUN",
}


@pytest.mark.parametrize("call", WRONG)
def test_a_wrong_call_is_refused_in_one_line(refused, here, call):
    line = refused(*call.split())
    assert re.search(WRONG[call], line), line
    assert "pydantic" not in line
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    "command",
    [
        "train --resume",
        "evaluate",
        "export",
        "inspect costs",
        "inspect noise",
        "report",
        "hardware",
    ],
)
def test_a_run_of_the_old_format_is_refused_with_what_to_do(refused, here, command):
    make_old(here / "old")
    line = refused(*command.split(), "old")
    assert re.search("old/config.toml has format 1 or 2, .* train the network again", line)
    assert [path.name for path in (here / "old").iterdir()] == ["config.toml"]


def test_the_version_is_printed(sqsnn):
    assert sqsnn("--version") == (0, f"{__version__}\n", "")


@pytest.mark.parametrize(
    "command",
    [
        *("", "train", "evaluate", "hardware", "export", "report", "datasets"),
        *("inspect", "inspect costs", "inspect noise"),
    ],
)
def test_there_is_help(sqsnn, command):
    done = sqsnn(*command.split(), "--help")
    assert done.code == 0
    assert "Usage: sqsnn" in done.out
    assert "[default: False]" not in done.out
    assert sqsnn(*command.split(), "--help-all").code == 0


def test_the_short_help_of_training_fits_a_screen_and_names_the_long_one(sqsnn, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    done = sqsnn("train", "--help")
    lines = done.out.splitlines()
    assert len(lines) <= 45 and max(map(len, lines)) <= 80
    assert "--help-all shows all." in " ".join(done.out.split())
    used = "--out --config --resume --continue --from --label --hidden --neurons --circuit "
    used += "--memory-qubits --steps --encoding --rule --epochs --learning-rate --batch-size "
    used += "--seed --threads"
    assert flags_and_help(done.out).keys() == set(used.split())
    # The long help has them too, each once.
    every = re.findall(r"^│ (--\S+)", sqsnn("train", "digits", "--help-all").out, re.MULTILINE)
    assert set(used.split()) < set(every) and len(every) == len(set(every))


def flags_and_help(out: str) -> dict[str, str]:
    """The flags of a help text and what it says about each."""
    lines = [line.strip("│ ") for line in out.splitlines()]
    flags, name = {}, ""
    for line in lines:
        if line.startswith("--"):
            name, _, rest = line.partition(" ")
            flags[name] = rest
        elif name:
            flags[name] += f" {line}"
    return {name: " ".join(text.split()) for name, text in flags.items()}


def shown(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if value is None:
        return "none"
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


@pytest.mark.parametrize(
    ("command", "settings", "others"),
    [
        (
            "train",
            RunSettings,
            {"--out", "--config", "--resume", "--continue", "--from", "--track", "--yes"},
        ),
        ("hardware", DeviceOptions, {"--yes", "--data-dir"}),
    ],
)
def test_every_flag_is_a_setting_and_every_setting_a_flag(
    sqsnn, monkeypatch, command, settings, others
):
    monkeypatch.setenv("COLUMNS", "1000")
    flags = flags_and_help(sqsnn(command, "--help-all").out)
    found = {leaf.name for leaf in leaves(settings)} - {"dataset", "source", "circuit_gates"}
    found -= {"length", "begins_with", "populations", "connections"}
    assert flags.keys() - others == {"--" + name.replace("_", "-") for name in found}
    for name in found:
        said = flags["--" + name.replace("_", "-")]
        places = [leaf for leaf in leaves(settings) if leaf.name == name]
        assert all(leaf.field.description for leaf in places), name
        default = re.search(r"\[default: ([^]]*)\]", said)
        if default is None:
            assert all(leaf.default in (None, {}, "") for leaf in places), name
        elif "[default:" not in places[0].field.description and "preset" not in default[1]:
            assert default[1].split(" or ") == list(
                dict.fromkeys(shown(leaf.default) for leaf in places)
            ), name


def test_a_flag_says_with_which_kinds_it_goes(sqsnn, monkeypatch):
    monkeypatch.setenv("COLUMNS", "1000")
    out = sqsnn("train", "--help-all").out
    assert "[kind] before a flag here or below: it goes with this kind" in " ".join(out.split())
    flags = flags_and_help(out)
    for flag, kinds in {
        "--window": "[local: measured]",
        "--shots": "[local: measured: laplace]",
        "--reward-weight": "[local: both]",
        "--rate-penalty": "[backprop]",
        "--memory-qubits": "[sqs]",
        "--beta": "[sqs: leaky; lif, stochastic_lif]",
        "--drive": "[sqs]",
        "--reset-steps": "[sqs: leaky]",
        "--max-rate": "[rate]",
    }.items():
        assert kinds in flags[flag], flag


def test_nothing_typed_gives_no_settings():
    """Only typed flags count, so that the preset of the dataset fills the others."""
    assert given(training.Flags(rule="local")) == {"rule": "local"}
    flat = flatten(RunSettings, from_flat("digits", {"rule": "local"}).model_dump())
    assert (flat["rule"], flat["signal"], flat["hidden"]) == ("local", "feedback", (64,))


def test_a_folder_that_cannot_be_made_is_named(sqsnn, here):
    (here / "file").touch()
    done = sqsnn("train", "digits", "--out", "file/run")
    assert done.code == 2
    assert "file/run" in done.err
    assert "Traceback" not in done.err


def test_the_module_is_the_command(tmp_path):
    command = [sys.executable, "-m", "sqsnn", "evaluate", "nowhere"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert "nowhere holds no run" in done.stderr


def test_datasets_are_listed_with_where_they_are(sqsnn, tmp_path):
    done = sqsnn("datasets", "--data-dir", tmp_path)
    assert done.code == 0
    for name in names():
        assert f" {name} " in done.out
    assert "ready" in done.out
    assert "downloaded when first used" in " ".join(done.out.replace("│", " ").split())


@pytest.mark.parametrize("columns", [80, 100, 160])
def test_the_list_of_datasets_folds_no_path(sqsnn, tmp_path, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    folder = tmp_path / "a folder of which the name alone has more letters than a line" / "data"
    folder.mkdir(parents=True)
    (folder / "NMNIST").mkdir()
    for part in ("Train", "Test"):
        (folder / "NMNIST" / f"{part}.zip").write_bytes(b"no zip")
    lines = sqsnn("datasets", "--data-dir", folder).out.splitlines()
    assert f"Folder of the files: {folder}" in lines
    with_path = [line for line in lines if str(folder) in line]
    assert any(line.startswith("nmnist: ") and "Train.zip" in line for line in with_path)
    assert all(len(line) <= columns for line in lines if line not in with_path)
    assert not any("…" in line for line in lines)


def test_a_broken_file_hides_no_other_dataset_from_the_list(sqsnn, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "300")
    for part in ("Train", "Test"):
        (tmp_path / "NMNIST").mkdir(exist_ok=True)
        (tmp_path / "NMNIST" / f"{part}.zip").write_bytes(b"no zip")
    done = sqsnn("datasets", "--data-dir", tmp_path)
    said = " ".join(done.out.replace("│", " ").split())
    assert done.code == 0
    assert "Train.zip is broken" in said
    assert " braille " in said and "to be put there by hand" in said
    assert "'sqsnn[events]'" in said
