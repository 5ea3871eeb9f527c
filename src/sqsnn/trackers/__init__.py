"""Trackers: the curves of runs in TensorBoard, Weights & Biases and MLflow (extra `track`)."""

import lazy_loader

# By the word behind --track: the class, and its module.
WORDS = {
    "tensorboard": ("TensorBoard", "tensor_board"),
    "wandb": ("WeightsAndBiases", "weights_and_biases"),
    "mlflow": ("MLflow", "ml_flow"),
}
__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submod_attrs={module: [name] for name, module in WORDS.values()}
)
