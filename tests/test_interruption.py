"""Fits that are interrupted or cut off: what is kept, and how they go on."""

import contextlib
import functools
import os
import shutil
import signal
import subprocess
import sys
import time

import keras
import numpy as np
import pandas as pd
import pytest
from helpers import full_disk, small_localizer
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV
from sklearn.utils.validation import check_is_fitted

from skbbox import SingleBoxLocalizer, StratifiedBoxKFold
from skbbox.datasets import make_shapes
from skbbox.exceptions import InterruptionWarning, ModelFileError
from skbbox.inputs import check_images, check_targets
from skbbox.metrics import mean_iou_scorer
from skbbox.training.checkpoints import Checkpoint, open_checkpoint
from skbbox.training.identity import digest_values


class InEpoch(keras.callbacks.Callback):
    """Does something in the first batch of an epoch, counted from 0 over all stages; once."""

    happened = []

    def __init__(self, epoch, act):
        super().__init__()
        self.epoch, self.act, self.seen = epoch, act, -1

    def on_epoch_begin(self, epoch, logs=None):
        self.seen += 1

    def on_train_batch_end(self, batch, logs=None):
        if self.seen == self.epoch and not self.happened:
            self.happened.append(self.epoch)
            self.act()

    def __deepcopy__(self, memo):
        return InEpoch(self.epoch, self.act)


@pytest.fixture(autouse=True)
def nothing_happened():
    InEpoch.happened.clear()
    # What is started in the background of a shell has it ignored.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def interrupt():
    signal.raise_signal(signal.SIGINT)


def power_cut():
    raise RuntimeError("power cut")


def assert_equal_fits(first, second):
    for ours, theirs in zip(first.model_.get_weights(), second.model_.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert first.history_ == second.history_


# ---------------------------------------------------------------- Ctrl-C


@pytest.mark.slow
def test_interrupted_fit_is_what_the_finished_epochs_made_of_it(shapes):
    steady = {"learning_rate_schedule": "constant"}
    with pytest.warns(InterruptionWarning, match="after 2 epochs were kept"):
        interrupted = small_localizer(epochs=5, callbacks=[InEpoch(2, interrupt)], **steady).fit(
            *shapes
        )
    assert interrupted.n_iter_ == 2
    assert_equal_fits(interrupted, small_localizer(epochs=2, **steady).fit(*shapes))
    assert len(interrupted.predict(shapes[0])) == 48


@pytest.fixture(scope="module")
def weights_after(shapes):
    """Weights after two and after three epochs at a constant learning rate."""
    steady = {"learning_rate_schedule": "constant"}
    return {
        n: small_localizer(epochs=n, **steady).fit(*shapes).model_.get_weights() for n in (2, 3)
    }


class InThirdEpoch(keras.callbacks.Callback):
    """Replaces a function of Keras by one that is interrupted before or after it, at the end."""

    def __init__(self, owner, name, first, patch):
        super().__init__()
        self.owner, self.name, self.first, self.patch = owner, name, first, patch

    def on_epoch_end(self, epoch, logs=None):
        function = getattr(self.owner, self.name)

        def interrupted(*args, **kwargs):
            self.patch.setattr(self.owner, self.name, function)
            result = None if self.first else function(*args, **kwargs)
            interrupt()
            return result

        if epoch == 2:
            self.patch.setattr(self.owner, self.name, interrupted)

    def __deepcopy__(self, memo):
        return self


@pytest.mark.slow
@pytest.mark.parametrize(
    ("owner", "name", "first"),
    [
        (keras.layers.Layer, "get_weights", False),
        (keras.callbacks.History, "on_epoch_end", True),
        (keras.callbacks.History, "on_epoch_end", False),
    ],
    ids=["after the weights", "before the history", "after the history"],
)
def test_an_interruption_at_the_end_of_an_epoch_keeps_history_and_weights_of_one_epoch(
    shapes, weights_after, monkeypatch, owner, name, first
):
    localizer = small_localizer(
        epochs=5,
        learning_rate_schedule="constant",
        callbacks=[InThirdEpoch(owner, name, first, monkeypatch)],
    )
    with pytest.warns(InterruptionWarning):
        localizer.fit(*shapes)
    n_epochs = localizer.n_iter_
    assert {len(values) for values in localizer.history_.values()} == {n_epochs}
    for ours, theirs in zip(localizer.model_.get_weights(), weights_after[n_epochs], strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_second_interruption_ends_the_fit_and_leaves_the_estimator_as_it_was(shapes, monkeypatch):
    def interrupt_again(layer, weights):
        interrupt()

    def twice():
        monkeypatch.setattr(keras.layers.Layer, "set_weights", interrupt_again)
        interrupt()

    localizer = small_localizer(epochs=1).fit(*shapes)
    before = localizer.predict(shapes[0])
    localizer.set_params(epochs=3, callbacks=[InEpoch(1, twice)])
    with pytest.raises(KeyboardInterrupt):
        localizer.fit(*shapes)
    monkeypatch.undo()
    assert localizer.n_iter_ == 1
    assert localizer.predict(shapes[0]).equals(before)


def test_fit_that_is_interrupted_in_its_first_epoch_is_none(shapes):
    localizer = small_localizer(callbacks=[InEpoch(0, interrupt)])
    with pytest.raises(KeyboardInterrupt):
        localizer.fit(*shapes)
    with pytest.raises(NotFittedError):
        check_is_fitted(localizer)


def test_interrupted_refit_leaves_the_estimator_as_it_was(shapes):
    localizer = small_localizer(warm_start=True).fit(*shapes)
    before = localizer.predict(shapes[0])
    localizer.set_params(callbacks=[InEpoch(0, interrupt)])
    with pytest.raises(KeyboardInterrupt):
        localizer.fit(*shapes)
    assert localizer.n_iter_ == 2
    assert localizer.predict(shapes[0]).equals(before)


@pytest.mark.slow
def test_interrupted_fine_tuning_keeps_the_heads_and_its_finished_epochs(shapes, frozen_backbone):
    frozen = {"backbone": frozen_backbone, "weights": "imagenet", "epochs": 2}
    steady = {"learning_rate_schedule": "constant"}
    with pytest.warns(InterruptionWarning, match="after 3 epochs"):
        interrupted = small_localizer(
            fine_tune_epochs=3, callbacks=[InEpoch(3, interrupt)], **frozen, **steady
        ).fit(*shapes)
    assert_equal_fits(
        interrupted, small_localizer(fine_tune_epochs=1, **frozen, **steady).fit(*shapes)
    )


def test_interrupted_heads_are_not_fine_tuned(shapes, frozen_backbone):
    with pytest.warns(InterruptionWarning, match="after 1 epochs"):
        interrupted = small_localizer(
            backbone=frozen_backbone,
            weights="imagenet",
            fine_tune_epochs=3,
            callbacks=[InEpoch(1, interrupt)],
        ).fit(*shapes)
    assert interrupted.n_iter_ == 1


CHILD = """
import signal
import sys
from helpers import small_localizer
from skbbox.datasets import make_shapes

signal.signal(signal.SIGINT, signal.default_int_handler)
import keras

def tell(epoch, logs):
    if epoch == 1:
        print("learns", flush=True)

X, y = make_shapes(int(sys.argv[1]), image_size=32, random_state=0)
telling = keras.callbacks.LambdaCallback(on_epoch_begin=tell)
localizer = small_localizer(
    epochs=int(sys.argv[2]), checkpoint=sys.argv[3] or None, callbacks=[lambda: telling]
)
print("begins", flush=True)
localizer.fit(X, y)
print("fitted", localizer.n_iter_, flush=True)
localizer.set_params(callbacks=None).save(sys.argv[4], overwrite=True)
"""


def child(*arguments):
    """A process that fits, and has begun to."""
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD, *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": os.pathsep.join([os.path.dirname(__file__), *sys.path])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "begins\n"
    return process


@pytest.mark.slow
def test_ctrl_c_in_a_terminal_ends_the_training_and_not_the_program(tmp_path):
    process = child(48, 100_000, "", tmp_path / "model")
    assert process.stdout.readline() == "learns\n"
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0
    assert "InterruptionWarning" in err
    assert SingleBoxLocalizer.load(tmp_path / "model").n_iter_ == int(out.split()[1])


# ---------------------------------------------------------------- going on


@pytest.mark.slow
@pytest.mark.parametrize(
    ("changes", "epoch"),
    [
        pytest.param({"epochs": 4}, 2, id="from the start", marks=pytest.mark.backend),
        pytest.param(
            {"optimizer": "sgd", "augment": "flip", "epochs": 6, "early_stopping": True}
            | {"patience": 2},
            3,
            id="early stopping",
        ),
        pytest.param({"frozen": "all", "epochs": 2, "fine_tune_epochs": 3}, 2, id="between stages"),
        pytest.param({"frozen": "early", "epochs": 3}, 1, id="last stage"),
        pytest.param({"frozen": "all", "epochs": 2, "fine_tune_epochs": 3}, 4, id="fine-tuning"),
    ],
)
def test_fit_that_was_cut_off_goes_on_to_the_same_result(
    shapes, frozen_backbone, tmp_path, changes, epoch
):
    if "frozen" in changes:
        changes = changes | {"backbone": frozen_backbone, "weights": "imagenet"}
    callbacks = [InEpoch(epoch, power_cut)]
    localizer = small_localizer(**changes, callbacks=callbacks, checkpoint=tmp_path)
    with pytest.raises(RuntimeError, match="power cut"):
        localizer.fit(*shapes)
    assert len(list(tmp_path.iterdir())) == 1
    localizer.fit(*shapes)
    assert_equal_fits(localizer, small_localizer(**changes).fit(*shapes))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_epochs_that_are_finished_are_not_trained_again(shapes, tmp_path):
    begun = []

    class Record(keras.callbacks.Callback):
        log = begun

        def on_epoch_begin(self, epoch, logs=None):
            self.log.append(epoch)

    localizer = small_localizer(
        epochs=4, callbacks=[Record, InEpoch(2, power_cut)], checkpoint=tmp_path
    )
    with pytest.raises(RuntimeError, match="power cut"):
        localizer.fit(*shapes)
    localizer.fit(*shapes)
    assert begun == [0, 1, 2, 2, 3]


def test_interrupted_fit_goes_on_where_it_was(shapes, tmp_path):
    localizer = small_localizer(epochs=4, callbacks=[InEpoch(2, interrupt)], checkpoint=tmp_path)
    with pytest.warns(InterruptionWarning):
        localizer.fit(*shapes)
    assert localizer.n_iter_ == 2
    assert_equal_fits(localizer.fit(*shapes), small_localizer(epochs=4).fit(*shapes))


@pytest.mark.slow
def test_fit_without_a_seed_goes_on_with_the_one_it_drew(shapes, tmp_path):
    changes = {"epochs": 3, "random_state": None, "checkpoint": tmp_path}
    localizer = small_localizer(callbacks=[InEpoch(2, power_cut)], **changes)
    with pytest.raises(RuntimeError, match="power cut"):
        localizer.fit(*shapes)
    kept = next(tmp_path.iterdir())
    copy = tmp_path.parent / f"{tmp_path.name}-copy"
    copy.mkdir()
    shutil.copy(kept, copy)
    localizer.fit(*shapes)
    again = small_localizer(**changes | {"checkpoint": copy}, callbacks=[InEpoch(2, power_cut)])
    assert_equal_fits(localizer, again.fit(*shapes))


def augment_by(amount):
    def brighten(image, box, rng):
        return np.clip(image.astype(int) + amount, 0, 255).astype(np.uint8), box

    return brighten


@pytest.mark.slow
def test_another_fit_does_not_go_on_with_it(shapes, tmp_path):
    localizer = small_localizer(epochs=3, callbacks=[InEpoch(2, power_cut)], checkpoint=tmp_path)
    with pytest.raises(RuntimeError, match="power cut"):
        localizer.fit(*shapes)
    kept = {path: path.read_bytes() for path in tmp_path.iterdir()}
    localizer.set_params(box_loss_weight=3.0).fit(*shapes)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == kept
    assert_equal_fits(localizer, small_localizer(epochs=3, box_loss_weight=3.0).fit(*shapes))


def path_of_checkpoint(folder, image=0, **changes):
    """The file of a fit of one image, which is all `image`, without fitting."""
    parameters = small_localizer(checkpoint=folder, **changes).get_params()
    y = pd.DataFrame({"x_min": [0.0], "x_max": [0.5], "y_min": [0.0], "y_max": [0.5]})
    images = check_images(np.full((1, 8, 8, 3), image, np.uint8))
    return open_checkpoint(parameters, images, check_targets(y, 1), None, None, lambda: 0).path


@pytest.mark.parametrize(
    "changes",
    [{"random_state": 1}, {"epochs": 4}, {"augment": augment_by(9)}, {"image": 1}],
    ids=lambda changes: next(iter(changes)),
)
def test_another_fit_has_another_checkpoint(tmp_path, changes):
    before = path_of_checkpoint(tmp_path)
    assert path_of_checkpoint(tmp_path) == before
    assert path_of_checkpoint(tmp_path, **changes) != before


def brighter(image, by, *, most=255):
    return np.minimum(image + by, most)


def darker(image, by, *, most=255):
    return np.minimum(image - by, most)


def make_function(amount):
    return lambda image: image + amount


def make_default(amount):
    def change(image, by=amount):
        return image + by

    return change


def make_class(amount):
    class Change:
        step = amount

        def __call__(self, image):
            return image + self.step

    return Change()


def call_helper(helper):
    def change(image):
        return helper(image, 1)

    return change


class Amount:
    def __init__(self, amount):
        self.amount = amount

    def change(self, image):
        return image + self.amount


@pytest.mark.parametrize(
    "make",
    [
        lambda other: functools.partial(brighter, by=2 if other else 1),
        lambda other: functools.partial(darker if other else brighter, by=1),
        lambda other: make_function(2 if other else 1),
        lambda other: make_function([1, 2] if other else [1, 3]),
        lambda other: make_default(2 if other else 1),
        lambda other: make_class(2 if other else 1),
        lambda other: call_helper(darker if other else brighter),
        lambda other: (lambda x: x + 1) if other else (lambda x: x - 1),
        lambda other: Amount(2 if other else 1),
        lambda other: Amount(2 if other else 1).change,
        lambda other: np.random.RandomState(1 if other else 0),
        lambda other: [keras.callbacks.EarlyStopping("loss", patience=2 if other else 1)],
        lambda other: keras.optimizers.Adam(0.2 if other else 0.1),
        lambda other: {"a": {1, 2} if other else {1, 3}},
        lambda other: np.array([1.0, 2.0]) if other else np.array([1, 2]),
    ],
)
def test_values_differ_by_code_and_by_what_it_refers_to(make):
    first, again, other = (digest_values({"augment": make(n)}) for n in (False, False, True))
    assert first == again
    assert first != other


def test_functions_that_refer_to_each_other_can_be_compared():
    def even(n):
        return n == 0 or odd(n - 1)

    def odd(n):
        return n != 0 and even(n - 1)

    assert digest_values({"augment": even}) == digest_values({"augment": even})


def test_a_parameter_that_cannot_be_compared_is_named(shapes, tmp_path):
    with open(os.devnull) as file, pytest.raises(ValueError, match="With checkpoint, augment must"):
        small_localizer(augment=functools.partial(print, file=file), checkpoint=tmp_path).fit(
            *shapes
        )


def test_weights_of_another_file_with_the_same_name_are_another_fit(tmp_path):
    (tmp_path / "w.h5").write_bytes(b"one")
    first = path_of_checkpoint(tmp_path, weights=tmp_path / "w.h5")
    (tmp_path / "w.h5").write_bytes(b"two")
    assert path_of_checkpoint(tmp_path, weights=tmp_path / "w.h5") != first


@pytest.mark.slow
def test_search_with_checkpoints_gives_what_it_gives_without(shapes, tmp_path):
    def scores(**changes):
        search = GridSearchCV(
            small_localizer(**changes),
            {"box_loss_weight": [1, 10]},
            cv=StratifiedBoxKFold(2),
            scoring=mean_iou_scorer,
            refit=False,
        )
        return search.fit(*shapes).cv_results_["mean_test_score"].tolist()

    assert scores(checkpoint=tmp_path) == scores()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_fit_that_is_killed_twice_ends_as_if_it_never_was(tmp_path):
    # 40 epochs of 96 images take some seconds, much of it for a checkpoint after each.
    n_images, n_epochs, random = 96, 40, np.random.default_rng(0)
    folder = tmp_path / "checkpoint"
    reached = []
    for _ in range(2):
        process = child(n_images, n_epochs, folder, tmp_path / "killed")
        # Once it has got further than the one before, at any moment.
        deadline = time.monotonic() + 120
        before = max((path.stat().st_mtime_ns for path in folder.glob("*.checkpoint")), default=0)
        while max((p.stat().st_mtime_ns for p in folder.glob("*.checkpoint")), default=0) == before:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(random.uniform(0, 0.3))
        process.kill()
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        (path,) = folder.glob("*.checkpoint")
        reached.append(_epochs_in(path))
    assert reached == sorted(set(reached))
    assert reached[-1] < n_epochs
    process = child(n_images, n_epochs, folder, tmp_path / "killed")
    process.communicate(timeout=300)
    assert process.returncode == 0
    assert list(folder.glob("*.checkpoint")) == []
    whole = small_localizer(epochs=n_epochs)
    whole.fit(*make_shapes(n_images, image_size=32, random_state=0))
    assert_equal_fits(SingleBoxLocalizer.load(tmp_path / "killed"), whole)


def _epochs_in(path):
    from skbbox.persistence import read_archive

    return read_archive(
        path,
        ("seed", "histories", "training"),
        lambda seed, histories, training: training["n_epochs"],
    )


# ---------------------------------------------------------------- files


@pytest.mark.slow
def test_damaged_checkpoint_is_named(shapes, tmp_path):
    localizer = small_localizer(epochs=3, callbacks=[InEpoch(2, power_cut)], checkpoint=tmp_path)
    with pytest.raises(RuntimeError, match="power cut"):
        localizer.fit(*shapes)
    (path,) = tmp_path.iterdir()
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelFileError, match=rf"{path.name}.*damaged"):
        localizer.fit(*shapes)


@pytest.mark.slow
def test_full_disk_is_told_and_the_earlier_checkpoint_stays(shapes, tmp_path):
    with contextlib.ExitStack() as stack:

        def fill():
            stack.enter_context(full_disk(1000))

        localizer = small_localizer(epochs=4, callbacks=[InEpoch(2, fill)], checkpoint=tmp_path)
        with pytest.raises(ModelFileError, match=r"checkpoint cannot be written.*Make room"):
            localizer.fit(*shapes)
    (path,) = tmp_path.iterdir()
    assert _epochs_in(path) == 2
    assert_equal_fits(localizer.fit(*shapes), small_localizer(epochs=4).fit(*shapes))


@pytest.mark.slow
def test_folder_that_goes_is_named(shapes, tmp_path):
    folder = tmp_path / "kept"
    callbacks = [InEpoch(1, lambda: shutil.rmtree(folder))]
    localizer = small_localizer(epochs=3, callbacks=callbacks, checkpoint=folder)
    with pytest.raises(ModelFileError, match=r"kept/.*cannot be written.*No such file"):
        localizer.fit(*shapes)


def test_file_in_the_place_of_the_folder_is_named(shapes, tmp_path):
    (tmp_path / "kept").write_text("precious")
    with pytest.raises(ModelFileError, match=r"checkpoint='.*kept' cannot be used as a folder"):
        small_localizer(checkpoint=tmp_path / "kept").fit(*shapes)
    assert (tmp_path / "kept").read_text() == "precious"


@pytest.mark.skipif(os.name == "nt", reason="permissions of POSIX")
def test_folder_without_permission_is_named_and_what_is_there_stays(tmp_path):
    checkpoint = Checkpoint(tmp_path, {"images": "digest"}, seed=1)
    checkpoint.save({"n_epochs": 1})
    before = checkpoint.path.read_bytes()
    tmp_path.chmod(0o500)
    user = os.geteuid()
    try:
        if user == 0:
            os.seteuid(65534)
        with pytest.raises(ModelFileError, match=r"cannot be written.*Permission denied"):
            checkpoint.save({"n_epochs": 2})
    finally:
        os.seteuid(user)
        tmp_path.chmod(0o700)
    assert checkpoint.path.read_bytes() == before
