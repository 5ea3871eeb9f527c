"""The script for GPUs, tried on the CPU: it runs, it says where, and it keeps its page apart."""

import json
import runpy
import sys
from pathlib import Path

import pytest
import torch

SCRIPT = Path(__file__).parents[1] / "gpu.py"


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *arguments])
    runpy.run_path(str(SCRIPT), run_name="__main__")


def test_the_script_writes_a_page_and_its_figures(monkeypatch, tmp_path):
    run(monkeypatch, "--device", "cpu", "--quick", "--out", str(tmp_path))
    figures = json.loads((tmp_path / "gpu.json").read_text())
    assert figures["device"] == "cpu"
    assert all(row["holds"] and row["different_spikes"] == 0 for row in figures["parity"])
    assert [row["batch"] for row in figures["training"]] == [4, 8]
    text = (tmp_path / "gpu.md").read_text()
    assert text.startswith("# cpu against the CPU")
    assert "these times mean nothing" in text


def test_a_gpu_that_is_not_there_is_refused(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SystemExit):
        run(monkeypatch)
    assert "no CUDA device here; --device cpu" in capsys.readouterr().err


def test_a_run_on_the_cpu_is_no_result(monkeypatch, capsys):
    with pytest.raises(SystemExit):
        run(monkeypatch, "--device", "cpu")
    assert "needs --out" in capsys.readouterr().err
