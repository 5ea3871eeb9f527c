"""Let every call of a service fail with a message that spells the account's token in some way.

No spelling may come out in a message, a traceback, a record of a log, a warning or a file of the
run, and each failure must end in an error of sqsnn, in one line. Prints a table; the exit status
tells whether it holds.

    python tests/campaigns/leaks.py
"""

import argparse
import html
import json
import logging
import os
import re
import sys
import tempfile
import textwrap
import traceback
import warnings
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NoReturn
from unittest import mock
from urllib.parse import quote, quote_plus, unquote_plus

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from hardware_service import FileJob, FileService, Started
from qiskit.exceptions import QiskitError
from requests.exceptions import RequestException

from sqsnn.errors import HardwareError
from sqsnn.hardware import ibm
from sqsnn.hardware.devices import Device, find

TOKENS = {
    "cloud": "zX9-kQ2_vB7nM4sD1fG6hJ3pL8wE5rT0yU-iO_aC2eV4",
    "platform": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08" * 2,
    "uuid": "3f2504e0-4f89-41d3-9a0c-0305e82c3301",
    "base64": "q83vEjRWeJq8ze8SNFZ4mrzN7xI0Vnia/+s=",
    "percent": "pa%ss%41%2Fword%20of%25nobody",
    "quotes": "it's\"the\"token'of`nobody`0123",
    "backslashes": r"C:\new\token\x41\u0042\\server42",
    "ampersands": "key&amp;lt=1&gt;token;copy&reg9",
    "letters": "abcdefgh",
    "upper": "QWERTZUIOPASDFGHJKLYXCVBNM",
    "number": "12345678901234567890",
    "long": "".join(f"{number:x}z" for number in range(100)),
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.SflKxwRJSMeKKF2QT4fwpM",
    # None of IBM's: refused before a call; and, where there is one, hidden all the same.
    "margins": "  spaced-out-token-0815 \t",
    "break": "first-half-of-it\nsecond-half-of-it",
    "foreign": "schlüssel-für-größere-geräte-ß",
    "space": "two words of a pass phrase",
    "short": "abc123",
    "punctuation": "!$%&/()=?*'+#-.:,;<>|{[]}~^x",
}


def shortened(text: str) -> str:
    """As pydantic shows a long value."""
    return repr(text if len(text) < 20 else f"{text[: len(text) // 2]}...{text[-9:]}")


SPELLINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "stripped": str.strip,
    "repr": repr,
    "ascii": ascii,
    "JSON": json.dumps,
    "JSON in JSON": lambda text: json.dumps(json.dumps({"apikey": text})),
    "bytes": lambda text: repr(text.encode()),
    "bytes in repr": lambda text: repr(repr(text.encode())),
    "UTF-16": lambda text: repr(text.encode("utf-16-le")),
    "URL": lambda text: quote(text, safe=""),
    "form": lambda text: "apikey=" + quote_plus(text),
    "small URL": lambda text: re.sub("%..", lambda m: m[0].lower(), quote(text, safe="")),
    "URL in URL": lambda text: quote(quote(text, safe=""), safe=""),
    "all of the URL": lambda text: "".join(f"%{byte:02X}" for byte in text.encode()),
    "basic": lambda text: b64encode(f"apikey:{text}".encode()).decode(),
    "hexadecimal": lambda text: text.encode().hex(),
    "HTML": lambda text: html.escape(text),
    "HTML numbers": lambda text: "".join(f"&#{ord(letter)};" for letter in text),
    "folded": lambda text: "\n    ".join(textwrap.wrap(text, 7, drop_whitespace=False)),
    "joined": lambda text: "' '".join(text[at : at + 9] for at in range(0, len(text), 9)),
    "shortened": shortened,
}


class TalkativeError(Exception):
    """Its text is read from an attribute."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text

    def __str__(self) -> str:
        return self.text


class UnreadableError(Exception):
    """Its text cannot be read."""

    def __str__(self) -> str:
        raise ValueError(self.args[0])


def _chained(text: str) -> Exception:
    error = RuntimeError("see above")
    error.__cause__ = ValueError(text)
    error.add_note(text)
    return error


ERRORS: dict[str, Callable[[str], Exception]] = {
    "QiskitError": QiskitError,
    "RequestException": RequestException,
    "KeyError": KeyError,
    "OSError": lambda text: OSError(5, text, text),
    "bytes": lambda text: RuntimeError(text.encode("utf-8", "surrogateescape")),
    "talkative": TalkativeError,
    "unreadable": UnreadableError,
    "chained": _chained,
}

Fail = Callable[..., NoReturn]


def failing(text: str, error: Callable[[str], Exception]) -> Fail:
    """Make a function that logs, warns and fails, each with the text."""

    def fail(*_args: object, **_options: object) -> NoReturn:
        client, network = (
            logging.getLogger(name) for name in ("qiskit_ibm_runtime.api", "urllib3")
        )
        client.debug("response: %s", text)
        network.debug("%s %s", text)  # too few arguments
        try:
            raise ValueError(text)
        except ValueError:
            client.exception(text)
        warnings.warn(text, stacklevel=1)
        raise error(text)

    return fail


class FailingBackend:
    """A device that does not answer."""

    def __init__(self, fail: Fail) -> None:
        self.properties = self.configuration = fail
        self._fail = fail

    @property
    def target(self) -> Any:
        return self._fail()


def calls(started: Started, folder: Path) -> dict[str, Callable[[Fail], object]]:
    """All calls of a service: each lets one fail."""

    def run(moment: Any = None) -> object:
        return started.run(folder, moment=moment)

    def run_again(after: str) -> object:
        """Die at a moment, and start again."""

        def die(word: str) -> None:
            if word == after:
                raise KeyboardInterrupt

        with suppress(KeyboardInterrupt):
            run(die)
        return run()

    def patched(place: Any, names: str, work: Callable[[], object]) -> Callable[[Fail], object]:
        def call(fail: Fail) -> object:
            with mock.patch.multiple(place, **dict.fromkeys(names.split(), fail)):
                return work()

        return call

    def mode(fail: Fail, name: str) -> object:
        methods: dict[str, Any] = {"__enter__": lambda _: None, "__exit__": lambda *_: None}
        opened = type("Opened", (), methods | {name: fail})
        with mock.patch.object(ibm, "Session", lambda _: opened()), ibm.open_mode(None, "session"):
            return "opened"

    def without_a_device(fail: Fail) -> object:
        account = SimpleNamespace(backend=fail)
        with mock.patch.object(ibm, "service", lambda: account):
            return find("ibm:x")

    def device(fail: Fail) -> Device:
        return Device("ibm:x", FailingBackend(fail), "ibm")

    return {
        "service": patched(ibm, "IBMQuantumComputeService", ibm.service),
        "backend": without_a_device,
        "target": lambda fail: device(fail).target,
        "properties": lambda fail: device(fail).calibrated,
        "configuration": lambda fail: device(fail).rep_delay,
        "batch": patched(ibm, "Batch", lambda: ibm.open_mode(None, "batch").__enter__()),
        "session": patched(ibm, "Session", lambda: ibm.open_mode(None, "session").__enter__()),
        "enter": lambda fail: mode(fail, "__enter__"),
        "exit": lambda fail: mode(fail, "__exit__"),
        "sampler": patched(ibm, "Sampler", lambda: ibm.sampler(None)),
        "run": patched(FileService, "run", run),
        "number": patched(FileJob, "job_id", run),
        "result": patched(FileJob, "result", run),
        "status": patched(FileJob, "result status", run),
        "usage": patched(FileJob, "usage", run),
        "instances": patched(FileService, "instances", lambda: run_again("sent")),
        "jobs": patched(FileService, "jobs", lambda: run_again("sent")),
        "job": patched(FileService, "job", lambda: run_again("waiting")),
    }


@contextmanager
def account_of(token: str, home: Path, *, saved: bool) -> Iterator[None]:
    """The user's account, saved or of the environment."""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    path = home / ".qiskit" / "qiskit-ibm.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    account = {"channel": "ibm_quantum_platform", "token": token, "instance": "mine"}
    path.write_text(json.dumps({"default": account} if saved else {}), "utf-8")
    given = {} if saved else {"QISKIT_IBM_TOKEN": token}
    with mock.patch.dict(os.environ, {**kept, "HOME": str(home), **given}, clear=True):
        yield


class Lines(logging.Handler):
    """Keeps all that a handler is given."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.said: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler.emit`."""
        self.said += [self.format(record), repr(vars(record))]


@contextmanager
def listening() -> Iterator[list[str]]:
    """Keep all records of logs and all warnings."""
    lines, root = Lines(), logging.getLogger()
    logging.getLogger("qiskit_ibm_runtime").handlers.clear()  # it prints by itself
    level = root.level
    root.addHandler(lines)
    root.setLevel(logging.DEBUG)
    try:
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always")
            yield lines.said
            lines.said += [f"{warning.message} {warning.message!r}" for warning in warned]
    finally:
        root.removeHandler(lines)
        root.setLevel(level)


def _plain(text: str) -> str:
    return re.sub(r"[\s'\"]+", "", text)


def shows(text: str, token: str, spelled: str) -> bool:
    """Whether a text shows a token, by other means than those that redact it."""
    core = token.strip()
    views = [text]
    for decode in (unquote_plus, html.unescape, lambda seen: seen.replace("\\\\", "\\")) * 3:
        views.append(decode(views[-1]))
    views += [re.sub(r"\\(?:u00|x)(..)", lambda m: chr(int(m[1], 16)), seen) for seen in views]
    pieces = [core[at : at + 12] for at in range(max(1, len(core) - 11))]
    pieces += [b64encode(f"apikey:{core}".encode()).decode()[12:-4], core.encode().hex(), spelled]
    views += [_plain(seen) for seen in views]
    return any(piece in seen for piece in [*pieces, *map(_plain, pieces)] for seen in views)


def case(work: Callable[[Fail], object], fail: Fail) -> tuple[str, str]:
    """Let a call fail: how it ended, and all that was said."""
    with listening() as said:
        try:
            work(fail)
            outcome = "went on"
        except HardwareError as error:
            chained = error.__cause__ is not None or error.__context__ is not None
            outcome = "chained" if chained else "refused"
            if "\n" in str(error):
                outcome = "two lines"
            said += [str(error), repr(error), *traceback.format_exception(error)]
        except BaseException as error:
            outcome = "foreign"
            said.append(repr(error))
            traceback.print_exc()
    return outcome, "\n".join(said)


def run(every: int, seed: int) -> tuple[Counter[str], int, int]:
    """Let each call fail with each token, spelled and raised in turn.

    Args:
        every: Take one case of so many; 5 is enough for all spellings and all failures.
        seed: Where to start among them.

    Returns:
        How the cases ended, how many spellings there were, and how many kinds of failure.
    """
    outcomes, started = Counter[str](), Started.build()
    spellings, failures = set[tuple[str, str]](), set[tuple[str, str]]()
    cases = [(token, way) for token in TOKENS for way in SPELLINGS]
    errors, names = list(ERRORS), list(calls(started, Path()))
    for number in range(seed % every, len(cases) * len(names), every):
        name = names[number % len(names)]
        token_name, way = cases[number // len(names)]
        token, error = TOKENS[token_name], errors[(number // len(names) + number) % len(errors)]
        spelled = SPELLINGS[way](token)
        spellings.add(cases[number // len(names)])
        failures.add((name, error))
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / "jobs"
            with account_of(token, Path(temporary) / "home", saved=number % 2 > 0):
                work = calls(started, folder)[name]
                outcome, said = case(work, failing(spelled, ERRORS[error]))
            files = [path for path in folder.rglob("*") if path.is_file()]
            written = "".join(path.read_bytes().decode("latin-1") for path in files)
        if shows(said + written, token, spelled):
            outcome = "leaked"
        outcomes[outcome] += 1
        if outcome not in ("refused", "went on"):
            print(f"{number}: {outcome}: {name}, {token_name}, {way}, {error}", file=sys.stderr)
    return outcomes, len(spellings), len(failures)


def main() -> int:
    """Run the campaign and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--every", type=int, default=5, help="take one case of so many")
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    outcomes, spellings, failures = run(chosen.every, chosen.seed)
    print(f"{spellings} spellings of {len(TOKENS)} tokens, {failures} kinds of failing calls")
    print(", ".join(f"{count} {what}" for what, count in sorted(outcomes.items())))
    return int(bool(set(outcomes) - {"refused", "went on"}))


if __name__ == "__main__":
    sys.exit(main())
