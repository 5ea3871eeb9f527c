"""A quantum neuron as a model of recorded spike trains, in the style of scikit-learn."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from sqsnn.checks import check_positive_int
from sqsnn.data.spike_trains import SpikeTrains
from sqsnn.neurons.drive import Drive, Leaky, Rectified
from sqsnn.quantum.circuits import Circuit, CircuitFactory
from sqsnn.spike_trains import laws, saved
from sqsnn.spike_trains.build import pilot, quantum_process, seed_of
from sqsnn.spike_trains.fitting import maximum_likelihood
from sqsnn.spike_trains.goodness import TimeRescaling, bits_per_spike, rates, time_rescaling
from sqsnn.spike_trains.process import Observed, check_sample, observe
from sqsnn.spike_trains.recording import Recording
from sqsnn.spike_trains.stimulus import read_stimulus
from sqsnn.training.machine import threads

RECTIFIED = Rectified()
AGREEMENT = 0.01  # nats per spike: starts this close to the best have found the same
LEAST_GAIN = 1e-3  # bits per spike: less is no gain


class SpikeTrainModel(BaseEstimator):
    """A model of spike trains: one quantum neuron, fitted by maximum likelihood.

    The neuron has one channel per recorded unit. What it remembers of the past spikes lies in its
    memory qubits alone, unless the drive is `Leaky`: then it also keeps a membrane, a real number.

    Args:
        memory_qubits: Memory qubits M, 0..6.
        circuit: As of `SQSNeurons`; "clock", "integrate_and_fire" and "universal" make regular
            trains.
        circuit_options: Options of a named circuit, e.g. `{"layers": 2}`.
        drive: How a stimulus becomes angles: `Rectified()`, which remembers nothing, `Saturating()`
            or `Leaky()`.
        stimulus_lags: K: the current of a bin weighs the stimulus of the last K bins, with weights
            that are learned.
        warm_up: Bins at the beginning of each train that only prepare the memory, and are not
            scored. The memory starts at |0>, as if nothing had happened before.
        starts: Random first values that are tried.
        max_iterations: The most iterations of the two best starts on all trains.
        threads: Threads of torch.
        random_state: Seed, or a generator of numpy.

    Attributes:
        process_: The neuron and its filter, a `torch.nn.Module` in float64.
        rate_: Spikes per scored bin of each unit in the trains of the fit, (N,); the Poisson
            process that `score` compares with.
        bin_width_: Seconds, or None.
        parameters_: Count of the parameters that were fitted.
        starts_: Log-likelihood per spike of each start, in nats, on the part of the trains that
            compares them.
        n_iter_: Iterations on all trains.
        agreeing_: How many starts came within 0.01 nats per spike of the best: of few, a better fit
            may have been missed.
        stimulus_features_: Features of the stimulus per bin; 0 without one.
        converged_: Whether the fit ended by itself.

    Example:
        >>> trains = np.tile([0, 0, 0, 0, 0, 1], (8, 10))  # (n, T), a spike in every sixth bin
        >>> model = SpikeTrainModel(starts=4, random_state=0).fit(trains)
        >>> model.score(trains) > 1  # bits per spike more than a Poisson process
        True
    """

    def __init__(
        self,
        memory_qubits: int = 1,
        *,
        circuit: str | Circuit | CircuitFactory = "clock",
        circuit_options: Mapping[str, object] | None = None,
        drive: Drive = RECTIFIED,
        stimulus_lags: int = 1,
        warm_up: int = 0,
        starts: int = 12,
        max_iterations: int = 300,
        threads: int = 1,
        random_state: Any = None,
    ) -> None:
        self.memory_qubits = memory_qubits
        self.circuit = circuit
        self.circuit_options = circuit_options
        self.drive = drive
        self.stimulus_lags = stimulus_lags
        self.warm_up = warm_up
        self.starts = starts
        self.max_iterations = max_iterations
        self.threads = threads
        self.random_state = random_state

    def fit(self, trains: Any, stimulus: Any = None) -> "SpikeTrainModel":
        """Fit the neuron, from several random starts.

        Args:
            trains: `SpikeTrains`, or an array (n, T) or (n, T, N) of 0 and 1, or a list of n arrays
                (T_i,) or (T_i, N).
            stimulus: Values of each bin, (n, T) or (n, T, F), or a list of n arrays (T_i,) or
                (T_i, F); None without one. Values of the order of 1 suit the first weights.

        Returns:
            The model itself.

        Raises:
            ValueError: If an argument or a parameter is not what it must be, or a unit never fires.
            TrainingError: If no start can explain the trains.
        """
        trains = SpikeTrains.from_bins(trains)
        for name in ("stimulus_lags", "starts", "max_iterations"):
            check_positive_int(name, getattr(self, name))
        check_positive_int("warm_up", self.warm_up, low=0)
        lagged = read_stimulus(stimulus, list(map(len, trains)), self.stimulus_lags)
        features = 0 if lagged is None else lagged[0].shape[1]
        recording = Recording(trains, lagged)
        data = observe(recording, self.warm_up)
        rate = rates(trains, self.warm_up)
        if silent := np.flatnonzero(rate == 0).tolist():
            raise ValueError(
                f"unit {silent[0]} of trains never fires in a bin that is scored: leave it out"
            )
        seed = seed_of(self.random_state)
        part = pilot(recording, self.warm_up, np.random.default_rng(seed))
        with threads(self.threads), torch.enable_grad():
            found = maximum_likelihood(
                lambda generator: quantum_process(self, trains.units, features, generator),
                data,
                part,
                starts=self.starts,
                max_iterations=self.max_iterations,
                generator=torch.Generator().manual_seed(seed),
            )
        self.process_, self.starts_, self.n_iter_, self.converged_ = found
        self.agreeing_ = int((self.starts_ > self.starts_.max() - AGREEMENT).sum())
        self.rate_, self.bin_width_ = rate, trains.bin_width
        self.parameters_ = self.process_.count()
        self.stimulus_features_ = features // self.stimulus_lags
        if (gained := self.score(trains, stimulus)) < LEAST_GAIN:
            warnings.warn(
                f"the fit gains {gained:.4f} bits per spike over a Poisson process, which is "
                "nothing: unless the spikes are random indeed, give more starts or another circuit",
                stacklevel=2,
            )
        return self

    def log_likelihood(self, trains: Any, stimulus: Any = None) -> Float64[np.ndarray, " n"]:
        """Compute the log-likelihood of each train, in nats, without the bins of the warm-up.

        Args:
            trains: As in `fit`.
            stimulus: As in `fit`.

        Returns:
            One number per train; -inf for a train that is impossible.
        """
        trains, data = self._given(trains, stimulus)
        found = np.empty(len(trains))
        with threads(self.threads), torch.no_grad():
            for group in data:
                found[group.which] = self.process_.log_likelihood(group).sum(0).numpy()
        return found

    def score(self, trains: Any, stimulus: Any = None) -> float:
        """Compute by how many bits per spike the model beats a Poisson process.

        That process fires at the rates of the trains of the fit: in each bin a coin. Bits per spike
        are the gain in log-likelihood, divided by the spikes and by log 2.

        Args:
            trains: As in `fit`.
            stimulus: As in `fit`.

        Raises:
            ValueError: If the trains hold no spike.
        """
        found = self.log_likelihood(trains, stimulus).sum()
        return bits_per_spike(found, SpikeTrains.from_bins(trains), self.rate_, self.warm_up)

    def predict_proba(self, trains: Any, stimulus: Any = None) -> Any:
        """Compute the probability of a spike in each bin, given the bins before it.

        Args:
            trains: As in `fit`.
            stimulus: As in `fit`.

        Returns:
            An array of the shape of `trains`, if it is one; else a list of arrays (T_i, N).
        """
        given, data = self._given(trains, stimulus)
        found: list[Any] = [None] * len(given)
        with threads(self.threads), torch.no_grad():
            for group in data:
                chance = self.process_.score(group).probability[:, :, 0].numpy()  # (T, n, N)
                for column, number in enumerate(group.which):
                    found[number] = chance[: len(given[number]), column]
        if isinstance(trains, np.ndarray | torch.Tensor):
            return np.stack(found).reshape(trains.shape)
        return found

    def sample(
        self,
        trains: int = 1,
        bins: int = 1000,
        stimulus: Any = None,
        random_state: Any = None,
    ) -> SpikeTrains:
        """Draw spike trains from the model.

        Args:
            trains: How many, n.
            bins: Bins T of each.
            stimulus: As in `fit`, for n trains of T bins, if the model has one.
            random_state: Seed, or a generator of numpy.
        """
        check_is_fitted(self, "process_")
        check_sample(trains, bins, len(self.rate_))
        like = SpikeTrains.from_bins(np.zeros((trains, bins, len(self.rate_)), np.uint8))
        _, (group,) = self._given(like, stimulus, warm_up=0)
        seed = seed_of(random_state)
        with threads(self.threads), torch.no_grad():
            spikes = self.process_.sample(
                bins, trains, group.stimulus, torch.Generator().manual_seed(seed)
            )
        return SpikeTrains.from_bins(spikes.transpose(0, 1).numpy(), self.bin_width_)

    def intervals(self, longest: int = 100, unit: int = 0) -> Float64[np.ndarray, " longest"]:
        """Compute the exact law of the intervals between two spikes of a unit.

        Args:
            longest: Bins of the longest interval.
            unit: The unit.

        Returns:
            Probabilities of intervals of 1..longest bins.

        Raises:
            ValueError: If the model has a stimulus or a leaky drive, with which no law is for all
                times.
        """
        return laws.interval_law(self._unit(unit), longest)

    def autocorrelation(self, longest: int = 100, unit: int = 0) -> Float64[np.ndarray, " longest"]:
        """Compute the exact probability of a spike of a unit 1..longest bins after one.

        Args:
            longest: Bins of the longest lag.
            unit: The unit.

        Raises:
            ValueError: As `intervals`.
        """
        return laws.rate_after_spike(self._unit(unit), longest)

    def time_rescaling(
        self, trains: Any, stimulus: Any = None, random_state: Any = None
    ) -> TimeRescaling:
        """Test the model on spike trains by a Kolmogorov-Smirnov test of rescaled intervals.

        Args:
            trains: As in `fit`.
            stimulus: As in `fit`.
            random_state: Seed, or a generator of numpy; draws where in its bin a spike lies.
        """
        trains = SpikeTrains.from_bins(trains)
        chance = self.predict_proba(trains, stimulus)
        seed = seed_of(random_state)
        return time_rescaling(trains, chance, np.random.default_rng(seed), self.warm_up)

    def save(self, path: Path | str) -> None:
        """Write the fitted model into one file.

        Raises:
            ValueError: If the circuit has no name by which it could be found again.
            WriteError: If the file cannot be written.
        """
        check_is_fitted(self, "process_")
        saved.write(self, Path(path))

    @classmethod
    def load(cls, path: Path | str) -> "SpikeTrainModel":
        """Read a model that `save` wrote.

        Raises:
            CheckpointError: If the file is missing, damaged, or holds no model of spike trains.
        """
        return saved.read(cls, Path(path))

    def _unit(self, unit: int) -> laws.Unit:
        check_is_fitted(self, "process_")
        if not has_law(self):
            raise ValueError(
                "a model with a stimulus or a leaky drive has no law for all times: count the "
                "intervals of model.sample(...)"
            )
        channels = len(self.rate_)
        check_positive_int("unit", unit, low=0, high=channels - 1)
        currents = torch.zeros(1, 1, channels, dtype=torch.float64)
        with torch.no_grad():
            kraus = self.process_.neurons.kraus_operators(currents)[0, 0].numpy()
        return laws.after_a_spike(kraus, channels, unit)

    def _given(
        self, trains: Any, stimulus: Any, warm_up: int | None = None
    ) -> tuple[SpikeTrains, list[Observed]]:
        """Check what a fitted model is applied to."""
        check_is_fitted(self, "process_")
        trains = SpikeTrains.from_bins(trains)
        if trains.units != len(self.rate_):
            raise ValueError(
                f"trains has {trains.units} units, but the model was fitted to {len(self.rate_)}"
            )
        if trains.bin_width is not None and self.bin_width_ not in (None, trains.bin_width):
            raise ValueError(
                f"trains has bins of {trains.bin_width} s, but the model was fitted to bins of "
                f"{self.bin_width_} s"
            )
        warm_up = self.warm_up if warm_up is None else warm_up
        stimulated = self.process_.filter
        if (stimulated is None) != (stimulus is None):
            raise ValueError(
                "the model was fitted without a stimulus: leave stimulus out"
                if stimulated is None
                else "the model was fitted with a stimulus: give stimulus, too"
            )
        lags = 1 if stimulated is None else stimulated.in_features // self.stimulus_features_
        lengths = list(map(len, trains))
        lagged = read_stimulus(stimulus, lengths, lags, self.stimulus_features_)
        return trains, observe(Recording(trains, lagged), warm_up)


def has_law(model: SpikeTrainModel) -> bool:
    """Whether the intervals of a fitted model have one law for all times."""
    return model.process_.filter is None and not isinstance(model.drive, Leaky)
