"""The file of the figures: each command has a section, and parts that are done are kept."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from filelock import FileLock

from sqsnn.storage import write_json


class Kept:
    """A section of a file of figures; several processes may write other sections.

    Args:
        path: The file.
        section: Name of the section.
    """

    def __init__(self, path: Path, section: str) -> None:
        self.path, self.section = path, section

    def read(self) -> dict[str, Any]:
        """Give the section as it stands."""
        return self._all().get(self.section, {})

    def write(self, figures: Mapping[str, Any]) -> None:
        """Add figures to the section by their names, or replace them."""

        def add(section: dict[str, Any]) -> None:
            section.update(figures)

        self._change(add)

    def once(self, group: str, name: str, make: Callable[[], Any]) -> Any:
        """Give a figure of a group of the section, and make it only if it is not there yet."""
        found = self.read().get(group, {})
        if name in found:
            return found[name]
        made = make()

        def add(section: dict[str, Any]) -> None:
            section.setdefault(group, {})[name] = made

        self._change(add)
        return made

    def _change(self, change: Callable[[dict[str, Any]], None]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{self.path}.lock"):
            content = self._all()
            change(content.setdefault(self.section, {}))
            write_json(self.path, content)

    def _all(self) -> dict[str, Any]:
        return json.loads(self.path.read_text("utf-8")) if self.path.is_file() else {}
