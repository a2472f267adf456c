"""Where features are kept."""

import multiprocessing
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


def test_records_of_files_are_mapped_and_cannot_be_changed(tmp_path):
    values = FileStore(tmp_path).add({key(1): record(1)})[key(1)].values
    assert isinstance(values, np.memmap)
    assert not values.flags.writeable


def the_file(folder):
    (path,) = folder.glob("*.npy")
    return path


def test_every_flipped_byte_of_a_record_is_noticed(tmp_path):
    FileStore(tmp_path).add({key(1): record(1)})
    path = the_file(tmp_path)
    whole = path.read_bytes()
    # The last 72 bytes are the one row: 16 + 4 + 32 + 20.
    for position in range(len(whole) - 72, len(whole)):
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
