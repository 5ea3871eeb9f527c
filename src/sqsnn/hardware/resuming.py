"""What an earlier start of a run left of a job: its bits, the job at the service, or nothing."""

from typing import Any, NamedTuple

from sqsnn.errors import HardwareError
from sqsnn.hardware import ibm
from sqsnn.hardware.jobs import Journal, Note


class Earlier(NamedTuple):
    """What is left of a job."""

    answer: Any = None  # its spikes, or the service's job; None if it must be sent
    tag: str | None = None  # of the job at the service, or of one that may be sent under it
    calibrated: str | None = None  # when the device had been, if the job was sent


def earlier(journal: Journal, key: str, shape: tuple[int, ...], *, at_service: bool) -> Earlier:
    """Find what is left of a job.

    Args:
        journal: Of the run.
        key: Of the job.
        shape: Of its spikes.
        at_service: Whether such jobs are sent to a service; else they simply run again.

    Raises:
        HardwareError: If a file is damaged and the service cannot make up for it, or it is not
            certain which of the service's jobs it is.
    """
    if not at_service:
        return Earlier(journal.kept(key, shape, "remove it, and its job runs again"))
    tag = journal.tag(key)
    if tag is None:
        again = "put it back from a copy; once it is removed, its job is sent and paid for again"
        kept = journal.kept(key, shape, again)
        return Earlier(kept, calibrated=None if kept is None else "unknown")
    path, note = journal.note(tag), journal.read(tag)
    damaged = note is None
    note = note or Note(calibrated=f"unknown, as {path} was damaged", about={})
    again = f"remove it: job {note.job or tag} is then fetched again, and not paid for again"
    kept = journal.kept(key, shape, again)
    if kept is not None:
        return Earlier(kept, tag, note.calibrated)
    number = note.job
    if number is None:
        numbers = ibm.tagged(tag)
        if len(numbers) > 1:
            raise HardwareError(
                f"the service has several jobs of {path}: {', '.join(numbers)}; keep one and "
                "delete the others there, with IBMQuantumComputeService().delete_job(NUMBER)"
            )
        if not numbers and damaged:
            raise HardwareError(
                f"{path} is damaged, and the service has no job of this tag: remove it, and the "
                "job is sent"
            )
        if not numbers:
            return Earlier(tag=tag)
        number = numbers[0]
        journal.write(tag, note.model_copy(update={"job": number}))
    return Earlier(ibm.job(number, tag), tag, note.calibrated)
