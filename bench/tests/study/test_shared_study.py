"""Two commands that share a study through PostgreSQL; the password of its URL is never shown."""

import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import postgres
import pytest

from sqsnn.errors import ConfigError
from sqsnn_bench.study import records, run, shared_search, storage
from sqsnn_bench.study.journal import NAME
from sqsnn_bench.study.run import compare
from sqsnn_bench.study.storage_url import read_url
from sqsnn_bench.study.watching import Watcher
from sqsnn_bench.study.workers import ThisProcess

HURRIED = Path(__file__).parent / "hurried.py"
SECRETS = (postgres.PASSWORD, postgres.ENCODED)


class Seen(Watcher):
    """Remembers notes, and calls a function after two trials."""

    def __init__(self, act):
        self.notes, self.act, self.trials = [], act, 0

    def done(self, key, record, standing, by=""):
        self.trials += 1
        if self.trials == 2:
            self.act()

    def note(self, text):
        self.notes.append(text)


def files(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def started(out):
    entries = map(json.loads, (out / NAME).read_text().splitlines())
    return [entry["trial"] for entry in entries if entry["event"] == "started"]


def rows(out):
    found = json.loads((out / "results.json").read_text())["rows"]
    for row in found:
        row.pop("seconds")
    return found


def test_two_commands_share_a_study_though_one_is_killed(study, study_file, tmp_path, monkeypatch):
    monkeypatch.setattr(shared_search, "POLL", 0.2)
    monkeypatch.setattr(shared_search, "BEAT", 1.0)
    monkeypatch.setattr(shared_search, "GRACE", 4)
    monkeypatch.setattr(run, "LocalProcesses", lambda jobs: ThisProcess())
    source = study_file()
    with postgres.server() as server:
        server.start()
        command = ["compare", source, "--out", tmp_path / "killed", "--storage", server.url]
        with subprocess.Popen(
            [sys.executable, HURRIED, *map(str, command)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as killed:
            assert killed.stdout is not None
            said, begun, first = [killed.stdout.readline() for _ in range(3)]
            assert said == f"connecting to {read_url(server.url).shown}\n"
            assert begun == f"tiny: 8 trials, 0 done, 1 worker, into {tmp_path / 'killed'}\n"
            assert first.startswith("1 of 8: digits")

            def kill():
                while len(started(tmp_path / "killed")) < 2:
                    time.sleep(0.1)
                killed.kill()

            seen = Seen(kill)
            compare(study(), source, tmp_path / "living", 1, seen, storage=server.url)
            said += killed.stdout.read()
        lost, again = seen.notes
        trial = lost.partition(" ")[0]
        assert lost.startswith(f"{trial} was lost: the command on ")
        assert lost.endswith(" was silent for 4 s")
        assert again.startswith(f"{trial} starts again, start 2")
        # The same command of the killed one finds all done, and the same.
        silent = Seen(lambda: None)
        compare(study(), source, tmp_path / "killed", 1, silent, storage=server.url)
        assert silent.notes == []
        dump = server.dump()
    packed = [(tmp_path / one / records.PACKED).read_bytes() for one in ("living", "killed")]
    assert packed[0] == packed[1]
    starts = started(tmp_path / "living") + started(tmp_path / "killed")
    assert Counter(starts)[trial] == 2
    assert (len(starts), len(set(starts))) == (9, 8)
    compare(study(), source, tmp_path / "serial", 1, Watcher())
    assert rows(tmp_path / "living") == rows(tmp_path / "killed") == rows(tmp_path / "serial")
    for text in (said, dump, *(path.read_bytes().decode("latin-1") for path in files(tmp_path))):
        assert not any(secret in text for secret in SECRETS)


def all_of(error):
    """What an error says, with all that is chained to it."""
    texts = []
    while error is not None:
        texts += [str(error), repr(error)]
        error = error.__cause__ or error.__context__
    return "\n".join(texts)


def test_no_error_of_a_database_shows_the_password(study, study_file, tmp_path, monkeypatch, bench):
    monkeypatch.setattr(storage, "PATIENCE", 0.0)
    with postgres.server() as server:
        server.start()
        wrong = server.url.replace(postgres.ENCODED, "0ther-S3cret")
        for url in (wrong, server.url.replace("/postgres?", "/nowhere?")):
            with pytest.raises(ConfigError, match=r"lab:\*\*\*@/.* cannot be opened: ") as caught:
                compare(study(), study_file(), tmp_path / "out", 1, Watcher(), storage=url)
            assert "S3cret" not in all_of(caught.value)
        vanishing = Seen(server.stop)
        monkeypatch.setattr(run, "LocalProcesses", lambda jobs: ThisProcess())
        said = r"lab:\*\*\*@/.* cannot be used: .*Trials that are done are kept"
        with pytest.raises(ConfigError, match=said) as caught:
            compare(study(), study_file(), tmp_path / "out", 1, vanishing, storage=server.url)
        assert "S3cret" not in all_of(caught.value)
        assert len(records.read(tmp_path / "out")) >= 2
        done = bench("compare", study_file(), "--out", tmp_path / "out", "--storage", server.url)
        assert (done.code, "S3cret" in done.out + done.err) == (2, False)
        done = bench("compare", study_file(), f"--storag={server.url}")
        assert (done.code, "S3cret" in done.out + done.err) == (2, False)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("search.db", "but is none"),
        ("postgresql://lab:S3cret@host:port/db", r"but postgresql://\*\*\* cannot be read"),
        ("sqlite://", "sqlite:// is in memory"),
        ("sqlite:///:memory:", "is in memory"),
    ],
)
def test_what_is_no_url_of_a_database_is_refused(text, said):
    with pytest.raises(ConfigError, match=said) as caught:
        read_url(text)
    assert "S3cret" not in all_of(caught.value)


@pytest.mark.parametrize("url", ["oracle9://lab:S3cret@host/db", "redis://:S3cret@host"])
def test_a_database_that_cannot_be_opened_is_refused(study, study_file, tmp_path, url):
    with pytest.raises(ConfigError, match=r":\*\*\*@host.* cannot be opened: ") as caught:
        compare(study(), study_file(), tmp_path / "out", 1, Watcher(), storage=url)
    assert "S3cret" not in all_of(caught.value)


def test_a_url_is_shown_without_any_of_its_secrets():
    url = read_url("postgresql://lab:S3%40cret@host/db?host=/tmp/x&password=0ther&sslmode=require")
    assert url.shown == "postgresql://lab:***@host/db?host=%2Ftmp%2Fx"
    for secret in ("S3@cret", "S3%40cret", "0ther"):
        assert url.without_secrets(f"failed for {secret}!") == "failed for ***!"
