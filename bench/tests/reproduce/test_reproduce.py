"""Claims: every committed study runs, what is missing is said, and no figure is made up."""

import json
import tomllib
from pathlib import Path

import pytest
import tomli_w

from sqsnn.errors import ConfigError
from sqsnn_bench.reproduce.authors import AuthorsRule
from sqsnn_bench.reproduce.claims import NOT_READ, read_claims, study_of
from sqsnn_bench.reproduce.run import reproduce, run_authors
from sqsnn_bench.reproduce.text import page
from sqsnn_bench.study import library
from sqsnn_bench.study.config import Study, read_study
from sqsnn_bench.study.watching import Watcher

STUDIES = Path(__file__).parents[2] / "studies" / "reproduce"
CLAIMS = read_claims(STUDIES)
DIGITS = {
    "digits": {
        "parameters": 5000,
        "data": {"train_samples": 200, "test_samples": 50},
        "encoding": {"steps": 2, "max_rate": 0.5},
        "training": {"epochs": 1},
    }
}


def shortened(name: str, folder: Path) -> Path:
    """The study of a claim, on 200 digits for one epoch with one seed."""
    content = tomllib.loads(study_of(STUDIES, name).read_text("utf-8"))
    content |= {"seeds": [0], "datasets": DIGITS}
    if content.pop("search", None):
        for model in content["models"].values():
            model["training"] = {"learning_rate": 0.03}
    path = study_of(folder, name)
    path.write_text(tomli_w.dumps(content), "utf-8")
    return path


def run(folder: Path, out: Path, names: list[str]) -> list[dict]:
    claims = read_claims(folder)
    return reproduce(claims, names, folder, out, 1, lambda study: Watcher(), print)


@pytest.mark.parametrize("name", CLAIMS)
def test_every_committed_study_is_settings_of_runs(name):
    study = read_study(study_of(STUDIES, name))
    assert CLAIMS[name].ours in study.models
    ((dataset, group),) = study.datasets.items()
    for model in study.models.values():
        settings = library.resolve(
            dataset,
            {
                "skip": model.skip,
                "neurons": model.neurons,
                "rule": model.rule,
                "encoding": group.encoding,
                "data": group.data,
                "training": {**group.training, **model.training},
            },
        )
        assert settings.data.dataset == name


@pytest.mark.parametrize("name", CLAIMS)
def test_every_study_runs_shortened(name, tmp_path):
    claim = {"claim": "a claim", "ours": CLAIMS[name].ours, "differs": "much"}
    (tmp_path / "claims.toml").write_text(tomli_w.dumps({name: claim}), "utf-8")
    shortened(name, tmp_path)
    (row,) = run(tmp_path, tmp_path / "out", [name])
    assert row["state"] is None and row["paper"] == row["their_code"] == NOT_READ
    study = read_study(study_of(tmp_path, name))
    assert [row["ours"]["model"], *(each["model"] for each in row["others"])] == [*study.models]
    # A second call trains nothing, and says the same.
    records = (tmp_path / "out" / name / "trials.jsonl.gz").read_bytes()
    assert run(tmp_path, tmp_path / "out", [name]) == [row]
    assert (tmp_path / "out" / name / "trials.jsonl.gz").read_bytes() == records
    assert (
        f"| {name} | not read | not read | {100 * row['ours']['test_accuracy']['mean']:.2f} |"
        in (page([row]))
    )


def test_data_that_are_not_there_are_neither_downloaded_nor_an_error(tmp_path, monkeypatch):
    monkeypatch.setenv("SQSNN_DATA", str(tmp_path))
    rows = reproduce(
        CLAIMS, ["mnist", "mnist-dvs"], STUDIES, tmp_path / "out", 1, lambda s: Watcher(), print
    )
    assert [row["state"] for row in rows] == ["data not given"] * len(CLAIMS)
    assert not any(tmp_path.iterdir())
    text = page(rows)
    for name in CLAIMS:
        assert f"| {name} | not read | no figure | data not given |" in text


def test_the_authors_rule_is_run_once_on_all_training_samples(tmp_path):
    content = {
        "name": "two",
        "seeds": [0, 1],
        "datasets": {
            "digits": {
                "parameters": 200,
                "data": {"classes": [0, 1], "train_samples": 30, "test_samples": 10},
            }
        },
        "models": {"one": {}},
    }
    study, path = Study.model_validate(content), tmp_path / "authors.json"
    run_authors(study, AuthorsRule(epochs=1, steps=3), path, print)
    found = json.loads(path.read_text("utf-8"))
    assert found["seeds"] == [0, 1] and found["test_samples"] == 10
    assert len(found["test_accuracy"]["values"]) == 2 and found["rule"]["max_rate"] == 0.5
    before = path.read_bytes()
    run_authors(study, AuthorsRule(epochs=2), path, print)
    assert path.read_bytes() == before


def test_the_command_lists_claims_and_refuses_unknown_ones(bench):
    listed = bench("reproduce", "--list", "--studies", STUDIES)
    assert listed.code == 0
    assert [line.partition(":")[0] for line in listed.out.splitlines()] == [*CLAIMS]
    refused = bench("reproduce", "cifar", "--studies", STUDIES)
    assert refused.code == 2 and "there is no claim cifar; there are mnist" in refused.err


def test_the_command_writes_a_page_and_its_figures(bench, tmp_path, monkeypatch):
    monkeypatch.setenv("SQSNN_DATA", str(tmp_path / "nothing"))
    out = tmp_path / "found"
    assert bench("reproduce", "kmnist", "--studies", STUDIES, "--out", out).code == 0
    rows = json.loads(out.with_suffix(".json").read_text("utf-8"))
    assert [row["name"] for row in rows] == [*CLAIMS]
    assert out.with_suffix(".md").read_text("utf-8") == page(rows)


def test_claims_without_a_study_or_with_unknown_fields_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"has no claims\.toml"):
        read_claims(tmp_path)
    path = tmp_path / "claims.toml"
    path.write_text('[a]\nclaim = "x"\nours = "m"\ndiffers = "y"\n', "utf-8")
    with pytest.raises(ConfigError, match=r"a has no study .*a\.toml"):
        read_claims(tmp_path)
    path.write_text('[a]\nclaim = "x"\nfigure = 97\n', "utf-8")
    with pytest.raises(ConfigError, match="figure"):
        read_claims(tmp_path)
