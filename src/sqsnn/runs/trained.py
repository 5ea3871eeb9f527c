"""A trained network in one's hands: predict, encode, evaluate, fine-tune, save."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import ArrayLike
from torch import Tensor

from sqsnn.checks import check_positive_int
from sqsnn.data.dataset import Samples
from sqsnn.data.own_sets import targets_of
from sqsnn.data.preparation import Preparation
from sqsnn.errors import ConfigError
from sqsnn.network import SpikingNetwork
from sqsnn.runs import checkpoint, loading
from sqsnn.runs.card import model_card
from sqsnn.runs.folder import RunFolder
from sqsnn.runs.loading import Loaded
from sqsnn.runs.model import Model, write_model
from sqsnn.settings.run import RunSettings, TrainingSettings, validated
from sqsnn.storage import write_atomically
from sqsnn.training import evaluate, trainer, values
from sqsnn.training.build import Purpose, build_network, seeded
from sqsnn.training.callback import Callback, following
from sqsnn.training.machine import threads

# Predictions run in chunks of one size: a prediction must not depend on how many came with it.
CHUNK = 128
SHOTS = 10


@dataclass(frozen=True, eq=False)
class Run:
    """A trained network, from the folder of its run or from a file; needs no dataset.

    Predictions repeat: they draw from the seed of the training, and give every sample the same
    random numbers, so that the answer to a sample does not depend on the others.

    Attributes:
        network: The network with the weights that did best on the validation samples.
        settings: The settings of its training.
        preparation: How samples become inputs, and answers labels.
        metrics: The figures of its test; empty where it was not tested.
        epoch: The epoch that the weights are from.
        folder: The folder of its run; None for a network from a file.
    """

    network: SpikingNetwork
    settings: RunSettings
    preparation: Preparation
    metrics: dict[str, Any]
    epoch: int
    folder: RunFolder | None = None

    def __repr__(self) -> str:
        answers = self.preparation.class_names or self.preparation.target_names
        shown = ", ".join(answers[:5]) + (", ..." if len(answers) > 5 else "")
        place = "a file" if self.folder is None else str(self.folder.path)
        name = "test_nmse" if self.settings.reads_values else "test_accuracy"
        figure = self.metrics.get(name)
        tested = "not tested" if figure is None else f"{name} {figure:.4g}"
        return f"<Run of {place}: {self.preparation.features} features -> {shown}; {tested}>"

    @classmethod
    def of(cls, model: Model, path: Path, device: str | None = None) -> "Run":
        """Build the network of a stored model."""
        settings = model.settings
        if device is not None:
            training = validated(TrainingSettings, {**dict(settings.training), "device": device})
            settings = settings.model_copy(update={"training": training})
        preparation = model.preparation
        network = build_network(settings, preparation.shape, preparation.outputs)
        checkpoint.load_weights(network, model.weights, path)
        folder = RunFolder(path) if path.is_dir() else None
        return cls(network.eval(), settings, preparation, model.metrics, model.epoch, folder)

    def predict(
        self,
        X: ArrayLike | Sequence[Any],
        *,
        lengths: ArrayLike | None = None,
        shots: int = SHOTS,
        return_std: bool = False,
    ) -> Any:
        """Predict the label of each sample, or its real values.

        The class is the one with the highest probability, as for `test_accuracy_probability`.

        Args:
            X: Samples as the file of the training held them, `(n, features)` or `(n, T, features)`,
                or a list of series; of a dataset of the catalog, values as `sqsnn.data.load` gives
                them.
            lengths: Steps of each padded series.
            shots: Runs of the network that are averaged.
            return_std: Also give the standard deviation of real values (Gaussian loss).

        Returns:
            Labels, `(n,)`; or values, `(n,)`, `(n, K)` or `(n, T, K)`, T the steps of the longest
            series.

        Raises:
            ValueError: If the samples do not have the form of those of the training.
        """
        if not self.settings.reads_values:
            if return_std:
                raise ConfigError(
                    "return_std goes with real values, but this network names classes"
                )
            chances = self.predict_proba(X, lengths=lengths, shots=shots)
            return np.asarray(self.preparation.labels)[chances.argmax(1)]
        found = self.predict_values(X, lengths=lengths, shots=shots)
        mean = _plain(found.values)
        if not return_std:
            return mean
        if found.deviation is None:
            raise ConfigError(
                "return_std needs a network that was trained with value_loss gaussian"
            )
        return mean, _plain(found.deviation)

    def predict_proba(
        self,
        X: ArrayLike | Sequence[Any],
        *,
        lengths: ArrayLike | None = None,
        shots: int = SHOTS,
    ) -> Float[np.ndarray, "n classes"]:
        """Estimate the probability of each class, in the order of `preparation.labels`.

        It is the softmax of the output neurons' firing probabilities, summed over steps and
        channels and averaged over shots: what the default training loss takes for the probability.

        Args:
            X: Samples; see `predict`.
            lengths: Steps of each padded series.
            shots: Runs of the network that are averaged.
        """
        if self.settings.reads_values:
            raise ConfigError("this network predicts real values, which have no classes")
        inputs, ends = self._inputs(X, lengths)
        with threads(self.settings.training.threads):
            scores = evaluate.score(
                self.network,
                self.settings,
                inputs,
                lengths=ends,
                generator=self._generator(Purpose.PREDICTION),
                batch_size=CHUNK,
                shots=shots,
                shared=True,
            )
        return scores.shares().cpu().numpy()

    def predict_values(
        self,
        X: ArrayLike | Sequence[Any],
        *,
        lengths: ArrayLike | None = None,
        shots: int = SHOTS,
    ) -> values.Predictions:
        """Predict real values, as tensors, with the steps that count.

        Args:
            X: Samples; see `predict`.
            lengths: Steps of each padded series.
            shots: Runs of the network that are averaged.
        """
        inputs, ends = self._inputs(X, lengths)
        samples = Samples(inputs, inputs.new_zeros(len(inputs), self.preparation.outputs), ends)
        with threads(self.settings.training.threads):
            found = values.predict(
                self.network,
                self.settings,
                samples,
                generator=self._generator(Purpose.PREDICTION),
                batch_size=CHUNK,
                shots=shots,
                shared=True,
            )
        return found if ends is None else found.until(int(ends.max()))

    def encode(
        self, X: ArrayLike | Sequence[Any], *, lengths: ArrayLike | None = None
    ) -> Float[Tensor, "T n inputs channels"]:
        """Turn samples into the spikes, or currents, that enter the network."""
        inputs, ends = self._inputs(X, lengths)
        generator = self._generator(Purpose.PREDICTION)
        return self.settings.encoding.encode(inputs, lengths=ends, generator=generator, shared=True)

    def evaluate(
        self,
        X: ArrayLike | Sequence[Any] | None = None,
        y: ArrayLike | None = None,
        *,
        lengths: ArrayLike | None = None,
        shots: int = 1,
        data_dir: Path | str | None = None,
    ) -> dict[str, Any]:
        """Test the network on samples, or again on the test samples of its dataset.

        Args:
            X: Samples; see `predict`. None for the test samples, whose dataset must be there.
            y: Their labels, or real values.
            lengths: Steps of each padded series.
            shots: Runs of the network per sample, whose spikes and probabilities are summed.
            data_dir: Folder of the datasets; None for that of the training.

        Returns:
            `test_accuracy` and the other figures of metrics.json by name.
        """
        check_positive_int("shots", shots)
        if X is not None:
            return {"shots": shots, **self._evaluate_samples(X, y, lengths, shots)}
        loaded = self.loaded(None if data_dir is None else Path(data_dir))
        with threads(self.settings.training.threads):
            tested = loading.test(loaded, shots)
        return {"shots": shots, **loading.figures(loaded, tested)}

    def _evaluate_samples(
        self,
        X: ArrayLike | Sequence[Any],
        y: ArrayLike | None,
        lengths: ArrayLike | None,
        shots: int,
    ) -> dict[str, Any]:
        samples = self._samples(X, y, lengths)
        with threads(self.settings.training.threads):
            found = trainer.assess(
                self.network, self.settings, samples, self._generator(Purpose.TEST), None, shots
            )
        tested = loading.Tested(found[0], samples, *found[1:])
        return loading.answers(self.network, tested, self.preparation.class_names)

    def _samples(
        self, X: ArrayLike | Sequence[Any], y: ArrayLike | None, lengths: ArrayLike | None
    ) -> Samples:
        """Prepare samples with their targets."""
        inputs, ends = self._inputs(X, lengths)
        wanted = np.asarray(y)
        if wanted.ndim == 0 or len(wanted) != len(inputs):
            found = "none" if y is None else len(wanted) if wanted.ndim else "one"
            raise ValueError(f"y must have {len(inputs)} entries, one per sample, but has {found}")
        return trainer.place(
            Samples(inputs, targets_of(wanted, self.preparation), ends), self.settings.training
        )

    def loaded(self, data_dir: Path | None = None) -> Loaded:
        """Load the dataset of the training, and give it with the network."""
        settings = self.settings
        if data_dir is not None:
            data = settings.data.model_copy(update={"data_dir": data_dir})
            settings = settings.model_copy(update={"data": data})
        dataset = loading.load_data(settings, self.preparation)
        return Loaded(settings, dataset, self.network, self.epoch)

    def fine_tune(
        self,
        X: ArrayLike | Sequence[Any],
        y: ArrayLike,
        *,
        epochs: int,
        learning_rate: float | None = None,
        lengths: ArrayLike | None = None,
        callbacks: Sequence[Callback] = (),
    ) -> "Run":
        """Train on further samples, and give the new network; this one stays as it is.

        The samples are scaled as those of the training were. The learning rate starts its one-cycle
        schedule again, and the optimiser starts fresh. The weights of the last epoch are kept.

        Args:
            X: Samples; see `predict`.
            y: Labels, of the classes of the training, or real values.
            epochs: Passes over the samples.
            learning_rate: Highest learning rate; None for that of the training.
            lengths: Steps of each padded series.
            callbacks: Follow the training.

        Raises:
            ValueError: If a label is none of the training, or the samples do not fit.
            TrainingError: If a loss or a gradient is not finite.
        """
        samples = self._samples(X, y, lengths)
        training: dict[str, Any] = {**dict(self.settings.training), "epochs": epochs}
        if learning_rate is not None:
            training["learning_rate"] = learning_rate
        settings = self.settings.model_copy(
            update={"training": validated(TrainingSettings, training)}
        )
        with threads(settings.training.threads), following(callbacks):
            progress = trainer.start(
                settings,
                self.preparation.features,
                self.preparation.outputs,
                len(samples.targets),
            )
            progress.network.load_state_dict(self.network.state_dict())
            for _ in trainer.epochs(progress, settings, samples, None, callbacks):
                pass
        network = progress.network.eval()
        return replace(
            self, network=network, settings=settings, metrics={}, epoch=epochs, folder=None
        )

    def save(self, path: Path | str) -> Path:
        """Write the network as one file that `sqsnn.load` takes, and a model card beside it.

        Args:
            path: The file, e.g. digits.sqsnn; the card is digits.md.

        Returns:
            The path of the file.
        """
        place = Path(path)
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.suffix == ".md":
            raise ConfigError(f"path is {place}, but .md is the suffix of the model card beside it")
        model = Model(
            self.network.state_dict(), self.settings, self.preparation, self.metrics, self.epoch
        )
        write_model(place, model)
        card = model_card(model, place.name)
        write_atomically(place.with_suffix(".md"), lambda part: part.write_text(card, "utf-8"))
        return place

    def _inputs(
        self, X: ArrayLike | Sequence[Any], lengths: ArrayLike | None
    ) -> tuple[Tensor, Tensor | None]:
        clip = self.settings.encoding.bounded
        inputs, ends = self.preparation.inputs(X, lengths, clip=clip)
        training = self.settings.training
        inputs = inputs.to(training.device, getattr(torch, training.dtype))
        return inputs, None if ends is None else ends.to(training.device)

    def _generator(self, purpose: Purpose) -> torch.Generator:
        training = self.settings.training
        return seeded(training.seed, purpose, device=training.device)


def _plain(found: Tensor) -> np.ndarray:
    """Give values as an array; one value per sample without a dimension of its own."""
    array = found.double().cpu().numpy()
    return array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
