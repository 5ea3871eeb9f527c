"""Weights & Biases: runs on its server, or in ./wandb where WANDB_MODE is offline."""

import os
from typing import Any

from sqsnn.trackers.tracker import Figures, Params, Tracker, extra

# What wandb sends by default beside figures.
_OFF: dict[str, Any] = dict.fromkeys(("disable_code", "disable_git"), True)
_OFF |= dict.fromkeys(("x_disable_meta", "x_disable_machine_info", "x_disable_stats"), True)
_OFF |= {"host": "", "console": "off", "save_code": False, "x_save_requirements": False}


class WeightsAndBiases(Tracker):
    """Sends figures to Weights & Biases, as its environment and `wandb login` say.

    It gets settings, figures, the name of the run's folder, and what wandb says of itself: its
    version, Python's, the platform, packages in use. It gets no code, git state, command, console,
    name of the machine, or file. Working files lie in ./wandb or WANDB_DIR.

    Args:
        project: The project; None for WANDB_PROJECT, else sqsnn.
    """

    word = "wandb"

    def __init__(self, project: str | None = None) -> None:
        # Read on import: by default wandb reports its own errors, with paths, to its makers.
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        with extra():
            import wandb
        super().__init__(wandb.Error)
        self.project = project

    def _connect(self, params: Params) -> int:
        import wandb

        self._run = wandb.init(
            project=self.project or os.environ.get("WANDB_PROJECT", "sqsnn"),
            name=self._title,
            id=self._id or None,
            resume="allow",
            reinit="create_new",  # beside a run of the user's own
            # Else wandb stays with the folder in which this process first called it.
            dir=os.environ.get("WANDB_DIR") or os.getcwd(),
            config=params,
            settings=wandb.Settings(**_OFF),
        )
        self._id = self._run.id
        # The step after the last of a run that it goes on with; offline it knows of none.
        return max(self._run.starting_step - 1, 0)

    def _log(self, figures: Figures, epoch: int) -> None:
        self._run.log(figures, step=epoch, commit=True)

    def _log_test(self, figures: Figures, epoch: int) -> None:
        self._run.summary.update(figures)

    def _disconnect(self, error: BaseException | None) -> None:
        self._run.finish(exit_code=0 if error is None else 1)
