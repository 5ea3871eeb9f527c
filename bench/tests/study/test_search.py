"""The search: every combination once, whoever asks, whatever crashed; the best by rank."""

import pytest
from optuna.trial import TrialState

from sqsnn.study.plan import search_name
from sqsnn.study.search import Searches


def drop(ask):
    """Let go of a trial without a word, as the operating system does after a crash."""
    ask.lock.release()


def finish(ask, accuracy=0.5, loss=1.0):
    ask.tell(accuracy, loss)
    ask.lock.release()


def ranges(content):
    content["search"].update(trials=4, learning_rate={"low": 1e-3, "high": 0.1, "log": True})
    content["models"]["lif"]["search"] = {"model.neuron_options.beta": {"low": 0.1, "high": 0.9}}


def states(searches, plan, model):
    journal = searches._storage
    study = journal.get_study_id_from_name(search_name(plan, "digits", model))
    return [trial.state for trial in journal.get_all_trials(study)]


def test_processes_share_the_combinations(plan):
    made = plan()
    one, two = Searches(made), Searches(made)
    first, second = one.ask("digits", "lif"), two.ask("digits", "lif")
    found = [first.found["model.neuron_options.beta"], second.found["model.neuron_options.beta"]]
    assert sorted(found) == [0.5, 0.9]
    assert first.found["training.learning_rate"] == 0.01
    assert one.ask("digits", "lif") is None
    assert two.ask("digits", "crx") is not None
    finish(first)
    assert two.chosen("digits", "lif") is None
    finish(second)
    assert one.chosen("digits", "lif") is not None
    assert one.count_done("digits", "lif") == 2
    assert one.ask("digits", "lif") is None


@pytest.mark.parametrize("change", [lambda content: None, ranges], ids=["lists", "ranges"])
def test_what_a_crashed_process_left_is_tried_again(plan, change):
    made = plan(change)
    crashed = Searches(made).ask("digits", "lif")
    drop(crashed)
    searches = Searches(made)
    done = []
    while (ask := searches.ask("digits", "lif")) is not None:
        done.append(ask.found)
        finish(ask)
    assert len(done) == made.study.search.trials
    assert done.count(crashed.found) == 1
    found = states(searches, made, "lif")
    assert found.count(TrialState.FAIL) == 1
    assert found.count(TrialState.COMPLETE) == made.study.search.trials


def test_a_trial_that_is_held_is_not_taken_for_crashed(plan):
    made = plan()
    held = Searches(made).ask("digits", "lif")
    other = Searches(made)
    finish(other.ask("digits", "lif"))
    assert other.ask("digits", "lif") is None
    assert TrialState.FAIL not in states(other, made, "lif")
    finish(held)


def test_proposals_from_a_range_lie_in_it_and_differ_between_processes(plan):
    made = plan(ranges)
    asks = [Searches(made).ask("digits", "crx") for _ in range(4)]
    rates = [ask.found["training.learning_rate"] for ask in asks]
    assert len(set(rates)) == 4
    assert all(1e-3 <= rate <= 0.1 for rate in rates)
    for ask in asks:
        finish(ask)


def test_proposals_repeat(plan, tmp_path):
    made = plan(ranges)
    first = Searches(made).ask("digits", "crx").found
    (tmp_path / "out" / "search.journal").unlink()
    assert Searches(made).ask("digits", "crx").found == first


def test_a_stopped_search_of_ranges_finds_what_it_would_have_found(plan, tmp_path):
    made = plan(ranges)

    def search(stopped: int | None) -> list:
        found = []
        while (ask := (searches := Searches(made)).ask("digits", "crx")) is not None:
            if searches.count_done("digits", "crx") == stopped:
                stopped = None
                drop(ask)
                continue
            found.append(ask.found)
            finish(ask, accuracy=ask.found["training.learning_rate"])
        (tmp_path / "out" / "search.journal").unlink()
        return found

    never = search(None)
    assert len(never) == 4
    assert search(1) == never


def test_a_trial_that_ends_while_others_look_is_not_given_up(plan, monkeypatch):
    made = plan()
    held, other = Searches(made).ask("digits", "lif"), Searches(made)
    look = other._trial_lock

    def end_first(study, number):
        if number == held.trial.number and held.lock.is_locked:
            finish(held)
        return look(study, number)

    monkeypatch.setattr(other, "_trial_lock", end_first)
    finish(other.ask("digits", "lif"))
    assert states(other, made, "lif") == [TrialState.COMPLETE, TrialState.COMPLETE]


@pytest.mark.parametrize(
    ("reached", "best"),
    [
        ([(0.6, 2.0), (0.7, 3.0)], 1),
        ([(0.7, 3.0), (0.7, 2.0)], 1),
        ([(0.7, 2.0), (0.7, 2.0)], 0),
        ([(0.0, None), (0.0, 2.0)], 1),
    ],
    ids=["accuracy", "then loss", "then order", "failed last"],
)
def test_the_best_is_chosen_by_accuracy_then_loss(plan, reached, best):
    searches = Searches(plan())
    asks = [searches.ask("digits", "crx") for _ in reached]
    asks.sort(key=lambda ask: ask.found["training.learning_rate"])  # the order of the list
    for ask, figures in zip(asks, reached, strict=True):
        finish(ask, *figures)
    assert searches.chosen("digits", "crx") == asks[best].found


def test_of_equals_the_first_of_the_list_is_chosen_though_it_was_tried_last(plan):
    made = plan()
    drop(Searches(made).ask("digits", "crx"))
    searches = Searches(made)
    while (ask := searches.ask("digits", "crx")) is not None:
        finish(ask)
    assert searches.chosen("digits", "crx") == {"training.learning_rate": 0.01}


def test_a_group_takes_what_was_found_for_another(plan):
    def change(content):
        small = {**content["datasets"]["digits"], "dataset": "digits", "search_from": "digits"}
        content["datasets"]["small"] = small | {"parameters": 420}

    searches = Searches(plan(change))
    while (ask := searches.ask("digits", "crx")) is not None:
        finish(ask, ask.found["training.learning_rate"])
    assert searches.chosen("small", "crx") == {"training.learning_rate": 0.03}


def test_without_a_search_nothing_is_chosen(plan):
    def change(content):
        content.pop("search")
        content["models"]["lif"].pop("search")

    made = plan(change)
    assert Searches(made).chosen("digits", "lif") == {}
    assert not made.out.exists()


def test_the_journal_is_locked_by_the_operating_system_alone(plan, tmp_path, monkeypatch):
    # optuna's own lock, a link that a killed process leaves behind, would be waited for for ever.
    made = plan()
    made.out.mkdir(parents=True, exist_ok=True)
    (made.out / "search.journal.lock").symlink_to("gone")
    assert Searches(made).ask("digits", "lif") is not None
