"""What is written down about the machine beside the seconds of a run."""

import json
import platform

import pytest
import torch
from tools import small_run

import sqsnn
from sqsnn.errors import ConfigError
from sqsnn.training.build import build_network
from sqsnn.training.machine import describe_machine, threads


def test_the_machine_is_described_for_the_settings():
    settings = small_run(threads=3, neurons_backend="torch")
    machine = describe_machine(settings.training, build_network(settings, 3, 2))
    assert (machine["device"], machine["threads"]) == ("cpu", 3)
    assert machine["neurons_run_on"] == ["torch", "torch"]
    assert machine["python"] == platform.python_version()
    assert (machine["torch"], machine["sqsnn"]) == (torch.__version__, sqsnn.__version__)
    assert json.loads(json.dumps(machine)) == machine


def test_a_cuda_device_goes_by_its_name(monkeypatch):
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Some GPU")
    network = build_network(small_run(), 3, 2)
    machine = describe_machine(small_run(device="cuda").training, network)
    assert machine["device"] == "Some GPU"


def test_threads_are_put_back_after_an_error_too():
    before = torch.get_num_threads()
    with pytest.raises(KeyError), threads(before + 1):
        assert torch.get_num_threads() == before + 1
        raise KeyError
    assert torch.get_num_threads() == before


def test_more_threads_than_any_machine_has_are_refused():
    said = r"threads must be an integer in 1\.\.1024, but is 1000000"
    with pytest.raises(ValueError, match=said), threads(10**6):
        pass


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB.\nmore"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    ],
)
def test_memory_that_is_not_there_is_said_in_one_line(error):
    said = r"too little memory .*: choose fewer hidden"
    with pytest.raises(ConfigError, match=said) as caught, threads(1):
        raise error
    assert "\n" not in str(caught.value)
    with pytest.raises(RuntimeError, match="another"), threads(1):
        raise RuntimeError("another")
