"""Where data files lie: the data folder, checksums, and the download of what is missing."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import pooch
from rich import progress as bars
from rich.console import Console

from sqsnn.errors import DataError

FOLDER_VARIABLE = "SQSNN_DATA"


@dataclass(frozen=True)
class DataFile:
    """One file of a dataset as its authors distribute it.

    Args:
        name: the file's name, the same on disk and on the mirrors.
        md5: the published MD5 sum, or None where there is none (the content is checked then).
        mirrors: addresses of folders that hold the file, each ending in "/", or of the file
            itself, best first; none where no download is known.
        packing: ".gz" where the mirrors hold it packed, the MD5 sum being that of the packed file.
    """

    name: str
    md5: str | None = None
    mirrors: tuple[str, ...] = ()
    packing: Literal["", ".gz"] = ""

    @property
    def packed(self) -> str:
        """The name of the file as the mirrors hold it."""
        return self.name + self.packing

    @property
    def addresses(self) -> tuple[str, ...]:
        """The full address of the file on each mirror."""
        return tuple(
            mirror + self.packed if mirror.endswith("/") else mirror for mirror in self.mirrors
        )


def data_folder(data_dir: Path | str | None = None) -> Path:
    """The folder that holds all datasets: `data_dir`, else $SQSNN_DATA, else the user's cache.

    Args:
        data_dir: the folder asked for, or None.
    """
    chosen = data_dir or os.environ.get(FOLDER_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    return Path(pooch.os_cache("sqsnn"))


def find(file: DataFile, folder: Path) -> Path | None:
    """The path at which a file lies, or None; `folder`/raw is torchvision's place for it.

    Args:
        file: the file looked for.
        folder: the dataset's own folder.
    """
    places = (folder / file.name, folder / "raw" / file.name)
    return next((place for place in places if place.is_file()), None)


def fetch(file: DataFile, folder: Path) -> Path:
    """The path of a file whose checksum is right, downloaded first if it is not there.

    Args:
        file: the file wanted.
        folder: the dataset's own folder; only written to when the file is missing.

    Raises:
        DataError: if the file is broken, or missing and not to be had from any mirror.
    """
    path = find(file, folder)
    if path is None:
        return _download(file, folder)
    if file.md5 is not None and not file.packing:
        try:
            found = pooch.file_hash(str(path), alg="md5")
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error}") from error
        if found != file.md5:
            raise broken(path, f"MD5 {file.md5}", f"MD5 {found}", file.addresses)
    return path


def broken(path: Path, expected: str, found: str, addresses: tuple[str, ...] = ()) -> DataError:
    """The error that says what is wrong with a file and what to do about it.

    Args:
        path: the broken file.
        expected: what a whole file has.
        found: what this one has.
        addresses: where a whole file is to be had, if anywhere.
    """
    source = f" (from {' or '.join(addresses)})" if addresses else ""
    return DataError(
        f"{path} is broken: expected {expected}, found {found}. Delete it, and the data are "
        f"downloaded again by the next run, or put a whole copy in its place{source}."
    )


def _download(file: DataFile, folder: Path) -> Path:
    """Fetch a file from the first mirror that has it whole.

    pooch writes to a temporary name and renames only once the checksum is right, so a download
    that is cut short never stands under the file's own name.
    """
    if not file.mirrors:
        raise DataError(
            f"{file.name} is not in {folder}, and no download of it is known. Put it at "
            f"{folder / file.name}, or name the folder that holds {folder.name}/ by data_dir "
            f"(--data-dir) or ${FOLDER_VARIABLE}."
        )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK)
    except OSError:
        writable = False
    if not writable:
        raise DataError(
            f"{file.name} is not in {folder}, and nothing can be downloaded there, because the "
            f"folder cannot be written. Name another folder by data_dir (--data-dir) or "
            f"${FOLDER_VARIABLE}; the file is at {' or '.join(file.addresses)}."
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
        else:
            return _place(file, folder, Path(path))
    tried = "\n".join(reasons)
    raise DataError(
        f"{file.name} is not in {folder} and could not be downloaded. Tried:\n{tried}\n"
        f"Get it on another machine and put it at {folder / file.packed} (MD5 {file.md5}), or name "
        f"the folder that holds {folder.name}/ by data_dir (--data-dir) or ${FOLDER_VARIABLE}."
    )


def _place(file: DataFile, folder: Path, path: Path) -> Path:
    """Give a download that was packed its own name, now that it is whole."""
    if file.packing:
        path = path.replace(folder / file.name)
        (folder / file.packed).unlink()
    return path


class _Bar:
    """What pooch asks of a progress bar, drawn by rich (pooch's own needs tqdm)."""

    total = 0

    def __init__(self, progress: bars.Progress, task: bars.TaskID) -> None:
        self._progress = progress
        self._task = task

    def update(self, amount: int) -> None:
        self._progress.update(self._task, total=self.total or None, advance=amount, visible=True)

    def reset(self) -> None:
        self._progress.reset(self._task, total=self.total or None)

    def close(self) -> None:
        self._progress.refresh()


def _download_with_bar(url: str, output_file: IO[bytes] | str, caller: Any) -> None:
    """A pooch downloader: HTTP with a progress bar on the error stream."""
    with bars.Progress(
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.DownloadColumn(),
        bars.TransferSpeedColumn(),
        bars.TimeRemainingColumn(),
        console=Console(stderr=True),
    ) as progress:
        # Invisible until the first bytes come: a mirror that does not answer leaves no empty bar.
        task = progress.add_task(url.rpartition("/")[2], total=None, visible=False)
        pooch.HTTPDownloader(
            progressbar=_Bar(progress, task),  # pyright: ignore[reportArgumentType] (inferred from False)
            chunk_size=2**16,
            # The checksum is of the file as it is, so no server may unpack or repack it.
            headers={"Accept-Encoding": "identity"},
        )(url, output_file, caller)
