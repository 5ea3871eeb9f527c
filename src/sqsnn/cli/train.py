"""`sqsnn train`: train a network on a dataset, or go on with a run."""

# The classes of flags are made at run time.
# pyright: reportInvalidTypeForm=false

from pathlib import Path
from typing import Annotated, Any

from cyclopts import Group, Parameter

from sqsnn.cli.flags import flags_of, given
from sqsnn.cli.progress import watching
from sqsnn.errors import ConfigError
from sqsnn.runs import folder, run
from sqsnn.settings.run import RunSettings, from_flat

# The parts of the settings and the group of their flags; ordered as the data flows.
_TITLES = {
    "data": "Data",
    "hidden": "Network",
    "synapses": "Network",
    "neurons": "Network",
    "noise": "Noise",
    "noise_simulation": "Noise",
    "device_noise": "Noise",
    "encoding": "Encoding",
    "report_steps": "Readout",
    "rule": "Learning rule",
    "training": "Training",
}
_GROUPS = {title: Group.create_ordered(title) for title in dict.fromkeys(_TITLES.values())}
Flags: Any = flags_of(
    RunSettings,
    {part: _GROUPS[title] for part, title in _TITLES.items()},
    without=["dataset", "source"],
)


def train(
    dataset: str | None = None,
    /,
    *,
    out: Path | None = None,
    resume: Path | None = None,
    yes: Annotated[bool, Parameter(show_default=False)] = False,
    flags: Annotated[Flags | None, Parameter(name="*")] = None,
) -> None:
    """Train a network on a dataset, or go on with a run that was stopped.

    Parameters
    ----------
    dataset
        Name of the dataset, e.g. digits; `sqsnn datasets` lists them.
    out
        Folder of the run [default: the first that is free, as runs/digits-1].
    resume
        Go on with the run in this folder; its settings stay as they are.
    yes
        Do not ask before device time is spent (--backend ibm:NAME).
    """
    chosen = given(flags)
    if resume is not None:
        if dataset is not None or out is not None or chosen:
            raise ConfigError("--resume takes no dataset and no other flags: a run keeps its own")
        return _resume(resume, yes)
    if dataset is None:
        raise ConfigError("name a dataset, e.g. `sqsnn train digits`; `sqsnn datasets` lists them")
    settings = from_flat(dataset, chosen)
    with watching(yes) as screen:
        made = run.begin(settings, out, screen)
    screen.show_files(made)


def _resume(path: Path, yes: bool) -> None:
    found = folder.find(path)
    with watching(yes) as screen:
        if found.is_finished():
            screen.say(f"{path} is finished: nothing is left to do.")
            screen.show_result(found)
        else:
            run.resume(found, screen)
    screen.show_files(found)
