"""Public data sets are downloaded once from a git server, and only as the pinned commit."""

import csv
import dataclasses
import json
import os
import shutil
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

import numpy as np
import pytest
from dulwich import porcelain
from dulwich.objects import Blob, Commit, Tree
from dulwich.repo import Repo
from dulwich.server import DictBackend
from dulwich.web import make_wsgi_chain
from PIL import Image

from skbbox import TARGET_COLUMNS
from skbbox.datasets import fetch_asl_letters, fetch_microcontrollers, fetch_raccoons, public
from skbbox.datasets.repository import copy_files
from skbbox.exceptions import DownloadError, MissingPackageError

HEADER = "filename,width,height,class,xmin,ymin,xmax,ymax\n"
#: Two boards, and a third one that is smaller, as the source writes them.
TABLES = {
    "images/train_labels.csv": HEADER
    + "a.jpg,80,60,ESP8266,8,6,72,54\na.jpg,80,60,Arduino_Nano,0,0,20,15\n",
    "images/test_labels.csv": HEADER + "b.jpg,80,60,Raspberry_Pi_3,40,30,80,60\n",
}
N_IMAGES = 2
ID = "0123456789abcdef" * 2


def draw(seed):
    """A picture that differs from that of another seed in many places."""
    pixels = np.random.default_rng(seed).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((80, 60), Image.Resampling.BICUBIC)


def make_repository(root, files):
    """A bare repository that a server in `root` can serve; also the id of its only commit."""
    work = root / "work"
    for name, content in files.items():
        (work / name).parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            (work / name).write_text(content)
        else:
            content.save(work / name)
    porcelain.init(work).close()
    porcelain.add(work, [str(work / name) for name in files])
    commit = porcelain.commit(work, message=b"all", author=b"a <a@b>", committer=b"a <a@b>")
    return work, commit.decode()


class Server:
    """A git server on the loopback interface, whose answers a test can change."""

    def __init__(self, folder):
        self.requests = []
        self.change = None
        self.repository = Repo(folder)
        self.backend = {}
        application = make_wsgi_chain(DictBackend(self.backend))

        def serve(environ, start_response):
            self.requests.append(environ["PATH_INFO"])
            if not self.change or environ["REQUEST_METHOD"] != "POST":
                return application(environ, start_response)
            written = []

            def start(status, headers):
                start_response(status, headers)
                return written.append

            written.extend(application(environ, start))
            return [self.change(b"".join(written))]

        self.server = make_server("127.0.0.1", 0, serve, WSGIServer, QuietHandler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.repository.close()


class QuietHandler(WSGIRequestHandler):
    def log_message(self, *args):
        pass


@pytest.fixture
def serve(tmp_path, monkeypatch):
    """Serve files as the pinned commit of a data set, named like the constant in the module."""
    servers = []

    def serve(name, files, n_images):
        folder, commit = make_repository(tmp_path / "source", files)
        server = Server(folder)
        servers.append(server)
        known = dataclasses.replace(getattr(public, name), commit=commit, n_images=n_images)
        monkeypatch.setattr(public, name, known)
        monkeypatch.setenv("SKBBOX_DATA_URL", server.url)
        server.backend[f"/{known.repository}.git"] = server.repository
        return server

    yield serve
    for server in servers:
        server.close()


@pytest.fixture
def server(serve):
    """Two photos of microcontrollers and their tables."""
    images = {"images/train/a.jpg": draw(0), "images/test/b.jpg": draw(1)}
    return serve("MICROCONTROLLERS", TABLES | images | {"other.txt": "not needed"}, N_IMAGES)


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


def assert_nothing_is_left(home):
    assert [path for path in home.rglob("*") if path.suffix != ".lock"] == []


# What is returned


def test_the_largest_box_of_each_image_is_returned(server, home):
    X, y, groups = fetch_microcontrollers(data_home=home)
    assert [path.rsplit("/", 2)[1:] for path in X] == [["train", "a.jpg"], ["test", "b.jpg"]]
    assert tuple(y.columns) == TARGET_COLUMNS
    assert y.to_numpy().tolist() == [
        ["ESP8266", 0.1, 0.9, 0.1, 0.9],
        ["Raspberry_Pi_3", 0.5, 1.0, 0.5, 1.0],
    ]
    assert groups.tolist() == [0, 1]
    assert list(X.index) == list(y.index) == [0, 1]


def test_only_the_files_of_the_data_set_are_written(server, home):
    X, _, _ = fetch_microcontrollers(data_home=home)
    assert all(Image.open(path).size == (80, 60) for path in X)
    assert not list(home.rglob("other.txt"))
    assert not list(home.rglob("*.pack"))


def test_near_duplicates_and_copies_of_a_photo_are_one_group(serve, home):
    names = [f"A{photo}_jpg.rf.{ID}{copy}.jpg" for photo, copy in ((1, 0), (1, 1), (2, 0), (3, 0))]
    # The copies of A1 look different; A3 looks like the first of them.
    images = [draw(0), draw(1), draw(2), draw(0)]
    rows = "".join(f"{name},80,60,A,8,6,72,54\n" for name in names)
    files = {"data/train/_annotations.csv": HEADER + rows}
    files |= {f"data/train/{name}": image for name, image in zip(names, images, strict=True)}
    for split, seed in (("valid", 10), ("test", 11)):
        files[f"data/{split}/_annotations.csv"] = f"{HEADER}{split}.jpg,80,60,B,8,6,72,54\n"
        files[f"data/{split}/{split}.jpg"] = draw(seed)
    serve("ASL_LETTERS", files, n_images=6)
    _, y, groups = fetch_asl_letters(data_home=home)
    assert groups.tolist() == [0, 0, 2, 0, 4, 5]
    assert y["class_name"].tolist() == ["A", "A", "A", "A", "B", "B"]


def test_real_raccoons_have_the_boxes_of_the_shared_table(shared, serve, home):
    folder = shared / "datasets" / "raccoon_voc"
    with (folder / "groups.csv").open() as file:
        sizes = {
            row["image_id"]: (int(row["orig_width"]), int(row["orig_height"]))
            for row in csv.DictReader(file)
        }
    with (folder / "annotations.csv").open() as file:
        rows = list(csv.DictReader(file))
    table, files = HEADER, {}
    for row in rows:
        width, height = sizes[row["image_id"]]
        name = row["image_id"].replace("_", "-") + ".jpg"
        pixels = [
            round(float(row[side]) * size)
            for side, size in zip(
                ("x_min", "y_min", "x_max", "y_max"), (width, height) * 2, strict=True
            )
        ]
        table += f"{name},{width},{height},raccoon,{','.join(map(str, pixels))}\n"
        files[f"images/{name}"] = Image.open(folder / f"images/raccoon/{row['image_id']}.jpg")
    # As long as the file of the public repository, which this table repeats.
    assert len(table) == 9918
    serve("RACCOONS", files | {"data/raccoon_labels.csv": table}, n_images=200)
    X, y, groups = fetch_raccoons(data_home=home)
    first = {row["image_id"]: row for row in reversed(rows)}
    single = {name for name in first if sum(row["image_id"] == name for row in rows) == 1}
    assert len(X) == len(y) == len(groups) == 200
    assert len(single) == 184
    for path, box in zip(X, y.to_dict("records"), strict=True):
        name = path.rsplit("/", 1)[1].removesuffix(".jpg").replace("-", "_")
        if name in single:
            expected = [float(first[name][side]) for side in TARGET_COLUMNS[1:]]
            np.testing.assert_allclose(
                [box[side] for side in TARGET_COLUMNS[1:]], expected, atol=1e-6
            )
    assert len(np.unique(groups)) == 193


# Downloading once


def test_second_call_makes_no_request(server, home):
    first = fetch_microcontrollers(data_home=home)
    n_requests = len(server.requests)
    second = fetch_microcontrollers(data_home=home, download_if_missing=False)
    assert n_requests > 0
    assert len(server.requests) == n_requests
    assert first[0].equals(second[0])
    assert first[1].equals(second[1])
    assert first[2].tolist() == second[2].tolist()


def test_environment_variable_names_the_folder(server, home, monkeypatch):
    monkeypatch.setenv("SKBBOX_DATA", str(home))
    X, _, _ = fetch_microcontrollers()
    assert all(path.startswith(str(home)) for path in X)


def test_calls_at_the_same_time_download_once(server, home):
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: fetch_microcontrollers(data_home=home), range(4)))
    assert len({tuple(X) for X, _, _ in results}) == 1
    assert sum(path.endswith("git-upload-pack") for path in server.requests) <= 2


def test_progress_is_shown_with_verbose_only(server, home, tmp_path, capsys):
    fetch_microcontrollers(data_home=home)
    assert capsys.readouterr().out == ""
    fetch_microcontrollers(data_home=tmp_path / "other", verbose=1)
    assert "Downloading" in capsys.readouterr().out


@pytest.mark.parametrize("damage", ["half", "removed", "other"])
def test_damaged_file_is_downloaded_again(server, home, damage):
    X, _, _ = fetch_microcontrollers(data_home=home)
    image = home / X[0]
    content = image.read_bytes()
    if damage == "half":
        image.write_bytes(content[: len(content) // 2])
    elif damage == "removed":
        image.unlink()
    else:
        image.write_bytes(content[:-1] + b"x")
    n_requests = len(server.requests)
    fetch_microcontrollers(data_home=home)
    assert image.read_bytes() == content
    assert len(server.requests) > n_requests


def test_folder_without_its_last_file_is_not_complete(server, home):
    fetch_microcontrollers(data_home=home)
    next(home.glob("*/skbbox.json")).unlink()
    with pytest.raises(DownloadError, match="does not contain the complete data set"):
        fetch_microcontrollers(data_home=home, download_if_missing=False)


def test_read_only_folder_with_the_data_set_can_be_read(server, home, monkeypatch):
    fetch_microcontrollers(data_home=home)
    monkeypatch.setattr(public, "FileLock", None)
    monkeypatch.setattr(public, "atomic_path", None)
    assert len(fetch_microcontrollers(data_home=home)[0]) == N_IMAGES


# What goes wrong


def test_error_without_a_connection_says_what_to_fetch_by_hand(home, monkeypatch):
    # Port 9 discards; nothing listens there.
    monkeypatch.setenv("SKBBOX_DATA_URL", "http://127.0.0.1:9")
    with pytest.raises(OSError) as caught:
        fetch_raccoons(data_home=home)
    message = str(caught.value)
    assert caught.type is DownloadError
    assert "http://127.0.0.1:9/datitran/raccoon_dataset.git" in message
    assert "git clone --bare https://github.com/datitran/raccoon_dataset.git" in message
    assert f"raccoon_dataset.git that it writes to {home}" in message
    assert_nothing_is_left(home)


def test_download_if_missing_false_makes_no_request(server, home):
    with pytest.raises(DownloadError, match=f"{home}.*git clone --bare"):
        fetch_microcontrollers(data_home=home, download_if_missing=False)
    assert server.requests == []


def test_unknown_address_is_an_error(server, home):
    server.backend.clear()
    with pytest.raises(DownloadError, match=server.url):
        fetch_microcontrollers(data_home=home)
    assert_nothing_is_left(home)


def test_changed_bytes_are_refused(server, home):
    server.change = lambda answer: answer[:-60] + bytes([answer[-60] ^ 1]) + answer[-59:]
    with pytest.raises(DownloadError, match="git clone"):
        fetch_microcontrollers(data_home=home)
    assert_nothing_is_left(home)


def test_truncated_answer_is_refused(server, home):
    server.change = lambda answer: answer[: len(answer) // 2]
    with pytest.raises(DownloadError, match="git clone"):
        fetch_microcontrollers(data_home=home)
    assert_nothing_is_left(home)


def test_next_call_after_a_failed_one_succeeds(server, home):
    server.change = lambda answer: answer[: len(answer) // 2]
    with pytest.raises(DownloadError):
        fetch_microcontrollers(data_home=home)
    server.change = None
    assert len(fetch_microcontrollers(data_home=home)[0]) == N_IMAGES


def test_another_commit_is_refused(server, home, monkeypatch):
    other = dataclasses.replace(public.MICROCONTROLLERS, commit="0" * 39 + "1")
    monkeypatch.setattr(public, "MICROCONTROLLERS", other)
    with pytest.raises(DownloadError, match="git clone"):
        fetch_microcontrollers(data_home=home)
    assert_nothing_is_left(home)


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_folder_that_cannot_be_written_is_named(server, home):
    home.mkdir()
    home.chmod(0o500)
    user = os.geteuid()
    try:
        if user == 0:
            # Root may write anywhere.
            os.seteuid(65534)
        with pytest.raises(DownloadError, match=rf"could not be stored in {home}.*SKBBOX_DATA"):
            fetch_microcontrollers(data_home=home)
    finally:
        os.seteuid(user)
        home.chmod(0o700)


def test_missing_package_is_named(home, monkeypatch):
    monkeypatch.setitem(sys.modules, "dulwich.repo", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'skbbox\[datasets\]'"):
        fetch_raccoons(data_home=home)


# Fetched by hand


def test_clone_in_the_folder_is_used_without_a_request(server, home):
    home.mkdir()
    clone = home / f"{public.MICROCONTROLLERS.repository.split('/')[1]}.git"
    porcelain.clone(server.repository.path, str(clone), bare=True).close()
    X, _, _ = fetch_microcontrollers(data_home=home)
    assert len(X) == N_IMAGES
    assert server.requests == []


def test_clone_with_a_changed_object_is_refused(server, home):
    home.mkdir()
    clone = home / f"{public.MICROCONTROLLERS.repository.split('/')[1]}.git"
    shutil.copytree(f"{server.repository.path}/.git", clone)
    objects = clone / "objects"
    store = server.repository.object_store
    blobs = [name for name in store if store[name].type_name == b"blob"]
    first, second = (objects / name[:2].decode() / name[2:].decode() for name in blobs[:2])
    first.chmod(0o644)
    first.write_bytes(second.read_bytes())
    with pytest.raises(DownloadError):
        fetch_microcontrollers(data_home=home)
    assert not list(home.rglob("skbbox.json"))


# Files of a repository


def make_commit(folder, name, mode, has_content=True):
    """A bare repository with one file of any name and kind; returns the id of its commit."""
    folder.mkdir()
    with Repo.init_bare(folder) as repository:
        blob, tree, commit = Blob.from_string(b"/etc/passwd"), Tree(), Commit()
        tree.add(name, mode, blob.id)
        commit.tree, commit.message = tree.id, b"all"
        commit.author = commit.committer = b"a <a@b>"
        commit.author_time = commit.commit_time = 0
        commit.author_timezone = commit.commit_timezone = 0
        for part in (blob, tree, commit) if has_content else (tree, commit):
            repository.object_store.add_object(part)
        repository.refs[b"refs/heads/main"] = commit.id
    return commit.id.decode()


@pytest.mark.parametrize("name", [b"..", b"../a.jpg", b"/a.jpg", b"a\\b.jpg", b"c:a.jpg"])
def test_file_name_that_leaves_the_folder_is_refused(tmp_path, name):
    commit = make_commit(tmp_path / "all.git", name, 0o100644)
    target = tmp_path / "home" / "target"
    target.mkdir(parents=True)
    with pytest.raises(DownloadError, match="leads outside the folder"):
        copy_files(str(tmp_path / "all.git"), commit, ["*"], target, verbose=0)
    assert list(target.parent.rglob("*")) == [target]


def test_commit_without_the_content_of_a_file_is_refused(tmp_path):
    commit = make_commit(tmp_path / "all.git", b"a.jpg", 0o100644, has_content=False)
    target = tmp_path / "home" / "target"
    target.mkdir(parents=True)
    with pytest.raises(DownloadError, match=rf"Commit {commit} of .*all\.git"):
        copy_files(str(tmp_path / "all.git"), commit, ["*"], target, verbose=0)
    assert list(target.iterdir()) == []


def test_symbolic_link_is_not_written(tmp_path):
    commit = make_commit(tmp_path / "all.git", b"a.jpg", 0o120000)
    target = tmp_path / "home" / "target"
    target.mkdir(parents=True)
    copy_files(str(tmp_path / "all.git"), commit, ["*"], target, verbose=0)
    assert list(target.iterdir()) == []


# The pinned sets


@pytest.mark.parametrize("name", ["RACCOONS", "MICROCONTROLLERS", "ASL_LETTERS"])
def test_commits_are_pinned_by_their_full_id(name):
    commit = getattr(public, name).commit
    assert len(commit) == 40
    assert set(commit) <= set("0123456789abcdef")


def test_manifest_has_a_sha256_digest_for_each_file(server, home):
    fetch_microcontrollers(data_home=home)
    path = next(home.glob("*/skbbox.json"))
    files = json.loads(path.read_text())["files"]
    assert sorted(files) == sorted([*TABLES, "images/test/b.jpg", "images/train/a.jpg"])
    assert all(len(digest) == 64 for digest in files.values())
