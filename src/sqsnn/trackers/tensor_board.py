"""TensorBoard: event files in the folder of a run; `tensorboard --logdir runs` shows them."""

import time
from pathlib import Path
from typing import Any

from sqsnn.errors import ConfigError
from sqsnn.trackers.tracker import Figures, Params, Tracker, extra


class TensorBoard(Tracker):
    """Writes event files for TensorBoard, which name neither the machine nor its user.

    Args:
        folder: Where the files go; None for the folder of the run.
    """

    word = "tensorboard"

    def __init__(self, folder: Path | str | None = None) -> None:
        with extra():
            import tensorboard  # noqa: F401
        super().__init__()
        self.folder = folder

    def _connect(self, params: Params) -> int:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
        from tensorboard.summary.writer.record_writer import RecordWriter
        from torch.utils.tensorboard.summary import hparams

        place = self.folder or (self._folder and self._folder.path)
        if place is None:
            raise ConfigError("TensorBoard needs a folder: only a run has one of its own")
        (place := Path(place)).mkdir(parents=True, exist_ok=True)
        earlier = EventAccumulator(str(place)).Reload()
        # torch's SummaryWriter would put the name of the machine into that of the file.
        self._file = RecordWriter((place / f"events.out.tfevents.{time.time_ns()}").open("xb"))
        self._write(file_version="brain.Event:2")
        measure = "nmse" if params["readout"] == "traces" else "accuracy"
        shown = {f"validation_{measure}": 0.0, f"test_{measure}": 0.0}
        *beginning, self._success = hparams(params, shown)
        for summary in beginning:
            self._write(summary=summary)
        known = "train_loss" in earlier.Tags()["scalars"]
        return earlier.Scalars("train_loss")[-1].step if known else 0

    def _log(self, figures: Figures, epoch: int) -> None:
        values = [{"tag": name, "simple_value": figure} for name, figure in figures.items()]
        self._write(summary={"value": values}, step=epoch)

    def _write(self, **content: Any) -> None:
        from tensorboard.compat.proto.event_pb2 import Event  # pyright: ignore[reportAttributeAccessIssue]

        self._file.write(Event(wall_time=time.time(), **content).SerializeToString())
        self._file.flush()

    def _disconnect(self, error: BaseException | None) -> None:
        if error is None:
            self._write(summary=self._success)
        self._file.close()
