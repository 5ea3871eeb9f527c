"""What a training is known by: a digest that defaults and places do not change, and the data."""

import re

import pytest

from sqsnn.errors import ConfigError
from sqsnn.study.identity import all_settings, digest, refuse_changed, refuse_other_data
from sqsnn.study.plan import final_settings

FOUND = {"training.learning_rate": 0.01}


def test_every_setting_changes_the_digest_but_where_the_data_lie(plan, tmp_path):
    made = plan()
    settings = final_settings(made, "digits", "crx", FOUND, 0)
    others = [
        final_settings(made, "digits", "crx", FOUND, 1),
        final_settings(made, "digits", "crx", {"training.learning_rate": 0.03}, 0),
        final_settings(
            plan(lambda content: content["datasets"]["digits"]["encoding"].update(steps=3)),
            *("digits", "crx", FOUND, 0),
        ),
        final_settings(
            plan(lambda content: content["models"]["crx"].update(rule={"loss_on": "count"})),
            *("digits", "crx", FOUND, 0),
        ),
    ]
    assert len({digest(one) for one in (settings, *others)}) == 5
    elsewhere = settings.data.model_copy(update={"data_dir": tmp_path, "source": "scikit-learn"})
    assert digest(settings.model_copy(update={"data": elsewhere})) == digest(settings)
    assert re.fullmatch("[0-9a-f]{8}", digest(settings))


def test_a_setting_that_a_later_version_adds_changes_no_digest(plan):
    settings = final_settings(plan(), "digits", "crx", FOUND, 0)
    before = {
        section: {name: it for name, it in content.items() if name != "saturate"}
        for section, content in all_settings(settings).items()
    }
    refuse_changed(before, settings, "that")
    saturated = settings.model.model_copy(update={"saturate": True})
    assert digest(settings.model_copy(update={"model": saturated})) != digest(settings)
    assert "saturate" in all_settings(settings)["model"]


def test_another_default_is_told_although_the_digest_is_the_same(plan):
    settings = final_settings(plan(), "digits", "crx", FOUND, 0)
    before = all_settings(settings)
    before["rule"]["loss_on"] = "count"
    said = "that was made with rule.loss_on 'count', which is 'probability' where it is left out"
    with pytest.raises(ConfigError, match=said):
        refuse_changed(before, settings, "that")


def test_other_data_are_refused_unless_they_are_not_known():
    refuse_other_data(None, "USPS", "that")
    refuse_other_data("USPS", "USPS", "that")
    with pytest.raises(ConfigError, match="that was made of USPS, but the data here are MNIST"):
        refuse_other_data("USPS", "MNIST", "that")
