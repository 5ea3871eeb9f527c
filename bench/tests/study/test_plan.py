"""The settings of every training: equal where they must be, all checked before the first."""

import pytest

from sqsnn.errors import ConfigError
from sqsnn_bench.study import library
from sqsnn_bench.study.plan import Plan, Trial
from sqsnn_bench.study.records import Key

FOUND = {"training.learning_rate": 0.01}


def settings(made: Plan, model: str = "crx", seed: int = 0, **found):
    """The settings of a training that is tested."""
    return made.settings(Trial(Key("digits", model, "seed", seed), FOUND | found))


def searched(made: Plan):
    """The settings of a trial of the search."""
    return made.settings(Trial(Key("digits", "crx", "search", 0), FOUND))


def test_models_differ_in_their_own_settings_alone(plan):
    made = plan()
    crx, lif = settings(made, seed=1), settings(made, "lif", 1, **{"neurons.beta": 0.5})
    for section in ("data", "encoding", "report_steps", "training", "rule"):
        assert getattr(crx, section) == getattr(lif, section)
    assert lif.neurons.beta == 0.5
    assert (crx.training.seed, crx.training.learning_rate, crx.training.epochs) == (1, 0.01, 2)


def test_what_is_left_open_comes_from_the_dataset(plan):
    found = settings(plan(lambda content: content["datasets"]["digits"].pop("training")))
    assert (found.training.epochs, found.training.batch_size) == (30, 64)


def test_the_search_has_its_own_seed_samples_and_epochs(plan):
    found = searched(plan())
    assert found.training.seed == 1000
    assert (found.data.train_samples, found.training.epochs) == (40, 1)


def test_the_search_takes_no_more_samples_than_there_are(plan):
    made = plan(lambda content: content["search"].update(train_samples=9999))
    assert searched(made).data.train_samples == 60


def test_settings_are_known_by_their_dotted_names_wherever_the_data_lie(plan):
    found = settings(plan())
    names = library.plain(found)
    assert (names["neurons.circuit"], names["training.epochs"]) == ("crx", 2)
    data = found.data.model_copy(update={"data_dir": "elsewhere"})
    assert library.plain(found.model_copy(update={"data": data})) == names


def test_all_trials_are_named_in_the_order_in_which_they_run(plan):
    names = [(key.model, key.trial) for key in plan().trials()]
    assert names == [
        *((model, f"search-{number}") for model in ("crx", "lif") for number in (0, 1)),
        *((model, f"seed-{seed}") for seed in (0, 1) for model in ("crx", "lif")),
    ]


def test_all_misfits_of_size_are_named_at_once(plan, tmp_path):
    with pytest.raises(ConfigError) as refused:
        plan(lambda content: content["datasets"]["digits"].update(parameters=130))
    lines = str(refused.value).splitlines()
    assert [line.partition(":")[0] for line in lines] == [
        "models.crx on datasets.digits",
        "models.lif on datasets.digits",
    ]
    assert all("(hidden 1)" in line and "(hidden 2)" in line for line in lines)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("neurons.memory", "models.crx on datasets.digits: .*memory: Extra inputs"),
        ("memory_qubits", "memory_qubits is searched, but there is no such setting"),
        ("optimiser.momentum", "models.crx on datasets.digits: optimiser"),
    ],
)
def test_an_unknown_setting_of_a_search_is_refused_before_anything_runs(plan, setting, said):
    with pytest.raises(ConfigError, match=said):
        plan(lambda content: content["models"]["crx"].update(search={setting: [1]}))


@pytest.mark.parametrize(
    ("section", "content", "said"),
    [
        ("data", {"klasses": [0, 1]}, "klasses: Extra"),
        ("encoding", {"max_rate": 2}, "max_rate"),
        ("training", {"batch_size": 0}, "batch_size"),
    ],
)
def test_a_wrong_section_is_refused_before_anything_runs(plan, section, content, said):
    with pytest.raises(ConfigError, match=rf"models.crx on datasets.digits: .*{said}"):
        plan(lambda study: study["datasets"]["digits"].update({section: content}))


def test_neurons_that_do_not_go_with_a_rule_are_refused_before_anything_runs(plan):
    def change(content):
        content["models"]["lif"]["rule"] = {"kind": "local", "signal": {"kind": "reinforce"}}

    with pytest.raises(ConfigError, match=r"models.lif on datasets.digits: rule 'local'"):
        plan(change)


def test_data_that_would_follow_from_a_model_are_refused(plan):
    def recordings(content):
        content["datasets"] = {"nmnist": {"parameters": 2000}}
        content["models"]["crx"]["neurons"]["channels"] = 2

    # Two channels take ON and OFF apart by default, one takes their sum.
    with pytest.raises(ConfigError, match=r"data\.polarity would be 'channels' for crx, but 'sum'"):
        plan(recordings)


def test_a_searched_setting_that_other_neurons_have_is_refused_before_anything_runs(plan):
    def change(content):
        content["models"]["lif"]["search"] = {
            "neurons.through_collapse": [False, True],
            "training.learning_rate": [0.01],
        }

    with pytest.raises(ConfigError, match=r"models.lif on datasets.digits: .*through_collapse"):
        plan(change)


def test_every_size_of_a_range_of_whole_numbers_is_checked(plan):
    def change(content):
        content["datasets"]["digits"]["parameters"] = 1493
        search = {"neurons.memory_qubits": {"low": 1, "high": 3}, "training.learning_rate": [0.01]}
        content["models"]["crx"]["search"] = search
        del content["models"]["lif"]

    # M = 1 and M = 3 come within 1 %.
    with pytest.raises(ConfigError, match=r"nearest networks have 1456 .* and 1532"):
        plan(change)


def test_a_search_with_too_few_samples_is_refused_before_anything_runs(plan):
    said = "datasets.digits in the search: .*5.* at least 11"
    with pytest.raises(ConfigError, match=said):
        plan(lambda content: content["search"].update(train_samples=5))


def test_a_setting_may_fit_with_the_searched_values_alone(plan):
    def change(content):
        content["search"]["learning_rate"] = [0.03, 0.05]
        content["models"]["crx"]["training"] = {"final_learning_rate": 0.02}
        del content["models"]["lif"]

    found = settings(plan(change), **{"training.learning_rate": 0.03})
    assert found.training.final_learning_rate == 0.02


def test_networks_that_predict_values_are_sized_with_their_readout(plan):
    def change(content):
        content["datasets"] = {"digits": {"dataset": "narma5", "parameters": 500}}

    found = settings(plan(change))
    assert found.reads_values
    assert abs(library.count(found, 1, 1) - 500) <= 5


def test_a_file_of_ones_own_is_named_as_its_run_names_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.csv").write_text("x,label\n" + "1,a\n2,b\n" * 10)
    named = library.plain(library.resolve("my.csv", {}))
    assert named["data.dataset"] == str(tmp_path / "my.csv")
