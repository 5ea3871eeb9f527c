"""A checkpoint gives back training exactly, and what is not one is refused."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from sqsnn.data.catalog import Samples
from sqsnn.errors import CheckpointError
from sqsnn.training import checkpoint, trainer
from sqsnn.training.build import build_network
from sqsnn.training.rule_config import RuleConfig

FEATURES, CLASSES, NUMBER = 6, 3, 40


@pytest.fixture
def data():
    values = torch.rand(NUMBER, FEATURES, generator=torch.Generator().manual_seed(5))
    return Samples(values, torch.arange(NUMBER) % CLASSES)


def start(config):
    return trainer.start(config, FEATURES, CLASSES, NUMBER)


def trained(config, data, epochs):
    progress = start(config)
    running = trainer.epochs(progress, config, data, data)
    figures = [next(running).metrics for _ in range(epochs)]
    return progress, running, figures


RULES = {
    "backprop": {},
    "feedback": {"rule": "local"},  # remembers its random feedback weights
    "reinforce": {"rule": "local", "signal": "reinforce", "baseline": "running"},  # its baseline
    "bits": {"rule": "local", "signal": "both", "score": "shift", "max_trials": 5},
    "online": {"rule": "local", "score": "online", "signal": "both", "update_every_step": True},
}


@pytest.mark.parametrize("rule", RULES)
def test_training_goes_on_bit_for_bit(config, data, tmp_path, rule):
    settings = config(epochs=4).model_copy(update={"rule": RuleConfig(**RULES[rule])})
    whole, _, expected = trained(settings, data, 4)
    half, _, _ = trained(settings, data, 2)
    checkpoint.save(tmp_path / "file", half, settings)
    resumed = start(settings)
    checkpoint.load(tmp_path / "file", resumed, settings)
    rest = [epoch.metrics for epoch in trainer.epochs(resumed, settings, data, data)]
    assert rest == expected[2:]
    for name, value in whole.network.state_dict().items():
        assert torch.equal(value, resumed.network.state_dict()[name])
    assert whole.best is not None
    assert resumed.best is not None
    assert whole.best[:2] == resumed.best[:2]
    for name, value in whole.best.weights.items():
        assert torch.equal(value, resumed.best.weights[name])
    checkpoint.save(tmp_path / "whole", whole, settings)
    checkpoint.save(tmp_path / "resumed", resumed, settings)
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "resumed").read_bytes()


def test_the_best_weights_outlive_later_epochs(config, data, tmp_path):
    settings = config(epochs=3)
    progress, _, _ = trained(settings, data, 1)
    assert progress.best is not None
    best = {name: value.clone() for name, value in progress.best.weights.items()}
    for parameter in progress.network.parameters():
        torch.nn.init.zeros_(parameter)
    checkpoint.save(tmp_path / "file", progress, settings)
    resumed = start(settings)
    checkpoint.load(tmp_path / "file", resumed, settings)
    assert resumed.best is not None
    assert all(torch.equal(resumed.best.weights[name], value) for name, value in best.items())
    assert all(not value.any() for value in resumed.network.state_dict().values())


def test_a_checkpoint_before_the_first_epoch_is_a_start(config, data, tmp_path):
    settings = config()
    checkpoint.save(tmp_path / "file", start(settings), settings)
    resumed = start(settings)
    checkpoint.load(tmp_path / "file", resumed, settings)
    assert (resumed.epoch, resumed.best) == (0, None)
    assert [e.metrics for e in trainer.epochs(resumed, settings, data, data)] == [
        e.metrics for e in trainer.epochs(start(settings), settings, data, data)
    ]


def test_other_settings_are_refused_by_name(config, tmp_path):
    settings = config()
    checkpoint.save(tmp_path / "file", start(settings), settings)
    other = config(seed=3, batch_size=16)
    with pytest.raises(CheckpointError, match=r"training\.batch_size, training\.seed changed"):
        checkpoint.load(tmp_path / "file", start(other), other)


def test_the_data_may_have_moved(config, tmp_path):
    settings = config()
    checkpoint.save(tmp_path / "file", start(settings), settings)
    data = settings.data.model_copy(update={"data_dir": tmp_path})
    moved = settings.model_copy(update={"data": data})
    checkpoint.load(tmp_path / "file", start(moved), moved)


def test_weights_come_back_with_their_epoch(config, tmp_path):
    network = build_network(config(), FEATURES, CLASSES)
    checkpoint.save_weights(tmp_path / "file", network.state_dict(), 7)
    weights, epoch = checkpoint.read_weights(tmp_path / "file")
    assert epoch == 7
    other = build_network(config(seed=9), FEATURES, CLASSES)
    checkpoint.load_weights(other, weights, tmp_path / "file")
    assert all(map(torch.equal, network.parameters(), other.parameters()))


def test_weights_of_another_network_are_refused(config, tmp_path):
    network = build_network(config(), FEATURES, CLASSES)
    checkpoint.save_weights(tmp_path / "file", network.state_dict(), 7)
    weights, _ = checkpoint.read_weights(tmp_path / "file")
    with pytest.raises(CheckpointError, match=r"weights of another network.*size mismatch"):
        checkpoint.load_weights(
            build_network(config(), FEATURES + 1, CLASSES), weights, tmp_path / "file"
        )


def test_what_is_damaged_or_foreign_is_refused(config, tmp_path):
    path = tmp_path / "file"
    with pytest.raises(CheckpointError, match="is missing"):
        checkpoint.read_weights(path)
    checkpoint.save_weights(path, build_network(config(), 2, 2).state_dict(), 1)
    whole = path.read_bytes()
    for broken in (b"", b"not safetensors at all", whole[:-5]):
        path.write_bytes(broken)
        with pytest.raises(CheckpointError, match="damaged, or not a checkpoint"):
            checkpoint.read_weights(path)
    save_file({"network/a": torch.zeros(2)}, path)
    with pytest.raises(CheckpointError, match="damaged, or not a checkpoint"):
        checkpoint.read_weights(path)
    save_file({"a": torch.zeros(2)}, path, {"sqsnn": json.dumps({"format": 99, "epoch": 1})})
    with pytest.raises(CheckpointError, match="has format 99"):
        checkpoint.read_weights(path)


def test_everything_lies_in_one_file_that_others_can_read(config, data, tmp_path):
    settings = config()
    progress, _, _ = trained(settings, data, 1)
    checkpoint.save(tmp_path / "file", progress, settings)
    with safe_open(tmp_path / "file", "pt") as file:
        header = json.loads(file.metadata()["sqsnn"])
        names = set(file.keys())
    assert header["epoch"] == 1
    assert header["config"]["training"]["seed"] == 0
    assert {name.partition("/")[0] for name in names} == {"network", "optimizer", "best"}
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
