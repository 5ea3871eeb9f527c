"""The URL of a storage that several commands share; its password is never shown."""

from contextlib import suppress
from typing import NamedTuple
from urllib.parse import quote, quote_plus

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from sqsnn.errors import ConfigError

_EXAMPLES = "sqlite:///search.db or postgresql://user:password@host/database"
_SHOWN = ("host", "port")  # of the query; a password may stand there, too


class StorageUrl(NamedTuple):
    """A URL, and what may be shown of it.

    Attributes:
        full: With its password.
        shown: Without.
        secrets: What must not be shown, in all spellings.
    """

    full: str
    shown: str
    secrets: tuple[str, ...]

    def without_secrets(self, text: str) -> str:
        """A text of somebody else, in which the password may stand."""
        for secret in self.secrets:
            text = text.replace(secret, "***")
        return text


def read_url(text: str) -> StorageUrl:
    """Read the URL of a storage.

    Args:
        text: As SQLAlchemy has it.

    Raises:
        ConfigError: If it is no such URL, or that of a database in memory.
    """
    url: URL | None = None
    # Answered below, outside: an error that is chained to this one would show the URL.
    with suppress(ArgumentError, ValueError):
        url = make_url(text)
    if url is None:
        scheme, found, _ = text.partition("://")
        raise ConfigError(
            f"--storage must be the URL of a database, such as {_EXAMPLES}, but "
            f"{f'{scheme}://*** cannot be read' if found else 'is none'}: write special "
            "characters of user and password as %XX"
        )
    shown = _shown(url)
    if url.drivername == "postgresql":
        url = url.set(drivername="postgresql+psycopg")  # the driver that comes with sqsnn-bench
    if url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:"):
        raise ConfigError(f"--storage {shown} is in memory, which no other command sees")
    return StorageUrl(url.render_as_string(hide_password=False), shown, _secrets(url))


def _shown(url: URL) -> str:
    query = {name: value for name, value in url.query.items() if name in _SHOWN}
    return url.set(query=query).render_as_string(hide_password=True)


def _secrets(url: URL) -> tuple[str, ...]:
    found = [] if url.password is None else [str(url.password)]
    for name, value in url.query.items():
        if name not in _SHOWN:
            found += [value] if isinstance(value, str) else value
    spellings = {way(one) for one in found for way in (str, quote, quote_plus, repr)}
    return tuple(sorted(filter(None, spellings), key=len, reverse=True))
