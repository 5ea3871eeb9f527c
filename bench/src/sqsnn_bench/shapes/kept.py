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
        self._found = self._made = 0

    def read(self) -> dict[str, Any]:
        """Give the section as it stands."""
        return self._all().get(self.section, {})

    def write(self, figures: Mapping[str, Any]) -> None:
        """Add figures to the section by their names, or replace them."""

        def add(section: dict[str, Any]) -> None:
            section.update(figures)

        self._made += self._change(add)

    def once(self, group: str, name: str, make: Callable[[], Any]) -> Any:
        """Give a figure of a group of the section, and make it only if it is not there yet."""
        found = self.read().get(group, {})
        if name in found:
            self._found += 1
            return found[name]
        made = make()

        def add(section: dict[str, Any]) -> None:
            section.setdefault(group, {})[name] = made

        self._made += self._change(add)
        return made

    def finish(self, figures: Mapping[str, Any]) -> str:
        """Add what the figures of a command depend on, unless all of them were there before it.

        Returns:
            Where the figures are, and how many of them this command did not make.
        """
        if self._made or not self._found or not figures.keys() <= self.read().keys():
            self.write(figures)
        if not self._found:
            return str(self.path)
        return f"{self.path}: {self._found} parts were there before; another --out makes all anew"

    def _change(self, change: Callable[[dict[str, Any]], None]) -> bool:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{self.path}.lock"):
            content, before = self._all(), self._all()
            change(content.setdefault(self.section, {}))
            if content != before:
                write_json(self.path, content)
            return content != before

    def _all(self) -> dict[str, Any]:
        return json.loads(self.path.read_text("utf-8")) if self.path.is_file() else {}
