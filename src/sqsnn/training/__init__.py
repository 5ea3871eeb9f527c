"""From a configuration to a trained network: the training loop, checkpoints, scikit-learn."""

from typing import TYPE_CHECKING

from sqsnn.lazy import lazy_names

_MODULES = {
    "SQSNNClassifier": "sqsnn.training.classifier",
    "checkpoint": "sqsnn.training.checkpoint",
    "config": "sqsnn.training.config",
    "evaluate": "sqsnn.training.evaluate",
    "run": "sqsnn.training.run",
    "trainer": "sqsnn.training.trainer",
}

# Lazy, so that the command line can read the configuration without loading torch.
if TYPE_CHECKING:
    from sqsnn.training import checkpoint as checkpoint
    from sqsnn.training import config as config
    from sqsnn.training import evaluate as evaluate
    from sqsnn.training import run as run
    from sqsnn.training import trainer as trainer
    from sqsnn.training.classifier import SQSNNClassifier as SQSNNClassifier
else:
    __all__ = [*_MODULES]
    __getattr__, __dir__ = lazy_names(__name__, _MODULES)
