"""Small public data sets, downloaded on first use."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from filelock import FileLock

from ..annotations import one_box_per_image, read_annotations
from ..annotations.near_duplicates import group_near_duplicates, hash_image
from ..boxes import TARGET_COLUMNS
from ..exceptions import DownloadError
from ..files import as_path, atomic_path
from ..progress import progress_bar
from .repository import copy_files

if TYPE_CHECKING:
    from ..typing import IntArray, PathLikeStr

__all__ = ["fetch_asl_letters", "fetch_microcontrollers", "fetch_raccoons"]

#: Digests and groups of the files; written last, so that a folder with it is complete.
MANIFEST = "skbbox.json"


@dataclass(frozen=True)
class PublicSet:
    """Where a data set is, and which of its files are used."""

    name: str
    repository: str
    commit: str
    #: Tables of boxes, and the folders of their images.
    tables: dict[str, str]
    n_images: int
    #: What separates the name of a photo from that of a copy of it; "" if there are no copies.
    copy_mark: str = ""

    @property
    def patterns(self) -> list[str]:
        """Files to keep."""
        images = [f"{folder}/*.jpg" for folder in self.tables.values()]
        return [*self.tables, *images, "LICENSE*", "README*", "*/README.dataset.txt"]


RACCOONS = PublicSet(
    name="raccoons",
    repository="datitran/raccoon_dataset",
    commit="93938849301895fb73909842ba04af9b602f677a",
    tables={"data/raccoon_labels.csv": "images"},
    n_images=200,
)
MICROCONTROLLERS = PublicSet(
    name="microcontrollers",
    repository="TannerGilbert/Tensorflow-Object-Detection-API-Train-Model",
    commit="7388c4dab7fae2b9fe147f37cbbc691b986c2c5d",
    tables={
        "images/train_labels.csv": "images/train",
        "images/test_labels.csv": "images/test",
    },
    n_images=149,
)
ASL_LETTERS = PublicSet(
    name="asl_letters",
    repository="tianyi0216/ASL_539_Project",
    commit="1337046d60268f53e0a6acaee6e397e4998bb9b3",
    tables={
        f"data/{split}/_annotations.csv": f"data/{split}" for split in ("train", "valid", "test")
    },
    n_images=1728,
    copy_mark=".rf.",
)


def fetch_raccoons(
    *,
    data_home: PathLikeStr | None = None,
    download_if_missing: bool = True,
    verbose: int = 0,
) -> tuple[pd.Series, pd.DataFrame, IntArray]:
    """Load the raccoon data set, and download it on first use.

    200 photos from web searches with one class, ``raccoon``; 16 show more than one raccoon,
    and the largest counts.

    ======== ===================================================================
    Images   200 JPEG files, 178 to 2,000 pixels wide
    Classes  1
    Source   https://github.com/datitran/raccoon_dataset, commit 93938849
    Licence  MIT (of the repository; the photos come from web searches)
    ======== ===================================================================

    Downloading needs ``pip install "skbbox[datasets]"``.

    Parameters
    ----------
    data_home : str or Path, default=None
        Folder for downloaded data sets. Default: the environment variable ``SKBBOX_DATA``, or
        ``~/skbbox_data``.
    download_if_missing : bool, default=True
        Whether to download the data set if it is not in `data_home`; otherwise raise an error.
    verbose : int, default=0
        With 1, show the progress.

    Returns
    -------
    X : Series of str
        Paths of the images.
    y : DataFrame
        The largest box of each image, in the columns of ``TARGET_COLUMNS``.
    groups : ndarray of shape (n_images,), int
        Equal for images that belong together, for ``groups=`` of a splitter such as
        :class:`skbbox.StratifiedGroupBoxKFold` or ``GroupKFold``: near-duplicates, whose difference
        hashes differ in at most 10 of 144 bits.

    Raises
    ------
    DownloadError
        If the data set is missing and is not to be downloaded, cannot be downloaded or cannot be
        stored. An OSError; says how to fetch it by hand.
    MissingPackageError
        If dulwich, which downloads, is not installed.

    Notes
    -----
    The commit is pinned, and its id is computed again from what was downloaded. As it is a hash of
    all files, no other file is accepted, whatever server or mirror sent it. SHA-256 digests
    of the files are stored with them, and checked in each later call.
    The environment variable ``SKBBOX_DATA_URL`` names a mirror, instead of https://github.com.
    """
    return _fetch(RACCOONS, data_home, download_if_missing, verbose)


def fetch_microcontrollers(
    *,
    data_home: PathLikeStr | None = None,
    download_if_missing: bool = True,
    verbose: int = 0,
) -> tuple[pd.Series, pd.DataFrame, IntArray]:
    """Load the microcontroller data set, and download it on first use.

    Photos by Gilbert Tanner of Arduino Nano, ESP8266, Heltec ESP32 LoRa and Raspberry Pi 3 on
    one desk; 20 show more than one board, and the largest counts.

    ======== ===================================================================
    Images   149 JPEG files of 800 x 600 pixels
    Classes  4: Arduino_Nano, ESP8266, Heltec_ESP32_Lora, Raspberry_Pi_3
    Source   https://github.com/TannerGilbert/Tensorflow-Object-Detection-API-Train-Model,
             commit 7388c4da
    Licence  MIT (of the repository)
    ======== ===================================================================

    Parameters, errors and checks are those of :func:`skbbox.datasets.fetch_raccoons`.

    Parameters
    ----------
    data_home : str or Path, default=None
        Folder for downloaded data sets.
    download_if_missing : bool, default=True
        Whether to download the data set if it is not in `data_home`.
    verbose : int, default=0
        With 1, show the progress.

    Returns
    -------
    X : Series of str
        Paths of the images: those of the source's training split, then those of its test split.
    y : DataFrame
        The largest box of each image, in the columns of ``TARGET_COLUMNS``.
    groups : ndarray of shape (n_images,), int
        Equal for near-duplicates. All photos show the same desk, which no split separates.
    """
    return _fetch(MICROCONTROLLERS, data_home, download_if_missing, verbose)


def fetch_asl_letters(
    *,
    data_home: PathLikeStr | None = None,
    download_if_missing: bool = True,
    verbose: int = 0,
) -> tuple[pd.Series, pd.DataFrame, IntArray]:
    """Load the American Sign Language letters, and download them on first use.

    One hand that shows a letter of the American manual alphabet: 720 photos by David Lee, 504 of
    them in three augmented copies, with one box each.

    ======== ===================================================================
    Images   1,728 JPEG files of 512 x 512 pixels
    Classes  26: A to Z
    Source   https://github.com/tianyi0216/ASL_539_Project, commit 1337046d, a copy of
             https://public.roboflow.com/object-detection/american-sign-language-letters, version 1
    Licence  public domain (README.dataset.txt of the source)
    ======== ===================================================================

    Parameters, errors and checks are those of :func:`skbbox.datasets.fetch_raccoons`.

    Parameters
    ----------
    data_home : str or Path, default=None
        Folder for downloaded data sets.
    download_if_missing : bool, default=True
        Whether to download the data set if it is not in `data_home`.
    verbose : int, default=0
        With 1, show the progress.

    Returns
    -------
    X : Series of str
        Paths of the images: those of the source's training, validation and test split.
    y : DataFrame
        The box of each image, in the columns of ``TARGET_COLUMNS``.
    groups : ndarray of shape (n_images,), int
        Equal for copies of a photo and for near-duplicates. Without them, a split puts copies of
        one photo on both sides. All photos show the same person.
    """
    return _fetch(ASL_LETTERS, data_home, download_if_missing, verbose)


def _fetch(
    public_set: PublicSet, data_home: PathLikeStr | None, download: bool, verbose: int
) -> tuple[pd.Series, pd.DataFrame, IntArray]:
    home = as_path(data_home or os.environ.get("SKBBOX_DATA") or "~/skbbox_data")
    folder = home / f"{public_set.name}-{public_set.commit[:8]}"
    manifest = _read_manifest(folder)
    if manifest is None:
        if not download:
            raise DownloadError(
                f"{folder} does not contain the complete data set; pass download_if_missing=True "
                f"to download it. {_explain_by_hand(public_set, home)}"
            )
        manifest = _download(public_set, home, folder, verbose)
    boxes = _read_boxes(public_set, folder)
    X, y = one_box_per_image(boxes)
    groups = [manifest["groups"][Path(image).relative_to(folder).as_posix()] for image in X]
    y = y[list(TARGET_COLUMNS)].reset_index(drop=True)
    return X.reset_index(drop=True), y, np.array(groups, dtype=np.intp)


def _read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of a complete folder; None if a file is missing or was changed."""
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_bytes())
        files = manifest["files"].items()
        is_complete = all(_compute_digest(folder / path) == digest for path, digest in files)
    except (OSError, ValueError, KeyError):
        return None
    return manifest if is_complete else None


def _download(public_set: PublicSet, home: Path, folder: Path, verbose: int) -> dict[str, Any]:
    try:
        home.mkdir(parents=True, exist_ok=True)
        # Of several processes, one downloads and the others wait.
        with FileLock(home / f".{folder.name}.lock"):
            manifest = _read_manifest(folder)
            if manifest is None:
                with atomic_path(folder) as unfinished:
                    unfinished.mkdir()
                    source = _find_source(public_set, home)
                    commit, patterns = public_set.commit, public_set.patterns
                    copy_files(source, commit, patterns, unfinished, verbose)
                    manifest = _make_manifest(public_set, unfinished, verbose)
                    (unfinished / MANIFEST).write_text(json.dumps(manifest), encoding="utf-8")
            return manifest
    except DownloadError as error:
        raise DownloadError(
            f"The data set {public_set.name!r} could not be downloaded. {str(error).rstrip('.')}. "
            f"{_explain_by_hand(public_set, home)}"
        ) from error
    except OSError as error:
        raise DownloadError(
            f"The data set {public_set.name!r} could not be stored in {home}: {error}. Pass "
            "another folder as data_home, or name one in the environment variable SKBBOX_DATA."
        ) from error


def _find_source(public_set: PublicSet, home: Path) -> str:
    """A clone in the folder of data sets, which was put there by hand, or the address."""
    clone = home / _name_clone(public_set)
    if clone.is_dir():
        return str(clone)
    server = os.environ.get("SKBBOX_DATA_URL", "https://github.com").rstrip("/")
    return f"{server}/{public_set.repository}.git"


def _name_clone(public_set: PublicSet) -> str:
    return f"{public_set.repository.split('/')[1]}.git"


def _explain_by_hand(public_set: PublicSet, home: Path) -> str:
    return (
        "To fetch it by hand, run `git clone --bare "
        f"https://github.com/{public_set.repository}.git` on a machine with internet access, copy "
        f"the folder {_name_clone(public_set)} that it writes to {home}, and call the function "
        "again. The environment variable SKBBOX_DATA_URL can name a mirror of the server."
    )


def _make_manifest(public_set: PublicSet, folder: Path, verbose: int) -> dict[str, Any]:
    images = _read_boxes(public_set, folder)["image"].unique().tolist()
    if len(images) != public_set.n_images:
        raise DownloadError(
            f"{len(images)} images instead of {public_set.n_images} in commit {public_set.commit}"
        )
    hashes = []
    with progress_bar(len(images), "Looking for near-duplicates", verbose) as bar:
        for image in images:
            hashes.append(hash_image(image))
            bar.update()
    groups = group_near_duplicates(hashes)
    if public_set.copy_mark:
        photos = pd.Series([Path(image).name.split(public_set.copy_mark)[0] for image in images])
        for rows in photos.groupby(photos).indices.values():
            groups[np.isin(groups, groups[rows])] = groups[rows].min()
    names = [Path(image).relative_to(folder).as_posix() for image in images]
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        "commit": public_set.commit,
        "files": {path.relative_to(folder).as_posix(): _compute_digest(path) for path in files},
        "groups": dict(zip(names, groups.tolist(), strict=True)),
    }


def _compute_digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_boxes(public_set: PublicSet, folder: Path) -> pd.DataFrame:
    """The boxes of all tables."""
    tables = [
        read_annotations(folder / table, images_dir=folder / images, format="tfod_csv")
        for table, images in public_set.tables.items()
    ]
    return pd.concat(tables, ignore_index=True)
