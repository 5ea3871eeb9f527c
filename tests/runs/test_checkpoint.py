"""A checkpoint gives back training exactly, and any other file is refused."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from tools import small_run

from sqsnn.data.dataset import Samples
from sqsnn.data.preparation import Preparation
from sqsnn.errors import CheckpointError
from sqsnn.runs import checkpoint
from sqsnn.settings.toml import FORMAT
from sqsnn.training import trainer
from sqsnn.training.build import build_network

FEATURES, CLASSES, NUMBER = 6, 3, 40
PREPARED = Preparation(tuple("abc"), (), FEATURES)


@pytest.fixture
def data():
    values = torch.rand(NUMBER, FEATURES, generator=torch.Generator().manual_seed(5))
    return Samples(values, torch.arange(NUMBER) % CLASSES)


def start(settings):
    return trainer.start(settings, FEATURES, CLASSES, NUMBER)


def trained(settings, data, epochs):
    progress = start(settings)
    running = trainer.epochs(progress, settings, data, data)
    figures = [next(running).metrics for _ in range(epochs)]
    return progress, figures


def save(path, progress, settings, lines=()):
    checkpoint.save(path, progress, settings, PREPARED, checkpoint.chain(lines))


def resumed(path, settings, lines=()):
    progress = start(settings)
    checkpoint.load(path, progress, settings, PREPARED, lines)
    return progress


def save_weights(path, weights, epoch):
    checkpoint.save_weights(path, weights, epoch, small_run(), PREPARED)


RULES = {
    "backprop": {},
    "feedback": {"rule": "local"},  # remembers its random feedback weights
    "reinforce": {"rule": "local", "signal": "reinforce", "baseline": "running"},  # its baseline
    "bits": {"rule": "local", "signal": "both", "score": "measured", "max_trials": 5},
    "online": {"rule": "local", "score": "online", "signal": "both", "update_every_step": True},
}


@pytest.mark.parametrize("rule", RULES)
def test_training_goes_on_bit_for_bit(data, tmp_path, rule):
    settings = small_run(epochs=4, **RULES[rule])
    whole, expected = trained(settings, data, 4)
    half, _ = trained(settings, data, 2)
    save(tmp_path / "half", half, settings, expected[:2])
    rest = resumed(tmp_path / "half", settings, expected[:2])
    assert [e.metrics for e in trainer.epochs(rest, settings, data, data)] == expected[2:]
    # The file holds everything: weights, optimiser, schedule, what the rule remembers, the best.
    save(tmp_path / "whole", whole, settings)
    save(tmp_path / "rest", rest, settings)
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "rest").read_bytes()


def test_the_best_weights_outlive_later_epochs(data, tmp_path):
    settings = small_run()
    progress, lines = trained(settings, data, 1)
    assert progress.best is not None
    best = {name: value.clone() for name, value in progress.best.weights.items()}
    for parameter in progress.network.parameters():
        torch.nn.init.zeros_(parameter)
    save(tmp_path / "file", progress, settings, lines)
    again = resumed(tmp_path / "file", settings, lines)
    assert again.best is not None
    assert again.best[:2] == progress.best[:2]
    assert all(torch.equal(again.best.weights[name], value) for name, value in best.items())
    assert not any(value.any() for value in again.network.parameters())


def test_a_checkpoint_before_the_first_epoch_is_a_start(data, tmp_path):
    settings = small_run()
    save(tmp_path / "file", start(settings), settings)
    again = resumed(tmp_path / "file", settings)
    assert (again.epoch, again.best) == (0, None)
    assert [e.metrics for e in trainer.epochs(again, settings, data, data)] == [
        e.metrics for e in trainer.epochs(start(settings), settings, data, data)
    ]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"seed": 3, "batch_size": 16}, "training.batch_size, training.seed"),
        ({"rule": "local"}, "rule.kind, .*rule.signal"),
        ({"memory_qubits": 2}, "memory_qubits"),
    ],
    ids=str,
)
def test_other_settings_are_refused_by_name(tmp_path, changes, named):
    save(tmp_path / "file", start(small_run()), small_run())
    with pytest.raises(CheckpointError, match=f"other settings: .*{named}.* changed in config"):
        resumed(tmp_path / "file", small_run(**changes))


def test_the_data_may_have_moved(tmp_path):
    save(tmp_path / "file", start(small_run()), small_run())
    assert resumed(tmp_path / "file", small_run(data_dir=tmp_path)).epoch == 0


def test_weights_come_back_with_their_epoch(tmp_path):
    network = build_network(small_run(), FEATURES, CLASSES)
    save_weights(tmp_path / "file", network.state_dict(), 7)
    other = build_network(small_run(seed=9), FEATURES, CLASSES)
    assert checkpoint.load_best(tmp_path / "file", other) == 7
    assert all(map(torch.equal, network.parameters(), other.parameters()))
    with pytest.raises(CheckpointError, match=r"weights of another network.*size mismatch"):
        checkpoint.load_best(tmp_path / "file", build_network(small_run(), FEATURES + 1, CLASSES))


def test_missing_damaged_and_foreign_files_are_refused(tmp_path):
    path = tmp_path / "file"
    with pytest.raises(CheckpointError, match="is missing: no epoch of this run has ended yet"):
        checkpoint.read_weights(path)
    save_weights(path, build_network(small_run(), 2, 2).state_dict(), 1)
    whole = path.read_bytes()
    for broken in (b"", b"not safetensors at all", whole[:-5]):
        path.write_bytes(broken)
        with pytest.raises(CheckpointError, match="file is damaged"):
            checkpoint.read_weights(path)
    save_file({"network/a": torch.zeros(2)}, path)
    with pytest.raises(CheckpointError, match="file is damaged"):
        checkpoint.read_weights(path)
    for header, why in (
        ("no JSON", "its metadata is not valid JSON"),
        ("[" * 9**5, "its metadata is not valid JSON: it nests too deep"),
        ("[1]", "is damaged, or no file of tensors"),
        (f'{{"format": {FORMAT}, "epoch": 1}}', "is damaged: it has no digest"),
        (f'{{"sha256": 3, "format": {FORMAT}}}', "its digest does not fit"),
    ):
        save_file({"network/a": torch.zeros(2)}, path, {"sqsnn": header})
        with pytest.raises(CheckpointError, match=f"file.* {why}"):
            checkpoint.read_weights(path)


@pytest.mark.parametrize("found", [1, 2, 99])
def test_another_format_is_refused_with_what_to_do(tmp_path, found):
    path, progress = tmp_path / "file", start(small_run())
    before = {name: value.clone() for name, value in progress.network.state_dict().items()}
    # As the versions before wrote them: other names in the header.
    header = {"format": found, "epoch": 1, "optimizer": [], "schedule": {}, "config": {}}
    weights = {f"network/{name}": torch.zeros_like(value) for name, value in before.items()}
    save_file(weights, path, {"sqsnn": json.dumps(header)})
    said = rf"file has format {found}, but .* reads format {FORMAT}: train the network again"
    for read in (
        lambda: checkpoint.read_weights(path),
        lambda: checkpoint.load_best(path, progress.network),
        lambda: checkpoint.load(path, progress, small_run(), PREPARED, ()),
    ):
        with pytest.raises(CheckpointError, match=said):
            read()
    assert (progress.epoch, progress.best) == (0, None)
    for name, value in progress.network.state_dict().items():
        assert torch.equal(value, before[name])


def test_everything_lies_in_one_file_that_others_can_read(data, tmp_path):
    settings = small_run()
    progress, _ = trained(settings, data, 1)
    save(tmp_path / "file", progress, settings)
    with safe_open(tmp_path / "file", "pt") as file:
        header = json.loads(file.metadata()["sqsnn"])
        names = set(file.keys())
    assert (header["format"], header["epoch"]) == (FORMAT, 1)
    assert header["settings"]["training"]["seed"] == 0
    assert {name.partition("/")[0] for name in names} == {"network", "optimizer", "best"}
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
