"""`sqsnn report` from the call to the page."""

from page_parser import Page


def test_a_run_becomes_a_page(sqsnn, trained):
    done = sqsnn("report", "a")
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == ["a/report.html"]
    page = Page((trained / "report.html").read_text("utf-8"))
    assert len(page.images) == 5
    assert "all of it on one page" in sqsnn("train", "--resume", "a").out
    assert sqsnn("report", "a", "--out", "b.html").out.splitlines() == ["b.html"]
    assert (trained.parent / "b.html").read_bytes() == (trained / "report.html").read_bytes()


def test_a_result_without_its_weights_is_not_believed(refused, trained):
    (trained / "best.safetensors").unlink()
    assert "a/best.safetensors is missing" in refused("report", "a")


def test_a_wrong_call_is_refused_in_one_line(refused, here):
    assert "holds no run" in refused("report", ".")
    assert list(here.iterdir()) == []
