"""Measure searches, fits and predictions, and compare them with plain Keras.

Run from the root of the repository. The data folder is one that
``skbbox.datasets.load_annotated_folder`` reads, with the data set's own train and val split.

    python -m benchmarks.speed folder
    python -m benchmarks.speed folder --parts a c --sizes 128 --runs 1
    python -m benchmarks.speed folder --sizes 128 --images 60 --most 200 --candidates 10 --runs 1
    python -m benchmarks.speed folder --runs 0     # only write the page

The parts are: a, a grid search over loss weights; b, one fit; c, predict; d, cost against the
number of images and of candidates; e, memory used by the other parts; f, a fit and a search with
the defaults on some hundred images. Each job runs in its own process. Results are appended to
``benchmarks/speed.csv``, and an interrupted benchmark resumes from there; delete the file to start
over. The tables and the plot are written to ``docs/speed_epyc.md`` and
``docs/images/speed_epyc.png``.
"""

import argparse
import json
import os
import resource
import sys
import tempfile
import warnings
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import pandas as pd

from .jobs import N_CANDIDATES, N_IMAGES, PARTS, WAYS, is_done, list_jobs, load_sample, run_job
from .page import DEFAULT_PATHS, write_page


def main():
    """Run the missing jobs, then write the tables and the plot."""
    arguments = parse_arguments()
    warnings.filterwarnings("ignore", message=".*left out")
    if arguments.job:
        from .measure import MEASUREMENTS

        job = json.loads(arguments.job)
        result = MEASUREMENTS[job["job"]](job, arguments)
        # ru_maxrss is in bytes on macOS and in kilobytes elsewhere.
        unit = 2**20 if sys.platform == "darwin" else 2**10
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
        print(json.dumps(result | {"peak MB": peak}))
        return
    n_train, n_val = (len(load_sample(arguments, part)[0]) for part in ("train", "val"))
    jobs = [job for part in arguments.parts for job in list_jobs(part, n_train, n_val, arguments)]
    jobs = [job for job in jobs if job["way"] in arguments.ways]
    failed = {}
    with tempfile.TemporaryDirectory() as folder:
        for number in range(arguments.runs):
            for job in jobs:
                if not is_done(job | {"run": number}, arguments.results):
                    failed |= run_job(job, number, Path(folder), arguments)
    planned = [job for part in PARTS for job in list_jobs(part, n_train, n_val, arguments)]
    if arguments.results.exists():
        write_page(pd.DataFrame(planned), failed, (n_train, n_val), arguments)


def parse_arguments():
    """Options of the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, help="data set with annotations.csv and groups.csv")
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--sizes", nargs="+", type=int, default=[128, 224])
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--runs", type=int, default=3, help="0 only writes the page")
    parser.add_argument("--images", type=int, help="use at most this many of train and of val")
    parser.add_argument("--most", type=int, default=N_IMAGES[-1], help="most images in part d")
    parser.add_argument("--candidates", type=int, default=N_CANDIDATES[-1], help="most in part d")
    parser.add_argument("--results", type=Path, default=DEFAULT_PATHS[0])
    parser.add_argument("--page", type=Path, default=DEFAULT_PATHS[1])
    parser.add_argument("--job", help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
