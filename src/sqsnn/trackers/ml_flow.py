"""MLflow: runs on a tracking server, or in ./mlflow.db."""

import os
import time

from sqsnn.trackers.tracker import Figures, Params, Tracker, extra


class MLflow(Tracker):
    """Sends figures to MLflow, as its environment says.

    It gets settings and figures, and the name of the run's folder; not the code, git's state, the
    user, or files. Its makers learn nothing, unless MLFLOW_DISABLE_TELEMETRY is false.

    Args:
        uri: Server or database; None for MLFLOW_TRACKING_URI, else sqlite:///mlflow.db.
        experiment: The experiment; None for MLFLOW_EXPERIMENT_NAME, else sqsnn.
    """

    word = "mlflow"

    def __init__(self, uri: str | None = None, experiment: str | None = None) -> None:
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # read on import
        with extra():
            from mlflow.exceptions import MlflowException
        super().__init__(MlflowException)
        self.uri, self.experiment = uri, experiment

    def _connect(self, params: Params) -> int:
        from mlflow import MlflowClient
        from mlflow.entities import Param

        self._client = MlflowClient(self.uri)
        if self._id:
            self._client.update_run(self._id, status="RUNNING")
            losses = self._client.get_metric_history(self._id, "train_loss")
            return max((loss.step for loss in losses), default=0)
        name = self.experiment or os.environ.get("MLFLOW_EXPERIMENT_NAME", "sqsnn")
        known = self._client.get_experiment_by_name(name)
        experiment = self._client.create_experiment(name) if known is None else known.experiment_id
        self._id = self._client.create_run(experiment, run_name=self._title).info.run_id
        said = [Param(name, str(value)) for name, value in params.items()]
        self._client.log_batch(self._id, params=said)
        return 0

    def _log(self, figures: Figures, epoch: int) -> None:
        from mlflow.entities import Metric

        now = time.time_ns() // 1_000_000
        said = [Metric(name, figure, now, epoch) for name, figure in figures.items()]
        self._client.log_batch(self._id, metrics=said)

    def _disconnect(self, error: BaseException | None) -> None:
        killed = isinstance(error, KeyboardInterrupt)
        status = "FINISHED" if error is None else "KILLED" if killed else "FAILED"
        self._client.set_terminated(self._id, status)
