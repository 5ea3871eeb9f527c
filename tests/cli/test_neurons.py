"""Comparison neurons from the command line: trained by their flags, and refused as circuits."""

import re

import pytest

from sqsnn.training.run_folder import RunFolder

SMALL = ["--classes", "0,1", "--train-samples", 40, "--test-samples", 20, "--hidden", 8]
SMALL += ["--steps", 3, "--epochs", 1, "--batch-size", 36]


def test_options_of_neurons_are_flags(sqsnn, here):
    done = sqsnn("train", "digits", "--neurons", "lif", "--neuron-options.beta", 0.5, *SMALL)
    assert (done.code, done.err) == (0, "")
    folder = RunFolder(here / "runs" / "digits-1")
    model = folder.read_config().model
    assert (model.neurons, model.neuron_options) == ("lif", {"beta": 0.5})
    assert folder.is_finished()
    assert f"{folder.read_result()['test_accuracy']:.2%}" in done.out


def test_neurons_that_draw_are_trained_by_the_local_rule(sqsnn, here):
    flags = "--neurons stochastic_lif --neuron-options.tau 0.5 --rule local --signal both"
    done = sqsnn("train", "digits", *flags.split(), "--channels", 2, *SMALL)
    assert (done.code, done.err) == (0, "")
    assert sqsnn("evaluate", "runs/digits-1", "--shots", 2).code == 0


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("--neurons lif --neuron-options.tau 1", "neuron_options names tau; neurons 'lif' take"),
        ("--neurons lif --neuron-options.beta 1.5", r"beta is 1.5; it must be in \[0, 1\]"),
        ("--neurons lif --rule local --signal both", "draw none; use signal feedback"),
        ("--neurons qlif --compile", "compile cannot be set with neurons 'qlif'"),
        ("--neurons published_sqs --channels 2", "channels cannot be set with"),
        ("--neurons lif --false-spike 0.1", "noise cannot be set with neurons 'lif'"),
        ("--neurons lif --noise-from fake_brisbane", "'lif'"),
        ("--neurons lif --rule local --score shift --backend aer", "'lif'"),
        ("--neurons lif --circuit crx", "circuit is 'crx', but goes with neurons 'sqs' only"),
        ("--neuron-options.beta 0.5", "goes with neurons other than 'sqs' only"),
        ("--neurons perceptron", "perceptron"),
    ],
)
def test_what_does_not_go_together_is_told_in_one_line(sqsnn, here, flags, said):
    done = sqsnn("train", "digits", *flags.split(), *SMALL)
    assert (done.code, done.out) == (2, "")
    (line,) = done.err.splitlines()
    assert re.search(said, line)
    assert not (here / "runs").exists()


@pytest.mark.parametrize("neurons", ["lif", "published_sqs"])
def test_what_needs_circuits_says_so(sqsnn, here, neurons):
    trained = sqsnn("train", "digits", "--neurons", neurons, *SMALL, "--out", "a")
    assert trained.code == 0
    before = sorted(here.rglob("*"))
    for command in ("hardware a", "export a", "inspect gradients a", "inspect noise a"):
        done = sqsnn(*command.split())
        assert (done.code, done.out) == (2, ""), command
        (line,) = done.err.splitlines()
        assert "neurons that are circuits" in line
    assert sorted(here.rglob("*")) == before
