"""A command keeps the memory that it frees; the library leaves that to its user."""

import os
import subprocess
import sys

import pytest

ON_GLIBC = "CS_GNU_LIBC_VERSION" in getattr(os, "confstr_names", {})
# Ten tensors of 40 MB, one after the other: 10,000 pages each, where every one is cleared anew.
# Small objects beside the first freed tensors may keep later ones from their place: ten go ahead.
COUNT = """
import resource, torch
{first}
for _ in range(10):
    torch.ones(10_000_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    torch.ones(10_000_000)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
COMMAND = """
from sqsnn.cli.main import main
main(["datasets"])
"""


def page_faults(first: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", COUNT.format(first=first)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return int(done.stdout.splitlines()[-1])


@pytest.mark.skipif(not ON_GLIBC, reason="the C library is not glibc")
def test_commands_use_freed_memory_again_and_the_library_changes_nothing():
    library, command = page_faults("import sqsnn; sqsnn.SQSNeurons"), page_faults(COMMAND)
    # Pages may be larger than 4 kB, but as many for both.
    assert command < library / 4
