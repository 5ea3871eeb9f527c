"""`sqsnn hardware`, and spending device time: a question first, nothing sent after a no."""

import io
import json
import re
import sys

import pytest
from hardware_stubs import FridgeError, StubSampler, perfect, play_ibm

from sqsnn.hardware import ibm

SMALL = ["--samples", 4]
QUESTION = "Spend this device time?"
TRAIN = ["train", "digits", "--classes", "0,1", "--train-samples", 12, "--test-samples", 4]
TRAIN += ["--hidden", 2, "--steps", 2, "--epochs", 1, "--batch-size", 12]
TRAIN += ["--rule", "local", "--score", "measured"]


@pytest.fixture
def service(monkeypatch) -> StubSampler:
    """A device of IBM's, played by Aer; it keeps what it was sent."""
    return play_ibm(monkeypatch, perfect)


def types(monkeypatch, text: str) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(text))


def rows(out: str) -> dict[str, str]:
    """The table's rows by their first column."""
    cells = [line.split("│")[1:-1] for line in out.splitlines() if line.startswith("│")]
    return {name.strip(): value.strip() for name, value in cells}


def test_a_run_on_a_simulator_shows_its_outcome_without_a_question(sqsnn, trained, monkeypatch):
    types(monkeypatch, "")
    done = sqsnn("hardware", "a", *SMALL, "--shots", 2)
    assert (done.code, done.err) == (0, "")
    assert QUESTION not in done.out
    assert "a simulator takes no device time" in done.out
    place = trained / "hardware" / "aer-samples-4-shots-2"
    result = json.loads((place / "result.json").read_text("utf-8"))
    table = rows(done.out)
    assert table["accuracy on aer"] == f"{result['accuracy']:.1%}"
    simulator = f"{result['simulator_accuracy']:.1%}"
    assert table["accuracy of the simulator, same samples"] == simulator
    assert table["shots per sample"] == "2"
    assert table["jobs"] == "2"
    assert table["circuits"] == "40"
    for number, layer in enumerate(result["layers"], start=1):
        shown = table[f"layer {number}, a neuron"]
        assert "2 measure" in shown
        assert f"depth {layer['depth']}" in shown
    # A simulator has no day of calibration, and bills nothing.
    assert not {"calibrated", "device time, billed"} & table.keys()
    assert "one shot" not in table["layer 1, a neuron"]
    for name in ("result.json", "bits.npz"):
        path = f"a/hardware/aer-samples-4-shots-2/{name}"
        assert path in done.out.replace("\\", "/").splitlines()


def test_the_same_command_again_says_that_nothing_was_run(sqsnn, trained):
    first = rows(sqsnn("hardware", "a", *SMALL).out)
    again = rows(sqsnn("hardware", "a", *SMALL).out)
    assert first["jobs"] == "2"
    assert again["jobs"] == "0, 2 done before"
    assert again["accuracy on aer"] == first["accuracy on aer"]


def test_a_snapshot_is_shown_with_its_day_its_errors_and_its_estimate(sqsnn, trained):
    options = "--backend fake_manila --samples 2 --pack all --mitigate-readout"
    done = sqsnn("hardware", "a", *options.split())
    assert (done.code, done.err) == (0, "")
    table = rows(done.out)
    assert table["calibrated"].startswith("2024-05-27")
    assert table["layer 1, a neuron"].endswith("2 side by side")
    assert re.fullmatch(r"\d\.\d\d%, \d\.\d\d%", table["false, missed spikes (readout)"])
    assert "one shot" in table["layer 1, a neuron"]
    assert table["device time, estimated"].endswith(" s")
    assert "device time, billed" not in table
    assert "Estimate: " in done.out and QUESTION not in done.out
    assert (trained / "hardware" / "fake_manila-pack-all-samples-2-mitigate-readout").is_dir()


# Spending


@pytest.mark.parametrize("answer", ["n\n", "\n", "", "maybe\nno\n"], ids=repr)
def test_without_a_yes_nothing_is_sent(sqsnn, trained, service, monkeypatch, answer):
    types(monkeypatch, answer)
    done = sqsnn("hardware", "a", "--backend", "ibm:x", *SMALL)
    assert done.code == 2
    assert "Estimate: 2 jobs" in done.out and "of device time." in done.out
    assert done.out.index("Estimate") < done.out.index(QUESTION)
    (line,) = done.err.splitlines()
    assert line == "nothing was sent: device time is spent with a yes, or with --yes"
    assert not service.blocks and not service.seeds
    assert not (trained / "hardware").exists()


@pytest.mark.parametrize(("answer", "flags"), [("y\n", []), ("", ["--yes"])], ids=str)
def test_a_yes_spends(sqsnn, trained, service, monkeypatch, answer, flags):
    types(monkeypatch, answer)
    done = sqsnn("hardware", "a", "--backend", "ibm:x", *SMALL, *flags)
    assert (done.code, done.err) == (0, "")
    assert (QUESTION in done.out) == (not flags)
    assert "Estimate: 2 jobs" in done.out
    assert len(service.blocks) == 2
    assert rows(done.out)["device time, billed"] == "4.0 s"


def test_a_job_that_fails_is_one_line_and_the_same_command_goes_on(
    sqsnn, trained, service, monkeypatch
):
    def dies(block, number):
        if number == 2:
            raise FridgeError("the fridge\nis warm")
        return perfect(block, number)

    service.answer = dies
    command = ["hardware", "a", "--backend", "ibm:x", *SMALL, "--yes"]
    failed = sqsnn(*command)
    assert failed.code == 2
    (line,) = failed.err.splitlines()
    assert line == "ibm:x did not take a job (FridgeError: the fridge is warm)"
    service.answer = perfect
    done = sqsnn(*command)
    assert (done.code, done.err) == (0, "")
    assert rows(done.out)["jobs"] == "1, 1 done before"


@pytest.mark.parametrize("answer", ["n\n", ""], ids=repr)
def test_training_on_a_real_device_asks_as_well(sqsnn, here, service, monkeypatch, answer):
    types(monkeypatch, answer)
    done = sqsnn(*TRAIN, "--backend", "ibm:x", "--out", "run")
    assert done.code == 2
    assert "of device time." in done.out and QUESTION in done.out
    (line,) = done.err.splitlines()
    assert line.startswith("nothing was sent")
    assert not service.blocks
    assert not (here / "run").exists()


def test_training_on_aer_from_the_command_line(sqsnn, here):
    done = sqsnn(*TRAIN, "--backend", "aer", "--repeats", 2, "--out", "run")
    assert (done.code, done.err) == (0, "")
    assert QUESTION not in done.out
    assert "a simulator takes no device time" in done.out
    line = json.loads((here / "run" / "metrics.jsonl").read_text("utf-8"))
    assert line["validation_accuracy_probability"] is None
    assert line["train_shots"] == 2 * line["train_circuits"] > 0
    result = rows(done.out)
    assert "test accuracy (spikes alone)" in result
    assert not {"ties by probability", "by probability"} & result.keys()


# Refusals, each in one line


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("a --samples 11", "samples is 11, but there are 10 test samples"),
        ("a --samples 1", "--samples: .*greater than or equal to 2, but is '1'"),
        ("a --shots none", "--shots: .*integer.* but is 'none'"),
        ("a --backend fake_atlantis", "fake_atlantis"),
        ("a --backend nowhere", "'nowhere'; it may be 'aer'"),
        ("a --pack 2", "pack is 2.*'aer' has no chip"),
        ("a --ideal", "ideal is for snapshots"),
        ("a --mode batch", "mode is 'batch'"),
        ("a --backend fake_manila --samples 4 --pack 3", "3, but 2 disjoint"),
        ("nowhere", "nowhere holds no run"),
    ],
)
def test_a_wrong_call_is_refused_in_one_line(refused, trained, flags, said):
    assert re.search(said, refused("hardware", *flags.split()))
    assert not (trained / "hardware").exists()


def test_a_missing_account_is_explained_in_one_line(refused, trained, monkeypatch):
    def no_account():
        raise ValueError("Unable to find account.")

    monkeypatch.setattr(ibm, "IBMQuantumComputeService", no_account)
    line = refused("hardware", "a", "--backend", "ibm:boston", "--yes")
    assert "no IBM account could be used" in line and "save_account" in line
