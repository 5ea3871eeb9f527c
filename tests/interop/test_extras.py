"""Without an extra, the room opens, and an error says what to install."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize("name", ["nir", "neurobench", "pennylane"])
def test_a_missing_extra_is_named(name):
    code = f"""
import sys
sys.modules[{name!r}] = None
import sqsnn
assert {name!r} in dir(sqsnn.interop) and not hasattr(sqsnn.interop, {name!r})
try:
    sqsnn.interop.{name}
except sqsnn.SqsnnError as error:
    print(error)
import sqsnn.interop.{name}
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    hint = f"sqsnn.interop.{name} needs {name}: pip install 'sqsnn[{name}]'"
    assert done.stdout.strip() == hint
    assert done.stderr.strip().endswith(f"ImportError: {hint}")
