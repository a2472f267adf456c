"""Find broken links in the built pages, and resources that they load from other sites.

Usage: python docs/check_links.py docs/_build/html README.md

Uses no internet access. In a folder of HTML, the target and anchor of each local ``href`` and
``src`` must exist, and scripts, styles, images and fonts must be local. In a Markdown file, as
code hosts show it, the linked files and anchors must exist. Links to other sites are not checked.
"""

import argparse
import re
import sys
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

#: Attributes whose address a browser loads automatically.
LOADED = {
    "audio": ("src",),
    "embed": ("src",),
    "iframe": ("src",),
    "image": ("href", "xlink:href"),
    "img": ("src", "srcset"),
    "input": ("src",),
    "link": ("href",),
    "object": ("data",),
    "script": ("src",),
    "source": ("src", "srcset"),
    "track": ("src",),
    "use": ("href", "xlink:href"),
    "video": ("src", "poster"),
}
FOLLOWED = {"a": ("href",), "area": ("href",), "form": ("action",)}
#: Relations of ``<link>`` that a browser does not load.
NOT_LOADED = {"author", "canonical", "license", "next", "prev", "search"}

IN_STYLE = re.compile(r"""url\(\s*["']?([^"')]+)|@import\s+["']([^"']+)""")
COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
CODE = re.compile(r"^(```|~~~).*?^\1|`[^`\n]*`", re.MULTILINE | re.DOTALL)
MARKDOWN_LINK = re.compile(
    r"""\]\(\s*<?([^)\s>]+)>?(?:\s+["'][^)]*)?\)|^\[[^\]]+\]:\s*(\S+)""", re.M
)


def main():
    """Check all paths; return 1 if a link is broken, else 0."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("paths", nargs="+", type=Path, help="folders of HTML, Markdown files")
    problems, n_files = [], 0
    for path in parser.parse_args().paths:
        found, n = check_folder(path) if path.is_dir() else (check_markdown(path), 1)
        problems, n_files = problems + found, n_files + n
    for problem in problems:
        print(problem, file=sys.stderr)
    print(f"{len(problems)} broken links in {n_files} files")
    return int(bool(problems))


def check_folder(folder):
    """Problems of all pages and style sheets in a folder, and the number of these files."""
    folder = folder.resolve()
    files = sorted(path for path in folder.rglob("*") if path.suffix in (".html", ".css"))
    # HTML files of a theme are templates, not pages.
    files = [path for path in files if path.suffix != ".html" or "_static" not in path.parts]
    if not files:
        return [f"{folder}: no pages; build them first"], 0
    problems = []
    for path in files:
        if path.suffix == ".css":
            text = COMMENT.sub("", path.read_text(encoding="utf-8"))
            addresses = [("style", address, True) for address in find_style_addresses(text)]
        else:
            addresses = parse_page(path).addresses
        problems += [
            f"{path.relative_to(folder)}: {what}"
            for tag, address, is_loaded in addresses
            if (what := find_problem(path, folder, tag, address, is_loaded))
        ]
    return problems, len(files)


def check_markdown(path):
    """Problems of a Markdown file: linked files and anchors that do not exist."""
    path = path.resolve()
    text = CODE.sub("", path.read_text(encoding="utf-8"))
    problems = []
    for match in MARKDOWN_LINK.finditer(text):
        address = match[1] or match[2]
        parts = urlsplit(address)
        if parts.scheme or parts.netloc:
            continue
        target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
        if not target.exists():
            problems.append(f"{path.name}: {address}: there is no such file")
        elif (
            parts.fragment and target.suffix == ".md" and parts.fragment not in headings_of(target)
        ):
            problems.append(f"{path.name}: {address}: there is no such heading")
    return problems


def find_problem(path, folder, tag, address, is_loaded):
    """The problem with an address on the page `path`, or None."""
    parts = urlsplit(address)
    if parts.scheme == "data" or (parts.scheme in ("mailto", "javascript") and not is_loaded):
        return None
    if parts.scheme or parts.netloc:
        return f"<{tag}> loads {address} from another site" if is_loaded else None
    target = path
    if parts.path:
        start = folder if parts.path.startswith("/") else path.parent
        target = (start / unquote(parts.path).lstrip("/")).resolve()
        if target.is_dir():
            target /= "index.html"
    if not target.is_relative_to(folder):
        return f"<{tag}> {address} is outside the pages"
    if not target.is_file():
        return f"<{tag}> {address}: there is no such file"
    anchor = unquote(parts.fragment)
    if anchor and target.suffix == ".html" and anchor not in parse_page(target).anchors:
        return f"<{tag}> {address}: there is no such anchor"
    return None


class Page(HTMLParser):
    """The addresses and anchors of a page."""

    def __init__(self, text):
        super().__init__()
        self.addresses, self.anchors, self._in_style = [], set(), False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        """Collect the addresses and anchors of a tag."""
        given = {name: value for name, value in attributes if value}
        self._in_style = tag == "style"
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        styles = find_style_addresses(given.get("style", ""))
        self.addresses += [(tag, address, True) for address in styles]
        relations = given.get("rel", "").split() if tag == "link" else []
        is_loaded = tag in LOADED and not NOT_LOADED.intersection(relations)
        for name in (*LOADED.get(tag, ()), *FOLLOWED.get(tag, ())):
            if name in given:
                addresses = _split_srcset(given[name]) if name == "srcset" else [given[name]]
                self.addresses += [(tag, address, is_loaded) for address in addresses]

    def handle_data(self, data):
        """Collect the addresses in a style sheet inside the page."""
        if self._in_style:
            styles = find_style_addresses(COMMENT.sub("", data))
            self.addresses += [("style", address, True) for address in styles]

    def handle_endtag(self, tag):
        """End a style sheet."""
        self._in_style = False


@cache
def parse_page(path):
    """The parsed page; each page is parsed once."""
    return Page(path.read_text(encoding="utf-8"))


@cache
def headings_of(path):
    """Anchors of a Markdown file's headings, as code hosts generate them."""
    anchors, text = set(), re.sub(r"(?ms)^```.*?^```", "", path.read_text(encoding="utf-8"))
    for title in re.findall(r"(?m)^#{1,6}\s+(.+?)\s*#*$", text):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", title).replace("`", "").lower()
        anchor = plain = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        n = 0
        while anchor in anchors:
            n += 1
            anchor = f"{plain}-{n}"
        anchors.add(anchor)
    return anchors


def find_style_addresses(text):
    """Addresses that a style sheet loads."""
    return [a or b for a, b in IN_STYLE.findall(text) if not (a or b).startswith("#")]


def _split_srcset(srcset):
    return [part.split()[0] for part in srcset.split(",") if part.strip()]


if __name__ == "__main__":
    sys.exit(main())
