"""Files are whole or not there, and an error names the one that cannot be written."""

import errno
import os

import pytest

from sqsnn.errors import WriteError
from sqsnn.ownership import contents
from sqsnn.storage import write_atomically, write_json, write_new


def test_a_failed_write_leaves_the_old_file_alone(tmp_path):
    path = tmp_path / "file"
    path.write_text("old")

    def fail(temporary):
        temporary.write_text("half of the n")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, fail)
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file"]


def test_json_holds_no_numbers_that_are_none(tmp_path):
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "file", {"loss": float("nan")})
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("call", ["fsync", "replace"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO])
def test_a_disk_that_takes_no_more_is_said_with_the_file(tmp_path, monkeypatch, call, number):
    def fail(*_):
        raise OSError(number, os.strerror(number))  # as from a write: without a name

    (tmp_path / "file").write_text("old")
    monkeypatch.setattr(os, call, fail)
    if number == errno.EACCES:  # nor does it let the part go
        monkeypatch.setattr(os, "unlink", fail)
    said = rf"{tmp_path}/file cannot be written: {os.strerror(number)}$"
    with pytest.raises(WriteError, match=said):
        write_json(tmp_path / "file", {})
    assert contents(tmp_path) == {"file"}
    assert (tmp_path / "file").read_text() == "old"


def test_a_write_that_an_owner_took_for_a_leftover_is_repeated(tmp_path):
    written = []

    def write(part):
        part.write_text("new")
        written.append(part)
        if len(written) == 1:
            part.unlink()

    write_atomically(tmp_path / "file", write)
    assert (tmp_path / "file").read_text() == "new"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("has_links", [True, False])
def test_a_new_file_is_made_once(tmp_path, monkeypatch, has_links):
    if not has_links:

        def refuse(*_):
            raise PermissionError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(os, "link", refuse)
    write_new(tmp_path / "file", lambda part: part.write_text("first"))
    with pytest.raises(FileExistsError):
        write_new(tmp_path / "file", lambda part: part.write_text("second"))
    assert (tmp_path / "file").read_text() == "first"
    assert os.listdir(tmp_path) == ["file"]
