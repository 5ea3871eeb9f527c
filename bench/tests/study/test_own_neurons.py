"""Studies name neurons of one's own by their place."""

import json

import pytest

PLACE = "sqsnn_bench.neurons"


def test_a_study_compares_neurons_named_by_their_place(bench, here, study_file):
    pytest.importorskip("snntorch", reason="the extra neuron is not installed")
    (here / "mine.py").write_text("import sqsnn\nclass Own(sqsnn.LIF):\n    'LIF once more.'\n")

    def change(content):
        content["seeds"] = [0]
        content["datasets"]["digits"]["parameters"] = 2490
        content["search"]["learning_rate"] = [0.01, 0.03]
        content["models"] = {
            "snntorch": {"neurons": {"kind": f"{PLACE}.snntorch_lif:SnnTorchLIF"}},
            "adaptive": {
                "neurons": {"kind": f"{PLACE}.adaptive_lif:AdaptiveLIF"},
                "training": {"learning_rate": 0.01},
                "search": {"neurons.neuron_options.kappa": [0.1, 0.3]},
            },
            "own": {"neurons": {"kind": "mine:Own", "neuron_options": {"beta": 0.8}}},
        }
        del content["search"]["learning_rate"]
        for name in ("snntorch", "own"):
            content["models"][name]["search"] = {"training.learning_rate": [0.01, 0.03]}

    done = bench("compare", study_file(change), "--out", "out")
    assert (done.code, done.err) == (0, "")
    rows = {
        row["model"]: row for row in json.loads((here / "out/results.json").read_text())["rows"]
    }
    assert rows.keys() == {"snntorch", "adaptive", "own"}
    found = rows["adaptive"]["found"]
    assert found["neurons.neuron_options.kappa"] in (0.1, 0.3)


def test_unknown_options_of_own_neurons_stop_a_study_before_it_runs(bench, study_file):
    def change(content):
        neurons = {"kind": f"{PLACE}.adaptive_lif:AdaptiveLIF", "neuron_options": {"kapa": 0.1}}
        content["models"]["lif"] = {"neurons": neurons}

    done = bench("compare", study_file(change))
    assert done.code == 2
    assert "AdaptiveLIF' has the options: beta, threshold, kappa, rho, " in done.err
    assert "kapa: Extra inputs are not permitted" in done.err
