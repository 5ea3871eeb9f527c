"""`sqsnn train --circuit module:function`: a run with a circuit from a module of the user."""

import sys

import pytest
from tools import populations_of

import sqsnn as package
from sqsnn.errors import ConfigError

SMALL = [
    "--classes",
    "0,1",
    "--train-samples",
    "40",
    "--test-samples",
    "20",
    "--hidden",
    "4",
    "--steps",
    "2",
    "--epochs",
    "1",
]
SOURCE = """
from sqsnn.quantum.circuits import Circuit, Normal
def swing(channels, memory_qubits):
    turned = range(channels + memory_qubits)
    return Circuit.build(channels, memory_qubits, [("RX", (q,), Normal(1.0)) for q in turned])
"""


@pytest.fixture
def module(here, monkeypatch):
    """A module in the current folder, which nothing has imported."""
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    return here / "swings.py"


def test_a_run_needs_the_module_of_its_circuit(sqsnn, refused, module, tmp_path, monkeypatch):
    assert "module 'swings' cannot be imported" in refused(
        "train", "digits", "--circuit", "swings:swing", *SMALL
    )
    assert list(tmp_path.iterdir()) == []
    module.write_text(SOURCE)
    done = sqsnn("train", "digits", "--circuit", "swings:swing", *SMALL, "--out", "a")
    assert (done.code, done.err) == (0, "")
    assert populations_of(package.load("a").network)[0].circuit.name == "swings:swing"
    assert "no function 'swung'" in refused("train", "digits", "--circuit", "swings:swung", *SMALL)
    # Elsewhere, in another process.
    del sys.modules["swings"]
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    line = refused("evaluate", "../a")
    assert line.startswith("../a/config.toml: circuit is 'swings:swing', but module 'swings'")
    with pytest.raises(ConfigError, match="'swings' cannot be imported: No module"):
        package.load("../a")


def test_a_run_is_refused_once_its_circuit_has_changed(sqsnn, refused, module):
    module.write_text(SOURCE)
    assert sqsnn("train", "digits", "--circuit", "swings:swing", *SMALL, "--out", "a").code == 0
    del sys.modules["swings"]
    module.write_text(SOURCE.replace('"RX"', '"RY"') + "# of another length\n")
    line = refused("evaluate", "a")
    assert "'swings:swing' has other gates now than when the run began" in line
    assert "RX(theta_0) 0; RX(theta_1) 1; now they are RX(phi_0) 0; RY(theta_0) 0" in line
