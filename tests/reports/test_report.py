"""The page of a run says its figures, and says what there is none of."""

from dataclasses import replace

from page_parser import Page as Parsed

from sqsnn.reports.page import Page, Table, Text, render
from sqsnn.reports.report import RunFacts, run_page


def epoch(number: int, accuracy: float, **changes) -> dict:
    return {
        "epoch": number,
        "train_loss": 1.25,
        "train_accuracy": 0.5,
        "learning_rate": 0.01,
        "validation_accuracy": accuracy,
        "validation_accuracy_spikes": accuracy - 0.01,
        "validation_accuracy_probability": accuracy + 0.01,
        "spikes_per_sample": [10.0, 2.5],
    } | changes


def layer(**changes) -> dict:
    return {
        "spikes_received": 193.4,
        "spikes_emitted": 10.0,
        "synaptic_operations": 12000.0,
        "multiply_accumulates": 0.0,
        "dense_operations": 4096,
        "dense_operations_every_step": 40960,
        "neuron_updates": 640,
        "encoding_rotations": 340.0,
        "skipped_rotations": 300.0,
        "circuit_gates": {"CRX": 1280},
        "gates": 1620.0,
        "measurements": 640,
    } | changes


def costs(**changes) -> dict:
    one = layer(**changes)
    total = {name: one[name] for name in one if name != "spikes_received"}
    return {"samples": 360, "layers": [one], "total": total}


FACTS = RunFacts(
    dataset="digits",
    model="64 hidden SQS neurons",
    command="sqsnn train digits --epochs 3",
    config="[model]\nhidden = [64]\n",
    chosen=[("epochs", "3", "30", "Passes over the data.")],
    others=[("seed", "0", "Of everything random.")],
    planned_epochs=3,
    epochs=[epoch(1, 0.6), epoch(2, 0.8125), epoch(3, 0.7)],
    result={
        "test_samples": 360,
        "test_accuracy": 0.8694,
        "test_accuracy_spikes": 0.8454,
        "test_accuracy_probability": 0.9167,
        "parameters": 5032,
        "spikes_per_sample": [151.0, 20.6],
        "best_epoch": 2,
    },
    costs=costs(),
    training_seconds=12.34,
    machine={"device": "cpu", "sqsnn": "0.1.0"},
    pictures={},
    left_out=["raster.png"],
)


def said(page: Page) -> str:
    return Parsed(render(page)).text


def texts(page: Page, title: str) -> str:
    (section,) = [section for section in page.sections if section.title == title]
    return " ".join(block.text for block in section.blocks if isinstance(block, Text))


def test_the_headline_is_the_result():
    page = run_page(FACTS)
    assert [(figure.label, figure.value) for figure in page.figures] == [
        ("test accuracy, by spikes", "84.54 %"),
        ("test accuracy, ties by probability", "86.94 %"),
        ("test accuracy, by probability", "91.67 %"),
        ("parameters", "5,032"),
        ("spikes", "172"),
        ("training time", "12.3 s"),
    ]
    assert page.title == "digits: 64 hidden SQS neurons"
    assert "360 samples with the weights of epoch 2 of 3" in page.lead
    assert page.warning == ""


def test_measured_spikes_have_no_accuracy_by_probability():
    assert FACTS.result is not None
    facts = replace(FACTS, result={**FACTS.result, "test_accuracy_probability": None}, costs=None)
    page = run_page(facts)
    assert len(page.figures) == 5
    assert "were not counted" in texts(page, "What an inference costs")


def test_costs_stand_beside_the_dense_network():
    page = run_page(FACTS)
    text = texts(page, "What an inference costs")
    assert "add 12,000 weights" in text
    assert "4,096 in one pass, and 40,960 if it runs at every step, of which this is 29.3 %" in text
    assert "1,620 gates and 640 measurements" in text
    assert "Of 640 rotations of the encoding 340 are placed" in text
    assert "multiplied" not in text
    analogue = run_page(replace(FACTS, costs=costs(multiply_accumulates=12000.0)))
    assert "weights are multiplied" in texts(analogue, "What an inference costs")
    classical = run_page(replace(FACTS, costs=costs(measurements=0)))
    assert "gates" not in texts(classical, "What an inference costs")


def test_every_epoch_and_setting_is_on_the_page():
    page = run_page(FACTS)
    (epochs,) = [section for section in page.sections if section.title == "All epochs"]
    (table,) = epochs.blocks
    assert isinstance(table, Table)
    assert table.rows[1] == (
        "2",
        "1.2500",
        "50.0 %",
        "80.2 %",
        "81.2 %",
        "82.2 %",
        "12.5",
        "0.01",
    )
    assert epochs.folded
    text = said(page)
    for part in ("sqsnn train digits --epochs 3", "hidden = [64]", "seed 0 Of everything random."):
        assert part in text
    assert "epochs 3 30 Passes over the data." in text
    assert "trains it again with sqsnn 0.1.0" in text


def test_a_picture_that_is_missing_is_said():
    page = run_page(FACTS)
    assert "could not be drawn anew" in texts(page, "One sample through the network")
    assert "Confusion matrix" not in [section.title for section in page.sections]


def test_a_run_that_is_not_finished_shows_what_there_is():
    facts = replace(FACTS, result=None, costs=None, epochs=FACTS.epochs[:2], planned_epochs=9)
    page = run_page(facts)
    assert "not finished: 2 of 9 epochs" in page.warning
    assert [(figure.label, figure.value) for figure in page.figures] == [
        ("epochs", "2 of 9"),
        ("validation accuracy", "81.25 %"),
        ("training time", "12.3 s"),
    ]
    assert "test accuracy" not in said(page)
    assert "when the run is finished" in texts(page, "One sample through the network")


def test_a_run_without_an_epoch_has_a_page():
    facts = replace(
        FACTS, result=None, costs=None, epochs=[], machine={}, training_seconds=None, chosen=[]
    )
    text = said(run_page(facts))
    assert "0 of 3 epochs are done" in text
    assert "All settings are the defaults" in text


def test_settings_that_no_command_gives_are_those_of_the_file():
    text = texts(run_page(replace(FACTS, command=None)), "To repeat it")
    assert "those of config.toml" in text
