"""`sqsnn report` from the call to the page."""

from page_parser import Page

SMALL = ["--classes", "0,1", "--train-samples", 40, "--test-samples", 20, "--hidden", 3]
SMALL += ["--steps", 3, "--epochs", 1]


def test_a_run_becomes_a_page(sqsnn, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert sqsnn("train", "digits", *SMALL, "--out", "a").code == 0
    done = sqsnn("report", "a")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == ["a/report.html"]
    page = Page((tmp_path / "a" / "report.html").read_text("utf-8"))
    assert len(page.images) == 4
    assert "all of it on one page" in sqsnn("train", "--resume", "a").out
    assert sqsnn("report", "a", "--out", "b.html").out.splitlines() == ["b.html"]
    assert (tmp_path / "b.html").read_bytes() == (tmp_path / "a" / "report.html").read_bytes()


def test_what_is_left_out_is_told(sqsnn, here):
    assert sqsnn("train", "digits", *SMALL, "--out", "a").code == 0
    (here / "a" / "best.safetensors").unlink()
    done = sqsnn("report", "a")
    assert done.code == 0
    why, path = done.out.splitlines()
    assert "the test cannot be repeated" in why
    assert path == "a/report.html"


def test_a_wrong_call_is_told_in_one_line(sqsnn, here):
    done = sqsnn("report", ".")
    assert (done.code, done.out) == (2, "")
    (line,) = done.err.splitlines()
    assert "must be the folder of a run (sqsnn train)" in line
    assert list(here.iterdir()) == []
