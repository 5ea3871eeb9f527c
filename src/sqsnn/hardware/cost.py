"""The cost of a run on a quantum processor, before it runs: an estimate of the billed time.

    device time = executions x (delay between circuits + one shot) + jobs x overhead of a job

This is IBM's own formula for the usage of a workload, with 2 s as the overhead:
https://quantum.cloud.ibm.com/docs/en/guides/estimate-job-run-time ("Workload usage"). It leaves out
the queue, which is not billed, and what error mitigation on the server would add.
"""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from sqsnn.checks import check_positive_int

# An assumption: the figure in IBM's quick formula, 2 + 0.00035 x executions (page above). The
# service may cut a large job into sub-jobs, each of which then has its own overhead.
JOB_OVERHEAD = 2.0
# Assumed where a backend names no `default_rep_delay`: what IBM's Eagle and Heron devices name.
USUAL_REP_DELAY = 250e-6


class Estimate(NamedTuple):
    """An estimate of the cost of a run."""

    jobs: int
    circuits: int  # bound to angles
    slots: int  # neurons side by side in each circuit, at most
    shots: int  # over all circuits
    shot_duration: float | None  # seconds of one shot, without the delay; None for a simulator
    rep_delay: float  # seconds between two shots
    feed_forward: float = 0.0  # seconds of a shot in which a neuron waits for its own spikes
    conditions: float = 0.0  # that a shot tests, over all neurons side by side
    under_conditions: float = 0.0  # seconds of a shot for the gates under them, executed or not

    @classmethod
    def together(cls, parts: Sequence["Estimate"]) -> "Estimate":
        """Add runs on one device up; what is of a shot is then a mean over all shots."""
        shots = sum(part.shots for part in parts)
        times = [part.shot_duration for part in parts]
        known = [time for time in times if time is not None]
        total = sum(part.shots * time for part, time in zip(parts, known, strict=False))
        return cls(
            jobs=sum(part.jobs for part in parts),
            circuits=sum(part.circuits for part in parts),
            slots=max(part.slots for part in parts),
            shots=shots,
            shot_duration=None if len(known) < len(times) else total / shots,
            rep_delay=parts[0].rep_delay,
            feed_forward=sum(part.shots * part.feed_forward for part in parts) / shots,
            conditions=sum(part.shots * part.conditions for part in parts) / shots,
            under_conditions=sum(part.shots * part.under_conditions for part in parts) / shots,
        )

    def without_conditions(self) -> "Estimate":
        """Leave conditions out, and what their waiting and gates are said to take."""
        return self._replace(conditions=0.0, under_conditions=0.0, feed_forward=0.0)

    @property
    def shot_seconds(self) -> float | None:
        """Seconds of all shots, with the delays between them; None for a simulator."""
        if self.shot_duration is None:
            return None
        return self.shots * (self.rep_delay + self.shot_duration)

    @property
    def overhead_seconds(self) -> float | None:
        """Seconds of overhead of all jobs; None for a simulator."""
        return None if self.shot_duration is None else self.jobs * JOB_OVERHEAD

    @property
    def device_seconds(self) -> float | None:
        """Seconds of device time, shots and overhead; None for a simulator."""
        if self.shot_seconds is None or self.overhead_seconds is None:
            return None
        return self.shot_seconds + self.overhead_seconds

    def in_words(self) -> str:
        """Describe the estimate in one sentence."""
        counts = f"{_counted(self.jobs, 'job')}, {_counted(self.circuits, 'circuit')}"
        if self.shot_duration is not None:
            counts += f" of {_time(self.shot_duration)}"
            if self.conditions:
                counts += (
                    f" ({_time(self.feed_forward)} of it feed-forward of own spikes, "
                    f"{_time(self.under_conditions)} gates under {_mean(self.conditions)} "
                    "conditions)"
                )
        elif self.conditions:
            counts += f" with {_mean(self.conditions)} conditions each"
        if self.slots > 1:
            counts += f" with up to {self.slots} neurons side by side"
        counts += f", {_counted(self.shots, 'shot')}"
        times = self.shot_seconds, self.overhead_seconds, self.device_seconds
        if None in times:
            return f"Estimate: {counts}; a simulator takes no device time."
        shots, overhead, total = (_time(seconds) for seconds in times if seconds is not None)
        return (
            f"Estimate: {counts} {_time(self.rep_delay)} apart: {shots} of shots + {overhead} of "
            f"overhead = {total} of device time."
        )


class Total(NamedTuple):
    """An estimate of many runs, as a training has."""

    jobs: int = 0
    circuits: int = 0  # bound to angles
    shots: int = 0  # over all circuits
    device_seconds: float | None = 0.0  # None for a simulator

    @classmethod
    def of(cls, parts: Iterable["Estimate | Total"]) -> "Total":
        """Add estimates up."""
        jobs, circuits, shots, seconds = 0, 0, 0, 0.0
        simulated = False
        for part in parts:
            jobs, circuits, shots = jobs + part.jobs, circuits + part.circuits, shots + part.shots
            simulated = simulated or part.device_seconds is None
            seconds += part.device_seconds or 0.0
        return cls(jobs, circuits, shots, None if simulated else seconds)

    def times(self, number: int) -> "Total":
        """Multiply the estimate."""
        seconds = None if self.device_seconds is None else self.device_seconds * number
        return Total(self.jobs * number, self.circuits * number, self.shots * number, seconds)

    def in_words(self) -> str:
        """Describe the estimate in one sentence."""
        counted = {"job": self.jobs, "circuit": self.circuits, "shot": self.shots}
        counts = ", ".join(_counted(number, name) for name, number in counted.items())
        if self.device_seconds is None:
            return f"Estimate: {counts}; a simulator takes no device time."
        return f"Estimate: {counts}, {_time(self.device_seconds)} of device time."


def estimate(
    *,
    rows: int,
    shots: int,
    jobs: int,
    shot_duration: float | None,
    rep_delay: float | None,
    feed_forward: float = 0.0,
    conditions: int = 0,
    under_conditions: float = 0.0,
    slots: int = 1,
) -> Estimate:
    """Estimate the cost of running rows of angles, `slots` of them side by side in one circuit.

    Times are in seconds; without a `shot_duration` it is a simulator.
    """
    counts = {"rows": rows, "shots": shots, "jobs": jobs, "slots": slots}
    for argument, count in counts.items():
        check_positive_int(argument, count)
    for argument, seconds in {"shot_duration": shot_duration, "rep_delay": rep_delay}.items():
        if seconds is not None and not (0 <= seconds < math.inf):
            raise ValueError(f"{argument} must be a time in s, 0 or more, but is {seconds}")
    circuits = math.ceil(rows / slots)
    delay = USUAL_REP_DELAY if rep_delay is None else rep_delay
    of_a_shot = shot_duration, delay, feed_forward, float(conditions), under_conditions
    return Estimate(jobs, circuits, slots, circuits * shots, *of_a_shot)


def _counted(count: int, name: str) -> str:
    return f"{count:,} {name}{'' if count == 1 else 's'}"


def _mean(count: float) -> str:
    return f"{count:,.0f}" if count >= 10 else f"{count:.2g}"


def _time(seconds: float) -> str:
    """Write a time in us below 1 ms, else in s; to three digits, whole seconds from 100 on."""
    if 0 < seconds < 0.9995e-3:  # which would round to 1000 us
        return f"{seconds * 1e6:.3g} us"
    return f"{seconds:,.0f} s" if seconds >= 100 else f"{seconds:.3g} s"
