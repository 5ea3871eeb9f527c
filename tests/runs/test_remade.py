"""Checkpoints that another tool changed and sealed again: what contradicts itself is refused."""

import pytest
import torch
from tools import small_run

from sqsnn.data.dataset import Samples
from sqsnn.data.preparation import Preparation
from sqsnn.errors import CheckpointError
from sqsnn.runs import checkpoint
from sqsnn.runs.tensors import read_tensors, write_tensors
from sqsnn.training import trainer

PREPARED = Preparation(tuple("abc"), (), 6)
SETTINGS = small_run(epochs=4)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A checkpoint after two epochs, and the lines of metrics beside it."""
    values = torch.rand(40, 6, generator=torch.Generator().manual_seed(5))
    data = Samples(values, torch.arange(40) % 3)
    progress = trainer.start(SETTINGS, 6, 3, 40)
    running = trainer.epochs(progress, SETTINGS, data, data)
    lines = [next(running).metrics for _ in range(2)]
    path = tmp_path_factory.mktemp("made") / "checkpoint.safetensors"
    checkpoint.save(path, progress, SETTINGS, PREPARED, checkpoint.chain(lines))
    return path, lines


def edit_header(**changes):
    return lambda tensors, header: header.update(changes)


def edit_tensor(name, change):
    def edit(tensors, header):
        tensors[name] = change(tensors[name])

    return edit


def move(one, other):
    def edit(tensors, header):
        tensors[one], tensors[other] = tensors[other], tensors[one]

    return edit


def lose(name):
    return lambda tensors, header: tensors.pop(name)


def spoil(value):
    def change(tensor):
        tensor.view(-1)[0] = value
        return tensor

    return change


def lose_best(tensors, header):
    header["best"] = None
    for name in [name for name in tensors if name.startswith("best/")]:
        del tensors[name]


def best_of_another_epoch(tensors, header):
    header["best"]["epoch"] = 3 - header["best"]["epoch"]


def better_figures(tensors, header):
    header["best"]["figures"]["validation_accuracy"] = 1.0


ANGLES = "network/populations.hidden.angles"
EDITS = {
    "epoch": (edit_header(epoch=3), "is of epoch 3, .* but metrics.jsonl has 2 lines"),
    "no epoch": (edit_header(epoch=0), "is of epoch 0, .* but metrics.jsonl has 2 lines"),
    "negative": (edit_header(epoch=-1), "does not fit: epoch: .* greater than or equal to 0"),
    "text": (edit_header(epoch="2"), "does not fit: epoch: .* valid integer"),
    "truth": (edit_header(epoch=True), "does not fit: epoch: .* valid integer"),
    "unknown": (edit_header(further=1), "does not fit: further: Extra inputs"),
    "settings": (edit_header(settings={"hidden": [3]}), "other settings: .*hidden.* changed"),
    "preparation": (edit_header(preparation="0" * 64), "with another preparation"),
    "no best": (lose_best, "with none as the best, but metrics.jsonl has 2 lines"),
    "best": (best_of_another_epoch, "as the best, but metrics.jsonl has 2 lines"),
    "figures": (better_figures, "as the best, but metrics.jsonl has 2 lines"),
    "no weights": (lose(ANGLES), f"another network: it lacks {ANGLES}"),
    "weights": (edit_tensor(ANGLES, spoil(torch.nan)), f"{ANGLES} holds .* not finite"),
    "shape": (edit_tensor(ANGLES, lambda it: it[1:]), f"{ANGLES} has a size mismatch"),
    "precision": (edit_tensor(ANGLES, torch.Tensor.double), f"{ANGLES} is torch.float64"),
    "circuit": (
        edit_tensor("network/populations.hidden._extra_state", lambda it: it[:-1]),
        "another network: the state does not say of which circuit",
    ),
    "best weights": (
        edit_tensor("best/populations.hidden.angles", spoil(torch.inf)),
        "best/populations.hidden.angles holds .* not finite",
    ),
    "moments": (
        move("optimizer/0/exp_avg", "optimizer/1/exp_avg"),
        "optimizer/0/exp_avg is .* must",
    ),
    "no moment": (lose("optimizer/0/exp_avg"), "optimizer/0/exp_avg is missing"),
    "squares": (
        edit_tensor("optimizer/1/exp_avg_sq", spoil(-1.0)),
        "optimizer/1/exp_avg_sq holds numbers that no training gives",
    ),
    "infinite moment": (
        edit_tensor("optimizer/1/exp_avg", spoil(torch.inf)),
        "optimizer/1/exp_avg holds numbers that no training gives",
    ),
    "step": (
        edit_tensor("optimizer/2/step", lambda it: it + 1),
        "optimizer/2/step is .*epochs so far have",
    ),
    "no step": (edit_tensor("optimizer/2/step", lambda it: it * 0), "optimizer/2/step is 0.0, but"),
    "no parameter": (
        lambda tensors, header: tensors.update({"optimizer/99/step": torch.ones(())}),
        "optimizer/99/step, of no parameter",
    ),
    "no part": (
        lambda tensors, header: tensors.update({"other/a": torch.ones(2)}),
        "holds 'other/a', which no checkpoint has",
    ),
    "memory": (
        lambda tensors, header: tensors.update({"rule/baseline": torch.ones(2, dtype=torch.int)}),
        "rule/baseline must hold",
    ),
}


@pytest.mark.parametrize("name", EDITS)
def test_what_contradicts_itself_is_refused_and_nothing_is_changed(made, tmp_path, name):
    (path, lines), (edit, why) = made, EDITS[name]
    tensors, header, _ = read_tensors(path)
    edit(tensors, header)
    other = tmp_path / path.name
    write_tensors(other, tensors, header)
    progress = trainer.start(SETTINGS, 6, 3, 40)
    before = [parameter.clone() for parameter in progress.network.parameters()]
    with pytest.raises(CheckpointError, match=rf"checkpoint\.safetensors:? .*{why}"):
        checkpoint.load(other, progress, SETTINGS, PREPARED, lines)
    assert progress.epoch == 0 and not progress.optimizer.state
    assert all(map(torch.equal, before, progress.network.parameters()))


def test_any_flipped_bit_of_a_file_of_tensors_is_found(tmp_path):
    path = tmp_path / "file"
    write_tensors(path, {"a": torch.arange(3.0), "b": torch.ones(2, dtype=torch.bool)}, {"x": 1})
    assert read_tensors(path).header == {"x": 1}
    whole = path.read_bytes()
    for number in range(len(whole)):
        damaged = bytearray(whole)
        damaged[number] ^= 1 << number % 8
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match=r"file(: its (header|metadata)|, line 1,)? "):
            read_tensors(path)
