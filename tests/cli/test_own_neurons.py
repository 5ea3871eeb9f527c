"""`sqsnn train --neurons module:Class`: a run with neurons from a module of the user."""

import json
import sys

import numpy as np
import pytest
from tools import populations_of

import sqsnn as package
from sqsnn.errors import ConfigError
from sqsnn.interop import nir

SMALL = [
    *("--classes", "0,1", "--train-samples", "40", "--test-samples", "20"),
    *("--hidden", "4", "--steps", "2", "--epochs", "1"),
]
SOURCE = """
import torch
import sqsnn
class Lazy(sqsnn.LIF):
    membrane_operations = 3
    def __init__(self, size, *, gain: float = 1.0, generator, dtype=torch.float32, device=None):
        super().__init__(size, beta=0.5, generator=generator, dtype=dtype, device=device)
        self.gain = gain
    def drive(self, currents):
        return super().drive(self.gain * currents)
"""


@pytest.fixture
def module(here, monkeypatch):
    """A module in the current folder, which nothing has imported."""
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    return here / "lazies.py"


def test_a_run_needs_the_module_of_its_neurons(sqsnn, refused, module, tmp_path, monkeypatch):
    named = ("--neurons", "lazies:Lazy", "--neuron-options.gain", "2", *SMALL)
    assert "neurons is 'lazies:Lazy', but module 'lazies' cannot be imported" in refused(
        "train", "digits", *named
    )
    assert list(tmp_path.iterdir()) == []
    module.write_text(SOURCE)
    done = sqsnn("train", "digits", *named, "--out", "a")
    assert (done.code, done.err) == (0, "")
    assert {population.gain for population in populations_of(package.load("a").network)} == {2}
    assert "no subclass of sqsnn.Population 'Lazier'" in refused(
        "train", "digits", "--neurons", "lazies:Lazier", *SMALL
    )
    # Elsewhere, in another process.
    del sys.modules["lazies"]
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    line = refused("evaluate", "../a")
    assert line.startswith("../a/config.toml: neurons is 'lazies:Lazy', but module 'lazies'")
    with pytest.raises(ConfigError, match="'lazies' cannot be imported: No module"):
        package.load("../a")


def test_every_command_works_or_says_that_neurons_are_no_circuits(sqsnn, refused, module):
    module.write_text(SOURCE)
    named = ("--neurons", "lazies:Lazy", "--neuron-options.gain", "2", *SMALL)
    assert sqsnn("train", "digits", *named, "--out", "a").code == 0
    weights = (module.parent / "a" / "best.safetensors").read_bytes()
    for file in ("best.safetensors", "metrics.json"):
        (module.parent / "a" / file).unlink()
    assert sqsnn("train", "--resume", "a").code == 0
    assert (module.parent / "a" / "best.safetensors").read_bytes() == weights
    np.savez("new.npz", X=np.zeros((3, 64)))
    working = ("evaluate a", "predict a new.npz", "inspect costs a")
    for command in (*working, "train --continue a --epochs 1 --out b"):
        done = sqsnn(*command.split())
        assert (done.code, done.err) == (0, ""), command
    costs = json.loads((module.parent / "a" / "costs.json").read_text())
    # Two steps of four hidden and two output neurons, three operations each.
    assert costs["total"]["membrane_operations"] == 2 * (4 + 2) * 3
    assert sqsnn("report", "a").code == 0
    assert "4 hidden lazies:Lazy" in (module.parent / "a" / "report.html").read_text()
    for command in ("hardware a", "export a", "inspect noise a"):
        assert "neurons that are circuits" in refused(*command.split()), command


def test_a_lif_with_a_law_of_its_own_is_not_written_as_lif(sqsnn, module):
    pytest.importorskip("nir", reason="the extra nir is not installed")
    module.write_text(SOURCE)
    assert sqsnn("train", "digits", "--neurons", "lazies:Lazy", *SMALL, "--out", "a").code == 0
    with pytest.raises(TypeError, match="consists of Lazy, for which NIR has no neuron"):
        nir.to_nir(package.load("a").network)
