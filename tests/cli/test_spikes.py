"""`sqsnn spikes fit`, `sample` and `score` from the call to files that can be read again."""

import inspect
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import get_args, get_type_hints

import numpy as np
import pytest

from sqsnn.cli.spikes import Fitting
from sqsnn.data.own.spike_times import read_spike_trains
from sqsnn.data.spike_trains import SpikeTrains
from sqsnn.neurons.drive import Drive
from sqsnn.spike_trains.model import SpikeTrainModel
from sqsnn.spike_trains.saved import DRIVE

QUICK = ("--bin-width", "0.01", "--starts", "2")


@pytest.fixture
def recorded(here) -> Path:
    """A file of six trains with intervals of about 80 ms."""
    rng = np.random.default_rng(0)
    rows = [
        f"{time:.4f},{train}" for train in range(6) for time in np.cumsum(rng.gamma(10, 0.008, 30))
    ]
    (here / "cell.csv").write_text("\n".join(["time,train", *rows]) + "\n")
    return here


@pytest.fixture(scope="session")
def fit_once(tmp_path_factory) -> Path:
    """The file of a fitted model, in bins of 10 ms."""
    model = SpikeTrainModel(starts=1, max_iterations=5, random_state=0)
    trains = np.tile([0, 0, 0, 0, 0, 0, 0, 1], (2, 10))
    path = tmp_path_factory.mktemp("spikes") / "model.sqsnn"
    model.fit(trains).save(path)
    return path


@pytest.fixture
def model(fit_once, here) -> Path:
    return Path(shutil.copy(fit_once, here / "model.sqsnn"))


def test_a_recording_is_fitted_sampled_and_scored(sqsnn, recorded, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    done = sqsnn("spikes", "fit", "cell.csv", *QUICK, "--out", "cell")
    assert (done.code, done.err) == (0, "")
    assert max(map(len, done.out.splitlines())) <= 80
    metrics = json.loads((recorded / "cell/metrics.json").read_text())
    trains = read_spike_trains("cell.csv", 0.01)
    model = SpikeTrainModel.load("cell/model.sqsnn")
    assert (metrics["training"]["trains"], metrics["held_out"]["trains"]) == (5, 1)
    assert metrics["held_out"]["bits_per_spike"] == pytest.approx(model.score(trains[5:]))
    settings = {"starts": 2, "seed": 0, "held_out": 0.2, "bin_width": 0.01, "time_unit": "s"}
    assert settings.items() <= metrics["settings"].items()
    assert re.search(r"starts +│ [12] of 2 agree", done.out)
    p = f"{metrics['held_out']['ks_p_value']:.2g}"
    assert f"the test of rescaled time (p = {p}) on held-out trains." in " ".join(done.out.split())
    for part in ("training", "held out"):
        bits = metrics[part.replace(" ", "_")]["bits_per_spike"]
        assert re.search(rf"bits per spike, {part} *│ \{bits:+.3f} ", done.out)
    assert done.out.splitlines()[-3:] == [
        f"cell/{name}" for name in ("model.sqsnn", "metrics.json", "report.html")
    ]

    done = sqsnn("spikes", "sample", "cell", "--trains", "3", "--bins", "50", "--out", "s.npz")
    assert (done.code, done.err) == (0, "")
    drawn = read_spike_trains("s.npz")
    assert done.out.split() == ["s.npz:", str(drawn.count), "spikes", "in", "3", "trains"]
    assert ([len(train) for train in drawn], drawn.bin_width) == ([50] * 3, 0.01)
    for one, again in zip(drawn, model.sample(3, 50, random_state=0), strict=True):
        np.testing.assert_array_equal(one, again)

    # Times of spikes are binned as those of the fit.
    done = sqsnn("spikes", "score", "cell", "cell.csv")
    assert (done.code, done.err) == (0, "")
    assert f"{model.score(trains):+.3f}" in done.out


def test_the_same_seed_gives_the_same_files(sqsnn, recorded):
    command = ("spikes", "fit", "cell.csv", *QUICK, "--held-out", "0", "--seed", "3", "--out")
    assert [sqsnn(*command, out).code for out in ("a", "b")] == [0, 0]
    for path in (recorded / "a").iterdir():
        assert path.read_bytes() == (recorded / "b" / path.name).read_bytes()
    assert "held_out" not in json.loads((recorded / "a/metrics.json").read_text())


def test_units_are_chosen_by_their_names(sqsnn, here):
    rows = [
        f"{time:.2f},{unit}" for unit, step in (("a", 8), ("b", 6)) for time in range(0, 600, step)
    ]
    (here / "cell.csv").write_text("\n".join(["time,unit", *rows]))
    given = ("--bin-width", "1", "--starts", "1", "--held-out", "0")
    assert sqsnn("spikes", "fit", "cell.csv", *given, "--units", "b,a", "--out", "cell").code == 0
    metrics = json.loads(Path("cell/metrics.json").read_text())
    assert metrics["settings"]["units"] == ["b", "a"]
    assert metrics["rate"] == [pytest.approx(1 / 6, abs=0.01), pytest.approx(1 / 8, abs=0.01)]


def test_merged_spikes_are_counted_and_said(sqsnn, recorded):
    command = ("spikes", "fit", "cell.csv", "--bin-width", "0.06", "--starts", "1")
    done = sqsnn(*command, "--out", "cell")
    assert (done.code, done.err) == (0, "")
    merged = read_spike_trains_merged("cell.csv", 0.06)
    assert done.out.startswith(f"{merged} of 180 spikes are merged")
    assert json.loads(Path("cell/metrics.json").read_text())["merged"] == merged > 0


def read_spike_trains_merged(path: str, bin_width: float) -> int:
    with pytest.warns(UserWarning, match="are merged"):
        return read_spike_trains(path, bin_width).merged


def test_a_stimulus_goes_with_fit_sample_and_score(sqsnn, here):
    rng = np.random.default_rng(0)
    stimulus = rng.random((2, 200))
    np.savez(here / "stimulus.npz", stimulus=stimulus)
    np.savez(here / "cell.npz", spikes=(rng.random((2, 200)) < stimulus / 3).astype(np.uint8))
    given = ("--stimulus", "stimulus.npz")
    options = ("--circuit", "crx", "--drive", "saturating", "--stimulus-lags", "2", "--starts", "1")
    assert sqsnn("spikes", "fit", "cell.npz", *given, *options, "--out", "cell").code == 0
    model = SpikeTrainModel.load("cell/model.sqsnn")
    assert (model.stimulus_lags, model.drive.kind) == (2, "saturating")
    size = ("--trains", "2", "--bins", "100")
    assert sqsnn("spikes", "sample", "cell", *given, *size, "--out", "s.npz").code == 0
    assert sqsnn("spikes", "score", "cell", "cell.npz", *given).code == 0
    # The stimulus tells how much to draw.
    assert sqsnn("spikes", "sample", "cell", *given, "--out", "u.npz").code == 0
    assert [len(train) for train in read_spike_trains("u.npz")] == [200, 200]


def test_a_stimulus_that_does_not_fit_is_refused_by_its_name(refused, here, model):
    rng = np.random.default_rng(0)
    stimulus = rng.random((2, 200))
    np.savez(here / "cell.npz", spikes=(rng.random((2, 200)) < stimulus / 3).astype(np.uint8))
    SpikeTrainModel(circuit="crx", starts=1, max_iterations=2).fit(
        read_spike_trains("cell.npz"), stimulus
    ).save("driven.sqsnn")
    stimulus[1, 7] = np.nan
    np.savez(here / "gap.npz", stimulus=stimulus)
    np.savez(here / "two.npz", stimulus=np.ones((2, 200, 2)))
    (here / "stimulus.csv").write_text("1\n")
    for command, said in (
        ("fit cell.npz --stimulus gap.npz --out b", "gap.npz: stimulus 1 holds nan in bin 7"),
        ("fit cell.npz --stimulus stimulus.csv --out b", "a .npz file is needed"),
        ("sample driven.sqsnn --out b.npz", "give one by --stimulus"),
        ("sample driven.sqsnn --stimulus two.npz --out b.npz", "two.npz: stimulus must have 1"),
        ("sample driven.sqsnn --stimulus two.npz --bins -5 --out b.npz", "bins must be an integer"),
        ("sample driven.sqsnn --stimulus two.npz --trains 0 --out b.npz", "trains must be an int"),
        ("score driven.sqsnn cell.npz", "give one by --stimulus"),
        ("score driven.sqsnn cell.npz --stimulus two.npz", "two.npz: stimulus must have 1"),
        ("score model.sqsnn cell.npz --stimulus gap.npz", "leave out --stimulus"),
    ):
        assert said in refused("spikes", *command.split()), command
        assert not list(here.glob("b*"))


def test_a_score_reads_times_in_the_unit_of_the_fit(sqsnn, recorded):
    rows = (recorded / "cell.csv").read_text().splitlines()
    pairs = (row.split(",") for row in rows[1:])
    in_ms = [f"{1000 * float(time):.2f},{train}" for time, train in pairs]
    (recorded / "ms.csv").write_text("\n".join([rows[0], *in_ms]) + "\n")
    given = (*QUICK, "--held-out", "0", "--time-unit", "ms", "--out", "cell")
    assert sqsnn("spikes", "fit", "ms.csv", *given).code == 0
    bits = json.loads(Path("cell/metrics.json").read_text())["training"]["bits_per_spike"]
    assert f"{bits:+.3f}" in sqsnn("spikes", "score", "cell", "ms.csv").out
    assert f"{bits:+.3f}" in sqsnn("spikes", "score", "cell", "cell.csv", "--time-unit", "s").out
    # Bins have no unit.
    read_spike_trains("cell.csv", 0.01).to_npz("bins.npz")
    assert f"{bits:+.3f}" in sqsnn("spikes", "score", "cell", "bins.npz").out


def test_bins_of_another_width_than_the_model_are_refused(refused, here):
    trains = SpikeTrains.from_bins(np.tile([0, 0, 0, 1], (2, 10)), 0.001)
    SpikeTrainModel(starts=1, max_iterations=2, random_state=0).fit(trains).save("model.sqsnn")
    SpikeTrains.from_bins(trains.spikes, 0.002).to_npz("cell.npz")
    said = refused("spikes", "score", "model.sqsnn", "cell.npz")
    assert "the model has bins of 1 ms, cell.npz has bins of 2 ms" in said


def test_a_file_that_is_not_there_is_refused_before_torch_is_loaded(here):
    code = "import sys\nfrom sqsnn.cli.main import main\ntry:\n    main(sys.argv[1:])\n"
    code += "finally:\n    print('torch' in sys.modules)"
    command = [sys.executable, "-c", code, "spikes", "fit", "none.csv", "--out", "b"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "False\n")
    assert "none.csv does not exist" in done.stderr


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("fit cell.csv --bin-width 0.01", "--out"),
        ("fit cell.csv --out b", "such as --bin-width 0.001"),
        ("fit none.csv --bin-width 0.01 --out b", "none.csv does not exist"),
        ("fit model.sqsnn --bin-width 0.01 --out b", "files of spikes may be .npz, .csv"),
        ("fit cell.csv --bin-width -1 --out b", "bin_width must be above 0, but is -1"),
        ("fit cell.csv --bin-width nan --out b", "--bin-width: .*finite"),
        ("fit cell.csv --bin-width 0.01 --time-unit h --out b", "--time-unit: "),
        ("fit cell.csv --bin-width 0.01 --units 0,7 --out b", "units names 7"),
        ("fit cell.csv --bin-width 0.01 --units cell --out b", "units names cell"),
        ("fit cell.csv --bin-width 0.01 --stimulus none.npz --out b", "none.npz does not exist"),
        ("fit cell.csv --bin-width 0.01 --circuit moss --out b", "circuit is 'moss'.* clock"),
        ("fit cell.csv --bin-width 0.01 --drive foo --out b", "--drive: .*'leaky', but is 'foo'"),
        ("fit cell.csv --bin-width 0.01 --held-out 1 --out b", "held_out must be"),
        ("fit cell.csv --bin-width 0.01 --seed -1 --out b", "--seed: .* but is '-1'"),
        ("fit cell.csv --bin-width 0.01 --out .", "out must be a new or empty folder"),
        ("fit cell.csv --bin-width 0.01 --out cell.csv", "out must be a new or empty folder"),
        ("fit cell.csv --bin-width 0.01 --out cell.csv/b", "cell.csv/b.* cannot be written"),
        ("sample none --out b.npz", "none"),
        ("sample cell.csv --out b.npz", "cell.csv"),
        ("sample model.sqsnn --out b.csv", "new file that ends in .npz, but is b.csv"),
        ("sample model.sqsnn --out model.sqsnn", "new file that ends in .npz, but is model.sqsnn"),
        ("sample model.sqsnn --out none/b.npz", "none/b.npz cannot be written"),
        ("sample model.sqsnn --trains 0 --out b.npz", "trains must be"),
        ("sample model.sqsnn --bins -5 --out b.npz", "bins must be"),
        ("score model.sqsnn none.csv --bin-width 0.01", "none.csv does not exist"),
        ("score model.sqsnn cell.csv", "such as --bin-width 0.001"),
    ],
)
def test_a_wrong_call_is_refused_in_one_line(refused, recorded, model, command, said):
    assert re.search(said, refused("spikes", *command.split()))
    assert sorted(path.name for path in recorded.iterdir()) == ["cell.csv", "model.sqsnn"]


def test_wrong_numbers_of_the_fit_are_refused_and_leave_no_folder(sqsnn, recorded):
    for flag, said in (("--starts", "starts must be"), ("--memory-qubits", "memory_qubits")):
        done = sqsnn(
            *("spikes", "fit", "cell.csv", "--bin-width", "0.01", flag, "-1", "--out", "b")
        )
        assert (done.code, said in done.err) == (2, True), done
    assert [path.name for path in recorded.iterdir()] == ["cell.csv"]


def test_a_folder_with_files_is_left_alone(refused, recorded):
    (recorded / "cell").mkdir()
    (recorded / "cell/notes.txt").write_text("mine")
    command = ("spikes", "fit", "cell.csv", *QUICK, "--out", "cell")
    assert "must be a new or empty folder" in refused(*command)
    assert [path.name for path in (recorded / "cell").iterdir()] == ["notes.txt"]


def test_a_folder_that_another_process_owns_is_left_alone(refused, recorded):
    code = "from pathlib import Path\nfrom sqsnn.ownership import owned\n"
    code += "with owned(Path('cell')):\n    print('owned', flush=True)\n    input()"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdin is not None and other.stdout is not None
        assert other.stdout.readline() == b"owned\n"
        said = refused("spikes", "fit", "cell.csv", *QUICK, "--out", "cell")
        assert f"cell is in use by process {other.pid}" in said
        other.communicate(b"\n")
    assert not (recorded / "cell").exists()


@pytest.mark.parametrize("place", [0, 20, 300, -1])
def test_a_damaged_model_is_refused(refused, model, place):
    raw = bytearray(model.read_bytes())
    raw[place] ^= 0x10
    model.write_bytes(raw)
    assert str(model.name) in refused("spikes", "sample", "model.sqsnn", "--out", "a.npz")
    model.write_bytes(raw[:100])
    assert str(model.name) in refused("spikes", "sample", "model.sqsnn", "--out", "a.npz")
    assert not Path("a.npz").exists()


def test_the_help_shows_the_defaults_of_the_model():
    defaults = inspect.signature(SpikeTrainModel).parameters
    for name, field in Fitting.__pydantic_fields__.items():
        if name != "seed":
            default = defaults[name].default
            shown = getattr(default, "kind", default)
            assert field.description.endswith(f"[default: {shown}]."), name


def test_the_help_names_a_first_call_of_its_own(sqsnn, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    assert "Start with: sqsnn spikes fit cell.csv" in sqsnn("spikes", "--help").out


def test_every_drive_has_a_flag():
    (kinds, _) = get_args(get_type_hints(Fitting)["drive"])
    drives = [DRIVE.validate_python({"kind": kind}) for kind in get_args(kinds)]
    assert {type(drive) for drive in drives} == set(get_args(Drive.__origin__))
