"""No test of devices calls anything that is about to go, whether in our code or in a client."""

from pathlib import Path

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Make warnings of deprecation errors in all tests of this folder."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            for category in ("DeprecationWarning", "PendingDeprecationWarning"):
                item.add_marker(pytest.mark.filterwarnings(f"error::{category}"))
