"""Files of fitted models: what is damaged, foreign or unknown ends in an error that names it."""

import json

import numpy as np
import pytest

from sqsnn import CheckpointError, Leaky, SpikeTrainModel, WriteError, circuits
from sqsnn.runs.tensors import read_tensors, write_tensors

pytestmark = pytest.mark.filterwarnings("ignore:the fit gains")  # few bins at random, one start


@pytest.fixture(scope="module")
def model() -> SpikeTrainModel:
    options = {"drive": Leaky(bias=0.1), "circuit": "universal", "circuit_options": {"layers": 1}}
    spikes = np.random.default_rng(0).integers(0, 2, (2, 30))
    return SpikeTrainModel(**options, starts=1, max_iterations=2, random_state=0).fit(spikes)


def test_parameters_come_back(model, tmp_path):
    model.save(tmp_path / "a.sqsnn")
    loaded = SpikeTrainModel.load(tmp_path / "a.sqsnn")
    names = ("memory_qubits", "circuit", "circuit_options", "drive", "stimulus_lags", "warm_up")
    for name in names:
        assert getattr(loaded, name) == getattr(model, name)
    assert np.array_equal(loaded.starts_, model.starts_)


def test_every_flipped_byte_is_found(model, tmp_path):
    path = tmp_path / "a.sqsnn"
    model.save(path)
    whole = path.read_bytes()
    for place in np.random.default_rng(0).choice(len(whole), 100, replace=False):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << int(place) % 8
        path.write_bytes(bytes(damaged))
        with pytest.raises(CheckpointError, match=r"a\.sqsnn"):
            SpikeTrainModel.load(path)
    path.write_bytes(whole[:-7])
    with pytest.raises(CheckpointError, match=r"a\.sqsnn"):
        SpikeTrainModel.load(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"circuit": "tick"}, "circuit 'tick', which is not registered"),
        ({"circuit": "os:system"}, "circuit 'os:system', which is not registered"),
        ({"circuit_options": {"layers": 2}}, "gates"),
        ({"circuit_options": {"tick": 2}}, "tick"),
        ({"memory_qubits": 2}, "gates"),
        ({"memory_qubits": 50}, "memory_qubits"),
        ({"drive": {"kind": "tick"}}, "kind"),
        ({"drive": {"kind": "rectified"}}, "drive"),
        ({"rate": [0.5, 0.5]}, "gates"),
        ({"rate": []}, "rates"),
        ({"rate": [-0.1]}, "rate"),
        ({"rate": [2.0]}, "rate"),
        ({"features": 3}, "filter"),
        ({"warm_up": -1}, "warm_up"),
        ({"bin_width": 0.0}, "bin_width"),
        ({"more": 1}, "more"),
    ],
)
def test_a_file_that_does_not_fit_itself_is_refused(model, tmp_path, change, message):
    path = tmp_path / "a.sqsnn"
    model.save(path)
    tensors, header, _ = read_tensors(path)
    header["spike_train_model"].update(change)
    write_tensors(path, tensors, header)
    with pytest.raises(CheckpointError, match=message) as refusal:
        SpikeTrainModel.load(path)
    assert "a.sqsnn" in str(refusal.value)


def test_weights_that_are_not_finite_are_refused(model, tmp_path):
    path = tmp_path / "a.sqsnn"
    model.save(path)
    tensors, header, _ = read_tensors(path)
    tensors["neurons.angles"][0, 3] = float("nan")
    write_tensors(path, tensors, header)
    with pytest.raises(CheckpointError, match=r"a\.sqsnn does not fit: neurons.angles"):
        SpikeTrainModel.load(path)


def test_numbers_of_numpy_are_saved(tmp_path):
    spikes = np.tile([0, 0, 0, 1], (4, 20))
    options = {"circuit_options": {"layers": 2}, "starts": 1, "max_iterations": 20}
    model = SpikeTrainModel(**options, random_state=0).fit(spikes)
    # As searches over parameters set them.
    numbers = {"memory_qubits": np.int64(1), "warm_up": np.int64(0)}
    model.set_params(**numbers, circuit_options={"layers": np.int64(2)}).save(tmp_path / "a.sqsnn")
    assert SpikeTrainModel.load(tmp_path / "a.sqsnn").circuit_options == {"layers": 2}


def test_files_of_other_things_are_refused(model, tmp_path):
    path = tmp_path / "a.sqsnn"
    with pytest.raises(CheckpointError, match="there is no file"):
        SpikeTrainModel.load(path)
    path.write_text(json.dumps({"a": 1}))
    with pytest.raises(CheckpointError, match=r"a\.sqsnn"):
        SpikeTrainModel.load(path)
    write_tensors(path, {}, {"settings": ""})
    with pytest.raises(CheckpointError, match="holds no model of spike trains"):
        SpikeTrainModel.load(path)
    with pytest.raises(WriteError, match="missing"):
        model.save(tmp_path / "missing" / "a.sqsnn")


def test_a_circuit_that_no_file_can_hold_is_refused(tmp_path):
    own = circuits.Circuit.build(1, 1, [("CRX", (0, 1), 0.3), ("RX", (0,), circuits.Normal(0.3))])
    model = SpikeTrainModel(circuit=own, starts=1, max_iterations=1).fit([[0, 1, 0, 1]])
    with pytest.raises(ValueError, match="register it under a name"):
        model.save(tmp_path / "a.sqsnn")
    named = model.set_params(circuit="sqsnn.quantum.circuits:clock")
    with pytest.raises(ValueError, match="register it under a name"):
        named.save(tmp_path / "a.sqsnn")
