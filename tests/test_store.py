"""Where features are kept."""

import multiprocessing
import os
import resource
import shutil

import numpy as np
import pytest

from skbbox.exceptions import FeatureStoreError
from skbbox.features.store import FileStore, MemoryStore, Record


def key(number):
    return number.to_bytes(16, "little")


def record(number, n_values=10, dtype=np.float16):
    return Record(np.full(n_values, number, dtype), np.full(4, number / 100))


def same(a, b):
    return np.array_equal(a.values, b.values) and np.array_equal(a.box, b.box)


@pytest.fixture(params=["memory", "file"])
def store(request, tmp_path):
    return MemoryStore(10_000) if request.param == "memory" else FileStore(tmp_path)


def test_what_was_added_is_found(store):
    store.add({key(1): record(1), key(2): record(2)})
    found = store.find([key(2), key(3)])
    assert list(found) == [key(2)]
    assert same(found[key(2)], record(2))


def test_records_of_two_types_are_kept_as_they_are(store):
    records = {key(1): record(1), key(2): record(1e6, dtype=np.float32)}
    kept = store.add(records)
    assert kept[key(1)].values.dtype == np.float16
    assert kept[key(2)].values.dtype == np.float32
    assert all(same(kept[k], records[k]) for k in records)


def test_memory_lets_go_of_what_was_used_longest_ago():
    # 10 values of 2 bytes each: three records are 60 bytes.
    store = MemoryStore(60)
    store.add({key(i): record(i) for i in (1, 2, 3)})
    store.find([key(1)])
    store.add({key(4): record(4)})
    assert set(store.find(map(key, (1, 2, 3, 4)))) == {key(1), key(3), key(4)}
    assert store.used_bytes == 60


def test_memory_counts_a_record_that_is_added_twice_once():
    store = MemoryStore(60)
    store.add({key(1): record(1)})
    store.add({key(1): record(1)})
    assert store.used_bytes == 20


def test_cleared_memory_is_empty():
    store = MemoryStore(60)
    store.add({key(1): record(1)})
    store.clear()
    assert (store.find([key(1)]), store.used_bytes) == ({}, 0)


def test_another_store_of_the_folder_finds_what_one_wrote(tmp_path):
    other = FileStore(tmp_path)
    FileStore(tmp_path).add({key(7): record(7)})
    assert same(other.find([key(7)])[key(7)], record(7))


def test_values_of_a_file_cannot_be_changed(tmp_path):
    values = FileStore(tmp_path).add({key(1): record(1)})[key(1)].values
    assert not values.flags.writeable


def the_file(folder):
    (path,) = folder.glob("*.npy")
    return path


def test_every_flipped_byte_of_a_record_is_noticed(tmp_path):
    FileStore(tmp_path).add({key(1): record(1)})
    path = the_file(tmp_path)
    whole = path.read_bytes()
    # The last 84 bytes are the one row: 16 + 16 + 32 + 20.
    for position in range(len(whole) - 84, len(whole)):
        damaged = bytearray(whole)
        damaged[position] ^= 1
        path.write_bytes(damaged)
        assert FileStore(tmp_path).find([key(1)]) == {}
    path.write_bytes(whole)
    assert list(FileStore(tmp_path).find([key(1)])) == [key(1)]


def test_a_damaged_record_is_taken_from_where_it_was_written_again(tmp_path):
    FileStore(tmp_path).add({key(1): record(1)})
    path = the_file(tmp_path)
    path.write_bytes(path.read_bytes()[:-1] + b"\xff")
    # Whichever of the two files is read last.
    for _ in range(4):
        FileStore(tmp_path).add({key(1): record(1)})
    assert same(FileStore(tmp_path).find([key(1)])[key(1)], record(1))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not an array",
        b"\x93NUMPY\x01\x00",
    ],
)
def test_a_foreign_file_is_left_alone(tmp_path, content):
    path = tmp_path / f"foreign{FileStore.SUFFIX}"
    path.write_bytes(content)
    store = FileStore(tmp_path)
    store.add({key(1): record(1)})
    assert list(store.find([key(1)])) == [key(1)]
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "array",
    [
        np.zeros(3),
        np.zeros((2, 2), np.float16),
        np.zeros(2, [("values", "<f2", 3)]),
        np.zeros(2, [("key", "u1", 16), ("values", "<f2")]),
    ],
)
def test_an_array_of_another_kind_is_left_alone(tmp_path, array):
    path = tmp_path / f"foreign{FileStore.SUFFIX}"
    np.save(path, array)
    content = path.read_bytes()
    store = FileStore(tmp_path)
    assert store.find([key(0)]) == {}
    store.add({key(1): record(1)})
    assert path.read_bytes() == content


class Touch:
    """Creates a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return type(self.path).touch, (self.path,)


def test_a_pickle_is_not_read(tmp_path):
    array = np.array([Touch(tmp_path / "read")], object)
    np.save(tmp_path / f"foreign{FileStore.SUFFIX}", array, allow_pickle=True)
    assert FileStore(tmp_path).find([key(0)]) == {}
    assert not (tmp_path / "read").exists()


def test_a_truncated_file_counts_as_not_there(tmp_path):
    FileStore(tmp_path).add({key(1): record(1)})
    path = the_file(tmp_path)
    path.write_bytes(path.read_bytes()[:-10])
    assert FileStore(tmp_path).find([key(1)]) == {}


def test_a_pipe_is_left_alone(tmp_path):
    store = FileStore(tmp_path)
    os.mkfifo(tmp_path / f"pipe{FileStore.SUFFIX}")
    # Opening it would wait for a writer.
    assert store.find([key(1)]) == {}


def test_a_link_is_not_followed(tmp_path):
    FileStore(tmp_path).add({key(1): record(1)})
    path = the_file(tmp_path)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to(tmp_path / "elsewhere")
    assert FileStore(tmp_path).find([key(1)]) == {}


def test_a_lock_that_is_a_link_is_refused_and_its_target_stays(tmp_path):
    (tmp_path / "precious").write_text("text")
    (tmp_path / "features").mkdir()
    (tmp_path / "features" / "lock").symlink_to(tmp_path / "precious")
    with pytest.raises(FeatureStoreError, match="lock is not a regular file"):
        FileStore(tmp_path / "features")
    assert (tmp_path / "precious").read_text() == "text"


@pytest.mark.parametrize("size", [0, 100])
def test_a_file_that_is_truncated_after_it_was_found_is_an_error_and_no_crash(tmp_path, size):
    store = FileStore(tmp_path)
    found = store.add({key(1): record(1, n_values=100_000)})[key(1)]
    os.truncate(the_file(tmp_path), size)
    with pytest.raises(FeatureStoreError, match=r"features2.npy cannot be read any more"):
        _ = found.values
    # What is computed again is found from now on.
    assert store.find([key(1)]) == {}
    store.add({key(1): record(1, n_values=100_000)})
    assert same(store.find([key(1)])[key(1)], record(1, n_values=100_000))


def test_a_file_that_is_truncated_while_it_is_open_is_an_error_and_no_crash(tmp_path):
    found = FileStore(tmp_path).add({key(1): record(1, n_values=100_000)})[key(1)]
    assert found.values[-1] == 1
    os.truncate(the_file(tmp_path), 1000)
    with pytest.raises(FeatureStoreError, match="truncated"):
        _ = found.values


def test_a_record_that_was_made_with_another_secret_is_not_used(tmp_path):
    for name in ("ours", "theirs"):
        FileStore(tmp_path / name).add({key(1): record(1)})
    the_file(tmp_path / "ours").unlink()
    shutil.copy(the_file(tmp_path / "theirs"), tmp_path / "ours")
    assert FileStore(tmp_path / "ours").find([key(1)]) == {}


def test_a_record_is_not_read_as_another_type(tmp_path):
    FileStore(tmp_path).add({key(1): record(1)})
    path = the_file(tmp_path)
    # 10 values of two bytes are 20 values of one byte; the spaces keep the length.
    content = path.read_bytes().replace(b"'<f2', (10,)", b"'|u1', (20,)")
    assert np.load(path)["values"].shape == (1, 10)
    path.write_bytes(content)
    assert np.load(path)["values"].shape == (1, 20)
    assert FileStore(tmp_path).find([key(1)]) == {}


def test_a_record_is_not_found_under_another_key(tmp_path):
    FileStore(tmp_path).add({key(1): record(1)})
    path = the_file(tmp_path)
    path.write_bytes(path.read_bytes().replace(key(1), key(2)))
    assert FileStore(tmp_path).find([key(1), key(2)]) == {}


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path.chmod(0o644), "others have access to it"),
        (lambda path: path.write_bytes(b""), "0 bytes instead of 32"),
        (lambda path: (path.unlink(), os.mkfifo(path)), "not a regular file"),
        (lambda path: os.chown(path, 65534, -1), "belongs to another user"),
    ],
    ids=["mode", "size", "pipe", "owner"],
)
def test_a_secret_that_is_not_the_users_alone_is_refused(tmp_path, spoil, message):
    FileStore(tmp_path).add({key(1): record(1)})
    path = tmp_path / FileStore.SECRET
    assert path.stat().st_mode & 0o777 == 0o600
    try:
        spoil(path)
    except PermissionError:
        pytest.skip("only root can give a file away")
    with pytest.raises(FeatureStoreError, match=f"{message}.*Delete the folder"):
        FileStore(tmp_path).find([key(1)])


def test_a_folder_that_others_can_write_to_is_used(tmp_path):
    tmp_path.chmod(0o777)
    FileStore(tmp_path).add({key(1): record(1)})
    assert same(FileStore(tmp_path).find([key(1)])[key(1)], record(1))


def test_a_folder_that_was_deleted_and_made_again_is_used(tmp_path):
    folder = tmp_path / "features"
    store = FileStore(folder)
    store.add({key(1): record(1)})
    shutil.rmtree(folder)
    FileStore(folder).add({key(2): record(2)})
    assert list(store.find([key(1), key(2)])) == [key(2)]


@pytest.fixture
def few_files():
    """A process that may open only 100 files."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.mark.usefixtures("few_files")
def test_records_of_many_files_are_read_with_few_open(tmp_path):
    store = FileStore(tmp_path)
    for number in range(150):
        store.add({key(number): record(number)})
    for some in (store, FileStore(tmp_path)):
        found = some.find(map(key, range(150)))
        assert all(same(found[key(number)], record(number)) for number in range(150))
    # A quarter of 100.
    paths = [os.path.realpath(f"/proc/self/fd/{number}") for number in os.listdir("/proc/self/fd")]
    assert 0 < sum(path.startswith(str(tmp_path)) for path in paths) <= 25


def write_ten(folder, first):
    store = FileStore(folder)
    for number in range(first, first + 10):
        with store.exclusive():
            if not store.find([key(number)]):
                store.add({key(number): record(number)})


@pytest.mark.slow
def test_processes_write_into_one_folder_at_a_time(tmp_path):
    context = multiprocessing.get_context("spawn")
    # Each number belongs to two of the processes.
    workers = [context.Process(target=write_ten, args=(tmp_path, 5 * i)) for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    found = FileStore(tmp_path).find(map(key, range(25)))
    assert len(found) == 25
    assert all(same(found[key(number)], record(number)) for number in range(25))
    assert len(list(tmp_path.glob("*.npy"))) == 25
    assert not list(tmp_path.glob("*.writing"))


def test_a_folder_that_is_gone_is_named_with_the_way_out(tmp_path):
    store = FileStore(tmp_path / "features")
    shutil.rmtree(tmp_path / "features")
    with pytest.raises(FeatureStoreError, match=r"written to .*features: .*pass another path"):
        store.add({key(1): record(1)})


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FeatureStoreError, match=r"file.*another path"):
        FileStore(tmp_path / "file")
