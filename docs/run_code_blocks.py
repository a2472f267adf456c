"""Run the Python blocks of Markdown pages, so that no page shows code that fails.

Usage: python docs/run_code_blocks.py docs
       python docs/run_code_blocks.py docs/faq.md docs/index.md

Of a folder all pages are run, but for those that Sphinx writes. The blocks of a page fenced with
```python run in order, in one namespace and in a temporary working directory. A block that begins
with ``>>>`` is a doctest.
"""

import argparse
import contextlib
import doctest
import io
import os
import re
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ["MPLBACKEND"] = "Agg"

WRITTEN_BY_SPHINX = {"_build", "generated"}

FENCE = re.compile(r"^```python[ \t]*\n(.*?)^```[ \t]*$", re.MULTILINE | re.DOTALL)


class BlockError(Exception):
    """A block failed; the message names the page and the line."""


def main():
    """Run all pages and return 1 if one of them failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pages", nargs="+", type=Path, help="Markdown files or folders of them")
    failed = False
    for page in pages_of(parser.parse_args().pages):
        start = time.perf_counter()
        try:
            n_blocks = run_page(page.resolve())
        except BlockError as error:
            failed = True
            print(f"FAILED {error}", file=sys.stderr)
        else:
            print(f"passed {page}: {n_blocks} blocks, {time.perf_counter() - start:.1f} s")
    return int(failed)


def pages_of(paths):
    """The files among `paths`, and all pages of the folders among them."""
    pages = []
    for path in paths:
        if path.is_dir():
            found = sorted(path.rglob("*.md"))
            pages += [p for p in found if not WRITTEN_BY_SPHINX & {*p.relative_to(path).parts}]
        else:
            pages.append(path)
    return pages


def run_page(page):
    """Run the blocks of one page and return their number; BlockError names the first to fail."""
    namespace = {"__name__": "__main__"}
    blocks = python_blocks(page.read_text(encoding="utf-8"))
    with (
        tempfile.TemporaryDirectory() as folder,
        contextlib.chdir(folder),
        warnings.catch_warnings(),
    ):
        for line, code in blocks:
            run = run_doctest if code.lstrip().startswith(">>>") else run_code
            run(page, line, code, namespace)
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
    return len(blocks)


def python_blocks(text):
    """Pairs of the line on which a block's code begins, counted from 1, and the code."""
    return [(text.count("\n", 0, m.start(1)) + 1, m.group(1)) for m in FENCE.finditer(text)]


def run_code(page, line, code, namespace):
    """Execute a block; BlockError names the line of the page that raised."""
    # The blank lines give every line of code the number that it has in the page.
    source = "\n" * (line - 1) + code
    try:
        exec(compile(source, str(page), "exec"), namespace)
    except SyntaxError as error:
        raise BlockError(f"{page}, line {error.lineno}: {error}") from error
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename == str(page)]
        details = "".join(traceback.format_exception(error))
        raise BlockError(f"{page}, line {lines[0]}: {error!r}\n{details}") from error


def run_doctest(page, line, code, namespace):
    """Run a block of prompts; BlockError names the line of the first wrong answer."""
    test = doctest.DocTestParser().get_doctest(code, namespace, page.name, str(page), line - 1)
    # get_doctest copies the namespace; later blocks must see the names of this one.
    test.globs = namespace
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    report = io.StringIO()
    runner.run(test, out=report.write, clear_globs=False)
    if runner.failures:
        wrong = re.search(r"line (\d+)", report.getvalue())
        raise BlockError(f"{page}, line {wrong[1] if wrong else line}:\n{report.getvalue()}")


if __name__ == "__main__":
    sys.exit(main())
