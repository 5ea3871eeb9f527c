"""No secret comes out of a call of a service: a slice of the campaign, and its borders."""

import json
import logging
import os
import traceback
import warnings
from pathlib import Path

import pytest

from sqsnn.errors import HardwareError
from sqsnn.hardware import ibm
from sqsnn.hardware.calling import calling, require_token
from sqsnn.hardware.redaction import redacted

TOKEN = "zX9-kQ2_vB7nM4sD1fG6hJ3pL8wE5rT0yU-iO_aC2eV4"


@pytest.fixture(autouse=True)
def home(monkeypatch, tmp_path) -> Path:
    """A user without an account."""
    for name in os.environ:
        if name.startswith("QISKIT_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def save(home: Path, content: str | bytes) -> Path:
    path = home / ".qiskit" / "qiskit-ibm.json"
    path.parent.mkdir()
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def message_of(text: str, error: type[Exception] = RuntimeError) -> str:
    with pytest.raises(HardwareError) as refused, calling("it failed"):
        raise error(text)
    shown = "".join(traceback.format_exception(refused.value))
    assert str(refused.value) in shown
    return shown


def test_spellings_and_failing_calls_of_the_campaign_leak_nothing(monkeypatch):
    monkeypatch.syspath_prepend(Path(__file__).resolve().parents[1] / "campaigns")
    import leaks

    monkeypatch.setattr(ibm, "account", ibm.account)  # which the campaign replaces
    outcomes, spellings, failures = leaks.run(every=251, seed=3)
    assert set(outcomes) <= {"refused", "went on"}
    assert min(spellings, failures) > 20


def test_what_is_no_secret_stays():
    text = "line 1: 401 for https://quantum.cloud.ibm.com/api/v1/jobs?limit=10&pending=true \\x41"
    assert redacted(text, [TOKEN]) == text
    assert redacted(f"key {TOKEN}, {text}", [TOKEN]) == f"key ***, {text}"
    assert redacted(TOKEN[:7], [TOKEN]) == TOKEN[:7]
    assert redacted(TOKEN[:10], [TOKEN]) == "***"


@pytest.mark.parametrize(
    "text", ["\\" * 20_000, "%25" * 6_000, "z " * 9_500, "zX9-kQ2_" * 2_000], ids=len
)
def test_long_messages_take_no_long_time(text):
    assert len(redacted(text, [TOKEN, "z" * 40])) <= len(text)


def test_every_account_and_every_number_of_an_instance_is_hidden(home, monkeypatch):
    account, instance = "0123456789abcdef" * 2, "12345678-90ab-cdef-0123-4567890abcde"
    crn = f"crn:v1:bluemix:public:quantum-computing:us-east:a/{account}:{instance}::"
    proxy = "http://me:opensesame@proxy:3128"
    other = {"token": TOKEN[::-1], "instance": crn, "proxies": {"urls": {"https": proxy}}}
    save(home, json.dumps({"mine": {"token": TOKEN, "instance": "mine"}, "other": other}))
    monkeypatch.setenv("QISKIT_IBM_TOKEN", "of-the-environment-42")
    said = message_of(f"{TOKEN} {TOKEN[::-1]} {crn} of-the-environment-42 {proxy}; mine")
    for secret in (TOKEN, TOKEN[::-1], account, instance, "of-the-environment-42", "opensesame"):
        assert secret not in said
    assert "quantum-computing:us-east" in said
    assert "proxy:3128; mine" in said


@pytest.mark.parametrize(
    "content",
    [
        f'{{"mine": {{"token": "{TOKEN}"',
        f'["{TOKEN}"]',
        f'"{TOKEN}"',
        json.dumps({"mine": [{"token": [TOKEN]}]}),
        json.dumps({"mine": {"token": {"value": TOKEN}}}).encode("utf-16"),
        b"\xff\xfe\x00" + TOKEN.encode(),
        '{"a":' * 10_000 + f'"{TOKEN}"',
        '{"mine": 3, "token": 12345678901}',
        "",
        "null",
    ],
    ids=range(10),
)
def test_a_malformed_accounts_file_is_one_line_and_hides_what_it_holds(home, monkeypatch, content):
    path = save(home, content)
    assert TOKEN not in message_of(f"with {TOKEN}") or TOKEN.encode() not in path.read_bytes()
    with pytest.raises(HardwareError) as refused:
        ibm.service()
    assert "\n" not in str(refused.value)
    assert "save_account" in str(refused.value) or "no token of IBM's" in str(refused.value)
    assert TOKEN not in "".join(traceback.format_exception(refused.value))


def test_an_accounts_file_that_cannot_be_read_is_one_line(home):
    (home / ".qiskit" / "qiskit-ibm.json").mkdir(parents=True)
    with pytest.raises(HardwareError, match="no IBM account could be used"):
        ibm.service()


@pytest.mark.parametrize(
    "token",
    ["abc123", f"{TOKEN}\n", f" {TOKEN}", "two words of one phrase", "ä" * 40, "!" * 40, 1234567],
)
@pytest.mark.parametrize("saved", [True, False])
def test_a_token_that_is_none_is_refused_by_its_place_and_not_shown(
    home, monkeypatch, token, saved
):
    if saved:
        place = rf"account 'mine' in {save(home, json.dumps({'mine': {'token': token}}))}"
    else:
        place = "QISKIT_IBM_TOKEN"
        monkeypatch.setenv(place, str(token))
    with pytest.raises(HardwareError, match=f"{place} is no token of IBM's") as refused:
        ibm.service()
    assert str(token).strip() not in str(refused.value).replace(str(home), "")
    # Where there is one all the same, a message that might show it is not shown.
    said = message_of(f"Invalid header value {token!r}")
    assert str(token).strip() not in said


def test_a_token_of_the_environment_goes_before_saved_ones(home, monkeypatch):
    save(home, json.dumps({"mine": {"token": "short"}}))
    monkeypatch.setenv("QISKIT_IBM_TOKEN", TOKEN)
    require_token()


def test_records_and_warnings_are_redacted_before_they_are_handled(monkeypatch, caplog):
    monkeypatch.setenv("QISKIT_IBM_TOKEN", TOKEN)
    caplog.set_level(logging.DEBUG)
    client = logging.getLogger("some.client")
    factory = logging.getLogRecordFactory()
    with pytest.warns(UserWarning, match=r"^old token \*\*\*$"), calling("it failed"):
        client.debug("header %s of %d", f"Bearer {TOKEN}", 3)
        warnings.warn(f"old token {TOKEN}", stacklevel=1)
    assert caplog.messages == ["header Bearer *** of 3"]
    assert logging.getLogRecordFactory() is factory
    client.debug("as before %s", TOKEN[:3])
    assert caplog.records[-1].args == (TOKEN[:3],)


def test_errors_of_sqsnn_and_interrupts_pass():
    with pytest.raises(HardwareError, match=r"^own$"), calling("it failed"):
        raise HardwareError("own")
    with pytest.raises(KeyboardInterrupt), calling("it failed"):
        raise KeyboardInterrupt


def test_the_original_error_is_not_kept():
    with pytest.raises(HardwareError) as refused, calling("it failed"):
        raise ValueError("two\nlines " + 2000 * "x")
    assert refused.value.__context__ is None and refused.value.__cause__ is None
    assert str(refused.value).startswith("it failed (ValueError: two lines xxx")
    assert len(str(refused.value)) < 1100
