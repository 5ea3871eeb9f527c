"""The one way to call a service: whatever happens in it, no secret of the account comes out.

Errors become one line of `HardwareError`. Records of logs and warnings of the client are
redacted before a handler sees them. Secrets are what the accounts file of Qiskit and the
environment of a service name as tokens, keys and passwords, and the numbers in the CRN of an
instance.
"""

import json
import logging
import os
import re
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from sqsnn.errors import HardwareError
from sqsnn.hardware.redaction import SHORTEST, letters, redacted

# Characters that are read of a message, since a service may answer with a whole page, and shown.
_LONGEST, _MOST_SHOWN = 20_000, 1_000

_TOKEN = "QISKIT_IBM_TOKEN"
_OF_A_SERVICE = re.compile("(qiskit|qe|qx|ibm|ibmq|ibmcloud|iam)_", re.IGNORECASE)
_SECRET = re.compile("token|key|passw|secret", re.IGNORECASE)
# Of a malformed accounts file all long words count as secrets.
_LONG_WORD = re.compile(r"[^\s\"',:{}\[\]]{16,}")

_Hide = Callable[[str], str]


@contextmanager
def calling(refusal: str) -> Iterator[None]:
    """Call a service within this context.

    Args:
        refusal: What a failure means: the beginning of its message.

    Raises:
        HardwareError: For whatever was raised, without secrets, in one line.
    """
    hide = cache(_hide)  # accounts are read where there is something to hide, once
    make, show, failure = logging.getLogRecordFactory(), warnings.showwarning, None

    def record(*args: Any, **more: Any) -> logging.LogRecord:
        return _redacted_record(make(*args, **more), hide())

    def warn(message: Warning | str, *args: Any, **more: Any) -> None:
        said = hide()(str(message))
        show(message if said == str(message) else said, *args, **more)

    with warnings.catch_warnings():
        warnings.showwarning = warn
        logging.setLogRecordFactory(record)
        try:
            yield
        except HardwareError:
            raise
        except Exception as error:
            failure = HardwareError(f"{refusal} ({_one_line(error, hide())})")
        finally:
            logging.setLogRecordFactory(make)
    if failure is not None:
        try:
            raise failure
        finally:
            failure.__context__ = None  # the original: its text and its frames may hold a secret


def require_token() -> None:
    """Refuse a token that IBM cannot have issued, such as one with a line break.

    Raises:
        HardwareError: It names where the token stands, and does not show it.
    """
    tokens = {_TOKEN: os.environ.get(_TOKEN)}
    saved = _saved()
    if not tokens[_TOKEN] and isinstance(saved, dict):
        secrets = [secret.strip() for secret in _secrets() if secret.strip()]
        tokens = {
            f"the token of account {'***' if any(map(name.count, secrets)) else name!r} in "
            f"{_accounts_file()}": account.get("token")
            for name, account in saved.items()
            if isinstance(account, dict)
        }
    for place, token in tokens.items():
        whole = isinstance(token, str) and re.fullmatch("[!-~]+", token)
        if token and not (whole and letters(token) >= SHORTEST):
            raise HardwareError(
                f"{place} is no token of IBM's, which has at least {SHORTEST} letters and digits, "
                "and no spaces or line breaks: copy it again from https://quantum.cloud.ibm.com"
            )


def _one_line(error: Exception, hide: _Hide) -> str:
    said = "its text cannot be read"
    with suppress(Exception):  # the text of an error of a service may itself raise one
        said = " ".join(hide(str(error)).split())
    if len(said) > _MOST_SHOWN:
        said = said[:_MOST_SHOWN] + "..."
    return f"{type(error).__name__}: {said}"


def _redacted_record(record: logging.LogRecord, hide: _Hide) -> logging.LogRecord:
    try:
        said = record.getMessage()
    except Exception:  # arguments that do not fit, of which any may be a secret
        said = f"{type(record.msg).__name__} with arguments that do not fit"
    record.msg, record.args = hide(said), ()
    if record.exc_info:
        record.exc_text = hide("".join(traceback.format_exception(*record.exc_info)).rstrip())
        record.exc_info = None
    return record


def _hide() -> _Hide:
    """Make what takes the secrets out of a text."""
    secrets = [secret for secret in _secrets() if secret.strip()]
    if any(letters(secret) < SHORTEST for secret in secrets):
        return lambda text: "withheld, as a secret of the account is too short to be hidden"
    return lambda text: redacted(text[:_LONGEST], secrets)


def _secrets() -> Iterator[str]:
    """Find the secrets of all accounts in question, by the names under which they stand."""
    saved = _saved()
    left: list[tuple[str, Any]] = [
        (name, value) for name, value in os.environ.items() if _OF_A_SERVICE.match(name)
    ]
    left.append(("token" if isinstance(saved, list) else "", saved))
    while left:  # and no recursion, since a file may be nested deeply
        name, value = left.pop()
        if isinstance(value, dict):
            left += [(str(inner), under) for inner, under in value.items()]
        elif isinstance(value, list):
            left += [(name, under) for under in value]
        elif value is not None and not isinstance(value, bool):
            text = str(value)
            if text.startswith("crn:"):  # of the account and of the instance
                yield from (part for part in text.split(":") if len(part) >= 4 * SHORTEST)
            elif _SECRET.search(name):
                yield text
            with suppress(ValueError):
                yield urlsplit(text).password or ""


def _accounts_file() -> Path:
    return Path(os.path.expanduser("~"), ".qiskit", "qiskit-ibm.json")


def _saved() -> Any:
    """Read the saved accounts; a malformed file gives a list of its long words."""
    try:
        text = _accounts_file().read_bytes().decode("utf-8", "replace")
    except OSError:  # Qiskit cannot read it either
        return {}
    with suppress(ValueError, RecursionError):
        saved = json.loads(text)
        if isinstance(saved, dict):
            return saved
    words = _LONG_WORD.findall(text.replace("\0", ""))
    return [word for word in words if letters(word) >= 2 * SHORTEST]
