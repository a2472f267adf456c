"""Predictions of a service, of threads, and of few images."""

import io
import struct
import sys
import threading
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import keras
import numpy as np
import pytest
from helpers import small_localizer
from PIL import Image
from test_engines import installed

from skbbox.engines import runners
from skbbox.engines.registry import ENGINES
from skbbox.network import pool

EACH_ENGINE = pytest.mark.parametrize("engine", ENGINES)


@pytest.fixture(scope="module")
def frozen(shapes, frozen_backbone):
    """An estimator with a frozen backbone; do not fit it again."""
    return small_localizer(backbone=frozen_backbone, weights="imagenet").fit(*shapes)


@contextmanager
def engine_of(localizer, engine):
    localizer.set_params(engine=installed(engine))
    yield localizer
    localizer.set_params(engine="auto")


def numbers(predicted):
    return predicted.select_dtypes("number").to_numpy()


@pytest.mark.slow
@EACH_ENGINE
def test_threads_predict_the_same_bits_as_one_thread(frozen, shapes, engine):
    with engine_of(frozen, engine):
        assert frozen.warm_up() is frozen
        # Keras needs no conversion.
        is_converted = runners.has_runner(frozen._networks.network.state, engine)
        assert is_converted == (engine != "keras")
        expected = [numbers(frozen.predict([image])) for image in shapes[0]]
        with ThreadPoolExecutor(8) as threads:
            rows = np.arange(800) % 48
            received = list(
                threads.map(lambda row: numbers(frozen.predict([shapes[0][row]])), rows)
            )
    assert all(map(np.array_equal, received, [expected[row] for row in rows]))


@pytest.mark.backend
def test_one_image_is_predicted_as_among_others(frozen, shapes):
    together = frozen.predict(shapes[0])
    alone = [frozen.predict([image]) for image in shapes[0][:8]]
    assert [row["class_name"].item() for row in alone] == together["class_name"][:8].tolist()
    assert np.abs(np.concatenate([*map(numbers, alone)]) - numbers(together)[:8]).max() < 0.002


@pytest.mark.usefixtures("tensorflow_only")
def test_no_function_is_traced_again(frozen, shapes, monkeypatch):
    frozen.set_params(engine="keras").predict([shapes[0][0]])
    frozen.predict([*shapes[0][:2]])
    frozen.embed([shapes[0][0]])
    frozen.embed([*shapes[0][:2]])
    traced = []
    monkeypatch.setattr(
        keras.Model, "predict_step", lambda model, data: traced.append(model) or model(data[0])
    )
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda image: frozen.predict([image]), shapes[0]))
        list(threads.map(lambda n: frozen.embed([*shapes[0][:n]]), range(1, 9)))
    frozen.set_params(engine="auto")
    assert not traced


@pytest.mark.slow
@pytest.mark.backend
@pytest.mark.parametrize(
    ("engine", "change"),
    [("keras", "set"), ("keras", "train"), ("onnxruntime", "train"), ("openvino", "train")],
)
def test_one_image_follows_a_change_of_weights(shapes, frozen_backbone, engine, change):
    options = {"backbone": frozen_backbone, "weights": "imagenet", "n_looks": 1}
    localizer = small_localizer(engine=installed(engine), **options).fit(*shapes).warm_up()
    X = shapes[0][:1]
    before = localizer.predict_proba(X)
    dense = localizer.model_.get_layer("dense_class")
    if change == "set":
        kernel, bias = dense.get_weights()
        dense.set_weights([kernel, bias + np.arange(4)])
    else:
        # In the memory of the variable, as an optimizer does.
        dense.bias.assign_add(np.arange(4.0, dtype=np.float32))
    after = localizer.predict_proba(X)
    expected = localizer.model_.predict_on_batch(X.astype("float32"))[0]
    assert not np.allclose(before, expected, atol=0.01)
    assert np.allclose(after, expected, atol=0.001)


@pytest.mark.parametrize("batch_sizes", [1, (0,), (1.5,), "8"])
def test_warm_up_refuses_what_is_no_number_of_images(fitted, batch_sizes):
    with pytest.raises(ValueError, match="batch_sizes must be a list of numbers of images"):
        fitted.warm_up(batch_sizes)


def test_a_bad_image_leaves_the_compiled_network_in_the_pool(fitted, shapes):
    fitted.predict([shapes[0][0]])
    before = {id(entry[0]) for entries in pool._idle.values() for entry in entries}
    with pytest.raises(ValueError, match="Row 1"):
        fitted.predict([shapes[0][0], "missing.jpg"])
    assert {id(entry[0]) for entries in pool._idle.values() for entry in entries} == before


@contextmanager
def served(localizer, **options):
    """The address of the example's service for an estimator."""
    pytest.importorskip("fastapi", reason="the service needs skbbox[serve]")
    uvicorn = pytest.importorskip("uvicorn", reason="the service needs skbbox[serve]")
    sys.path.insert(0, str(Path(__file__).parents[1] / "examples"))
    try:
        import serve
    finally:
        sys.path.pop(0)
    config = uvicorn.Config(serve.make_app(localizer, **options), port=0, log_level="error")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    try:
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


def encoded(pixels, kind="PNG"):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind)
    return file.getvalue()


def bomb(side=60_000):
    """A PNG of 3.6 thousand million pixels in a few kilobytes."""

    def chunk(name, content):
        checksum = zlib.crc32(name + content)
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(4_000_000), 9)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )


@pytest.mark.slow
def test_a_service_answers_hostile_uploads_with_the_reason_and_stays_up(
    fitted, shapes, monkeypatch
):
    httpx = pytest.importorskip("httpx", reason="the client needs httpx, see skbbox[test]")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", Image.MAX_IMAGE_PIXELS)
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    hostile = [
        (bomb(), 422, "pixels"),
        (encoded(noise, "JPEG")[:2000], 422, "damaged or truncated"),
        (b"#!/bin/sh\nrm -rf /\n", 422, "cannot be read as an image"),
        (b"", 422, "empty"),
        (bytes(2**20 + 1), 413, "more than 1,048,576 bytes"),
    ]
    uploads = [
        hostile[row // 4 % 5] if row % 4 == 0 else (encoded(shapes[0][row % 48]), 200, "")
        for row in range(200)
    ]

    def post(upload):
        start = time.perf_counter()
        response = client.post("/predict", content=upload[0])
        return response, time.perf_counter() - start

    with served(fitted, max_bytes=2**20) as address, httpx.Client(base_url=address) as client:
        with ThreadPoolExecutor(8) as threads:
            answers = list(threads.map(post, uploads))
        assert client.get("/health").json() == {"classes": fitted.classes_.tolist()}
    for row, ((_, status, reason), (response, _)) in enumerate(zip(uploads, answers, strict=True)):
        assert response.status_code == status, response.text
        if status != 200:
            assert reason in response.json()["detail"]
            assert "/" not in response.json()["detail"].replace("/bin/sh", "")
        else:
            expected = fitted.predict([shapes[0][row % 48]]).iloc[0]
            assert response.json() == expected.to_dict()
    seconds = [seconds for response, seconds in answers if response.status_code == 200]
    p50, p99 = 1000 * np.percentile(seconds, (50, 99))
    print(f"p50 {p50:.0f} ms, p99 {p99:.0f} ms")
