"""`sqsnn export`: two files, their names, and what is refused."""

import re
import shutil

import pytest

from sqsnn.hardware import from_qasm3
from sqsnn.reports import plots
from sqsnn.training import run
from sqsnn.training.config import (
    DataOptions,
    EncodingConfig,
    ModelConfig,
    Recipe,
    TrainingConfig,
    for_dataset,
)


@pytest.fixture(scope="session")
def once(tmp_path_factory):
    recipe = Recipe(
        model=ModelConfig(hidden=(3,)),
        encoding=EncodingConfig(steps=2),
        training=TrainingConfig(epochs=1, batch_size=20),
    )
    options = DataOptions(classes=(0, 1), train_samples=40, test_samples=10)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plots, "save_run_pictures", lambda *args, **kwargs: ())
        path = tmp_path_factory.mktemp("cli") / "run"
        return run.begin(for_dataset("digits", options, recipe), path).path


@pytest.fixture
def trained(once, here):
    return shutil.copytree(once, here / "a")


@pytest.mark.parametrize(
    ("flags", "name", "steps"),
    [
        ([], "layer-0-neuron-0", 2),
        (["--layer", 1, "--neuron", 1, "--steps", 4], "layer-1-neuron-1", 4),
    ],
    ids=["default", "all flags"],
)
def test_a_neuron_is_written_as_a_program_and_a_drawing(sqsnn, trained, flags, name, steps):
    done = sqsnn("export", "a", *flags)
    assert (done.code, done.err) == (0, "")
    program, drawing = done.out.replace("\\", "/").splitlines()
    assert (program, drawing) == (f"a/{name}.qasm", f"a/{name}.txt")
    circuit = from_qasm3((trained / f"{name}.qasm").read_text("utf-8"))
    assert circuit.count_ops()["measure"] == circuit.num_clbits == steps
    assert {p.name for p in circuit.parameters} == {f"phi_{step}_0" for step in range(steps)}
    assert "phi_0_0" in (trained / f"{name}.txt").read_text("utf-8")


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("a --layer 2", r"layer is 2, but the run has the layers 0\.\.1"),
        ("a --layer 1 --neuron 2", r"neuron is 2, but layer 1 has 0\.\.1"),
        ("a --neuron first", "first"),
        ("a --steps -1", "steps"),
        ("nowhere", "nowhere holds no run"),
    ],
)
def test_a_wrong_call_is_told_in_one_line(sqsnn, trained, flags, said):
    done = sqsnn("export", *flags.split())
    assert (done.code, done.out) == (2, "")
    (line,) = done.err.splitlines()
    assert re.search(said, line)
    assert not list(trained.glob("layer-*"))
