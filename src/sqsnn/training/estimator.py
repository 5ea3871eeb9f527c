"""What the classifier and the regressor share: parameters, training, going on, predicting."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from sklearn.base import BaseEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import _check_sample_weight  # pyright: ignore[reportPrivateUsage]
from torch.optim.lr_scheduler import ConstantLR

from sqsnn.checks import check_positive_int
from sqsnn.data.dataset import Samples
from sqsnn.data.scaling import Scaling
from sqsnn.errors import ConfigError
from sqsnn.network import SpikingNetwork
from sqsnn.options import explain
from sqsnn.settings import flat
from sqsnn.settings.run import Recipe
from sqsnn.training import trainer
from sqsnn.training.arrays import Array, Inputs, read_inputs, stretched
from sqsnn.training.build import Purpose, build_network, seeded
from sqsnn.training.callback import Callback, check_callbacks, following
from sqsnn.training.machine import threads
from sqsnn.training.optimizer import Adam
from sqsnn.training.progress import Epoch, Progress

Weights = NDArray[np.float64] | None
Run = Callable[[SpikingNetwork, Recipe, Samples, torch.Generator], list[Array]]

# Samples are predicted in chunks of one size, the last one filled up: matrix products round
# differently for other shapes, and a prediction must not depend on how many samples came with it.
CHUNK = 128


class _Lines(Callback):
    """Prints one line per epoch."""

    def epoch(self, epoch: Epoch, progress: Progress) -> None:
        """Print the figures that are numbers."""
        figures = {name: it for name, it in epoch.metrics.items() if isinstance(it, int | float)}
        print("  ".join(f"{name} {figure:.5g}" for name, figure in figures.items()))


class SpikingEstimator(BaseEstimator):
    """The base of the classifier and the regressor."""

    _OWN: ClassVar[Mapping[str, Any]]  # parameters that are no settings
    _DEFAULTS: ClassVar[Mapping[str, Any]]
    _ENCODING: ClassVar[str]  # of values; series are currents
    _VALIDATION_SCORE: ClassVar[str]

    n_features_in_: int  # set by scikit-learn

    def __sklearn_tags__(self) -> Tags:
        """Tell scikit-learn that series are welcome."""
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def _chosen(self) -> dict[str, Any]:
        """The settings that differ from their defaults, by their flat names."""
        return {
            name: value
            for name, value in self.get_params(deep=False).items()
            if name not in self._OWN and value != self._DEFAULTS[name]
        }

    def _prepare(self, network: SpikingNetwork, inputs: Inputs, targets: Array) -> None:
        """Set what a fresh network takes from the training targets."""

    def _fit(
        self,
        inputs: Inputs,
        targets: Array,
        weights: Weights,
        *,
        outputs: int,
        stratify: Array | None = None,
        shuffle: bool = True,
    ) -> None:
        """Train a network, from scratch or, with `warm_start`, from the weights that there are.

        Args:
            inputs: What to learn from.
            targets: Classes, `(n,)`, or values, `(n, K)` or `(n, T, K)`.
            weights: Weight of each sample; None for 1.
            outputs: Classes, or values K.
            stratify: Classes that early stopping shares out evenly.
            shuffle: Whether early stopping holds out samples at random, or else the last ones.
        """
        given = self._checked()
        goes_on = given["warm_start"] and hasattr(self, "weights_")
        former = self.recipe_.rule if goes_on else None
        self.recipe_, self.series_length_ = self._recipe(inputs.length), inputs.length
        train = np.arange(len(targets))
        held_out = train[:0]
        if given["early_stopping"]:
            train, held_out = _split(train, given, self.recipe_, stratify, shuffle)
        chosen = inputs.chosen(train)
        if not goes_on:
            self._begin(chosen, outputs)
        if weights is not None:
            weights = weights / weights[train].mean()
        recipe, samples = self._samples(inputs, targets, weights)
        progress = trainer.start(recipe, self.n_features_in_, outputs, len(train))
        if goes_on:
            self._put_weights(progress.network)
            if former != recipe.rule:
                self._remembered = {}
        else:
            self._prepare(progress.network, chosen, targets[train])
        parts = [samples.chosen(torch.from_numpy(part)) for part in (train, held_out)]
        self._run(progress, recipe, parts[0], parts[1] if len(held_out) else None)
        self._moments = None

    def _partial_fit(
        self, inputs: Inputs, targets: Array, weights: Weights, *, outputs: int
    ) -> None:
        """Train for one epoch at a constant learning rate; see `_fit`."""
        if self._checked()["early_stopping"]:
            raise ValueError("early_stopping must be False: partial_fit holds no samples out")
        goes_on = hasattr(self, "weights_")
        if not goes_on:
            self.recipe_, self.series_length_ = self._recipe(inputs.length), inputs.length
            self._begin(inputs, outputs)
        recipe, samples = self._samples(inputs, targets, weights)
        training = recipe.training.model_copy(update={"epochs": 1})
        recipe = recipe.model_copy(update={"training": training})
        network = build_network(recipe, self.n_features_in_, outputs)
        if goes_on:
            self._put_weights(network)
        else:
            self._prepare(network, inputs, targets)
        optimizer = Adam(network.parameters(), lr=training.learning_rate, fused=True)
        if self._moments is not None:
            optimizer.load_state_dict({**optimizer.state_dict(), "state": self._moments})
        rate = ConstantLR(optimizer, factor=1.0)
        self._run(Progress(network, trainer.fresh_rule(recipe), optimizer, rate), recipe, samples)
        self._moments = {
            number: {name: tensor.cpu() for name, tensor in of.items()}
            for number, of in optimizer.state_dict()["state"].items()
        }

    def _checked(self) -> dict[str, Any]:
        """The parameters, once those that are no settings are checked."""
        given = self.get_params(deep=False)
        check_positive_int("shots", given["shots"])
        if given["patience"] is not None:
            check_positive_int("patience", given["patience"])
        check_callbacks(given["callbacks"])
        return given

    def _recipe(self, length: int | None) -> Recipe:
        """The settings that the parameters stand for, for values, or series of T steps."""
        given, chosen = self.get_params(deep=False), self._chosen()
        chosen.setdefault("encoding", self._ENCODING if length is None else "current")
        if length is not None and isinstance(chosen["encoding"], str):
            chosen.setdefault("steps", length)
        if given["early_stopping"]:
            chosen["patience"] = given["patience"]
        state, rate = check_random_state(given["random_state"]), given["learning_rate"]
        chosen["seed"] = int(state.randint(np.iinfo(np.int32).max))
        table = flat.nest(Recipe, chosen, {})
        table["training"]["final_learning_rate"] = min(1e-6, rate) if rate > 0 else 1e-6
        try:
            recipe = Recipe.model_validate(table)
        except ValidationError as error:
            raise ConfigError(explain(error)) from None
        recipe.encoding.steps_per_value(length or 1)
        return recipe

    def _begin(self, inputs: Inputs, outputs: int) -> None:
        """Take over the range of the features; nothing is trained yet."""
        self._outputs = outputs
        self.scaling_ = Scaling.fit(inputs.values, inputs.lengths)
        self.n_iter_, self.loss_curve_, self.validation_scores_ = 0, [], []
        self._moments: dict[int, Any] | None = None
        self._remembered: dict[str, torch.Tensor] = {}  # by the rule, such as its random feedback

    def _run(
        self,
        progress: Progress,
        recipe: Recipe,
        train: Samples,
        validation: Samples | None = None,
    ) -> None:
        """Train for the epochs of the recipe, and keep the weights and the figures."""
        given = self.get_params(deep=False)
        # The epochs of earlier calls count on, so that each has random numbers of its own.
        progress.epoch = self.n_iter_
        last = {"epochs": self.n_iter_ + recipe.training.epochs}
        training = recipe.training.model_copy(update=last)
        recipe = recipe.model_copy(update={"training": training})
        remembered = {name: it.to(training.device) for name, it in self._remembered.items()}
        progress.rule.load_state_dict(remembered)
        callbacks = [*given["callbacks"], *([_Lines()] if given["verbose"] else [])]
        with threads(training.threads), following(callbacks):
            for epoch in trainer.epochs(progress, recipe, train, validation, callbacks):
                self.loss_curve_.append(epoch.metrics["train_loss"])
                if validation is not None:
                    self.validation_scores_.append(epoch.metrics[self._VALIDATION_SCORE])
        self.n_iter_ = progress.epoch
        self._remembered = {name: it.cpu() for name, it in progress.rule.state_dict().items()}
        best = progress.best.weights if progress.best else progress.network.state_dict()
        # Arrays and not the network: they copy, pickle and move between devices without a thought.
        self.weights_ = {name: tensor.cpu().numpy().copy() for name, tensor in best.items()}

    def _samples(
        self, inputs: Inputs, targets: Array | None = None, weights: Weights = None
    ) -> tuple[Recipe, Samples]:
        """Scale samples; series become as long as those of the fit, or a multiple of that.

        Returns:
            The settings for samples of that length, on the device of now, and the samples.
        """
        if (inputs.length is None) != (self.series_length_ is None):
            wanted = "values, (n, F)" if self.series_length_ is None else "series, (n, T, F)"
            raise ValueError(
                f"X must hold {wanted}, as in fit, but has shape {inputs.values.shape}"
            )
        given, recipe = self.get_params(deep=False), self.recipe_
        encoding, here = recipe.encoding, {"device": given["device"], "threads": given["threads"]}
        scaled = self.scaling_.apply(inputs.values, clip=encoding.bounded, lengths=inputs.lengths)
        lengths = None
        if self.series_length_ is not None:
            ends = inputs.ends
            times = -(-int(ends.max()) // self.series_length_)
            length = times * self.series_length_
            scaled = stretched(scaled, length)
            lengths = None if ends.min() == length else torch.from_numpy(ends)
            encoding = replace(encoding, steps=times * encoding.steps)
            if targets is not None and targets.ndim == 3:
                lasting = encoding.steps_per_value(length)
                targets = stretched(targets, length).repeat(lasting, axis=1)
        training = recipe.training.model_copy(update=here)
        recipe = recipe.model_copy(update={"encoding": encoding, "training": training})
        if targets is None:
            targets = np.zeros(len(scaled))
        samples = Samples(
            torch.from_numpy(scaled),
            torch.tensor(targets),  # a copy: arrays of users may be read-only
            lengths,
            None if weights is None else torch.from_numpy(weights),
        )
        return recipe, samples

    def _predictions(self, inputs: Inputs, run: Run) -> list[Array]:
        """Run the network on new samples, in parts of as many steps.

        How long a sample runs depends on its own length alone, and so does what is predicted.

        Args:
            inputs: The samples.
            run: Gives arrays of answers, `(n, K)`, or `(n, T, K)` of the steps of series.

        Returns:
            These arrays for all samples.
        """
        given = self._checked()
        times = np.ones(len(inputs.values), np.int64)
        if self.series_length_ is not None and inputs.length is not None:
            times = -(-inputs.ends // self.series_length_)
        whole: list[Array] = []
        with threads(given["threads"]):
            for time in np.unique(times):
                which = np.flatnonzero(times == time)
                recipe, samples = self._samples(inputs.chosen(which))
                network = build_network(recipe, self.n_features_in_, self._outputs)
                self._put_weights(network)
                training = recipe.training
                generator = seeded(training.seed, Purpose.PREDICTION, device=training.device)
                samples = trainer.place(samples, training)
                found = run(network.eval(), recipe, samples, generator)
                if found[0].ndim == 3:
                    found = [stretched(answer, inputs.values.shape[1]) for answer in found]
                if not whole:
                    whole = [np.empty((len(times), *answer.shape[1:])) for answer in found]
                for answers, part in zip(whole, found, strict=True):
                    answers[which] = part
        return whole

    def _read(self, X: Any, *, reset: bool) -> Inputs:
        return read_inputs(self, X, reset=reset)

    def _put_weights(self, network: SpikingNetwork) -> None:
        """Give a network the weights that were trained."""
        for name, tensor in network.state_dict().items():
            shape = self.weights_[name].shape if name in self.weights_ else "no weights"
            if tuple(tensor.shape) != shape:
                raise ValueError(
                    "warm_start and partial_fit go on with the network that there is, whose "
                    f"{name} has {shape}, but X, y and the parameters make it "
                    f"{tuple(tensor.shape)}: fit a clone instead"
                )
        network.load_state_dict(
            {name: torch.from_numpy(array.copy()) for name, array in self.weights_.items()}
        )


def weighted(inputs: Inputs, targets: Array, sample_weight: Any) -> tuple[Inputs, Array, Weights]:
    """Check the weights of samples, and leave out the samples of weight 0."""
    if sample_weight is None:
        return inputs, targets, None
    weights = _check_sample_weight(
        sample_weight, inputs.values, dtype=np.float64, ensure_non_negative=True
    )
    kept = np.flatnonzero(weights)
    return inputs.chosen(kept), targets[kept], weights[kept]


def _split(
    samples: Array, given: Mapping[str, Any], recipe: Recipe, stratify: Array | None, shuffle: bool
) -> tuple[Array, Array]:
    """Hold out a share of the samples for early stopping."""
    share = given["validation_fraction"]
    try:
        train, held_out = map(
            np.asarray,
            train_test_split(
                samples,
                test_size=float(share),
                random_state=recipe.training.seed if shuffle else None,
                stratify=stratify,
                shuffle=shuffle,
            ),
        )
    except ValueError as error:
        raise ValueError(
            f"early_stopping cannot hold out a validation_fraction of {share}: {error}"
        ) from None
    return train, held_out
