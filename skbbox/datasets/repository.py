"""Files of one commit of a git repository, each checked against the id of the commit.

The id of a commit is a hash of the ids of its folders, and these of the contents of all files. A
file with other contents, or another list of files, would have another id.
"""

from __future__ import annotations

import hashlib
import stat
import tempfile
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..exceptions import DownloadError, MissingPackageError
from ..progress import progress_bar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from dulwich.repo import Repo

__all__ = ["copy_files"]

#: Seconds without an answer after which a download fails.
TIMEOUT = 60


def copy_files(
    source: str, commit: str, patterns: Sequence[str], folder: Path, verbose: bool | int
) -> None:
    """Download a commit and write some of its files to a folder.

    Parameters
    ----------
    source : str
        Address of the repository, or path of a bare clone.
    commit : str
        Its full id.
    patterns : sequence of str
        Files to write, as for :mod:`fnmatch`; ``*`` matches ``/`` as well.
    folder : Path
        An empty folder.
    verbose : bool or int
        Whether to show the progress.

    Raises
    ------
    DownloadError
        If the commit cannot be downloaded, or what arrives is not the commit.
    MissingPackageError
        If dulwich is not installed.
    OSError
        If a file cannot be written.
    """
    try:
        from dulwich.repo import Repo
    except ImportError as error:
        raise MissingPackageError(
            "Downloading a data set needs dulwich: pip install 'skbbox[datasets]'."
        ) from error

    with (
        tempfile.TemporaryDirectory(dir=folder.parent, prefix=".", suffix=".git") as temporary,
        Repo.init_bare(temporary) as repository,
    ):
        with _errors_named(commit, source):
            _receive(source, commit, repository, verbose)
            files = [
                (path, object_id)
                for path, object_id in _list_files(repository, commit)
                if any(fnmatchcase(path, pattern) for pattern in patterns)
            ]
        with progress_bar(len(files), "Checking and writing", verbose, unit="files") as bar:
            for path, object_id in files:
                with _errors_named(commit, source):
                    content = _read_object(repository, object_id, b"blob")
                target = folder / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
                bar.update()


@contextmanager
def _errors_named(commit: str, source: str) -> Iterator[None]:
    """Raise a DownloadError for what dulwich, urllib3 and zlib raise, which is of many kinds."""
    try:
        yield
    except Exception as error:
        raise DownloadError(f"Commit {commit} of {source}: {_describe(error)}") from error


def _receive(source: str, commit: str, repository: Repo, verbose: bool | int) -> None:
    """Download the objects of one commit, without its history."""
    from dulwich.client import get_transport_and_path
    from dulwich.config import ConfigDict

    config = ConfigDict()
    config.set((b"http",), b"timeout", str(TIMEOUT).encode())
    client, path = get_transport_and_path(source, config=config)
    file, keep, discard = repository.object_store.add_pack()
    try:
        with progress_bar(0, "Downloading", verbose, unit="B") as bar:
            bar.unit_scale = True

            def choose(refs: Any, depth: int | None = None) -> list[Any]:
                return [commit.encode()]

            def write(data: bytes) -> int:
                bar.update(len(data))
                return file.write(data)

            walker = repository.get_graph_walker()
            client.fetch_pack(path, choose, walker, write, depth=1)
    except BaseException:
        discard()
        raise
    keep()


def _list_files(repository: Repo, commit: str) -> Iterator[tuple[str, bytes]]:
    """Path and object id of each regular file of a commit."""
    header = _read_object(repository, commit.encode(), b"commit").split(b"\n", 1)[0]
    if not header.startswith(b"tree "):
        raise DownloadError(f"commit {commit} names no folder")
    yield from _list_folder(repository, header.removeprefix(b"tree "), "")


def _list_folder(repository: Repo, object_id: bytes, parent: str) -> Iterator[tuple[str, bytes]]:
    rest = _read_object(repository, object_id, b"tree")
    while rest:
        # An entry is "mode name", a zero byte, and the 20 bytes of an id.
        entry, _, rest = rest.partition(b"\0")
        mode, _, name = entry.partition(b" ")
        child, rest = rest[:20].hex().encode(), rest[20:]
        path = parent + name.decode("utf-8")
        if name in (b"", b".", b"..") or b"/" in name or b"\\" in name or b":" in name:
            raise DownloadError(f"the file name {path!r} leads outside the folder")
        if stat.S_ISDIR(int(mode, 8)):
            yield from _list_folder(repository, child, f"{path}/")
        elif stat.S_ISREG(int(mode, 8)):
            yield path, child


def _read_object(repository: Repo, object_id: bytes, kind: bytes) -> bytes:
    """Content of an object, whose id is computed again from it."""
    objects: Any = repository.object_store
    content: bytes = objects[object_id].as_raw_string()
    header = b"%s %d\0" % (kind, len(content))
    # git's own hash; not chosen here.
    actual = hashlib.sha1(header + content, usedforsecurity=False).hexdigest()
    if actual.encode() != object_id:
        raise DownloadError(f"wrong content: {actual} instead of {object_id.decode()}")
    return content


def _describe(error: Exception) -> str:
    if isinstance(error, DownloadError):
        return str(error)
    if isinstance(error, KeyError):
        return f"the object {error.args[0].decode()} was not sent"
    return f"{type(error).__name__}: {error}"
