"""`sqsnn train`: train a network on a dataset, or go on with a run."""

from pathlib import Path
from typing import Annotated

from cyclopts import Group, Parameter

from sqsnn.errors import ConfigError
from sqsnn.training.config import (
    DataOptions,
    EncodingConfig,
    ModelConfig,
    ReadoutConfig,
    Recipe,
    TrainingConfig,
    for_dataset,
)
from sqsnn.training.noise_config import NoiseConfig
from sqsnn.training.rule_config import RuleConfig

# Ordered as the data flows, not by the alphabet.
_DATA, _NETWORK, _NOISE, _ENCODING, _READOUT, _RULE, _TRAINING = map(
    Group.create_ordered,
    ("Data", "Network", "Noise", "Encoding", "Readout", "Learning rule", "Training"),
)


def train(
    dataset: str | None = None,
    /,
    *,
    out: Path | None = None,
    resume: Path | None = None,
    yes: bool = False,
    data: Annotated[DataOptions | None, Parameter(name="*", group=_DATA)] = None,
    model: Annotated[ModelConfig | None, Parameter(name="*", group=_NETWORK)] = None,
    noise: Annotated[NoiseConfig | None, Parameter(name="*", group=_NOISE)] = None,
    encoding: Annotated[EncodingConfig | None, Parameter(name="*", group=_ENCODING)] = None,
    readout: Annotated[ReadoutConfig | None, Parameter(name="*", group=_READOUT)] = None,
    rule: Annotated[RuleConfig | None, Parameter(name="*", group=_RULE)] = None,
    training: Annotated[TrainingConfig | None, Parameter(name="*", group=_TRAINING)] = None,
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
    sections = (data, model, noise, encoding, readout, rule, training)
    if resume is not None:
        if (
            dataset is not None
            or out is not None
            or any(section is not None for section in sections)
        ):
            raise ConfigError("--resume takes no dataset and no other flags: a run keeps its own")
        return _resume(resume, yes)
    if dataset is None:
        raise ConfigError("name a dataset, e.g. `sqsnn train digits`; `sqsnn datasets` lists them")
    settings = for_dataset(
        dataset,
        data or DataOptions(),
        Recipe(
            model=model or ModelConfig(),
            noise=noise or NoiseConfig(),
            encoding=encoding or EncodingConfig(),
            readout=readout or ReadoutConfig(),
            rule=rule or RuleConfig(),
            training=training or TrainingConfig(),
        ),
    )
    # Here and not above: `sqsnn --help` does not wait for torch.
    from sqsnn.cli.progress import watching
    from sqsnn.training import run

    with watching(yes) as screen:
        folder = run.begin(settings, out, screen)
    screen.show_result(folder)


def _resume(path: Path, yes: bool) -> None:
    from sqsnn.cli.progress import watching
    from sqsnn.training import run, run_folder

    folder = run_folder.find(path)
    with watching(yes) as screen:
        if folder.is_finished():
            screen.say(f"{path} is finished: nothing is left to do.")
        else:
            run.resume(folder, screen)
    screen.show_result(folder)
