"""`sqsnn compare`: a fair comparison of models, from one file."""

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from sqsnn.study.compare import Count, Outcome


def compare(
    study: Path,
    /,
    *,
    out: Annotated[Path | None, Parameter(show_default=False)] = None,
    jobs: Annotated[int, Parameter(validator=Number(gte=1))] = 1,
) -> None:
    """Compare models fairly: the same number of parameters, data, training and search for all, each
    seed tested once; writes results.json, results.md and pictures. Trials that are done are kept:
    the same command again goes on where it stopped, and so do more of them at the same time, here
    or on machines that share the folder.

    Parameters
    ----------
    study
        File of the study, e.g. study.toml.
    out
        Folder of the results [default: runs/<name of the study>].
    jobs
        Processes at work.
    """
    # Here and not above: `sqsnn --help` waits for neither.
    from sqsnn.study.config import read_study

    read = read_study(study)
    folder = out or Path("runs") / read.name
    from sqsnn.study.compare import compare as run_study

    console = Console()

    def tell(outcome: "Outcome", count: "Count") -> None:
        console.print(Text(_line(outcome, count)), soft_wrap=True)

    try:
        count = run_study(read, study, folder, jobs, tell)
    except KeyboardInterrupt:
        command = f"sqsnn compare {shlex.quote(str(study))}"
        command += f" --out {shlex.quote(str(folder))}" if out else ""
        command += f" --jobs {jobs}" if jobs > 1 else ""
        raise KeyboardInterrupt(
            f"Interrupted: trials that are done are kept. To go on:\n  {command}"
        ) from None
    if count.done < count.total:
        left = count.total - count.done
        console.print(f"{left} of {count.total} trials are still being run by another process.")
    for name in ("results.md", "results.json"):
        console.print(Text(str(folder / name)), soft_wrap=True)


def _line(outcome: "Outcome", count: "Count") -> str:
    record = outcome.record
    searched = ", ".join(f"{name} {value}" for name, value in record["found"].items())
    what = f"search {searched}" if outcome.seed is None else f"seed {outcome.seed}"
    done = f"{count.done} of {count.total}: {outcome.dataset}, {record['label']}, {what}: "
    if "error" in record:
        return f"{done}{record['error']}"
    part = "validation" if outcome.seed is None else "test"
    accuracy = record[f"{part}_accuracy_spikes"]
    return f"{done}{part} {accuracy:.2%} by spike count, {record['seconds']:.0f} s"
