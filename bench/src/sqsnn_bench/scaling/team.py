"""Measures in processes that torchrun starts; one process alone is a fresh one without torchrun.

As a module it is what these processes run: `python -m sqsnn_bench.scaling.team WORK OPTIONS OUT`.
WORK names a module beside this one, whose `measure(processes, **OPTIONS)` gives the figures.
"""

import json
import os
import subprocess
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any

from sqsnn.cli.allocation import keep_freed_memory
from sqsnn.errors import ProcessError
from sqsnn.processes import joined

_TORCHRUN = ["-m", "torch.distributed.run", "--standalone"]


def measured(count: int, work: str, options: dict[str, Any]) -> Any:
    """Let processes measure together; give the figures of the first.

    Raises:
        ProcessError: If they fail.
    """
    launcher = [*_TORCHRUN, f"--nproc-per-node={count}"] if count > 1 else []
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "figures.json"
        module = ["-m", "sqsnn_bench.scaling.team", work, json.dumps(options), str(out)]
        started = subprocess.Popen(
            [sys.executable, *launcher, *module],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            said = started.communicate()[1]
        finally:
            started.terminate()  # interrupted here: torchrun then ends its processes
            started.wait()
        if started.returncode:
            raise ProcessError(f"{work} failed in {count} processes:\n{said}")
        return json.loads(out.read_text("utf-8"))


def main(work: str, options: str, out: str) -> None:
    """Measure as one of the processes, as a command would train: freed memory is kept."""
    keep_freed_memory()
    measure = import_module(f"sqsnn_bench.scaling.{work}").measure
    with joined() as processes:
        figures = measure(processes, **json.loads(options))
        if processes.is_first:
            Path(out).write_text(json.dumps(figures), "utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
