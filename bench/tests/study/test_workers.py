"""Processes of this machine are stopped at the end, whatever their trials did."""

from concurrent.futures import Future
from typing import Any, cast

import pytest

from sqsnn.errors import ConfigError
from sqsnn_bench.study import workers
from sqsnn_bench.study.workers import LocalProcesses


class Process:
    """A process whose trial raises an error."""

    running = True

    def submit(self, *_: Any) -> Future[Any]:
        """Fail."""
        future: Future[Any] = Future()
        future.set_exception(ConfigError("no such setting"))
        return future

    def shutdown(self, **_: Any) -> None:
        """Stop."""
        self.running = False


def test_a_process_whose_trial_failed_is_stopped(monkeypatch):
    process = Process()
    monkeypatch.setattr(workers, "_start", lambda: process)
    local, work, job = LocalProcesses(1), cast("Any", None), cast("Any", None)
    future = local.submit(work, job)
    with pytest.raises(ConfigError, match="no such setting"):
        local.outcome(future, job)
    local.close()
    assert not process.running
