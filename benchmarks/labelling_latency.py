"""Measure how long the page of ``skbbox label`` takes from Enter to the next image.

A folder of photographs of 12 megapixels is labelled in Chromium, in part before the measurement,
while the model trains in its own process. Columns of the output, in milliseconds:

* ``answer``: from the request to the end of the server's answer.
* ``image``: from the key to the frame that shows the next image.

    python benchmarks/labelling_latency.py --images 5000 --before 500 --labels 100
"""

import argparse
import os
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from playwright.sync_api import sync_playwright

from skbbox.labelling import make_estimator
from skbbox.labelling.images import ImageFolder
from skbbox.labelling.running import serve
from skbbox.labelling.session import Session, Settings
from skbbox.labelling.table import Label, LabelTable

#: Notes the time of each Enter and of the frame with the image after it.
WATCH = """() => {
  window.times = [];
  let pressed = null;
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter") pressed = performance.now();
  }, true);
  new MutationObserver(() => {
    const since = pressed;
    requestAnimationFrame(() => setTimeout(() => times.push(performance.now() - since)));
  }).observe(document.getElementById("stage"), { attributeFilter: ["data-image"] });
}"""
READ = """() => {
  const requests = performance.getEntriesByType("resource");
  performance.clearResourceTimings();
  return [times.at(-1), requests.findLast(({ name }) => name.endsWith("/save")).duration];
}"""


def make_folder(folder, n_images):
    """Many names of one photograph."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    small = Image.fromarray(rng.integers(0, 256, (75, 100, 3), dtype=np.uint8))
    pixels = np.asarray(small.resize((4000, 3000), Image.Resampling.BICUBIC), dtype=np.int16)
    noisy = pixels + rng.integers(-4, 5, pixels.shape, dtype=np.int16)
    first = folder / "00000.jpg"
    Image.fromarray(noisy.clip(0, 255).astype(np.uint8)).save(first, quality=90)
    for number in range(1, n_images):
        os.link(first, folder / f"{number:05}.jpg")


def make_session(folder, work, n_before):
    """A session in which some images have a label."""
    images = ImageFolder(folder)
    box = (0.1, 0.5, 0.2, 0.6)
    labels = {name: Label(f"class {n % 5}", box) for n, name in enumerate(images.names[:n_before])}
    table = LabelTable(work / "labels.csv", folder, labels)
    return Session(images, table, work / "kept", make_estimator(work), Settings())


def measure(session, page, n_labels, pause):
    """A row for each label that is given on the page."""
    page.evaluate(WATCH)
    rows = []
    for _ in range(n_labels):
        page.keyboard.press("Delete")
        page.keyboard.press("b")
        page.keyboard.press("1")
        page.wait_for_timeout(1000 * pause)
        status = session.describe()["model"]["status"]
        before = page.evaluate("times.length")
        page.keyboard.press("Enter")
        page.wait_for_function("before => times.length > before", arg=before)
        rows.append((status, *page.evaluate(READ)))
    return pd.DataFrame(rows, columns=["model", "image", "answer"])


def main():
    """Print the percentiles of both times."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--before", type=int, default=500, help="images that have a label")
    parser.add_argument("--labels", type=int, default=100, help="labels that are measured")
    parser.add_argument("--pause", type=float, default=1.0, help="seconds for each image")
    parsed = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as playwright:
        folder, work = Path(temporary) / "photos", Path(temporary) / "work"
        make_folder(folder, parsed.images)
        work.mkdir()
        session = make_session(folder, work, parsed.before)
        chromium = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        with serve(session) as url:
            page = chromium.new_page()
            page.set_default_timeout(120_000)
            page.goto(url)
            page.locator("#stage[data-image]").wait_for()
            started = time.monotonic()
            times = measure(session, page, parsed.labels, parsed.pause)
            print(f"{time.monotonic() - started:.0f} s, load {os.getloadavg()[0]:.1f}")
        chromium.close()
    print(times["model"].value_counts().to_dict())
    print(times[["answer", "image"]].quantile([0.5, 0.95]).round(1).to_string())


if __name__ == "__main__":
    main()
