"""A cluster: the figures of one process, whoever is killed; other versions and data refused."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import dask
import kills
import pytest
from distributed import LocalCluster
from distributed.utils import get_mp_context

from sqsnn.errors import ConfigError
from sqsnn_bench.study import cluster, records, tested
from sqsnn_bench.study.cluster import Cluster
from sqsnn_bench.study.journal import NAME
from sqsnn_bench.study.plan import Trial
from sqsnn_bench.study.records import Key
from sqsnn_bench.study.run import compare
from sqsnn_bench.study.trials import job, run_folder, work
from sqsnn_bench.study.watching import Watcher
from sqsnn_bench.study.workers import Lost, VanishedError

TRIAL = Trial(Key("digits", "lif", "seed", 0), {"training.learning_rate": 0.01})


def of_24(content):
    """Two models with nine trials of a search and three seeds each."""
    content["seeds"] = [0, 1, 2]
    content["search"].update(trials=9, learning_rate={"low": 0.003, "high": 0.1, "log": True})
    content["models"]["lif"].pop("search")


def nothing(content):
    """Leave the tiny study as it is: eight trials."""


def reached(out):
    """The rows of results.json without seconds, and the records without where they were made."""
    rows = json.loads((out / "results.json").read_text())["rows"]
    known = records.read(out)
    for one in (*rows, *known.values()):
        one.pop("seconds")
    for one in known.values():
        one.pop("machine")
    return rows, known


class Seen(Watcher):
    """Remembers notes; calls a function once so many trials are done and another is at work."""

    def __init__(self, after=None, act=None):
        self.notes, self.after, self.act = [], after, act

    def pulse(self, standing):
        if standing.done == self.after and standing.at_work:
            self.act()

    def note(self, text):
        self.notes.append(text)


@pytest.fixture
def run_study(study, study_file, tmp_path):
    def make(folder, watcher, change=nothing, **how):
        compare(study(change), study_file(change), tmp_path / folder, 1, watcher, **how)
        return tmp_path / folder

    return make


@pytest.fixture(scope="module")
def in_this_process():
    """A cluster of two workers that are threads."""
    with LocalCluster(
        n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None
    ) as made:
        yield made


@pytest.fixture
def forked():
    """Let workers be forked from a process that has imported torch once for all of them."""
    with dask.config.set({"distributed.worker.multiprocessing-method": "forkserver"}):
        context = get_mp_context()
        context.set_forkserver_preload(["distributed", "kills"])
        yield


@pytest.fixture
def workers(in_this_process):
    made = Cluster(in_this_process.scheduler_address)
    yield made
    made.close()


def result(workers, one):
    return workers.outcome(workers.submit(work, one), one)


def test_24_trials_find_what_one_process_finds_though_a_worker_is_killed(
    run_study, monkeypatch, tmp_path, forked
):
    log, place = tmp_path / "killed", str(Path(kills.__file__).parent)
    paths = [place, *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    monkeypatch.setenv("KILL", f"lif seed-1 1 {log}")
    monkeypatch.setattr(cluster, "serve", kills.serve)
    seen = Seen()
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as made:
        out = run_study("cluster", seen, of_24, cluster=made.scheduler_address)
    assert log.read_text().count("killed") == 1
    (lost, again) = seen.notes
    assert lost.startswith("digits/lif/seed-1 was lost: its worker tcp://")
    assert again.startswith("digits/lif/seed-1 starts again, start 2")
    events = [json.loads(line)["event"] for line in (out / NAME).read_text().splitlines()]
    assert {name: events.count(name) for name in events} == {"started": 25, "done": 24, "lost": 1}
    tests = [it.event for it in tested.read(out) if it.key == Key("digits", "lif", "seed", 1)]
    assert tests == ["tests", "goes on", "recorded"]
    serial = run_study("serial", Watcher(), of_24)
    assert reached(out) == reached(serial)
    assert len(records.read(out)) == 24
    for trial in ("crx/seed-0", "lif/seed-1"):
        names = [
            sorted(path.name for path in (where / "runs" / "digits" / trial).iterdir())
            for where in (out, serial)
        ]
        assert names[0] == names[1]


@contextmanager
def scheduler_and_worker(folder):
    """A scheduler that can be killed, and a worker of it in this process."""
    code = (
        "import asyncio, sys\n"
        "from distributed import Scheduler\n"
        "async def main():\n"
        "    async with Scheduler(host='127.0.0.1', dashboard=False) as made:\n"
        "        print(made.address, flush=True)\n"
        "        await made.finished()\n"
        "asyncio.run(main())\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    thread = threading.Thread(target=_work_for, args=(address, folder))
    thread.start()
    try:
        yield address, process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        thread.join(timeout=60)
        assert not thread.is_alive()


def _work_for(address, folder):
    import asyncio

    from distributed import Worker

    async def main():
        async with Worker(address, nthreads=1, dashboard=False, local_directory=folder) as worker:
            await worker.finished()

    asyncio.run(main())


def test_a_scheduler_that_vanishes_keeps_what_is_done(run_study, tmp_path):
    with scheduler_and_worker(str(tmp_path)) as (address, process):
        seen = Seen(3, lambda: process.send_signal(signal.SIGKILL))
        said = (
            rf"the scheduler at {address} has vanished.*: 3 of 8 trials are done and kept in "
            r".*cluster; at work and lost: .*The same command goes on"
        )
        with pytest.raises(ConfigError, match=said):
            run_study("cluster", seen, cluster=address)
    out = tmp_path / "cluster"
    assert len(records.read(out)) == 3
    assert (out / records.PACKED).is_file()
    again = Seen()
    run_study("cluster", again)
    (note,) = again.notes
    assert "starts again, start 2: the command that ran it ended before it" in note
    assert reached(out) == reached(run_study("serial", Watcher()))


def test_a_run_folder_comes_back_with_its_record(workers, plan, tmp_path):
    made = plan()
    here = replace(made, out=tmp_path / "here")
    one, other = job(made, TRIAL), job(here, TRIAL)
    record = result(workers, one)
    assert {**record, "seconds": 0} == {**work(other), "seconds": 0}
    sent, kept = run_folder(made.out, TRIAL.key), run_folder(here.out, TRIAL.key)
    assert sorted(path.name for path in sent.iterdir()) == sorted(p.name for p in kept.iterdir())
    for name in ("best.safetensors", "metrics.jsonl", "metrics.json"):
        assert (sent / name).read_bytes() == (kept / name).read_bytes()


def test_workers_with_another_version_or_other_data_are_refused_by_name(workers, plan, monkeypatch):
    made = plan()
    facts = {"digits": made.facts["digits"]._replace(source="a subset")}
    said = r"worker \S+ at \S+: .*a subset"
    with pytest.raises(ConfigError, match=said):
        result(workers, job(replace(made, facts=facts), TRIAL))
    order = cluster._order
    monkeypatch.setattr(cluster, "_order", lambda *how: {**order(*how), "sqsnn": "0.0.7"})
    with pytest.raises(ConfigError, match=r"worker \S+ at \S+ has sqsnn .* is run by 0\.0\.7"):
        result(workers, job(made, TRIAL))


def test_what_was_started_is_not_started_again_by_the_cluster(workers, plan):
    one = job(plan(), TRIAL)
    order = cluster._order("twice", one)
    client = workers._client
    assert "record" in client.submit(cluster.serve, order, pure=False).result()
    again = client.submit(cluster.serve, order, pure=False)
    ((worker,),) = again.result().values()
    outcome = workers.outcome(workers._executor.submit(cluster.serve, order), one)
    assert outcome == Lost(f"its worker {worker} was killed")


def test_the_size_of_a_cluster_is_that_of_the_moment(workers, in_this_process):
    assert workers.size() == 2
    in_this_process.scale(3)
    deadline = time.monotonic() + 30
    while workers.size() < 3:
        assert time.monotonic() < deadline
    in_this_process.scale(2)


def test_a_file_outside_the_run_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"'\.\./study.toml', which is no file of a run"):
        cluster._write(tmp_path, "../study.toml", b"")


def test_an_address_without_a_scheduler_is_refused(monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT", 0.5)
    with pytest.raises(ConfigError, match=r"--cluster must be .* at tcp://127.0.0.1:9 none"):
        Cluster("tcp://127.0.0.1:9")


def test_a_dropped_trial_is_no_record(workers, plan):
    one = job(plan(), TRIAL)
    future = workers._executor.submit(time.sleep, 0.1)
    future.cancel()
    with pytest.raises(VanishedError, match="has vanished, or dropped this study"):
        workers.outcome(future, one)
