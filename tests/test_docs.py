"""The built documentation in a browser, the check of its links, and the table of modules."""

import importlib.util
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
BUILT = ROOT / "docs" / "_build" / "html"
PAGES = {
    "landing": "index.html",
    "guide": "guide/training.html",
    "search": "guide/search.html",
    "gallery": "generated/gallery/index.html",
    "questions": "faq.html",
    "benchmarks": "benchmarks.html",
}
#: Code and tables that are wider than the room they have, when all folded parts are open; and, on
#: a wide screen, tables that had to be shown row by row.
FIND_TOO_WIDE = """(isWide) => {
    document.querySelectorAll("details").forEach((part) => (part.open = true));
    window.dispatchEvent(new Event("resize"));
    const found = [];
    for (const part of document.querySelectorAll(".bd-article pre, .bd-article table")) {
        const isTable = part.tagName === "TABLE";
        const box = isTable
            ? part.closest(".pst-scrollable-table-container, .cell_output") || part.parentElement
            : part;
        const isTooWide = box.scrollWidth > box.clientWidth + 1;
        const isStacked = isWide && part.classList.contains("skbbox-stacked");
        if (part.getClientRects().length && (isTooWide || isStacked))
            found.push(`${part.tagName}: ${part.textContent.trim().slice(0, 40)}`);
    }
    if (document.documentElement.scrollWidth > window.innerWidth) found.push("the page");
    return found;
}"""


@pytest.fixture
def built():
    if not BUILT.exists():
        pytest.skip("the documentation is not built; run make docs")
    return BUILT


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("name", PAGES)
def test_page_fits_the_screen_and_sends_no_requests(built, visit, screenshot, name, width):
    page = visit(built / PAGES[name], width=width)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    screenshot(page, f"docs-{name}-{width}")


def test_no_page_scrolls_sideways_or_cuts_code_or_tables(built, browser):
    page = browser.new_page()
    problems = {}
    for path in sorted(built.rglob("*.html")):
        name = path.relative_to(built)
        if {"_static", "_sources"} & {*name.parts}:
            continue
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 900})
            if width == 1280:
                page.goto(path.as_uri())
            if found := page.evaluate(FIND_TOO_WIDE, width == 1280):
                problems[f"{name} at {width} px"] = found
    page.close()
    assert problems == {}


def test_links_of_the_readme_lead_to_pages_and_files(built, check_links):
    urls = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    targets = re.findall(r"\]\((https://[^)]*)\)", readme)
    pages = [t.removeprefix(urls["Documentation"]) for t in targets if urls["Documentation"] in t]
    in_main = f"{urls['Source']}/blob/main/"
    files = [target.removeprefix(in_main) for target in targets if in_main in target]
    folder = built.resolve()
    problems = [
        check_links.find_problem(folder / "index.html", folder, "a", page, False) for page in pages
    ]
    assert pages and [problem for problem in problems if problem] == []
    assert files and [name for name in files if not (ROOT / name).is_file()] == []


def test_search_works_without_a_server(built, browser):
    page = browser.new_page()
    page.goto(f"{(built / 'search.html').as_uri()}?q=threshold")
    page.wait_for_selector("#search-results li a", timeout=10_000)
    links = page.locator("#search-results li a").evaluate_all("all => all.map(a => a.href)")
    page.close()
    assert any("IoUThresholdDisplay" in link for link in links)


@pytest.fixture(scope="module")
def check_links():
    spec = importlib.util.spec_from_file_location("check_links", ROOT / "docs" / "check_links.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def site(tmp_path):
    """A function that writes a page with a link, and another page."""

    def write(link):
        (tmp_path / "a.html").write_text(f"<p>{link}</p>", encoding="utf-8")
        (tmp_path / "b.html").write_text('<h1 id="here">b</h1>', encoding="utf-8")
        return tmp_path

    return write


def test_valid_links_are_no_problem(check_links, site):
    link = '<a href="b.html#here">b</a> <a href="https://example.org">elsewhere</a>'
    assert check_links.check_folder(site(link)) == ([], 2)


@pytest.mark.parametrize(
    ("link", "problem"),
    [
        ('<a href="c.html">c</a>', "a.html: <a> c.html: there is no such file"),
        ('<a href="b.html#there">b</a>', "a.html: <a> b.html#there: there is no such anchor"),
        ('<img src="c.png">', "a.html: <img> c.png: there is no such file"),
        (
            '<script src="https://example.org/x.js"></script>',
            "a.html: <script> loads https://example.org/x.js from another site",
        ),
        (
            '<p style="background: url(https://example.org/x.png)">',
            "a.html: <p> loads https://example.org/x.png from another site",
        ),
        ('<a href="../c.html">c</a>', "a.html: <a> ../c.html is outside the pages"),
    ],
)
def test_broken_links_and_resources_of_other_sites_are_found(check_links, site, link, problem):
    assert check_links.check_folder(site(link))[0] == [problem]


def test_links_of_markdown_lead_to_files_and_headings(check_links, tmp_path):
    (tmp_path / "b.md").write_text("# Two words\n", encoding="utf-8")
    page = tmp_path / "a.md"
    page.write_text("[1](b.md#two-words) [2](b.md#three) [3](c.md) `[4](d.md)`", encoding="utf-8")
    assert check_links.check_markdown(page) == [
        "a.md: b.md#three: there is no such heading",
        "a.md: c.md: there is no such file",
    ]


def test_contributing_page_lists_every_module():
    package = ROOT / "skbbox"
    modules = {
        ".".join(path.relative_to(package).with_suffix("").parts)
        for path in package.rglob("*.py")
        if path.name != "__init__.py" and path.parent.name not in ("formats", "writers")
    }
    packages = {path.parent.name for path in package.glob("*/__init__.py")}
    page = (ROOT / "docs" / "contributing.md").read_text(encoding="utf-8")
    table = page.split("## Modules")[1].split("## Tests")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("|")]
    listed = [name for row in rows for name in re.findall(r"`([\w./]+)`", row)]
    assert len(listed) == len(set(listed))
    expected = (
        modules | {f"{name}/" for name in packages} | {"annotations.formats", "annotations.writers"}
    )
    assert set(listed) == expected
