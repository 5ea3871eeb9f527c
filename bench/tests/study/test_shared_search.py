"""A shared search: each trial has one holder, whoever claims, dies, sleeps or answers late."""

import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from optuna.storages._rdb.models import TrialHeartbeatModel
from postgres import server
from sqlalchemy.orm import Session

from sqsnn.errors import ConfigError
from sqsnn_bench.study import shared_search
from sqsnn_bench.study.plan import Trial
from sqsnn_bench.study.records import Key
from sqsnn_bench.study.shared_search import SharedSearch
from sqsnn_bench.study.storage_url import read_url
from sqsnn_bench.study.trials import job

FOUND = {"training.learning_rate": 0.01}
KEY = Key("digits", "crx", "seed", 0)


@pytest.fixture(scope="module")
def postgres():
    with server() as made:
        made.start()
        yield made


@pytest.fixture
def url(request, tmp_path):
    if getattr(request, "param", "sqlite") == "sqlite":
        return f"sqlite:///{tmp_path}/search.db"
    return request.getfixturevalue("postgres").url


on_both = pytest.mark.parametrize("url", ["sqlite", "postgresql"], indirect=True)


@pytest.fixture
def join(plan, tmp_path, url, monkeypatch):
    """Join the search as the command of a folder."""
    monkeypatch.setattr(shared_search, "POLL", 0.0)
    monkeypatch.setattr(shared_search, "BEAT", 0.0)
    made = []
    # A database keeps its studies from test to test.
    planned = plan(lambda content: content.update(name=tmp_path.name.replace("_", "-")))

    def command(folder):
        out = tmp_path / folder
        out.mkdir(exist_ok=True)
        made.append(SharedSearch(read_url(url), replace(planned, out=out)))
        return made[-1]

    command.plan = planned
    yield command
    for one in made:
        one.close()


def order(join, key=KEY):
    return job(join.plan, Trial(key, FOUND))


def record_of(made, accuracy=0.5):
    return {**made.known, "validation_accuracy": accuracy, "validation_loss": 1.0}


@on_both
def test_of_many_that_claim_at_once_one_holds_each_trial(join):
    keys = [Key("digits", model, "seed", seed) for model in ("crx", "lif") for seed in range(3)]
    orders = [
        order(join, key)._replace(known=order(join, key).known | {"found": {}}) for key in keys
    ]
    commands = [join(str(number)) for number in range(3)]
    together, held = threading.Barrier(len(commands)), []

    def claim(command):
        together.wait()
        held.extend(one.key for one in orders if command.claim(one))

    threads = [threading.Thread(target=claim, args=(command,)) for command in commands]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(held) == sorted(keys)


def test_a_record_reaches_the_others_once_and_as_it_is(join):
    one, other, made = join("one"), join("other"), order(join)
    assert one.claim(made)
    assert not other.claim(made)
    other.news()
    assert list(other.taken()) == [KEY]
    assert other.taken()[KEY].startswith("the command on ")
    assert one.finish(made, record_of(made))
    assert list(one.news().records) == []
    assert list(other.news().records) == [record_of(made)]
    assert list(other.news().records) == []
    late = join("late")
    assert list(late.news().records) == [record_of(made)]
    assert not late.claim(made)
    assert late.before(KEY) == 0


def let_time_pass(command):
    """Make all signs of life an hour older."""
    with Session(command._storage._rdb.engine) as session:
        for beat in session.query(TrialHeartbeatModel):
            beat.heartbeat -= timedelta(hours=1)
        session.commit()


@on_both
def test_a_trial_of_a_silent_command_is_free_and_said_to_be_lost(join):
    dead, living, made = join("dead"), join("living"), order(join)
    assert dead.claim(made)
    assert not living.claim(made)
    assert list(living.news().lost) == []
    let_time_pass(living)
    ((key, why),) = living.news().lost
    assert key == KEY
    assert "was silent for 120 s" in why
    assert living.before(KEY) == 1
    assert living.claim(made)
    assert living.finish(made, record_of(made, 0.6))
    # The dead one wakes up: its record does not hold, and it learns which one does.
    assert not dead.finish(made, record_of(made, 0.4))
    assert list(dead.news().records) == [record_of(made, 0.6)]


def test_who_died_before_its_first_sign_of_life_is_noticed(join, monkeypatch):
    dead, living, made = join("dead"), join("living"), order(join)
    monkeypatch.setattr(dead._storage, "beat", lambda start: None)
    assert dead.claim(made)
    assert list(living.news().lost) == []
    let_time_pass(living)
    assert [key for key, _ in living.news().lost] == [KEY]


def test_who_was_taken_for_dead_keeps_a_trial_that_no_other_took(join):
    slow, living, made = join("slow"), join("living"), order(join)
    assert slow.claim(made)
    let_time_pass(living)
    assert living.news().lost
    assert slow.finish(made, record_of(made))
    assert list(living.news().records) == [record_of(made)]


@on_both
def test_a_command_that_beats_keeps_its_trial(join):
    one, other, made = join("one"), join("other"), order(join)
    assert one.claim(made)
    for _ in range(2):
        let_time_pass(one)
        one.news()
        assert list(other.news().lost) == []
    assert one.finish(made, record_of(made))


def test_a_killed_command_begins_again_where_it_was(join):
    killed, made = join("here"), order(join)
    assert killed.claim(made)
    again = join("here")
    assert again.join({}) == []
    assert again.before(KEY) == 1
    assert again.claim(made)


def test_a_stopped_command_gives_its_trials_back_without_a_loss(join):
    stopped, other, made = join("stopped"), join("other"), order(join)
    assert stopped.claim(made)
    stopped.close()
    assert list(other.news().lost) == []
    assert other.claim(made)
    assert other.before(KEY) == 1


def test_records_of_a_folder_are_published_and_those_of_others_hold(join):
    one, made = join("one"), order(join)
    known = {KEY: record_of(made)}
    assert one.join(known) == []
    other = join("other")
    mine = {KEY: record_of(made, 0.7)}
    ((key, said),) = other.join(mine)
    assert (key, mine) == (KEY, {})
    assert "started here and elsewhere" in said
    assert list(other.news().records) == [record_of(made)]


def test_another_version_at_work_is_refused_by_name(join, monkeypatch):
    one, made = join("one"), order(join)
    monkeypatch.setattr(shared_search, "__version__", "0.0.7")
    assert one.claim(made)
    monkeypatch.setattr(shared_search, "__version__", "0.0.8")
    said = r"has sqsnn 0\.0\.7 and runs digits/crx/seed-0, but here is 0\.0\.8"
    with pytest.raises(ConfigError, match=said):
        join("other").news()


def test_other_ranges_are_refused_by_name(join, plan, tmp_path, url):
    one, made = join("one"), order(join)
    assert one.claim(made)

    def wider(content):
        content["name"] = join.plan.study.name
        content["search"].update(trials=3, learning_rate=[0.01, 0.03, 0.1])
        content["models"].pop("lif")

    out = tmp_path / "wider"
    out.mkdir()
    other = SharedSearch(read_url(url), replace(plan(wider), out=out))
    with pytest.raises(ConfigError, match=r"crx in the storage .* was begun with other ranges"):
        other.claim(made)
    other.close()


@pytest.mark.parametrize("url", ["postgresql"], indirect=True)
def test_a_server_that_was_started_again_goes_on(join, postgres):
    one, made = join("one"), order(join)
    assert one.claim(made)
    postgres.stop()
    postgres.start()
    assert one.finish(made, record_of(made))
