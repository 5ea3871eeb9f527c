"""The settings of every training: equal where they must be, all checked before the first."""

import pytest

from sqsnn.errors import ConfigError
from sqsnn.study.plan import final_settings, search_base, search_name, search_settings

FOUND = {"training.learning_rate": 0.01}


def test_models_differ_in_what_is_theirs_alone(plan):
    made = plan()
    crx = final_settings(made, "digits", "crx", FOUND, 1)
    lif = final_settings(made, "digits", "lif", {**FOUND, "model.neuron_options.beta": 0.5}, 1)
    for section in ("data", "encoding", "readout", "training", "rule", "noise"):
        assert getattr(crx, section) == getattr(lif, section)
    assert lif.model.neuron_options == {"beta": 0.5}
    assert (crx.training.seed, crx.training.learning_rate, crx.training.epochs) == (1, 0.01, 2)


def test_what_was_left_open_comes_from_the_dataset(plan):
    settings = final_settings(
        plan(lambda content: content["datasets"]["digits"].pop("training")),
        *("digits", "crx", FOUND, 0),
    )
    assert (settings.training.epochs, settings.training.batch_size) == (30, 64)


def test_the_search_has_its_own_seed_samples_and_epochs(plan):
    settings = search_settings(plan(), "digits", "crx", FOUND)
    assert settings.training.seed == 1000
    assert (settings.data.train_samples, settings.training.epochs) == (40, 1)


def test_the_search_takes_no_more_samples_than_there_are(plan):
    made = plan(lambda content: content["search"].update(train_samples=9999))
    assert search_settings(made, "digits", "crx", FOUND).data.train_samples == 60


def test_another_budget_or_space_is_another_search(plan):
    def more(content):
        content["search"].update(trials=3, learning_rate=[0.01, 0.03, 0.1])
        content["models"]["lif"]["search"] = {}

    name = search_name(plan(), "digits", "crx")
    assert name == search_name(plan(), "digits", "crx")
    assert name.startswith("digits/crx/")
    assert name != search_name(plan(more), "digits", "crx")


def test_all_misfits_of_size_are_told_at_once(plan, tmp_path):
    with pytest.raises(ConfigError) as refused:
        plan(lambda content: content["datasets"]["digits"].update(parameters=130))
    told = str(refused.value).splitlines()
    assert [line.partition(":")[0] for line in told] == [
        "models.crx on datasets.digits",
        "models.lif on datasets.digits",
    ]
    assert all("(hidden 1)" in line and "(hidden 2)" in line for line in told)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("model.memory", "model.memory: Extra inputs are not permitted"),
        ("memory_qubits", "memory_qubits is searched, but there is no such setting"),
        ("optimiser.momentum", "models.crx on datasets.digits: optimiser"),
    ],
)
def test_a_searched_setting_that_does_not_exist_is_refused_before_anything_runs(
    plan, setting, said
):
    with pytest.raises(ConfigError, match=said):
        plan(lambda content: content["models"]["crx"].update(search={setting: [1]}))


def test_neurons_that_do_not_go_with_a_rule_are_refused_before_anything_runs(plan):
    def change(content):
        content["models"]["lif"]["rule"] = {"through_collapse": True}

    with pytest.raises(ConfigError, match=r"models.lif on datasets.digits: through_collapse"):
        plan(change)


def test_data_that_would_follow_from_a_model_are_refused(plan):
    def recordings(content):
        content["datasets"] = {"nmnist": {"parameters": 2000}}
        content["models"]["crx"]["model"]["channels"] = 2

    # Two channels take ON and OFF apart by default, one takes their sum.
    with pytest.raises(ConfigError, match=r"data\.polarity would be 'channels' for crx, but 'sum'"):
        plan(recordings)


def test_a_searched_rule_that_does_not_go_with_the_neurons_is_refused_before_anything_runs(plan):
    def change(content):
        content["models"]["lif"]["search"] = {
            "rule.through_collapse": [False, True],
            "training.learning_rate": [0.01],
        }

    with pytest.raises(ConfigError, match=r"models.lif on datasets.digits: through_collapse"):
        plan(change)


def test_every_size_of_a_range_of_whole_numbers_is_checked(plan):
    def change(content):
        content["datasets"]["digits"]["parameters"] = 897
        search = {"model.memory_qubits": {"low": 1, "high": 3}, "training.learning_rate": [0.01]}
        content["models"]["crx"]["search"] = search
        del content["models"]["lif"]

    # M = 1 and M = 3 come within 1 %.
    with pytest.raises(ConfigError, match=r"nearest networks have 862 .* and 933"):
        plan(change)


def test_a_search_with_too_few_samples_is_refused_before_anything_runs(plan):
    said = "datasets.digits in the search: train_samples is 5, but must be at least 11"
    with pytest.raises(ConfigError, match=said):
        plan(lambda content: content["search"].update(train_samples=5))


def test_a_setting_may_fit_with_what_is_searched_alone(plan):
    def change(content):
        content["search"]["learning_rate"] = [0.03, 0.05]
        content["models"]["crx"]["training"] = {"final_learning_rate": 0.02}
        del content["models"]["lif"]

    made = plan(change)
    assert search_base(made, "digits", "crx").training.final_learning_rate == 0.02
