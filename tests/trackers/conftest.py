"""What the environment of the trackers says in tests: nothing leaves the machine."""

from pathlib import Path

import pytest
from tools import TINY

from sqsnn.settings.run import RunSettings, from_flat


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in an empty folder, offline, with a key that must turn up nowhere."""
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "WANDB_MODE": "offline",
        "WANDB_SILENT": "true",
        "WANDB_API_KEY": "5ecret" * 7,
        "WANDB_ERROR_REPORTING": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    }.items():
        monkeypatch.setenv(name, value)
    return tmp_path


@pytest.fixture
def settings() -> RunSettings:
    """Settings of a tiny run of three epochs."""
    return from_flat("digits", {**TINY, "epochs": 3})
