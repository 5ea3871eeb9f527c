"""`sqsnn train`: train a network on a dataset, or go on with a run."""

# The classes of flags are made at run time.
# pyright: reportInvalidTypeForm=false

from pathlib import Path
from typing import Annotated

from cyclopts import Group, Parameter

from sqsnn.cli.flags import flags_of, given
from sqsnn.cli.progress import watching
from sqsnn.errors import ConfigError
from sqsnn.runs import folder, run
from sqsnn.settings.run import RunSettings, from_flat

# Ordered as the data flows, not by the alphabet.
_DATA, _NETWORK, _NOISE, _ENCODING, _READOUT, _RULE, _TRAINING = map(
    Group.create_ordered,
    ("Data", "Network", "Noise", "Encoding", "Readout", "Learning rule", "Training"),
)
DataFlags = flags_of(RunSettings, ["data"], without=["dataset", "source"])
NetworkFlags = flags_of(RunSettings, ["hidden", "neurons"])
NoiseFlags = flags_of(RunSettings, ["device_noise"])
EncodingFlags = flags_of(RunSettings, ["encoding"])
ReadoutFlags = flags_of(RunSettings, ["report_steps"])
RuleFlags = flags_of(RunSettings, ["rule"])
TrainingFlags = flags_of(RunSettings, ["training"])


def train(
    dataset: str | None = None,
    /,
    *,
    out: Path | None = None,
    resume: Path | None = None,
    yes: Annotated[bool, Parameter(show_default=False)] = False,
    data: Annotated[DataFlags | None, Parameter(name="*", group=_DATA)] = None,
    network: Annotated[NetworkFlags | None, Parameter(name="*", group=_NETWORK)] = None,
    noise: Annotated[NoiseFlags | None, Parameter(name="*", group=_NOISE)] = None,
    encoding: Annotated[EncodingFlags | None, Parameter(name="*", group=_ENCODING)] = None,
    readout: Annotated[ReadoutFlags | None, Parameter(name="*", group=_READOUT)] = None,
    rule: Annotated[RuleFlags | None, Parameter(name="*", group=_RULE)] = None,
    training: Annotated[TrainingFlags | None, Parameter(name="*", group=_TRAINING)] = None,
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
    chosen = given(data, network, noise, encoding, readout, rule, training)
    if resume is not None:
        if dataset is not None or out is not None or chosen:
            raise ConfigError("--resume takes no dataset and no other flags: a run keeps its own")
        return _resume(resume, yes)
    if dataset is None:
        raise ConfigError("name a dataset, e.g. `sqsnn train digits`; `sqsnn datasets` lists them")
    settings = from_flat(dataset, chosen)
    with watching(yes) as screen:
        made = run.begin(settings, out, screen)
    screen.show_result(made)


def _resume(path: Path, yes: bool) -> None:
    found = folder.find(path)
    with watching(yes) as screen:
        if found.is_finished():
            screen.say(f"{path} is finished: nothing is left to do.")
        else:
            run.resume(found, screen)
    screen.show_result(found)
