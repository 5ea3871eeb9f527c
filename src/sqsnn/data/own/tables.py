"""Reader of tables, one sample per row: .csv, .tsv and .parquet (extra `tables`)."""

from collections.abc import Sequence
from pathlib import Path

from sqsnn.data.own.faults import listed, refuse, suggestion
from sqsnn.data.own.own_data import OwnData
from sqsnn.errors import ConfigError

# Columns that are taken for the labels if no other is named.
LABELS = ("label", "class", "target", "y")


def read_table(
    path: Path,
    label: str | None,
    columns: Sequence[str] | None,
    groups: str | None,
    *,
    needs_labels: bool = True,
) -> OwnData:
    """Read a table.

    Args:
        path: The file. The first line of .csv and .tsv names the columns.
        label: Column of the labels; None for the one named label, class, target or y.
        columns: Columns of the features; None for all others.
        groups: Column of the groups.
        needs_labels: Whether to refuse a table without labels.

    Raises:
        DataError: If the table is damaged or holds what is no number; it names line and column.
        ConfigError: If a column is not in the table, or the extra is not installed.
    """
    try:
        if path.suffix.lower() == ".parquet":
            from sqsnn.data.own import parquet as reader
        else:
            from sqsnn.data.own import delimited as reader
    except ImportError as error:
        raise ConfigError(
            f"{path} is read by pandas and pyarrow, and {error.name} is not installed; install "
            "both by: pip install 'sqsnn[tables]'"
        ) from error
    names = reader.read_names(path)
    _check_names(path, names)
    label = _find_label(path, label, names, needs_labels)
    if groups is not None:
        _check_known(path, "groups", groups, names)
    features = _choose_features(path, label, columns, groups, names)
    texts = [name for name in (label, groups) if name is not None]
    X, entries = reader.read_columns(path, names, features, texts)
    return OwnData(
        X=X,
        y=entries.get(label or ""),
        path=path,
        groups=entries.get(groups or ""),
        feature_names=tuple(features),
        label_name=label or "y",
    )


def _check_names(path: Path, names: Sequence[str]) -> None:
    """Refuse columns without a name, and names that stand twice."""
    for position, name in enumerate(names, start=1):
        if not name or name.startswith("__index_level_"):
            found = "none; pandas writes its index there unless told index=False"
            raise refuse(path, f"column {position}", "a name", found)
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        first = names.index(twice)
        found = f"{twice!r} in columns {first + 1} and {names.index(twice, first + 1) + 1}"
        raise refuse(path, "names of the columns", "names that differ", found)


def _find_label(
    path: Path, label: str | None, names: Sequence[str], needs_labels: bool
) -> str | None:
    if label is not None:
        if label not in names and not needs_labels:
            return None
        _check_known(path, "label", label, names)
        return label
    found = [name for name in names if name.lower() in LABELS]
    if len(found) > 1 or (not found and needs_labels):
        raise ConfigError(
            f"label must name the column of the labels in {path}; {listed(found or names)}"
        )
    return found[0] if found else None


def _check_known(path: Path, argument: str, name: str, names: Sequence[str]) -> None:
    if name not in names:
        raise ConfigError(
            f"{argument} is {name!r}, and {path} has no such column; {suggestion(name, names)}"
        )


def _choose_features(
    path: Path,
    label: str | None,
    columns: Sequence[str] | None,
    groups: str | None,
    names: Sequence[str],
) -> list[str]:
    taken = {label: "label", groups: "groups"}
    if columns is None:
        features = [name for name in names if name not in taken]
    else:
        features, known = list(columns), set(names)
        for name in features:
            if name not in known:
                _check_known(path, "columns", name, names)
            if name in taken:
                raise ConfigError(f"columns must name features, but {name!r} is {taken[name]} too")
        if len(set(features)) < len(features):
            twice = next(name for name in features if features.count(name) > 1)
            raise ConfigError(f"columns must name features once, but {twice!r} stands twice")
    if not features:
        raise refuse(path, "", "a column of features", "none besides those of labels and groups")
    return features
