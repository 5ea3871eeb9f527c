"""The search for settings: which to try next, and which were best; many processes share it.

The trials lie in a journal that optuna reads and appends to. Lists of choices are tried in all
combinations; where a setting has a range, optuna's tree-structured Parzen estimator proposes. A
trial is held by a lock of the operating system: what a crashed process left is free, and is tried
again.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from filelock import FileLock, Timeout

from sqsnn.errors import ConfigError
from sqsnn.study.config import Range, Search, Value, space_of
from sqsnn.study.identity import all_settings, refuse_changed, refuse_other_data
from sqsnn.study.plan import Found, Plan, origin, points, search_base, search_name, search_of

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial


class Ask(NamedTuple):
    """Settings to try, held by a lock until they are released.

    Args:
        found: the settings, by their dotted names.
        lock: what holds them.
        study: optuna's study.
        trial: optuna's trial.
    """

    found: Found
    lock: FileLock
    study: "optuna.Study"
    trial: "optuna.Trial"

    def tell(self, accuracy: float, loss: float | None) -> None:
        """Write down what these settings reached.

        Args:
            accuracy: validation accuracy by spike count alone; 0 where training failed.
            loss: validation loss, in nats; None where training failed.
        """
        self.trial.set_user_attr("validation_loss", loss)
        self.study.tell(self.trial, accuracy)


class Searches:
    """All searches of a study, as one process sees them.

    Args:
        plan: the study.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._chosen: dict[tuple[str, str], Found] = {}
        self._studies: dict[tuple[str, str], Any] = {}  # of optuna
        if plan.study.search is None:
            return
        try:
            import optuna
            from optuna.storages.journal import JournalFileBackend
        except ImportError as error:
            raise ConfigError("a search needs optuna: pip install 'sqsnn[tune]'") from error
        # A line a trial is ours to print.
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        plan.out.mkdir(parents=True, exist_ok=True)
        # optuna's own lock outlives a process that is killed, and below a relative path for ever.
        lock = make_lock(plan.out, "journal")
        backend = JournalFileBackend(
            str(plan.out / "search.journal"),
            lock,  # pyright: ignore[reportArgumentType] (it has what is asked of a lock)
        )
        self._storage = optuna.storages.JournalStorage(backend)

    def ask(self, dataset: str, model: str) -> Ask | None:
        """Take the next settings to try; None where all are tried or being tried.

        Args:
            dataset: name of a group with a search of its own.
            model: name of the model.
        """
        search = search_of(self._plan.study)
        # One at a time, so that nobody takes a trial for abandoned before it is locked.
        with self._lock("search"):
            study = self._open(dataset, model)
            if len(_in_state(study, "COMPLETE")) >= search.trials:
                return None
            self._free_abandoned(study)
            self._enqueue_missing(study, model)
            if len(_in_state(study, "COMPLETE", "RUNNING")) >= search.trials:
                return None
            # Those that were given up are tried again: without them a stopped search goes on alike.
            number = len(_in_state(study, "WAITING", "RUNNING", "COMPLETE"))
            study.sampler = _sampler(search, number)
            trial = study.ask(_distributions(space_of(self._plan.study, model)))
            lock = self._trial_lock(study, trial.number)
            lock.acquire(blocking=False)
        return Ask(trial.params, lock, study, trial)

    def chosen(self, dataset: str, model: str) -> Found | None:
        """The settings that did best, once all are tried; None before.

        Best is by validation accuracy, then by loss, then in the order of the lists.

        Args:
            dataset: name of the group.
            model: name of the model.
        """
        if self._plan.study.search is None:
            return {}
        key = origin(self._plan.study, dataset), model
        if key not in self._chosen:
            complete = _in_state(self._open(*key), "COMPLETE")
            if len(complete) < search_of(self._plan.study).trials:
                return None
            self._chosen[key] = max(complete, key=_rank).params
        return self._chosen[key]

    def tried(self, dataset: str, model: str) -> list[Found]:
        """The settings that were tried, in the order of the lists.

        Args:
            dataset: name of a group with a search of its own.
            model: name of the model.
        """
        complete = _in_state(self._open(dataset, model), "COMPLETE")
        return [trial.params for trial in sorted(complete, key=_place)]

    def count_done(self, dataset: str, model: str) -> int:
        """Count the settings that were tried.

        Args:
            dataset: name of a group with a search of its own.
            model: name of the model.
        """
        return len(_in_state(self._open(dataset, model), "COMPLETE"))

    def _open(self, dataset: str, model: str) -> "optuna.Study":
        import optuna

        key = dataset, model
        if key in self._studies:
            return self._studies[key]
        base, name = search_base(self._plan, *key), search_name(self._plan, *key)
        source = self._plan.facts[dataset].source
        # Creating what is there would be a line in the journal, each time.
        if name in optuna.get_all_study_names(self._storage):
            study = optuna.load_study(study_name=name, storage=self._storage)
            refuse_changed(study.user_attrs.get("settings", {}), base, f"search {name}")
            refuse_other_data(study.user_attrs.get("source"), source, f"search {name}")
        else:
            study = optuna.create_study(
                study_name=name,
                storage=self._storage,
                direction="maximize",
                load_if_exists=True,  # made by another process, just now
            )
            study.set_user_attr("settings", all_settings(base))
            study.set_user_attr("source", source)
        self._studies[key] = study
        return study

    def _free_abandoned(self, study: "optuna.Study") -> None:
        """Give up the trials that nobody holds, and have those of ranges tried again."""
        from optuna.trial import TrialState

        for trial in _in_state(study, "RUNNING"):
            lock = self._trial_lock(study, trial.number)
            try:
                with lock.acquire(blocking=False):
                    # Who held it may have told and let go since the list was made.
                    if trial.number not in {it.number for it in _in_state(study, "RUNNING")}:
                        continue
                    study.tell(trial.number, state=TrialState.FAIL)
                    if "point" not in trial.user_attrs and trial.params:
                        study.enqueue_trial(trial.params)
            except Timeout:
                continue

    def _enqueue_missing(self, study: "optuna.Study", model: str) -> None:
        """Put every combination of a space of lists in the queue that is not there yet."""
        # Not optuna's GridSampler: to it, what a crash cut short is done.
        there = {
            trial.user_attrs["point"]
            for trial in _in_state(study, "WAITING", "RUNNING", "COMPLETE")
            if "point" in trial.user_attrs
        }
        for number, point in enumerate(points(space_of(self._plan.study, model)) or []):
            if number not in there:
                study.enqueue_trial(dict(point), user_attrs={"point": number})

    def _trial_lock(self, study: "optuna.Study", number: int) -> FileLock:
        return self._lock(f"search/{study.study_name}-{number}")

    def _lock(self, key: str) -> FileLock:
        return make_lock(self._plan.out, key)


def make_lock(out: Path, key: str) -> FileLock:
    """Make the lock of one thing that only one process may do.

    Args:
        out: the folder of the results.
        key: what it is about; a path without a suffix.
    """
    path = out / "locks" / f"{key}.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    return FileLock(path)


def _sampler(search: Search, number: int) -> "BaseSampler":
    from optuna.samplers import TPESampler

    # Of its own for each trial: processes with one seed would all propose the same.
    return TPESampler(seed=search.seed + number)


def _distributions(space: Mapping[str, tuple[Value, ...] | Range]) -> "dict[str, BaseDistribution]":
    from optuna.distributions import (
        CategoricalDistribution,
        FloatDistribution,
        IntDistribution,
    )

    found: dict[str, BaseDistribution] = {}
    for name, where in space.items():
        if isinstance(where, tuple):
            found[name] = CategoricalDistribution(where)
        elif isinstance(where.low, int) and isinstance(where.high, int):
            found[name] = IntDistribution(where.low, where.high, log=where.log)
        else:
            found[name] = FloatDistribution(where.low, where.high, log=where.log)
    return found


def _in_state(study: "optuna.Study", *states: str) -> "list[FrozenTrial]":
    return [trial for trial in study.get_trials(deepcopy=False) if trial.state.name in states]


def _rank(trial: "FrozenTrial") -> tuple[float, float, int]:
    loss = trial.user_attrs["validation_loss"]
    return trial.value or 0.0, -math.inf if loss is None else -loss, -_place(trial)


def _place(trial: "FrozenTrial") -> int:
    """Its place in the lists; of ranges, when it was asked for."""
    return trial.user_attrs.get("point", trial.number)
