"""Noise from the command line: as settings of training, and as a picture of a trained run."""

import json
import re

import pytest

from sqsnn.training.noise_config import NoiseConfig
from sqsnn.training.run_folder import RunFolder

SMALL = ["--classes", "0,1", "--train-samples", 40, "--test-samples", 20, "--hidden", 6]
SMALL += ["--steps", 3, "--epochs", 1, "--batch-size", 36]


def test_every_flag_of_noise_reaches_the_settings(sqsnn, here):
    flags = """--depolarising-1q 0.01 --depolarising-2q 0.02 --amplitude-damping-1q 0.03
        --amplitude-damping-2q 0.04 --phase-damping-1q 0.05 --phase-damping-2q 0.06
        --idle-depolarising 0.07 --idle-amplitude-damping 0.08 --idle-phase-damping 0.09
        --false-spike 0.1 --missed-spike 0.11"""
    done = sqsnn("train", "digits", *SMALL, *flags.split(), "--out", "there")
    assert (done.code, done.err) == (0, "")
    expected = NoiseConfig(
        depolarising_1q=0.01,
        depolarising_2q=0.02,
        amplitude_damping_1q=0.03,
        amplitude_damping_2q=0.04,
        phase_damping_1q=0.05,
        phase_damping_2q=0.06,
        idle_depolarising=0.07,
        idle_amplitude_damping=0.08,
        idle_phase_damping=0.09,
        false_spike=0.1,
        missed_spike=0.11,
    )
    assert RunFolder(here / "there").read_config().noise == expected


def test_a_devices_noise_is_named_by_a_flag(sqsnn, here):
    flags = "--noise-from fake_brisbane --noise-strength 0.5 --out there"
    done = sqsnn("train", "digits", *SMALL, *flags.split())
    assert (done.code, done.err) == (0, "")
    noise = RunFolder(here / "there").read_config().noise
    assert (noise.noise_from, noise.noise_strength) == ("fake_brisbane", 0.5)
    assert noise.depolarising_2q > 0


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("--false-spike 2", "--false-spike: .*less than or equal to 1, but is '2'"),
        ("--noise-strength 2", "noise_strength is 2.0, .* with noise_from only"),
        ("--noise-from aer", "reports no .* e.g. fake_brisbane"),
        ("--noise-from fake_atlantis", "fake_atlantis"),
        ("--false-spike 0.1 --memory-qubits 3", "noise is trained with for at most 3"),
    ],
)
def test_wrong_noise_is_refused_before_there_is_a_folder(sqsnn, here, flags, said):
    done = sqsnn("train", "digits", *SMALL, *flags.split())
    assert done.code == 2
    assert re.search(said, done.err)
    assert not (here / "runs").exists()


def test_a_run_is_put_under_noise_from_the_command_line(sqsnn, here):
    assert sqsnn("train", "digits", *SMALL, "--out", "a").code == 0
    options = "--backend fake_brisbane --strengths 0,0.5,4 --samples 4 --repeats 2"
    done = sqsnn("inspect", "noise", "a", *options.split())
    assert (done.code, done.err) == (0, "")
    lines = [" ".join(line.split()) for line in done.out.splitlines()]
    assert lines[0] == "1 of 3: strength 0"
    content = json.loads((here / "a" / "noise.json").read_text())
    assert [point["strength"] for point in content["points"]] == [0, 0.5, 4]
    for point in content["points"]:
        row = f"{point['strength']:g} {point['mean']:.1%} {point['deviation']:.1%} "
        assert sum(line.startswith(row) for line in lines) == 1
    assert max(map(len, done.out.splitlines())) <= 80
    assert (here / "a" / "noise.png").is_file()
    listed = sqsnn("train", "--resume", "a").out
    assert "noise.png" in listed
    assert "under the noise of a device" in listed


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--strengths", "1,-1"], "--strengths.1: .*greater than or equal to 0, but is '-1'"),
        (["--strengths", ""], "--strengths: .*at least 1"),
        (["--samples", "0"], "--samples: .* but is '0'"),
        (["--repeats", "1"], "--repeats: .* but is '1'"),
        ([], "nowhere holds no run"),
    ],
)
def test_a_wrong_call_is_told_in_one_line(sqsnn, here, options, said):
    done = sqsnn("inspect", "noise", "nowhere", *options)
    assert (done.code, done.out) == (2, "")
    (line,) = done.err.splitlines()
    assert re.search(said, line)
