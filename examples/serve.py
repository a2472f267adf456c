"""Serve predictions over HTTP.

    pip install "skbbox[serve]"
    python examples/serve.py localizer.skbbox
    curl --data-binary @photo.jpg http://127.0.0.1:8000/predict

The answer is the row of ``predict`` as JSON. An upload that is not an image, too large or damaged
is answered with a status of 4xx and the reason.
"""

import argparse
import os
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import anyio
import joblib
import uvicorn
from fastapi import FastAPI, HTTPException, Request
from PIL import Image

from skbbox import SingleBoxLocalizer
from skbbox.exceptions import ImageError

#: Largest upload in bytes, and largest image in pixels: each of them takes 3 bytes when decoded.
MAX_BYTES = 20 * 2**20
MAX_PIXELS = 50_000_000

#: Requests at a time; further ones are answered with the status 503.
MAX_REQUESTS = 64


def make_app(localizer, max_bytes=MAX_BYTES):
    """Make the service for a fitted estimator."""
    Image.MAX_IMAGE_PIXELS = MAX_PIXELS
    localizer.warm_up()
    app = FastAPI(title="skbbox")
    turns = anyio.CapacityLimiter(joblib.cpu_count())

    @app.get("/health")
    async def health():
        return {"classes": None if localizer.classes_ is None else localizer.classes_.tolist()}

    @app.post("/predict")
    async def predict(request: Request):
        content = await read_body(request, max_bytes)
        return await anyio.to_thread.run_sync(predict_upload, localizer, content, limiter=turns)

    return app


async def read_body(request, max_bytes):
    """Read an upload, up to a number of bytes; its length need not be announced."""
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > max_bytes:
            raise HTTPException(413, f"The upload has more than {max_bytes:,} bytes.")
    return content


def predict_upload(localizer, content):
    """Predict an upload; any number of threads can do so at a time."""
    # load_image reads only image formats from files, and checks their size before decoding them.
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "upload")
        with open(path, "wb") as file:
            file.write(content)
        try:
            predicted = localizer.predict([path])
        except ImageError as error:
            raise HTTPException(422, str(error).replace(path, "The upload")) from error
    # to_dict turns NumPy's numbers into Python's.
    return predicted.iloc[0].to_dict()


def main():
    """Serve the estimator of a file."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("localizer", help="file that SingleBoxLocalizer.save wrote")
    parser.add_argument("--host", default="127.0.0.1", help="default: only this machine")
    parser.add_argument("--port", type=int, default=8000)
    arguments = parser.parse_args()
    app = make_app(SingleBoxLocalizer.load(arguments.localizer))
    uvicorn.run(app, host=arguments.host, port=arguments.port, limit_concurrency=MAX_REQUESTS)


if __name__ == "__main__":
    main()
