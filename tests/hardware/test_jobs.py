"""A run that dies half-way goes on where it stopped: nothing is run or paid for twice."""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hardware_stubs import tag_options
from qiskit_aer.primitives import SamplerV2 as AerSampler
from qiskit_ibm_runtime.fake_provider import FakeManilaV2
from requests.exceptions import ConnectionError as RequestsConnectionError
from tools import seeded

from sqsnn.errors import ConfigError, HardwareError
from sqsnn.hardware import ibm
from sqsnn.hardware.circuits import parameter_names
from sqsnn.hardware.devices import Device, find
from sqsnn.hardware.executor import Executor
from sqsnn.hardware.jobs import Journal, job_key
from sqsnn.quantum import circuits

CIRCUIT, STEPS, ROWS, SHOTS = circuits.get("crx", 1, 1), 3, 6, 4
SECRET = "SECRET123"


def table(seed: int = 0) -> np.ndarray:
    columns = len(parameter_names(CIRCUIT, STEPS, per_occurrence=True))
    return np.random.default_rng(seed).normal(0, 1.5, (ROWS, columns))


class Service:
    """An account whose jobs are done by Aer, are counted, and outlive the program that sent them.

    Jobs whose number is in `lost` cannot be waited for as yet, those in `broken` have failed.
    """

    def __init__(self) -> None:
        self.results: dict[str, Any] = {}
        self.fetched: list[str] = []
        self.lost: dict[str, BaseException] = {}
        self.broken: set[str] = set()
        self.tags: dict[str, list[str]] = {}
        self.asked: list[str] = []
        self.options = tag_options()

    def __call__(self, seed: int) -> "Service":
        self.seed = seed
        return self

    def run(self, blocks: list[Any]) -> "ServiceJob":
        number = f"job-{len(self.results)}"
        self.tags[number] = list(self.options.environment.job_tags)
        self.results[number] = AerSampler(seed=self.seed).run(blocks).result()
        return ServiceJob(self, number)

    def instances(self) -> list[dict[str, str]]:
        return [{"crn": "crn:v1:a"}, {"crn": "crn:v1:b"}]

    def jobs(self, *, job_tags: list[str], instance: str) -> list["ServiceJob"]:
        """Jobs of the second instance."""
        self.asked += job_tags
        if instance == "crn:v1:a":
            return []
        found = [number for number, tags in self.tags.items() if set(job_tags) <= set(tags)]
        return [ServiceJob(self, number) for number in found]

    def job(self, number: str) -> "ServiceJob":
        self.fetched.append(number)
        return ServiceJob(self, number)


class ServiceJob:
    def __init__(self, service: Service, number: str) -> None:
        self.service, self.number = service, number

    @property
    def tags(self) -> list[str]:
        return self.service.tags[self.number]

    def job_id(self) -> str:
        return self.number

    def usage(self) -> float:
        return 1.0

    def status(self) -> str:
        if self.number in self.service.broken:
            return "ERROR"
        return "RUNNING" if self.number in self.service.lost else "DONE"

    def result(self) -> Any:
        if self.number in self.service.broken:
            raise RuntimeError("the job has failed")
        if self.number in self.service.lost:
            raise self.service.lost[self.number]
        return self.service.results[self.number]


class Never:
    """No sampler: whoever asks for one would pay again."""

    def __call__(self, seed: int) -> "Never":
        raise AssertionError("a job was sent again")


def on(device: Device, folder: Path, sampler: Any = None, **options: Any) -> Executor:
    options = {"max_rows": 2, **options}
    return Executor(device, journal=Journal(folder), sampler=sampler, **options)


def run(executor: Executor, seed: int = 0, values: np.ndarray | None = None) -> np.ndarray:
    return executor.run(CIRCUIT, STEPS, table() if values is None else values, SHOTS, seeded(seed))


def remote(days_later: int = 0) -> Device:
    backend = FakeManilaV2()
    if days_later:
        # A device is calibrated anew every few hours; its rates change a little.
        properties = backend.properties()
        properties.last_update_date += timedelta(days=days_later)
        backend.properties = lambda *_, **__: properties  # type: ignore[method-assign]
    return Device("ibm:test", backend, "ibm")


# Simulators


def test_finished_jobs_are_read_and_not_run_again(tmp_path):
    first = on(find("aer"), tmp_path)
    spikes = run(first)
    assert first.counts[:3] == (3, ROWS, ROWS * SHOTS)
    second = on(find("aer"), tmp_path, Never())
    assert (run(second) == spikes).all()
    assert (second.counts.jobs, second.counts.shots, second.counts.resumed) == (0, 0, 3)


def test_without_a_journal_nothing_is_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(Executor(find("aer")))
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_died_in_its_second_job_goes_on_with_it(tmp_path):
    class Dies:
        def __init__(self) -> None:
            self.sent = 0

        def __call__(self, seed: int) -> "Dies":
            self.sampler = AerSampler(seed=seed)
            return self

        def run(self, blocks: list[Any]) -> Any:
            self.sent += 1
            if self.sent == 2:
                return DeadJob()
            return self.sampler.run(blocks)

    class DeadJob:
        def result(self) -> Any:
            raise RuntimeError("out of memory")

    whole = run(on(find("aer"), tmp_path / "whole"))
    with pytest.raises(HardwareError, match="out of memory"):
        run(on(find("aer"), tmp_path / "half", Dies()))
    second = on(find("aer"), tmp_path / "half")
    assert (run(second) == whole).all()
    assert second.counts.resumed >= 1
    assert second.counts.jobs + second.counts.resumed == 3


@pytest.mark.parametrize("what", ["values", "seed", "shots", "steps", "circuit", "noisy"])
def test_another_job_is_not_taken_for_a_finished_one(tmp_path, what):
    device = find("fake_manila")
    run(on(device, tmp_path))
    executor = on(device, tmp_path, noisy=what != "noisy")
    values, circuit, steps, shots, seed = table(), CIRCUIT, STEPS, SHOTS, 0
    if what == "values":
        values[:, 0] += 1e-9
    seed += what == "seed"
    shots += what == "shots"
    if what == "steps":
        steps = 1
        values = values[:, : len(parameter_names(circuit, 1, per_occurrence=True))]
    if what == "circuit":  # as many angles, placed otherwise
        circuit = circuits.Circuit.build(
            1,
            1,
            [
                ("CRX", (0, 1), s) if g == 0 else ("RX", (1 - g % 2,), s)
                for g, s in enumerate(CIRCUIT.initial)
            ],
        )
    executor.run(circuit, steps, values, shots, seeded(seed))
    assert executor.counts.resumed == 0


def test_a_damaged_file_is_refused_by_its_name(tmp_path):
    run(on(find("aer"), tmp_path))
    kept = sorted(tmp_path.glob("*.bits"))
    assert len(kept) == 3
    for damage in (b"", b"not numpy", kept[1].read_bytes()[:-1]):
        kept[1].write_bytes(damage)
        with pytest.raises(HardwareError, match=kept[1].name):
            run(on(find("aer"), tmp_path))


def test_the_journals_bits_are_those_measured(tmp_path):
    spikes = np.random.default_rng(0).random((3, 5, 7, 2)) < 0.5  # 210 bits: no whole bytes
    journal = Journal(tmp_path / "deep" / "folder")
    assert journal.kept("a", spikes.shape, "") is None
    journal.keep("a", spikes)
    assert (journal.kept("a", spikes.shape, "") == spikes).all()
    with pytest.raises(HardwareError, match=r"a\.bits is damaged: run again"):
        journal.kept("a", (3, 5, 7, 3), "run again")


def test_a_key_depends_on_everything_and_on_nothing_else():
    about, values = {"device": "aer", "seed": 1}, table()
    key = job_key(about, values)
    assert job_key({"seed": 1, "device": "aer"}, values.copy()) == key
    assert job_key(about, np.asfortranarray(values)) == key
    others = [
        job_key({"device": "aer", "seed": 2}, values),
        job_key(about, values[::-1]),
        job_key(about, values[:-1]),
        job_key(about, values + 1e-12),
    ]
    assert len({key, *others}) == 5


# A service


def test_a_finished_run_of_a_service_is_not_paid_for_again(tmp_path, monkeypatch):
    service = Service()
    monkeypatch.setattr(ibm, "account", lambda: service)
    first = on(remote(), tmp_path, service)
    spikes = run(first)
    assert (first.counts.jobs, first.counts.device_seconds) == (3, 3.0)
    second = on(remote(), tmp_path, Never())
    assert (run(second) == spikes).all()
    assert second.counts.jobs == 0
    assert second.counts.device_seconds == 0


@pytest.mark.parametrize(
    "interruption",
    [KeyboardInterrupt(), RequestsConnectionError("the network is down"), SystemExit(1)],
    ids=lambda error: type(error).__name__,
)
def test_jobs_that_were_still_running_are_fetched_and_not_sent_again(
    tmp_path, monkeypatch, interruption
):
    # Three jobs are sent; the program dies while it waits for the second, be it by the user, by a
    # kill or by a network that fails for a moment. The jobs run on, and are paid for.
    service = Service()
    monkeypatch.setattr(ibm, "account", lambda: service)
    service.lost["job-1"] = interruption
    with pytest.raises((HardwareError, type(interruption))):
        run(on(remote(), tmp_path, service))
    assert len(service.results) == 3
    service.lost.clear()
    second = on(remote(), tmp_path, Never())
    spikes = run(second)
    assert service.fetched == ["job-1", "job-2"]
    assert len(service.results) == 3
    assert (second.counts.jobs, second.counts.resumed) == (0, 3)
    whole = run(on(remote(), tmp_path / "other", Service()))
    assert (spikes == whole).all()


def test_jobs_sent_before_one_was_refused_are_fetched(tmp_path, monkeypatch):
    # The queue takes two jobs and no third: the two are not paid for again.
    service = Service()
    monkeypatch.setattr(ibm, "account", lambda: service)
    take = service.run

    def full(blocks: list[Any]) -> ServiceJob:
        if len(service.results) == 2:
            raise RuntimeError("the queue is full")
        return take(blocks)

    monkeypatch.setattr(service, "run", full)
    with pytest.raises(HardwareError, match="the queue is full"):
        run(on(remote(), tmp_path, service))
    monkeypatch.setattr(service, "run", take)
    second = on(remote(), tmp_path, service)
    run(second)
    assert service.fetched == ["job-0", "job-1"]
    assert (second.counts.jobs, second.counts.resumed) == (1, 2)


def test_a_job_that_has_failed_is_sent_again(tmp_path, monkeypatch):
    service = Service()
    monkeypatch.setattr(ibm, "account", lambda: service)
    service.broken = {"job-1"}
    with pytest.raises(HardwareError, match="the job has failed"):
        run(on(remote(), tmp_path, service))
    second = on(remote(), tmp_path, service)
    run(second)
    assert len(service.results) == 4
    assert (second.counts.jobs, second.counts.resumed) == (1, 2)


def test_a_run_goes_on_after_the_device_was_calibrated_anew(tmp_path, monkeypatch):
    # The bits are those of the day on which they were measured; they are paid for all the same.
    service = Service()
    monkeypatch.setattr(ibm, "account", lambda: service)
    spikes = run(on(remote(), tmp_path, service))
    later = on(remote(days_later=1), tmp_path, Never())
    assert (run(later) == spikes).all()


def test_what_is_written_names_the_job_and_no_secret(tmp_path, monkeypatch):
    monkeypatch.setenv("QISKIT_IBM_TOKEN", SECRET)
    run(on(remote(), tmp_path, Service()))
    notes = [json.loads(path.read_text()) for path in sorted(tmp_path.glob("*.json"))]
    assert {note["job"] for note in notes} == {"job-0", "job-1", "job-2"}
    for note in notes:
        assert note["about"]["device"] == "ibm:test"
        assert datetime.fromisoformat(note["calibrated"]).year > 2015
        assert note["about"]["shots"] == SHOTS
    for path in tmp_path.rglob("*"):
        assert SECRET.encode() not in path.read_bytes()


def interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str) -> Service:
    """A run that died at one moment of its first job, at its service."""
    service = Service()
    monkeypatch.setattr(ibm, "account", lambda: service)
    take = service.run

    def dies(blocks: list[Any]) -> ServiceJob:
        if when == "before it was sent":
            raise KeyboardInterrupt
        take(blocks)
        raise KeyboardInterrupt  # it was sent, and its number is not noted

    if when == "waiting":
        service.lost["job-0"] = KeyboardInterrupt()
    else:
        service.run = dies
    with pytest.raises(KeyboardInterrupt):
        run(on(remote(), tmp_path, service))
    service.run = take
    service.lost.clear()
    return service


@pytest.mark.parametrize("sent", [True, False])
def test_a_job_that_died_while_it_was_sent_is_found_by_its_tag(tmp_path, monkeypatch, sent):
    moment = "before it was noted" if sent else "before it was sent"
    service = interrupted(tmp_path, monkeypatch, moment)
    (note,) = tmp_path.glob("*.json")
    assert json.loads(note.read_text())["job"] is None
    assert len(service.results) == sent
    second = on(remote(), tmp_path, service)
    run(second)
    assert service.asked == [note.stem] * 2  # in both instances of the account
    assert len(service.results) == 3
    assert (second.counts.jobs, second.counts.resumed) == (3 - sent, sent)
    assert service.tags["job-0"] == [note.stem]
    assert json.loads(note.read_text())["job"] == "job-0"


@pytest.mark.parametrize("failure", ["network", "others", "two"])
def test_nothing_is_sent_while_it_is_uncertain_what_was(tmp_path, monkeypatch, failure):
    service = interrupted(tmp_path, monkeypatch, "before it was noted")
    (note,) = tmp_path.glob("*.json")
    said = {
        "network": "ConnectionError: down",
        "others": "the service gave others",
        "two": rf"several jobs of .*{note.name}: job-0, job-1; .*delete_job",
    }[failure]
    if failure == "network":

        def down(**_: Any) -> Any:
            raise RequestsConnectionError("down")

        monkeypatch.setattr(service, "jobs", down)
    elif failure == "others":
        service.tags["job-0"] = ["another"]
        monkeypatch.setattr(service, "jobs", lambda **_: [ServiceJob(service, "job-0")])
    else:
        service.tags["job-1"] = service.tags["job-0"]
    with pytest.raises(HardwareError, match=said):
        run(on(remote(), tmp_path, Never()))


def test_two_runs_of_the_same_settings_do_not_share_a_job(tmp_path, monkeypatch):
    service = interrupted(tmp_path / "a", monkeypatch, "before it was noted")
    run(on(remote(), tmp_path / "b", service))
    assert len(service.results) == 4
    second = on(remote(), tmp_path / "a", service)
    run(second)
    assert (second.counts.jobs, second.counts.resumed) == (2, 1)


def test_a_number_that_names_another_job_is_refused(tmp_path, monkeypatch):
    service = interrupted(tmp_path, monkeypatch, "waiting")
    service.tags["job-0"] = ["of-another"]
    with pytest.raises(HardwareError, match="IBM job 'job-0', the service gave another job"):
        run(on(remote(), tmp_path, Never()))


def test_a_damaged_note_is_made_up_for_by_its_name(tmp_path, monkeypatch):
    service = interrupted(tmp_path, monkeypatch, "waiting")
    for note in tmp_path.glob("*.json"):
        note.write_text("{")
    second = on(remote(), tmp_path, Never())
    whole = run(on(remote(), tmp_path / "other", Service()))
    assert (run(second) == whole).all()
    assert sorted(service.fetched) == ["job-0", "job-1", "job-2"]
    # When the device had been calibrated is lost, and said to be.
    assert all("was damaged" in calibrated for calibrated in second.calibrations)
    assert len(second.calibrations) == 3


def test_a_damaged_note_of_a_job_that_the_service_does_not_have_is_refused(tmp_path, monkeypatch):
    interrupted(tmp_path, monkeypatch, "before it was sent")
    (note,) = tmp_path.glob("*.json")
    note.write_bytes(note.read_bytes().replace(b"ibm:test", b"ibm:best"))
    with pytest.raises(HardwareError, match=rf"{note.name} is damaged.* remove it"):
        run(on(remote(), tmp_path, Never()))


def test_damaged_bits_of_a_paid_job_are_fetched_again_once_they_are_removed(tmp_path, monkeypatch):
    service = Service()
    monkeypatch.setattr(ibm, "account", lambda: service)
    whole = run(on(remote(), tmp_path, service))
    bits = min(tmp_path.glob("*.bits"))
    content = bytearray(bits.read_bytes())
    content[-1] ^= 0x80  # one bit
    bits.write_bytes(content)
    with pytest.raises(HardwareError, match=rf"{bits.name} is damaged: remove it: job job-. is"):
        run(on(remote(), tmp_path, Never()))
    bits.unlink()
    assert (run(on(remote(), tmp_path, Never())) == whole).all()


def test_bits_of_a_job_without_its_note_are_not_to_be_removed_lightly(tmp_path, monkeypatch):
    service = Service()
    monkeypatch.setattr(ibm, "account", lambda: service)
    whole = run(on(remote(), tmp_path, service))
    for note in tmp_path.glob("*.json"):
        note.unlink()
    again = on(remote(), tmp_path, Never())
    assert (run(again) == whole).all()
    assert again.calibrations == {"unknown"}
    for bits in tmp_path.glob("*.bits"):
        bits.write_bytes(b"")
    with pytest.raises(HardwareError, match="is damaged: put it back from a copy"):
        run(on(remote(), tmp_path, Never()))


# Two processes


def test_a_folder_of_jobs_is_held_by_one(tmp_path):
    with Journal(tmp_path).held(), ThreadPoolExecutor(1) as other:
        second = other.submit(run, on(find("aer"), tmp_path, Never()))
        with pytest.raises(ConfigError, match=rf"in use by process {os.getpid()} on"):
            second.result()
    run(on(find("aer"), tmp_path))


def test_what_a_killed_write_left_is_removed(tmp_path):
    (tmp_path / f".a.bits.{0:032x}.part").write_bytes(b"half")
    run(on(find("aer"), tmp_path))
    assert not list(tmp_path.glob(".*.part"))


# Bills


@pytest.mark.parametrize("usage", [None, -1.0, float("nan"), "much", ValueError("down")], ids=repr)
def test_no_answer_about_the_bill_stops_a_run(tmp_path, monkeypatch, usage):
    def answer(_: ServiceJob) -> Any:
        if isinstance(usage, Exception):
            raise usage
        return usage

    monkeypatch.setattr(ServiceJob, "usage", answer)
    executor = on(remote(), tmp_path, Service())
    assert run(executor).shape == (ROWS, SHOTS, STEPS, 1)
    assert executor.counts.device_seconds == 0.0


class Opened:
    """A session that cannot be closed."""

    def __init__(self, _: Any) -> None: ...

    def __enter__(self) -> "Opened":
        return self

    def __exit__(self, *_: object) -> None:
        raise RequestsConnectionError("down")


def test_a_session_that_cannot_be_closed_is_a_warning(monkeypatch):
    monkeypatch.setattr(ibm, "Session", Opened)
    said = r"session could not be closed, and is billed until it ends .*ConnectionError: down"
    with pytest.warns(UserWarning, match=said), ibm.open_mode(None, "session") as mode:
        assert isinstance(mode, Opened)
    with (
        pytest.warns(UserWarning, match=said),
        pytest.raises(KeyError, match="mine"),
        ibm.open_mode(None, "session"),
    ):
        raise KeyError("mine")


def test_neurons_side_by_side_are_another_job_than_one_after_another(tmp_path):
    # 20 rows are the same numbers as 10 rows of two neurons.
    device = find("fake_manila")
    run(on(device, tmp_path))
    packed = on(device, tmp_path, pack=2)
    run(packed)
    assert packed.counts.jobs > 0 and packed.counts.resumed == 0
