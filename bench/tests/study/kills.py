"""A worker that is killed at one trial; the environment's KILL says which, how often, and a log."""

import os
import signal
from pathlib import Path

from sqsnn_bench.study import cluster, trials

real_work, real_serve = trials.work, cluster.serve


def work(job):
    """Die, or do the work."""
    model, trial, times, log = os.environ["KILL"].split(maxsplit=3)
    path = Path(log)
    so_far = path.read_text() if path.is_file() else ""
    if (job.key.model, job.key.trial) == (model, trial) and so_far.count("killed") < int(times):
        path.write_text(so_far + "killed\n")
        os.kill(os.getpid(), signal.SIGKILL)
    return real_work(job)


def serve(order):
    """Do the same on a worker of a cluster."""
    cluster.trials.work = work
    return real_serve(order)
