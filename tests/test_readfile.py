"""The reader of stored files: what it refuses, and that it names the file, the line and the way."""

import os

import pytest

from sqsnn import readfile
from sqsnn.errors import CheckpointError, ConfigError


def read(path):
    return readfile.parsed_json(readfile.read_text(path), path)


WRONG = {
    "empty": (b"", ", line 1, is not valid JSON: Expecting value"),
    "syntax": (b'{"a": 1,\n "b" 2}', ", line 2, is not valid JSON: Expecting ':'"),
    "not UTF-8": (b'{"a":\n"\xff"}', ", line 2, is not UTF-8: invalid start byte"),
    "UTF-8 mark": (b"\xef\xbb\xbf{}", " begins with a byte order mark: save it as UTF-8"),
    "UTF-16": ("{}".encode("utf-16"), " begins with a byte order mark"),
    "UTF-16 without mark": ("{}".encode("utf-16-le"), ", line 1, is not valid JSON"),
    "twice": (b'{"a": 1, "a": 1}', " is not valid JSON: 'a' stands there twice"),
    "NaN": (b"[NaN]", " is not valid JSON: NaN is no finite number"),
    "too large": (b"[-1e999]", " is not valid JSON: -1e999 is no finite number"),
    "digits": (b"9" * 5000, " is not valid JSON: Exceeds the limit"),
    "51 levels": (b"[" * 51 + b"]" * 51, " is not valid JSON: it nests more than 50 levels"),
    "many levels": (b"[" * 10**6, " is not valid JSON: it nests too deep"),
}


@pytest.mark.parametrize("name", WRONG)
def test_text_that_is_no_json_of_a_run_is_refused_in_one_line(tmp_path, name):
    content, why = WRONG[name]
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(CheckpointError) as refused:
        read(path)
    assert str(refused.value).startswith(f"{path}{why}")
    assert "\n" not in str(refused.value) and len(str(refused.value)) < 700


def test_what_json_may_hold_is_read(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b'{"a": [1, 2.5, null, true, "\xc3\xa4"]}' + b"\n" * 9)
    assert read(path) == {"a": [1, 2.5, None, True, "ä"]}
    path.write_bytes(b"[" * 49 + b"1" + b"]" * 49)
    assert read(path)


def test_what_is_no_file_is_refused_at_once(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    with pytest.raises(ConfigError, match=r"there is no file .*a\.json"):
        readfile.read_bytes(path, refusal=ConfigError)
    path.mkdir()
    with pytest.raises(CheckpointError, match=r"a\.json must be a file, but is none"):
        readfile.read_bytes(path)
    path.rmdir()
    if hasattr(os, "mkfifo"):
        os.mkfifo(path)  # reading it would wait for ever
        with pytest.raises(CheckpointError, match=r"a\.json must be a file, but is none"):
            readfile.read_bytes(path)
        path.unlink()
    path.write_bytes(b"12345")
    with pytest.raises(CheckpointError, match=r"a\.json has 5 bytes, .* has at most 4"):
        readfile.read_bytes(path, largest=4)

    def forbid(self):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "read_bytes", forbid)  # root may read everything
    with pytest.raises(CheckpointError, match=r"a\.json may not be read by this user: change its"):
        readfile.read_bytes(path)


TOML = {
    "syntax": ("a = 1\nb =\n", "not valid TOML: Invalid value .*line 2"),
    "twice": ("a = 1\na = 2\n", "not valid TOML: Cannot overwrite a value .*line 2"),
    "nan": ("a = nan", "not valid TOML: nan is no finite number"),
    "digits": (f"a = {'9' * 5000}", "not valid TOML: Exceeds the limit"),
    "arrays": (f"a = {'[' * 10**5}", "not valid TOML: it nests too deep"),
    "tables": (f"[{'.'.join('a' * 99)}]", "not valid TOML: it nests more than 50 levels"),
}


@pytest.mark.parametrize("name", TOML)
def test_text_that_is_no_toml_of_a_run_is_refused_in_one_line(name):
    text, why = TOML[name]
    with pytest.raises(ConfigError, match=f"^a.toml is {why}"):
        readfile.parsed_toml(text, "a.toml", ConfigError)


def test_a_sealed_file_is_what_was_written_or_refused(tmp_path):
    path, content = tmp_path / "a.json", {"x": 0.1, "y": [1, "z"]}
    readfile.write_sealed(path, content, "of the other")
    assert readfile.read_sealed(path, dict, "of the other") == content
    whole = path.read_text()
    for changed in (whole.replace("0.1", "0.2"), whole.replace('"z"', '"y"')):
        path.write_text(changed)
        with pytest.raises(CheckpointError, match=r"a\.json does not fit: it has changed since"):
            readfile.read_sealed(path, dict, "of the other")
    path.write_text(whole)
    with pytest.raises(CheckpointError, match=r"a\.json .* or b\.bin is of another run"):
        readfile.read_sealed(path, dict, "of a third", "b.bin")
    for other in ("[1]", "{}", '{"x": 0.1}'):
        path.write_text(other)
        with pytest.raises(CheckpointError, match=r"a\.json does not fit: it has no sha256"):
            readfile.read_sealed(path, dict)


def test_content_has_one_digest_whatever_its_layout():
    assert readfile.digest_of({"a": 1, "b": [2.5]}) == readfile.digest_of({"b": [2.5], "a": 1})
    assert readfile.digest_of([1]) != readfile.digest_of([1.0])
