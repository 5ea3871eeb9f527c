"""The claims of the paper: what could be read of them, and the study that reproduces each."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from sqsnn.errors import ConfigError
from sqsnn.readfile import LARGEST_TOML, parsed_toml, read_text
from sqsnn_bench.study.config import Name, Part

NOT_READ = "not read"
CLAIMS = "claims.toml"


class Claim(Part):
    """A claim of the paper."""

    claim: str
    """What is claimed."""
    paper: str = NOT_READ
    """The figure of the paper, as it stands there."""
    their_code: str = NOT_READ
    """The figure that the authors' repository states."""
    authors_rule: bool = False
    """Whether the authors' rule, written anew, is run beside the study."""
    ours: str
    """The model of the study that is nearest to the paper's."""
    differs: str
    """In what the study differs from the authors' scripts."""


def read_claims(folder: Path) -> Mapping[str, Claim]:
    """Read the claims of a folder of studies.

    Raises:
        ConfigError: If the file is missing or wrong, or a claim has no study.
    """
    path = folder / CLAIMS
    if not path.is_file():
        raise ConfigError(f"{folder} has no {CLAIMS}; bench/studies/reproduce has")
    raw = parsed_toml(read_text(path, LARGEST_TOML, ConfigError), path, ConfigError)
    try:
        claims = TypeAdapter(dict[Name, Claim]).validate_python(raw)
    except ValidationError as error:
        raise ConfigError(f"{path}: {error}") from error
    for name in claims:
        if not study_of(folder, name).is_file():
            raise ConfigError(f"{path}: {name} has no study {study_of(folder, name)}")
    return claims


def study_of(folder: Path, name: str) -> Path:
    """Where the study of a claim lies."""
    return folder / f"{name}.toml"


def choose(claims: Mapping[str, Claim], names: Sequence[str]) -> list[str]:
    """Choose claims by their names; all where none is named.

    Raises:
        ConfigError: If there is no claim of a name.
    """
    if unknown := [name for name in names if name not in claims]:
        raise ConfigError(f"there is no claim {', '.join(unknown)}; there are {', '.join(claims)}")
    return [name for name in claims if not names or name in names]
