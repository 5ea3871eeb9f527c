"""The client of IBM as it is: its sampler, jobs and account, over servers that run on Aer.

Elsewhere a stand-in takes the place of the sampler. Here nothing but the HTTP part of the client is
replaced (`ibm_server`), so that a name that IBM removes or an answer that it changes shows.
Circuits are classical logic: a single bit in a wrong row, shot, step or channel is seen.
"""

import logging
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hardware_stubs import logic, programs
from ibm_server import Server, account_of, device_of
from qiskit_ibm_runtime import Batch, IBMQuantumComputeService, Session
from qiskit_ibm_runtime.api.exceptions import RequestsApiError
from qiskit_ibm_runtime.executor_sampler import Sampler
from tools import seeded

from sqsnn.errors import HardwareError
from sqsnn.hardware import ibm
from sqsnn.hardware.circuits import parameter_names
from sqsnn.hardware.devices import find
from sqsnn.hardware.executor import Executor
from sqsnn.hardware.jobs import Journal
from sqsnn.quantum import circuits

CIRCUIT, STEPS, SHOTS, ROWS, JOBS = logic(1), 3, 2, 6, 3
VALUES, BITS = programs(1, STEPS, ROWS)
TOKEN = "zX9-kQ2_vB7nM4sD1fG6hJ3pL8wE5rT0yU-iO_aC2eV4"


@pytest.fixture
def server(monkeypatch) -> Server:
    """Servers of IBM, and the user's account there."""
    server = Server()
    monkeypatch.setattr(ibm, "account", lambda: account_of(server))
    return server


def run(server: Server, folder: Path | None = None) -> tuple[np.ndarray, Executor]:
    journal = None if folder is None else Journal(folder)
    executor = Executor(device_of(server), journal=journal, max_rows=ROWS // JOBS)
    return executor.run(CIRCUIT, STEPS, VALUES, SHOTS, seeded(0)), executor


def right(spikes: np.ndarray) -> bool:
    return bool((spikes == BITS[:, None]).all())


# What is sent, and what comes back


def test_the_names_that_are_used_are_the_ones_that_stay():
    assert isinstance(ibm.sampler(device_of(Server()).backend), Sampler)
    assert (ibm.IBMQuantumComputeService, ibm.Batch, ibm.Session) == (
        IBMQuantumComputeService,
        Batch,
        Session,
    )


@pytest.mark.parametrize("pack", [1, 2])
@pytest.mark.parametrize("channels", [1, 2])
def test_bits_come_back_in_their_rows_shots_steps_and_channels(server, channels, pack):
    values, bits = programs(channels, STEPS, ROWS)
    executor = Executor(device_of(server), pack=pack)
    spikes = executor.run(logic(channels), STEPS, values, SHOTS, seeded(0))
    assert (spikes == bits[:, None]).all()
    (sent,) = server.jobs.values()
    assert sent["program_id"] == "executor"
    assert executor.counts.device_seconds == 2.0


def test_conditions_pass_through_the_client(server):
    # Angles of 0 and pi for every history: what Aer measures is certain, and the same.
    circuit = circuits.get("bidirectional", 1, 0)
    options: Any = {"per_occurrence": True, "reset_steps": 2}
    columns = len(parameter_names(circuit, 4, **options))
    values = np.random.default_rng(0).integers(0, 2, (ROWS, columns)) * np.pi
    asked = [Executor(device) for device in (device_of(server), find("aer"))]
    spikes, wanted = (
        each.run(circuit, 4, values, SHOTS, seeded(0), reset_steps=2) for each in asked
    )
    assert (spikes == wanted).all()
    assert wanted.any() and not wanted.all()


@pytest.mark.parametrize("name", ["batch", "session"])
def test_a_batch_and_a_session_send_their_jobs_within_it_and_close(server, name):
    device = device_of(server)
    with ibm.open_mode(device.backend, name) as mode:
        executor = Executor(device, mode=mode, max_rows=2)
        assert right(executor.run(CIRCUIT, STEPS, VALUES, SHOTS, seeded(0)))
        assert not server.closed
    assert [sent["session_id"] for sent in server.jobs.values()] == ["session-0"] * JOBS
    assert server.closed == ["session-0"]


# Jobs that fail


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ({"status": "Failed", "reason": "the fridge is warm", "reasonCode": 9999}, "9999.*warm"),
        ({"status": "Cancelled"}, "was cancelled"),
        ({"status": "Cancelled", "reason": "ran too long", "reason_code": 1305}, "1305.*too long"),
    ],
    ids=["failed", "cancelled", "too long"],
)
def test_a_job_that_fails_is_an_error_and_is_sent_again_by_the_next_start(
    server, tmp_path, state, said
):
    server.states["job-1"] = state
    with pytest.raises(HardwareError, match=rf"a job on ibm:boston failed.*{said}"):
        run(server, tmp_path)
    server.states.clear()
    spikes, executor = run(server, tmp_path)
    assert right(spikes)
    assert (executor.counts.jobs, executor.counts.resumed, len(server.jobs)) == (1, 2, JOBS + 1)


def test_without_a_journal_the_error_names_the_job_at_the_service(server):
    server.states["job-0"] = {"status": "Cancelled"}
    with pytest.raises(HardwareError, match=r"was cancelled.*; at the service it is job job-0"):
        run(server)


# Answers that are not whole

Bits = dict[str, np.ndarray]
ANSWERS: dict[str, tuple[Callable[[Bits], list[Bits]], str]] = {
    "short of shots": (lambda bits: [_each(bits, lambda a: a[:, 1:])], "1 shots.*2 shots"),
    "short of rows": (lambda bits: [_each(bits, lambda a: a[1:])], r"\(1,\).*\(2,\)"),
    "short of bits": (lambda bits: [_each(bits, lambda a: a[..., 1:])], "2 bits.*3"),
    "every shot twice": (lambda bits: [_each(bits, lambda a: np.repeat(a, 2, 1))], "4 shots.*2"),
    "every row twice": (lambda bits: [_each(bits, lambda a: np.repeat(a, 2, 0))], r"\(4,\).*\(2,"),
    "twice": (lambda bits: [bits, bits], r"\(1\) does not match number of pubs \(2\)"),
    "without a result": (lambda bits: [], "0 results"),
    "of another name": (lambda bits: [dict.fromkeys(["c"], *bits.values())], r"registers \['c'\]"),
    "rows and shots exchanged": (
        lambda bits: [_each(bits, lambda a: a[:, :1].transpose(1, 0, 2))],
        r"\(1,\).*\(2,\)",
    ),
}


def _each(bits: Bits, change: Callable[[np.ndarray], np.ndarray]) -> Bits:
    return {name: np.ascontiguousarray(change(array)) for name, array in bits.items()}


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("number", ["job-0", "job-2"])
def test_an_answer_that_is_not_whole_is_an_error_and_nothing_is_filled_in(
    server, tmp_path, answer, number
):
    server.changes[number], said = ANSWERS[answer]
    with pytest.raises(HardwareError, match=rf"{said}.*to pay for the job again, remove .*\.json"):
        run(server, tmp_path)
    # What was paid for is fetched again; should the service answer in full by then, it is taken.
    server.changes.clear()
    spikes, executor = run(server, tmp_path)
    assert right(spikes)
    assert (executor.counts.jobs, len(server.jobs)) == (0, JOBS)


# Twice, and out of order, after a kill


def killed(server: Server, folder: Path, moment: str, number: str) -> None:
    """A run that died at a moment of a job."""

    class Killed(BaseException):
        pass

    def dies(**sent: Any) -> Any:
        took = type(server).program_run(server, **sent)
        if took["id"] == number:
            raise Killed
        return took

    def waits(job_id: str) -> str:
        if job_id == number:
            raise Killed
        return type(server).job_results(server, job_id)

    which, dying = ("program_run", dies) if moment == "sent" else ("job_results", waits)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        patch.setattr(server, which, dying)
        run(server, folder)


@pytest.mark.parametrize("number", ["job-0", "job-1", "job-2"])
@pytest.mark.parametrize("moment", ["sent", "waited for"])
def test_a_killed_run_goes_on_with_the_jobs_that_it_sent(server, tmp_path, moment, number):
    killed(server, tmp_path, moment, number)
    before = len(server.jobs)
    spikes, executor = run(server, tmp_path)
    assert right(spikes)
    assert len(server.jobs) == JOBS
    assert (executor.counts.jobs, executor.counts.resumed) == (JOBS - before, before)


def test_jobs_that_end_in_another_order_fill_their_own_rows(server, tmp_path):
    # The last job ends first, and the first one last, after the client has asked three times.
    left = dict.fromkeys(["job-0", "job-1"], 3)
    get = server.job_get

    def later(job_id: str, **options: Any) -> dict[str, Any]:
        left["job-0"] -= job_id == "job-0"
        server.states = {"job-0": {"status": "Running"}} if left["job-0"] > 0 else {}
        return get(job_id, **options)

    server.job_get = later  # type: ignore[method-assign]
    assert right(run(server, tmp_path)[0])


def test_bits_that_were_taken_stand_though_the_service_answers_otherwise_later(server, tmp_path):
    killed(server, tmp_path, "waited for", "job-2")
    asked = list(server.asked)
    for number in asked:
        server.changes[number] = lambda bits: [_each(bits, np.logical_not)]
    assert right(run(server, tmp_path)[0])
    assert server.asked == [*asked, "job-2"]


def test_a_job_that_the_service_lists_twice_is_one(server, tmp_path, monkeypatch):
    killed(server, tmp_path, "sent", "job-1")
    account = account_of(server)
    both = [{"crn": crn} for crn in account.instances()[0].values()] * 2
    monkeypatch.setattr(account, "_all_instances", both)
    monkeypatch.setattr(ibm, "account", lambda: account)
    assert right(run(server, tmp_path)[0])
    assert len(server.jobs) == JOBS


def test_a_job_that_the_service_took_twice_stops_the_run_and_names_both(server, tmp_path):
    killed(server, tmp_path, "sent", "job-1")
    server.program_run(**server.jobs["job-1"])
    with pytest.raises(HardwareError, match=r"several jobs .*: job-2, job-1; .*delete_job"):
        run(server, tmp_path)
    assert len(server.jobs) == 3  # of which one is too many, and none is new
    del server.jobs["job-2"]  # as the message says
    assert right(run(server, tmp_path)[0])


def test_jobs_that_have_changed_places_are_refused(server, tmp_path):
    # The service answers to the number of each with the other: its rows would be exchanged.
    killed(server, tmp_path, "waited for", "job-0")
    server.jobs["job-0"], server.jobs["job-1"] = server.jobs["job-1"], server.jobs["job-0"]
    with pytest.raises(HardwareError, match=r"'job-0', the service gave another job.* its tag"):
        run(server, tmp_path)


# Secrets


@pytest.mark.parametrize(
    ("call", "moment"),
    [
        ("program_run", None),
        ("cloud_usage", None),
        ("job_get", None),
        ("job_results", None),
        ("job_metadata", None),
        ("job_get", "waited for"),
        ("jobs_get", "sent"),
    ],
)
@pytest.mark.parametrize("token", [TOKEN, f"{TOKEN[:20]}\n{TOKEN[20:]}"], ids=["whole", "broken"])
def test_no_token_comes_out_of_a_call_of_the_client(
    server, tmp_path, monkeypatch, caplog, call, moment, token
):
    if moment is not None:
        killed(server, tmp_path, moment, "job-1")
    monkeypatch.setenv("QISKIT_IBM_TOKEN", token)
    caplog.set_level(logging.DEBUG)

    def fails(*_: Any, **__: Any) -> Any:
        logging.getLogger("qiskit_ibm_runtime.api").warning("with Bearer %s", token)
        raise RequestsApiError(f"401 for 'Bearer {token}'", status_code=401)

    monkeypatch.setattr(server, call, fails)
    shown = ""
    try:
        run(server, tmp_path)
    except HardwareError as error:
        shown = "".join(traceback.format_exception(error))
        assert "\n" not in str(error)
    assert shown or call == "job_metadata"  # no bill stops a run
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert "Bearer ***" in caplog.text
    for half in (token[:20], token[21:]):
        assert half not in shown + caplog.text
        assert half.encode() not in kept
