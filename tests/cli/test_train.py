"""`sqsnn train` and `sqsnn evaluate` from the first call to the last table."""

import re
import shlex
import signal

import pytest
from tools import needs_kernel, populations_of

import sqsnn as sqsnn_package
from sqsnn.cli.progress import Screen
from sqsnn.neurons.drive import Leaky, Rectified
from sqsnn.neurons.sqs import SQSNeurons
from sqsnn.quantum.noise import Noise
from sqsnn.runs import loading, run
from sqsnn.runs.folder import RunFolder
from sqsnn.settings.run import for_dataset

SMALL = ["--classes", "0,1", "--train-samples", 40, "--test-samples", 20, "--hidden", 8]
SMALL += ["--steps", 3, "--batch-size", 36]
ONE, TWO = [*SMALL, "--epochs", 1], [*SMALL, "--epochs", 2]


def test_a_run_ends_with_a_table_and_a_list_of_its_files(sqsnn, here):
    done = sqsnn("train", "digits", *TWO)
    assert (done.code, done.err) == (0, "")
    folder = RunFolder(here / "runs" / "digits-1")
    result = folder.read_result()
    for how in ("", "_ties_by_probability", "_probability"):
        assert f"{result[f'test_accuracy{how}']:.2%}" in done.out
    assert re.search(rf"test accuracy \(spikes alone\) +│ {result['test_accuracy']:.2%}", done.out)
    assert str(result["parameters"]) in done.out
    for path in folder.path.glob("[!.]*"):
        assert path.name in done.out
    # Not a terminal: one line per epoch and no bar.
    assert sum(line.startswith("epoch ") for line in done.out.splitlines()) == 2


def test_every_flag_reaches_the_settings(sqsnn, here):
    flags = """--classes 3,7 --train-samples 60 --test-samples 30 --hidden 5,4 --memory-qubits 2
        --channels 2 --circuit hardware_efficient --circuit-options.layers 2 --encoding latency
        --steps 2 --report-steps 1 --rule backprop --surrogate sigmoid
        --encoding-slope exact --through-collapse --loss-on count --rate-penalty 0.1
        --rate-bounds 0.1 0.3 --epochs 1 --batch-size 54 --learning-rate 0.02
        --final-learning-rate 0.001 --patience 4 --seed 9 --device cpu --dtype float64 --threads 1
        --out there"""
    done = sqsnn("train", "digits", *flags.split())
    assert (done.code, done.err) == (0, "")
    expected = {
        "data": {
            "classes": (3, 7),
            "train_samples": 60,
            "test_samples": 30,
            "source": "scikit-learn",
        },
        "hidden": (5, 4),
        "neurons": {
            "memory_qubits": 2,
            "channels": 2,
            "circuit": "hardware_efficient",
            "circuit_options": {"layers": 2},
            "surrogate": "sigmoid",
            "encoding_slope": "exact",
            "through_collapse": True,
        },
        "encoding": {"kind": "latency", "steps": 2},
        "report_steps": 1,
        "rule": {"loss_on": "count", "rate_penalty": 0.1, "rate_bounds": (0.1, 0.3)},
        "training": {
            "epochs": 1,
            "batch_size": 54,
            "learning_rate": 0.02,
            "final_learning_rate": 0.001,
            "patience": 4,
            "seed": 9,
            "dtype": "float64",
        },
    }
    assert RunFolder(here / "there").read_settings() == for_dataset("digits", expected)


def test_the_flags_of_a_measured_local_rule_reach_the_settings(sqsnn, here):
    flags = """--rule local --signal both --feedback symmetric --samples 2 --baseline running
        --horizon discounted --discount 0.5 --reward-weight 0.5 --score measured
        --window 2 --estimator laplace --shots 3 --encoding rate --max-rate 0.9
        --drive rectified --output-memory-qubits 1"""
    done = sqsnn("train", "digits", *ONE, *flags.split(), "--out", "there")
    assert (done.code, done.err) == (0, "")
    settings = RunFolder(here / "there").read_settings()
    rule = settings.rule
    assert (rule.signal.feedback.feedback, rule.signal.reward_weight) == ("symmetric", 0.5)
    assert (rule.signal.reward.samples, rule.signal.reward.baseline) == (2, "running")
    assert (rule.signal.reward.horizon, rule.signal.reward.discount) == ("discounted", 0.5)
    assert (rule.score.window, rule.score.estimator.shots, rule.score.backend) == (2, 3, None)
    neurons = settings.neurons
    assert settings.encoding.max_rate == 0.9
    assert (neurons.drive, neurons.output_memory_qubits) == (Rectified(), 1)


def test_the_flags_of_a_leaky_drive_reach_the_settings(sqsnn, here):
    flags = """--drive leaky --beta 0.75 --reset 0.5 --bias 0.125 --floor -2 --reset-steps none
        --through-reset=false"""
    done = sqsnn("train", "digits", *ONE, *flags.split(), "--out", "there")
    assert (done.code, done.err) == (0, "")
    leaky = Leaky(beta=0.75, reset=0.5, bias=0.125, floor=-2.0, through_reset=False)
    assert RunFolder(here / "there").read_settings().neurons.drive == leaky


def test_a_network_of_any_layers_is_trained_resumed_and_loaded(sqsnn, here):
    flags = "--conv 2c3-p2 --recurrent --skip --delay 1 --out a"
    done = sqsnn("train", "digits", *TWO, *flags.split())
    assert (done.code, done.err) == (0, "")
    assert "spikes per sample, conv " in done.out
    folder = RunFolder(here / "a")
    settings, weights = folder.read_settings(), folder.best.read_bytes()
    assert (settings.conv, settings.hidden) == ("2c3-p2", (8,))
    folder.result.unlink()
    folder.best.unlink()
    assert sqsnn("train", "--resume", "a").code == 0
    assert folder.best.read_bytes() == weights
    network = sqsnn_package.load("a").network
    assert [it.shape for it in network.populations.values()] == [(2, 6, 6), (8,), (2,)]


GRAPH = """
[graph.populations]
loop = 5
output = "classes"
[[graph.connections]]
source = "input"
target = "loop"
[[graph.connections]]
source = "loop"
target = "loop"
delay = 1
[[graph.connections]]
source = "loop"
target = "output"
synapses = { kind = "dense", bias = true }
"""


def test_a_graph_in_a_file_is_trained_and_its_run_starts_the_same_again(sqsnn, here):
    (here / "graph.toml").write_text('[data]\ndataset = "digits"\n' + GRAPH)
    flags = [flag for flag in ONE if flag not in ("--hidden", 8)]
    assert sqsnn("train", "--config", "graph.toml", *flags, "--out", "a").code == 0
    first = RunFolder(here / "a")
    assert first.read_settings().population_names == ["loop", "output"]
    assert first.read_settings().training.batch_size == 36
    assert sqsnn("train", "--config", "a/config.toml", "--out", "b").code == 0
    again = RunFolder(here / "b")
    assert again.config.read_bytes() == first.config.read_bytes()
    assert again.best.read_bytes() == first.best.read_bytes()
    assert again.metrics.read_bytes() == first.metrics.read_bytes()


@needs_kernel
def test_a_run_over_events_is_trained_recorded_and_resumed(sqsnn, here):
    done = sqsnn("train", "digits", *ONE, "--synapses", "events")
    assert (done.code, done.err) == (0, "")
    folder = RunFolder(here / "runs" / "digits-1")
    assert folder.read_settings().synapses == "events"
    weights = folder.best.read_bytes()
    folder.result.unlink()
    folder.best.unlink()
    assert sqsnn("train", "--resume", "runs/digits-1").code == 0
    assert folder.best.read_bytes() == weights
    events = sqsnn("evaluate", "runs/digits-1")
    config = folder.config.read_text()
    assert 'synapses = "events"' in config
    folder.config.write_text(config.replace('synapses = "events"', 'synapses = "dense"'))
    changed = sqsnn("evaluate", "runs/digits-1")
    assert (events.code, changed.code) == (0, 2)
    assert "other settings: synapses changed in config.toml" in " ".join(changed.err.split())


def test_the_preset_of_digits_resets_for_three_steps(sqsnn, here):
    assert sqsnn("train", "digits", *ONE, "--out", "there").code == 0
    assert RunFolder(here / "there").read_settings().neurons.drive == Leaky(reset_steps=3)


def test_every_rate_of_noise_reaches_the_settings(sqsnn, here):
    names = Noise.__pydantic_fields__
    rates = {name: number / 100 for number, name in enumerate(names, start=1)}
    assert len(rates) == 11
    flags = [part for name, rate in rates.items() for part in (f"--{name.replace('_', '-')}", rate)]
    done = sqsnn("train", "digits", *ONE, *flags, "--out", "there")
    assert (done.code, done.err) == (0, "")
    assert RunFolder(here / "there").read_settings().neurons.noise == Noise(**rates)


def test_a_flag_names_the_device_that_gives_the_noise(sqsnn, here):
    flags = "--noise-from fake_boston --noise-strength 0.5 --out there"
    done = sqsnn("train", "digits", *ONE, *flags.split())
    assert (done.code, done.err) == (0, "")
    settings = RunFolder(here / "there").read_settings()
    device = settings.device_noise
    assert (device.noise_from, device.noise_strength) == ("fake_boston", 0.5)
    assert settings.neurons.noise.depolarising_2q > 0


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("--false-spike 2", "--false-spike: .*less than or equal to 1, but is '2'"),
        ("--noise-strength 2", "noise_strength is 2.0, .* with noise_from only"),
        ("--noise-from fake_boston --false-spike 0.1", "noise_from gives all rates"),
        ("--noise-from aer", "reports no .* e.g. fake_boston"),
        ("--noise-from fake_atlantis", "fake_atlantis"),
        ("--false-spike 0.1 --memory-qubits 3", "with noise are trained with at most 3"),
    ],
)
def test_wrong_noise_is_refused_before_there_is_a_folder(refused, here, flags, said):
    assert re.search(said, refused("train", "digits", *SMALL, *flags.split()))
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "steps"), [("recall", 5), ("order", 8), ("xor", 7), ("duration", 10)]
)
def test_a_task_in_time_is_trained_from_the_command_line(sqsnn, here, name, steps):
    flags = "--hidden 8 --epochs 1 --train-samples 200 --test-samples 100 --cue-delay 3"
    done = sqsnn("train", name, *flags.split())
    assert (done.code, done.err) == (0, "")
    folder = RunFolder(here / "runs" / f"{name}-1")
    assert folder.is_finished()
    settings = folder.read_settings()
    assert (settings.data.cue_delay, settings.encoding.steps) == (3, steps)
    assert sqsnn("evaluate", f"runs/{name}-1", "--shots", 2).code == 0


def test_a_run_is_not_overwritten_but_finished(sqsnn, refused, trained):
    assert "`sqsnn train --resume a`" in refused("train", "digits", *SMALL, "--out", "a")
    finished = sqsnn("train", "--resume", "a")
    assert finished.code == 0
    assert "a is finished" in finished.out
    assert "test accuracy" in finished.out


def test_the_result_is_shown_before_pictures_are_drawn(sqsnn, here, monkeypatch):
    def interrupt(*args):
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "draw_run", interrupt)
    done = sqsnn("train", "digits", *ONE, "--out", "my run")
    assert done.code == 130
    assert done.out.index("test accuracy") < done.out.index("Drawing pictures")
    assert "the result is kept" in done.err
    assert "sqsnn report 'my run'" in done.err


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_says_how_to_go_on(sqsnn, here, monkeypatch, stop):
    assert sqsnn("train", "digits", *TWO, "--out", "never stopped").code == 0

    def interrupt(screen, step):
        if step.epoch == 2:
            signal.raise_signal(stop)

    with monkeypatch.context() as patch:
        patch.setattr(Screen, "step", interrupt)
        done = sqsnn("train", "digits", *TWO, "--out", "my run", "--track", "tensorboard")
    assert done.code == 130
    assert "Traceback" not in done.err
    interrupted, command = done.err.splitlines()
    assert "epoch 1 is kept" in interrupted
    program, *arguments = shlex.split(command)
    assert (program, arguments) == (
        "sqsnn",
        ["train", "--resume", "my run", "--track", "tensorboard"],
    )
    assert sqsnn(*arguments).code == 0
    for name in ("metrics.jsonl", "metrics.json", "best.safetensors"):
        assert (here / "my run" / name).read_bytes() == (here / "never stopped" / name).read_bytes()


def test_an_interrupt_before_anything_was_written_says_so(sqsnn, here, monkeypatch):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(loading.catalog, "load", interrupt)
    done = sqsnn("train", "digits")
    assert done.code == 130
    assert "nothing was written" in done.err


def test_a_run_is_evaluated_with_any_number_of_shots(sqsnn, refused, trained):
    one = sqsnn("evaluate", "a")
    assert one.code == 0
    assert f"{RunFolder(trained).read_result()['test_accuracy']:.2%}" in one.out
    many = sqsnn("evaluate", "a", "--shots", 3)
    assert "3 shots" in many.out
    assert (trained / "evaluation-shots-3.json").is_file()
    said = "shots must be an integer of at least 1, but is 0"
    assert said in refused("evaluate", "a", "--shots", 0)


# Comparison neurons


@pytest.mark.parametrize(
    ("flags", "chosen"),
    [
        ("--neurons lif --beta 0.5", {"kind": "lif", "beta": 0.5, "threshold": 1.0}),
        ("--neurons qlif --learn=false", {"kind": "qlif", "learn": False, "threshold": 0.75}),
    ],
)
def test_options_of_neurons_are_flags(sqsnn, here, flags, chosen):
    done = sqsnn("train", "digits", *ONE, *flags.split())
    assert (done.code, done.err) == (0, "")
    folder = RunFolder(here / "runs" / "digits-1")
    assert folder.read_settings().neurons.model_dump().items() >= chosen.items()
    assert f"{folder.read_result()['test_accuracy']:.2%}" in done.out


def test_neurons_that_draw_are_trained_by_the_local_rule(sqsnn, here):
    flags = "--neurons stochastic_lif --tau 0.5 --rule local --signal both --channels 2"
    done = sqsnn("train", "digits", *ONE, *flags.split())
    assert (done.code, done.err) == (0, "")
    assert sqsnn("evaluate", "runs/digits-1", "--shots", 2).code == 0


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("--neurons lif --tau 1", "tau is 1.0, but goes with neurons 'stochastic_lif' only"),
        ("--neurons lif --beta 1.5", "--beta: .*less than or equal to 1, but is .1.5."),
        ("--neurons lif --rule local --signal both", "draws none; use signal 'feedback'"),
        ("--neurons qlif --through-collapse", "through_collapse is True, but goes with neurons"),
        ("--neurons published_sqs --channels 2", "channels is 2, but goes with"),
        ("--neurons lif --memory-qubits 2", "memory_qubits is 2, but goes with neurons 'sqs' only"),
        ("--neurons lif --false-spike 0.1", "false_spike is 0.1, but goes with neurons 'sqs' only"),
        ("--neurons lif --noise-from fake_boston", "noise_from goes with neurons 'sqs'.*'lif'"),
        ("--neurons lif --rule local --score measured --backend aer", "'lif'|LIF"),
        ("--neurons lif --circuit crx", "circuit is 'crx', but goes with neurons 'sqs' only"),
        (
            "--drive rectified --beta 0.5",
            "beta is 0.5, but goes with neurons 'sqs' and drive 'leaky', or with neurons 'lif', or",
        ),
        ("--circuit integrate_and_fire --output-memory-qubits 0", "output_memory_qubits is 0: "),
        ("--neurons perceptron", "neurons is 'perceptron'; it may be one of sqs, lif, "),
    ],
)
def test_flags_that_do_not_go_together_are_refused_in_one_line(refused, here, flags, said):
    assert re.search(said, refused("train", "digits", *SMALL, *flags.split()))
    assert not (here / "runs").exists()


@pytest.mark.parametrize("neurons", ["lif", "published_sqs"])
def test_commands_that_need_circuits_say_so(sqsnn, refused, here, neurons):
    flags = ["--neurons", neurons, "--out", "a"]
    assert sqsnn("train", "digits", *ONE, *flags).code == 0
    before = sorted(here.rglob("*"))
    for command in ("hardware a", "export a", "inspect noise a"):
        assert "neurons that are circuits" in refused(*command.split()), command
    assert sorted(here.rglob("*")) == before
    assert not isinstance(
        populations_of(loading.load(RunFolder(here / "a")).network)[0], SQSNeurons
    )
