"""The data folder, checksums and downloads, with a server that also fails."""

import gzip
import hashlib
import os
import socket
from pathlib import Path

import pooch
import pytest

from sqsnn.data import files
from sqsnn.data.dataset_spec import DataFile
from sqsnn.data.files import data_folder, fetch, find
from sqsnn.errors import DataError, SqsnnError

CONTENT = bytes(range(256)) * 1000
MD5 = hashlib.md5(CONTENT).hexdigest()


def test_the_argument_goes_before_the_variable_and_the_variable_before_the_cache(monkeypatch):
    assert data_folder() == Path(pooch.os_cache("sqsnn"))
    monkeypatch.setenv("SQSNN_DATA", "")
    assert data_folder() == Path(pooch.os_cache("sqsnn"))
    monkeypatch.setenv("SQSNN_DATA", "/one")
    assert data_folder() == Path("/one")
    assert data_folder("/two") == Path("/two")
    assert data_folder(Path("~/three")) == Path.home() / "three"


def test_a_file_is_found_in_its_folder_and_where_torchvision_puts_it(tmp_path):
    file = DataFile("a.gz")
    assert find(file, tmp_path) is None
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "a.gz").touch()
    assert find(file, tmp_path) == tmp_path / "raw" / "a.gz"
    (tmp_path / "a.gz").touch()
    assert find(file, tmp_path) == tmp_path / "a.gz"


def test_a_whole_file_is_taken_as_it_lies_and_nothing_is_written(tmp_path):
    (tmp_path / "a.gz").write_bytes(CONTENT)
    tmp_path.chmod(0o555)
    before = os.stat(tmp_path).st_mtime_ns
    assert fetch(DataFile("a.gz", MD5), tmp_path) == tmp_path / "a.gz"
    assert os.stat(tmp_path).st_mtime_ns == before
    tmp_path.chmod(0o755)


def test_a_file_with_the_wrong_checksum_is_refused_and_left_alone(tmp_path, site):
    site.bodies["/a.gz"] = CONTENT
    half = CONTENT[: len(CONTENT) // 2]
    (tmp_path / "a.gz").write_bytes(half)
    with pytest.raises(DataError) as caught:
        fetch(DataFile("a.gz", MD5, (site.address,)), tmp_path)
    message = str(caught.value)
    for told in (str(tmp_path / "a.gz"), MD5, hashlib.md5(half).hexdigest(), "move this one away"):
        assert told in message
    assert f"{site.address}a.gz" in message
    assert (tmp_path / "a.gz").read_bytes() == half
    assert not site.requests


def test_a_missing_file_is_downloaded_with_a_progress_bar(tmp_path, site, capsys):
    site.bodies["/a.gz"] = CONTENT
    path = fetch(DataFile("a.gz", MD5, (site.address,)), tmp_path / "new" / "folder")
    assert path == tmp_path / "new" / "folder" / "a.gz"
    assert path.read_bytes() == CONTENT
    assert [entry.name for entry in path.parent.iterdir()] == ["a.gz"]
    # Unpacked by the server on the way, the file would not have its published checksum.
    assert site.requests == [("/a.gz", "identity")]
    shown = capsys.readouterr().err
    assert "a.gz" in shown
    assert "256.0/256.0 kB" in shown


def test_the_second_mirror_serves_when_the_first_has_no_such_file(tmp_path, site):
    site.bodies["/second/a.gz"] = CONTENT
    mirrors = (f"{site.address}first/", f"{site.address}second/")
    assert fetch(DataFile("a.gz", MD5, mirrors), tmp_path).read_bytes() == CONTENT
    assert [path for path, _ in site.requests] == ["/first/a.gz", "/second/a.gz"]


def test_a_download_that_breaks_off_leaves_no_file(tmp_path, site):
    site.bodies["/a.gz"] = CONTENT
    site.cut_short = True
    file = DataFile("a.gz", MD5, (site.address,))
    with pytest.raises(DataError, match="could not be downloaded"):
        fetch(file, tmp_path)
    assert not list(tmp_path.iterdir())
    site.cut_short = False
    assert fetch(file, tmp_path).read_bytes() == CONTENT


def test_a_download_of_the_wrong_content_leaves_no_file(tmp_path, site):
    site.bodies["/a.gz"] = b"<html>Please log in</html>"
    with pytest.raises(DataError, match=MD5):
        fetch(DataFile("a.gz", MD5, (site.address,)), tmp_path)
    assert not list(tmp_path.iterdir())


def test_an_interrupted_download_is_not_taken_for_the_file(tmp_path, site, monkeypatch):
    def interrupted(url: str, output_file: str, caller: object) -> None:
        Path(output_file).write_bytes(CONTENT[:100])
        raise KeyboardInterrupt

    site.bodies["/a.gz"] = CONTENT
    file = DataFile("a.gz", MD5, (site.address,))
    with monkeypatch.context() as patch:
        patch.setattr(files, "_download_with_bar", interrupted)
        with pytest.raises(KeyboardInterrupt):
            fetch(file, tmp_path)
    assert find(file, tmp_path) is None
    assert fetch(file, tmp_path).read_bytes() == CONTENT


def test_without_network_the_error_says_what_was_tried_and_what_to_do(tmp_path):
    with socket.socket() as unused:  # bound and never listening: a connection is refused
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}/"
        mirrors = (f"{address}one/", f"{address}two/")
        with pytest.raises(DataError) as caught:
            fetch(DataFile("a.gz", MD5, mirrors), tmp_path / "MNIST")
    assert isinstance(caught.value, SqsnnError)
    message = str(caught.value)
    for told in (*mirrors, str(tmp_path / "MNIST" / "a.gz"), MD5, "--data-dir", "SQSNN_DATA"):
        assert told in message


def test_a_folder_that_cannot_be_written_is_named(tmp_path, site):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot be written") as caught:
        fetch(DataFile("a.gz", MD5, (site.address,)), tmp_path / "file" / "MNIST")
    assert f"{site.address}a.gz" in str(caught.value)
    assert not site.requests


PACKED = gzip.compress(CONTENT)
PACKED_MD5 = hashlib.md5(PACKED).hexdigest()


def test_a_packed_file_is_unpacked_and_the_packing_thrown_away(tmp_path, site):
    site.bodies["/a.h5.gz"] = PACKED
    file = DataFile("a.h5", PACKED_MD5, (site.address,), ".gz")
    assert fetch(file, tmp_path) == tmp_path / "a.h5"
    assert (tmp_path / "a.h5").read_bytes() == CONTENT
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.h5"]
    assert fetch(file, tmp_path) == tmp_path / "a.h5"
    assert len(site.requests) == 1


def test_a_packed_file_that_was_put_there_is_unpacked_without_network(tmp_path):
    (tmp_path / "a.h5.gz").write_bytes(PACKED)
    (tmp_path / "a.h5.part").write_bytes(CONTENT[:100])  # of a run that was stopped
    file = DataFile("a.h5", PACKED_MD5, ("http://127.0.0.1:9/",), ".gz")
    assert fetch(file, tmp_path).read_bytes() == CONTENT
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.h5"]


def test_an_address_may_be_that_of_the_file(tmp_path, site):
    site.bodies["/files/39c2/download"] = CONTENT
    file = DataFile("a.zip", MD5, (f"{site.address}files/39c2/download",))
    assert fetch(file, tmp_path) == tmp_path / "a.zip"
    assert (tmp_path / "a.zip").read_bytes() == CONTENT


def test_a_file_without_a_download_is_asked_for(tmp_path):
    with pytest.raises(DataError, match="no download of it is known") as caught:
        fetch(DataFile("a.h5"), tmp_path / "Braille")
    assert str(tmp_path / "Braille" / "a.h5") in str(caught.value)
    assert not (tmp_path / "Braille").exists()
