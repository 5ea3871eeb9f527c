"""The file of a study: what it says, and that nothing unfair, unknown or contradictory passes."""

import re

import pytest

from sqsnn.errors import ConfigError
from sqsnn_bench.study.config import Range, read_study


def test_a_study_is_read_with_its_sections(study):
    read = study()
    assert read.seeds == (0, 1)
    assert read.datasets["digits"].training == {"epochs": 2, "batch_size": 20}
    assert read.models["crx"].neurons == {"circuit": "crx"}
    assert read.models_of("digits") == ("crx", "lif")


def test_what_is_searched_is_named_with_dots_quoted_or_not(study):
    read = study()
    assert read.space_of("crx") == {"training.learning_rate": (0.01, 0.03)}
    assert read.space_of("lif") == {
        "training.learning_rate": (0.01,),
        "neurons.beta": (0.5, 0.9),
    }


def test_a_range_needs_no_equal_number_of_combinations(study):
    def change(content):
        content["models"]["lif"]["search"] = {
            "training": {"learning_rate": {"low": 0.001, "high": 0.1, "log": True}}
        }

    where = Range(low=0.001, high=0.1, log=True)
    assert study(change).space_of("lif") == {"training.learning_rate": where}


def test_models_of_a_group_keep_the_order_of_the_file(study):
    def change(content):
        content["models"]["qlif"] = {"neurons": {"kind": "qlif"}}
        content["datasets"]["digits"]["models"] = ["qlif", "crx"]

    assert study(change).models_of("digits") == ("crx", "qlif")


def model(**sections):
    return lambda content: content["models"]["lif"].update(sections)


def searched(**choices):
    return lambda content: content["models"]["lif"].update(search=choices)


def group(**sections):
    return lambda content: content["datasets"]["digits"].update(sections)


def search(**settings):
    return lambda content: content["search"].update(settings)


def small(**settings):
    def change(content):
        content["datasets"]["small"] = {"dataset": "digits", "parameters": 420, **settings}

    return change


def pairs(*named):
    return lambda content: content.update(reference="lif", comparisons=[list(it) for it in named])


WRONG = {
    "a pair of one": (pairs(("crx", "crx")), "comparisons must name two of crx, lif, but holds"),
    "a pair of strangers": (pairs(("crx", "x")), "must name two of crx, lif, but holds ['crx', 'x"),
    "a pair of three": (pairs(("crx", "lif", "crx")), "comparisons.0"),
    "the reference twice": (pairs(("lif", "crx")), "which are compared already: leave them out"),
    "no group of a pair": (
        lambda content: (
            (group(models=["crx"])(content), pairs(("crx", "lif"))(content))
            and content.pop("reference")
        ),
        "holds ['crx', 'lif']: no group has them",
    ),
    "equal data": (model(data={"classes": [0, 1]}), "models.lif sets data.classes, which must be"),
    "equal encoding": (model(encoding={"steps": 3}), "models.lif sets encoding.steps, which must"),
    "equal readout": (model(report_steps=1), "models.lif sets report_steps, which must"),
    "equal epochs": (model(training={"epochs": 9}), "models.lif sets training.epochs, which must"),
    "equal batches": (model(training={"batch_size": 9}), "sets training.batch_size, which must"),
    "equal precision": (model(training={"dtype": "float64"}), "sets training.dtype, which must"),
    "no seed of a model": (model(training={"seed": 3}), "models.lif sets training.seed"),
    "equal data searched": (searched(encoding={"steps": [2, 3]}), "sets encoding.steps, which"),
    "equal epochs searched": (searched(**{"training.epochs": [2, 3]}), "sets training.epochs"),
    "no hidden": (model(hidden=[3]), "models.lif sets hidden, which follows from parameters"),
    "no hidden searched": (searched(hidden=[3, 4]), "models.lif sets hidden, which follows"),
    "one step a batch": (
        model(rule={"kind": "local", "score": {"kind": "online", "update_every_step": True}}),
        "models.lif sets rule.score.update_every_step: all models take one step per batch",
    ),
    "no backend": (
        model(rule={"kind": "local", "score": {"kind": "measured", "backend": {"pack": 2}}}),
        "models.lif sets rule.score.backend.pack, but a study runs on the simulator only",
    ),
    "no neurons in data": (group(neurons={"kind": "lif"}), "datasets.digits sets neurons.kind"),
    "no rule in data": (group(rule={"kind": "local"}), "datasets.digits sets rule.kind"),
    "no seed in data": (group(training={"seed": 3}), "datasets.digits sets training.seed"),
    "unknown on top": (lambda content: content.update(sedes=[1]), "sedes: Extra inputs"),
    "unknown in a model": (model(lable="x"), "models.lif.lable: Extra inputs"),
    "no hidden in data": (group(hidden=[3]), "datasets.digits sets hidden, which follows"),
    "unknown in the search": (search(trails=3), "search.trails: Extra inputs"),
    "no parameters": (group(parameters=0), "datasets.digits.parameters"),
    "a name that is a path": (lambda content: content.update(name="../a"), "name: String should"),
    "seeds twice": (lambda content: content.update(seeds=[1, 1]), "each seed once, but is [1, 1]"),
    "no seeds": (lambda content: content.update(seeds=[]), "seeds"),
    "a seed of both": (search(seed=1), "search.seed must be none of seeds, [0, 1], but is 1"),
    "unequal budget": (search(trials=3), "models.crx has 2 combinations to search, but"),
    "unequal lists": (
        searched(**{"training.learning_rate": [0.1, 0.2, 0.3]}),
        "models.lif has 3 combinations to search, but search.trials is 2",
    ),
    "set and searched": (
        model(training={"learning_rate": 0.1}),
        "models.lif both sets and searches training.learning_rate",
    ),
    "an option set and searched": (
        model(neurons={"kind": "lif", "beta": 0.3}),
        "models.lif both sets and searches neurons.beta",
    ),
    "searched and equal": (
        group(training={"learning_rate": 0.1}),
        "datasets.digits sets training.learning_rate, which models.crx searches",
    ),
    "a range upside down": (
        searched(**{"training.learning_rate": {"low": 0.1, "high": 0.01}}),
        "high must be above low, 0.1, but is 0.01",
    ),
    "a logarithm of 0": (
        searched(**{"training.learning_rate": {"low": 0, "high": 1, "log": True}}),
        "low must be above 0 where log is true",
    ),
    "no search": (lambda content: content.pop("search"), "models.lif.search needs a section"),
    "unknown model": (group(models=["crx", "lief"]), "datasets.digits.models names lief; there"),
    "found nowhere": (small(search_from="mnist"), "with a search of its own (digits), but is 'mn"),
    "found by itself": (small(search_from="small"), "search_from must be a group with a search"),
}


@pytest.mark.parametrize(("change", "said"), WRONG.values(), ids=WRONG)
def test_a_wrong_study_is_refused_by_the_name_of_what_is_wrong(study, change, said):
    with pytest.raises(ConfigError, match=re.escape(said)):
        study(change)


def test_settings_are_taken_only_from_a_group_with_the_same_models(study):
    def change(content):
        small(search_from="digits")(content)
        group(models=["crx"])(content)

    with pytest.raises(ConfigError, match=r"small.search_from is 'digits', which has no lif"):
        study(change)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"there is no study file .*digits; examples/study.toml"):
        read_study(tmp_path / "digits")


def test_a_file_that_is_no_toml_is_named(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text("name = ")
    with pytest.raises(ConfigError, match=r"study.toml is not valid TOML"):
        read_study(path)
