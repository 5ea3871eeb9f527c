"""`sqsnn train`: train a network on a dataset, or go on with a run."""

# The classes of flags are made at run time.
# pyright: reportInvalidTypeForm=false

from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from sqsnn import launch, trackers
from sqsnn.cli.flags import flags_of, given
from sqsnn.cli.help import detailed
from sqsnn.cli.progress import watching
from sqsnn.data.specs import names
from sqsnn.errors import ConfigError
from sqsnn.runs import folder, run
from sqsnn.runs.model import read_model
from sqsnn.settings.layers import Layers
from sqsnn.settings.run import RunSettings, continued, from_flat
from sqsnn.settings.toml import read_config
from sqsnn.trackers.tracker import Tracker

# The parts of the settings and the group of their flags; ordered as the data flows.
_TITLES = {
    "data": "Data",
    **dict.fromkeys(Layers.model_fields, "Network"),
    "neurons": "Network",
    "noise": "Noise",
    "noise_simulation": "Noise",
    "device_noise": "Noise",
    "encoding": "Encoding",
    "readout": "Readout",
    "report_steps": "Readout",
    "rule": "Learning rule",
    "training": "Training",
}
_NOTES = {
    "Network": "[kind] before a flag here or below: it goes with this kind of neurons, drive, "
    "encoding or rule only. What is on by default goes off as in '--learn=false'."
}
_GROUPS = {
    title: detailed(title, help=_NOTES.get(title, "")) for title in dict.fromkeys(_TITLES.values())
}
# What most runs set, shown by --help.
_COMMON = (
    *("label", "hidden", "neurons", "memory_qubits", "circuit", "encoding", "steps", "rule"),
    *("epochs", "batch_size", "learning_rate", "seed", "threads"),
)
Flags: Any = flags_of(
    RunSettings,
    {part: _GROUPS[title] for part, title in _TITLES.items()},
    without=["dataset", "source", "length", "populations", "connections"],
    common=_COMMON,
)
# The known names are what a shell completes; any other is judged by the settings.
Dataset: Any = Annotated[Literal[*names()] | str | None, Parameter(show_choices=False)]


def train(
    dataset: Dataset = None,
    /,
    *,
    out: Path | None = None,
    resume: Path | None = None,
    config: Path | None = None,
    go_on: Annotated[Path | None, Parameter(name="--continue")] = None,
    begin_with: Annotated[Path | None, Parameter(name="--from")] = None,
    track: Annotated[
        tuple[Literal[*trackers.WORDS], ...],
        Parameter(show_default=False, group=_GROUPS["Training"]),
    ] = (),
    flags: Annotated[Flags | None, Parameter(name="*")] = None,
    yes: Annotated[bool, Parameter(show_default=False, group=_GROUPS["Learning rule"])] = False,
) -> None:
    """Train a network on a dataset or a file of your own, or go on with a run.

    Parameters
    ----------
    dataset
        Name of a dataset (see `sqsnn datasets`), or a file such as my.csv.
    out
        Folder of the run [default: a new one, as runs/digits-1].
    config
        Settings from a TOML file; flags count more.
    resume
        Go on with a run that was stopped, with its own settings.
    go_on
        Train a run for further epochs, in a new folder.
    begin_with
        Fine-tune a run, or a saved network, on other data.
    track
        Send the figures of each epoch to a tracker; may be repeated, and goes with --resume.
    yes
        Do not ask before device time is spent (--backend ibm:NAME).
    """
    words = dict.fromkeys(track)
    tracked: list[Tracker] = [getattr(trackers, trackers.WORDS[word][0])() for word in words]
    flags_again = "".join(f" --track {word}" for word in words)
    for tracker in tracked:
        tracker.flags = flags_again
    chosen = given(flags)
    if resume is not None:
        if dataset is not None or out is not None or config is not None or chosen:
            raise ConfigError("--resume takes no dataset and no settings: a run keeps its own")
        return _resume(resume, tracked, yes, flags_again)
    start = go_on or begin_with
    if go_on is not None and (dataset is not None or begin_with is not None):
        raise ConfigError("--continue takes no dataset; fine-tune on other data by --from")
    if config is not None:
        if start is not None:
            raise ConfigError("--config goes with neither --continue nor --from")
        settings = read_config(config, dataset, chosen)
    elif dataset is None and go_on is None:
        raise ConfigError(
            "name a dataset, e.g. `sqsnn train digits`, or a file, e.g. `sqsnn train my.csv`; "
            "`sqsnn datasets` lists the datasets"
        )
    elif start is None:
        settings = from_flat(str(dataset), chosen)
    else:
        settings = continued(read_model(start).settings, start, dataset, chosen)
    with watching(yes, flags_again) as screen:
        if start is not None:
            screen.say(
                f"Beginning with the weights of {start}, which stays as it is; the learning rate "
                "starts its schedule again"
            )
        made = run.begin(settings, out, screen, callbacks=tracked)
    screen.show_files(made)


def _resume(path: Path, tracked: list[Tracker], yes: bool, again: str) -> None:
    found = folder.find(path)
    with watching(yes, again) as screen:
        if found.is_finished():
            screen.say(f"{path} is finished: nothing is left to do.")
            screen.show_result(found)
            for tracker in tracked if launch.rank() == 0 else ():
                tracker.send(found)
        else:
            run.resume(found, screen, callbacks=tracked)
    screen.show_files(found)
