"""A storage of optuna by URL, from which no error shows the password.

Errors of the database and its driver are never chained to ours, since they may quote the URL.
"""

import time
import warnings
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import optuna
from optuna.exceptions import ExperimentalWarning, StorageInternalError, UpdateFinishedTrialError
from optuna.storages import RDBStorage, fail_stale_trials
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import event
from sqlalchemy.exc import (
    DBAPIError,
    InterfaceError,
    OperationalError,
    PendingRollbackError,
    SQLAlchemyError,
)

from sqsnn.errors import ConfigError
from sqsnn_bench.study.storage_url import StorageUrl

PATIENCE = 30.0  # seconds for which a database may be away, as while it is started again
_PAUSE = 1.0
_FOREIGN = (SQLAlchemyError, StorageInternalError, KeyError)
_PASSING = (OperationalError, InterfaceError, PendingRollbackError)
_CONNECT = {"connect_timeout": 10, "tcp_user_timeout": 30_000}  # seconds, and milliseconds

T = TypeVar("T")


class Storage:
    """What a shared search needs of a storage: studies, and trials as starts that end once."""

    def __init__(
        self, url: StorageUrl, beat: float, grace: int, say: Callable[[str], None]
    ) -> None:
        """Open a storage; a new database gets its tables.

        Args:
            url: Where it is.
            beat: Seconds between two signs of life of a trial that is at work.
            grace: Seconds without one after which a trial is taken for lost.
            say: Called when the database is away.

        Raises:
            ConfigError: If optuna cannot open it.
        """
        self._url, self._patience, self._say = url, PATIENCE, say
        optuna.logging.set_verbosity(optuna.logging.ERROR)  # warnings quote whole statements
        warnings.simplefilter("ignore", ExperimentalWarning)  # heartbeats
        arguments = _CONNECT if url.full.startswith("postgresql+psycopg:") else {}

        def opened() -> RDBStorage:
            return RDBStorage(
                url.full.replace("{", "{{").replace("}", "}}"),  # optuna fills a template
                {"pool_pre_ping": True, "connect_args": arguments},
                heartbeat_interval=max(1, round(beat)),
                grace_period=grace,
            )

        self._rdb = self._open(opened)
        if self._rdb.engine.name == "sqlite":
            _lock_at_once(self._rdb)

    def _open(self, opened: Callable[[], RDBStorage]) -> RDBStorage:
        said = ""
        for attempt in range(5):
            try:
                return opened()
            except OperationalError as error:
                said = self._said(error)
                break
            except _FOREIGN as error:
                # Two commands may make the tables at once: then one finds them there.
                said = self._said(error)
            except (ImportError, RuntimeError, ValueError, TypeError) as error:
                said = self._said(error)
                break
            time.sleep(0.2 * (attempt + 1))
        raise ConfigError(f"the storage {self._url.shown} cannot be opened: {said}")

    def study(self, name: str) -> optuna.Study:
        """A study by its name; it is made where there is none."""
        return self._patiently(
            optuna.create_study,
            storage=self._rdb,
            study_name=name,
            direction="maximize",
            load_if_exists=True,
        )

    def starts(self, study: optuna.Study) -> list[FrozenTrial]:
        """All trials of a study by number."""
        return self._patiently(study.get_trials, deepcopy=False)

    def begin(self, study: optuna.Study, start: FrozenTrial) -> int:
        """Add a trial, whose number is higher than that of all before.

        Returns:
            How the storage calls it.

        Raises:
            ConfigError: If the study was begun with other ranges of its settings.
        """
        said = ""
        try:
            identity = self._patiently(self._study_id, study.study_name)
            return self._patiently(self._rdb.create_new_trial, identity, start)
        except ConfigError:
            raise
        except ValueError as error:
            said = self._said(error)
        raise ConfigError(
            f"{study.study_name} in the storage {self._url.shown} was begun with other ranges "
            f"({said}): give the study another name"
        )

    def _study_id(self, name: str) -> int:
        return self._rdb.get_study_id_from_name(name)

    def beat(self, start: int) -> None:
        """Give a sign of life."""
        self._patiently(self._rdb.record_heartbeat, start)

    def expire(self, study: optuna.Study) -> None:
        """Fail the trials without signs of life."""
        self._patiently(fail_stale_trials, study)

    def end(
        self,
        start: int,
        state: TrialState,
        attributes: Mapping[str, Any],
        value: float | None = None,
    ) -> bool:
        """End a trial.

        Returns:
            False if it had ended before.
        """
        values = None if value is None else [value]
        try:
            for name, content in attributes.items():
                self._patiently(self._rdb.set_trial_user_attr, start, name, content)
            return self._patiently(self._rdb.set_trial_state_values, start, state, values)
        except UpdateFinishedTrialError:
            return False

    def hurry(self) -> None:
        """Wait no longer for a database that is away."""
        self._patience = 0.0

    def close(self) -> None:
        """Close all connections."""
        self._rdb.remove_session()
        self._rdb.engine.dispose()

    def _patiently(self, function: Callable[..., T], *arguments: Any, **named: Any) -> T:
        """Call the storage, also where it is away for a while."""
        end = time.monotonic() + self._patience
        is_said = False
        while True:
            said, passing = "", False
            try:
                return function(*arguments, **named)
            except _FOREIGN as error:
                said = self._said(error)
                passing = isinstance(_cause(error), _PASSING)
            if not passing or time.monotonic() > end:
                # Whoever calls once more, to give trials back, shall not wait again.
                self.hurry()
                raise ConfigError(
                    f"the storage {self._url.shown} cannot be used: {said}. Trials that are done "
                    "are kept, here and there; the same command goes on once it is back"
                )
            if not is_said:
                is_said = True
                self._say(f"the database is away: waiting {self._patience:.0f} s for it")
            time.sleep(_PAUSE)

    def _said(self, error: BaseException) -> str:
        """What a driver says, in one line, without the password."""
        cause = _cause(error)
        origin = cause.orig if isinstance(cause, DBAPIError) and cause.orig else cause
        lines = str(origin).strip().splitlines()
        return self._url.without_secrets(lines[0] if lines else type(origin).__name__)


def _cause(error: BaseException) -> BaseException:
    """The error of SQLAlchemy under one of optuna."""
    cause = error.__cause__
    return cause if isinstance(error, StorageInternalError) and cause else error


def _lock_at_once(rdb: RDBStorage) -> None:
    """Let SQLite lock what optuna reads and then changes, as other databases do by rows."""

    def connected(connection: Any, _: object) -> None:
        connection.isolation_level = None  # the driver begins no transaction by itself

    def begins(connection: Any) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    rdb.remove_session()
    rdb.engine.dispose()
    event.listen(rdb.engine, "connect", connected)
    event.listen(rdb.engine, "begin", begins)
