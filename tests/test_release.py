"""The files around the package say the same as the package, and call what exists."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

import sqsnn

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
# What conda calls otherwise than the index of Python packages.
OF_CONDA = {
    "matplotlib": "matplotlib-base",
    "torch": "pytorch",
    "docstring-parser": "docstring_parser",
}


def read(*path):
    return yaml.safe_load(ROOT.joinpath(*path).read_text("utf-8"))


def test_the_version_is_everywhere_the_same():
    assert read("CITATION.cff")["version"] == sqsnn.__version__
    assert read("conda", "recipe.yaml")["context"]["version"] == sqsnn.__version__
    assert f"version {sqsnn.__version__}" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_conda_asks_for_what_pip_asks_for():
    wanted = set()
    for dependency in PROJECT["dependencies"]:
        name, _, least = dependency.partition(">=")
        wanted.add(f"{OF_CONDA.get(name, name)} >={least}")
    run = set(read("conda", "recipe.yaml")["requirements"]["run"])
    assert run - wanted == {f"python {PROJECT['requires-python']}"}
    assert wanted <= run


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflows_call_what_exists(path):
    workflow = yaml.safe_load(path.read_text("utf-8"))
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert workflow["permissions"] == {"contents": "read"}
    assert True in workflow or "on" in workflow  # YAML 1.1 reads `on` as true
    for job in workflow["jobs"].values():
        assert job["runs-on"]
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step)
            for target in re.findall(r"^make ([\w-]+)", step.get("run", ""), re.MULTILINE):
                assert target in targets
            for file in re.findall(r"bash (\S+)|(tests/\w+)", step.get("run", "")):
                assert (ROOT / (file[0] or file[1])).exists()


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.name)
def test_issue_forms_have_what_a_form_needs(path):
    form = yaml.safe_load(path.read_text("utf-8"))
    assert {"name", "description", "body"} <= form.keys()
    names = [field["id"] for field in form["body"]]
    assert len(names) == len(set(names)) > 0
    assert all(field["attributes"]["label"] for field in form["body"])


def test_the_image_is_pinned_and_runs_as_no_root():
    lines = (ROOT / "Dockerfile").read_text("utf-8").replace("\\\n", " ").splitlines()
    orders = [line.split(maxsplit=1) for line in lines if line and not line.startswith("#")]
    images = [rest for order, rest in orders if order == "FROM"]
    assert all(re.match(r"python:3\.\d+-\w+-\w+", image) for image in images)
    names = [order for order, _ in orders]
    assert names.index("USER") < names.index("ENTRYPOINT")
    for order, rest in orders:
        if order == "RUN" and "apt-get install" in rest:
            assert "--no-install-recommends" in rest and "rm -rf /var/lib/apt/lists" in rest
            assert all(
                "=" in name
                for name in rest.split("--no-install-recommends")[1].split("&&")[0].split()
            )
        for file in rest.split()[:-1] if order == "COPY" and "--from" not in rest else []:
            assert (ROOT / file).exists()
    torch = re.search(r"torch==(\S+)", "\n".join(lines))
    assert torch and f"torch=={torch[1]}" in (ROOT / "constraints.txt").read_text("utf-8")


def test_the_hooks_are_the_checks():
    hooks = read(".pre-commit-config.yaml")["repos"][0]["hooks"]
    makefile = (ROOT / "Makefile").read_text("utf-8")
    check = makefile[makefile.index("check: ") :].split("\n\n")[0]
    for hook in hooks:
        assert hook["entry"].split()[0] in check
