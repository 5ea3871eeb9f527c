"""Files of datasets: where they lie, their checksums, and the download of missing ones."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pooch
from rich import progress as bars
from rich.console import Console

from sqsnn.data.dataset_spec import DataFile, DatasetSpec, Source
from sqsnn.data.trust import denied
from sqsnn.errors import DataError

FOLDER_VARIABLE = "SQSNN_DATA"


def data_folder(data_dir: Path | str | None = None) -> Path:
    """Find the folder of all datasets: `data_dir`, else $SQSNN_DATA, else the user's cache."""
    chosen = data_dir or os.environ.get(FOLDER_VARIABLE)
    return Path(chosen).expanduser() if chosen else Path(pooch.os_cache("sqsnn"))


def find(file: DataFile, folder: Path) -> Path | None:
    """Find a file in the folder of its dataset, or in raw/ below, where torchvision puts it."""
    places = (folder / file.name, folder / "raw" / file.name)
    return next((place for place in places if place.is_file()), None)


def is_present(source: Source, data_folder: Path) -> bool:
    """Whether all files of a source lie in the data folder, whole or not."""
    return all(find(file, data_folder / source.folder) for file in source.files)


def choose_source(spec: DatasetSpec, data_folder: Path) -> Source:
    """Choose the first source whose files are all present, else the one that can be downloaded.

    Both parts come from one source, since sources may differ in their values.
    """
    present = (source for source in spec.sources if is_present(source, data_folder))
    return next(present, spec.sources[-1])


def fetch_all(source: Source, data_folder: Path, *, verify: bool = True) -> tuple[Path, ...]:
    """Return the paths of a source's files, downloading the missing ones."""
    folder = data_folder / source.folder
    return tuple(fetch(file, folder, verify=verify) for file in source.files)


def fetch(file: DataFile, folder: Path, *, verify: bool = True) -> Path:
    """Return the path of a file, downloading it if it is missing."""
    path = find(file, folder)
    if path is None:
        return _download(file, folder)
    if verify and file.md5 is not None and not file.packing:
        with reading(path, (OSError,), "a file"):
            found = pooch.file_hash(str(path), alg="md5")
        if found != file.md5:
            raise broken(path, f"MD5 {file.md5}", f"MD5 {found}", addresses=file.addresses)
    return path


def broken(
    path: Path, expected: str, found: str, *, where: str = "", addresses: tuple[str, ...] = ()
) -> DataError:
    """Describe what is wrong with a file, and what to do about it, which loses nothing."""
    place = f", at {where}" if where else ""
    source = f" (from {' or '.join(addresses)})" if addresses else ""
    return DataError(
        f"{path} is broken{place}: expected {expected}, found {found}. Put a whole copy in its "
        f"place{source}; if sqsnn can download it, it is enough to move this one away."
    )


@contextmanager
def reading(
    path: Path, faults: tuple[type[Exception], ...], expected: str, where: str = ""
) -> Iterator[None]:
    """Turn what a library raises on a file into an error that names the file.

    Args:
        path: The file.
        faults: What the library raises on damaged files.
        expected: What should be in the file.
        where: What of it is read.

    Raises:
        DataError: If the file is broken; or if it cannot be read, which is no fault of its own.
    """
    try:
        yield
    except DataError:
        raise
    except faults as error:
        said = " ".join(str(error).split()) or type(error).__name__
        raise denied(path, error) or broken(path, expected, said, where=where) from error


def _download(file: DataFile, folder: Path) -> Path:
    """Fetch a file from the first mirror that has it whole.

    pooch renames its temporary file only after the checksum has been verified, so a download that
    breaks off never leaves a file under the real name.
    """
    elsewhere = (
        f"name the folder that holds {folder.name}/ by data_dir (--data-dir) or ${FOLDER_VARIABLE}"
    )
    if not file.mirrors:
        raise DataError(
            f"{file.name} is not in {folder}, and no download of it is known. Put it at "
            f"{folder / file.name}, or {elsewhere}."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        raise DataError(
            f"{file.name} is not in {folder}, and that folder cannot be written, so it cannot be "
            f"downloaded. Name another folder by data_dir (--data-dir) or ${FOLDER_VARIABLE}; the "
            f"file is at {' or '.join(file.addresses)}."
        )
    unpacked = folder / f"{file.name}.part"
    if file.packing:
        unpacked.unlink(missing_ok=True)  # pooch would take one that was cut short for a whole one
    reasons = []
    for address in file.addresses:
        try:
            path = pooch.retrieve(
                address,
                known_hash=f"md5:{file.md5}",
                fname=file.packed,
                path=folder,
                processor=pooch.Decompress(name=str(unpacked)) if file.packing else None,
                # pooch's type for a downloader is that of its processors, by oversight.
                downloader=_download_with_bar,  # pyright: ignore[reportArgumentType]
            )
        except (OSError, ValueError) as error:  # no answer, no such file; the wrong checksum
            reasons.append(f"  {address}: {error}")
            continue
        if not file.packing:
            return Path(path)
        (folder / file.packed).unlink()
        return Path(path).replace(folder / file.name)
    tried = "\n".join(reasons)
    raise DataError(
        f"{file.name} is not in {folder} and could not be downloaded. Tried:\n{tried}\n"
        f"Get it on another machine and put it at {folder / file.packed} (MD5 {file.md5}), or "
        f"{elsewhere}."
    )


class _Bar:
    """The progress bar that pooch calls, drawn by rich (pooch's own needs tqdm)."""

    total = 0

    def __init__(self, progress: bars.Progress, task: bars.TaskID) -> None:
        self._progress, self._task = progress, task

    def update(self, amount: int) -> None:
        self._progress.update(self._task, total=self.total or None, advance=amount, visible=True)

    def reset(self) -> None:
        self._progress.reset(self._task, total=self.total or None)

    def close(self) -> None:
        self._progress.refresh()


def _download_with_bar(url: str, output_file: IO[bytes] | str, caller: Any) -> None:
    """A pooch downloader: HTTP with a progress bar on the error stream."""
    columns = (
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.DownloadColumn(),
        bars.TransferSpeedColumn(),
        bars.TimeRemainingColumn(),
    )
    with bars.Progress(*columns, console=Console(stderr=True)) as progress:
        # Invisible until the first bytes come: a mirror that does not answer leaves no empty bar.
        task = progress.add_task(url.rpartition("/")[2], total=None, visible=False)
        pooch.HTTPDownloader(
            progressbar=_Bar(progress, task),  # pyright: ignore[reportArgumentType] (inferred from False)
            chunk_size=2**16,
            # The checksum is of the file as it is, so no server may unpack or repack it.
            headers={"Accept-Encoding": "identity"},
        )(url, output_file, caller)
