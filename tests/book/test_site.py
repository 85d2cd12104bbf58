"""The built book, page by page: links that lead somewhere, and every page as Chromium shows it.

Reads the book in the folder that N3_BOOK_HTML names, or the last one built. Nothing outside the book can be
reached while a page is looked at, so what it loads from the web is missing; that is no error of the page. An
error is what its scripts report, and whatever of the book itself is missing.
"""

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from typing import Any
from urllib.parse import unquote, urldefrag, urlsplit

import pytest

ROOT = Path(__file__).parents[2]
BUILT = ("book/_build/html", "build/ci/_build/html")
# sphinx-thebe writes its settings into every page twice; nothing here uses Thebe.
KNOWN = "Uncaught SyntaxError: Identifier 'THEBE_JS_URL' has already been declared"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SECONDS = 120

# Goes first into every page.
LISTEN = """<script>
window.problems = [];
addEventListener("error", (event) => {
  const source = event.target.src || event.target.href;
  if (source === undefined) problems.push(event.message);
  else if (source.startsWith(location.origin)) problems.push("missing: " + source);
}, true);
addEventListener("unhandledrejection", (event) => problems.push(String(event.reason)));
console.error = (...words) => problems.push(words.join(" "));
</script>"""

# Opens one page after the other in a frame of the given width and reports what is wrong with each.
LOOK = """<!doctype html><body><script>
async function look(page) {
  const frame = document.createElement("iframe");
  frame.style = "width: WIDTHpx; height: 900px; border: 0";
  frame.src = page;
  document.body.append(frame);
  await new Promise((done) => frame.addEventListener("load", done));
  await new Promise((done) => setTimeout(done, 200)); // scripts that wait for the load
  const view = frame.contentWindow, root = view.document.documentElement, found = [...view.problems];
  for (const image of view.document.images) {
    image.loading = "eager";
    await image.decode().catch(() => {});
    if (!image.naturalWidth) found.push("image not shown: " + image.src);
  }
  if (root.scrollWidth > root.clientWidth) {
    const wide = [...view.document.querySelectorAll("main *")].filter(
      (part) => part.getBoundingClientRect().right > root.clientWidth + 1);
    const named = wide.slice(0, 5).map((part) => part.tagName + "." + part.className);
    found.push(`${root.scrollWidth} pixels wide: ${named.join(", ")}`);
  }
  frame.remove();
  return found;
}
(async () => {
  const found = {};
  for (const page of PAGES) found[page] = await look(page).catch((error) => [String(error)]);
  await fetch("/found", { method: "POST", body: JSON.stringify(found) });
})();
</script>"""


@pytest.fixture(scope="module")
def site() -> Path:
    named = os.environ.get("N3_BOOK_HTML")
    folders = [Path(named)] if named else [ROOT / folder for folder in BUILT]
    found = [folder for folder in folders if (folder / "intro.html").is_file()]
    if named and not found:
        pytest.fail(f"N3_BOOK_HTML: {named} holds no built book")
    if not found:
        pytest.skip("there is no built book: make book")
    return max(found, key=lambda folder: (folder / "intro.html").stat().st_mtime)


def pages(site: Path) -> list[str]:
    """Every page, less the theme's templates and the one that only sends on to another."""
    paths = [path for path in site.rglob("*.html") if "_static" not in path.parts]
    return sorted(
        path.relative_to(site).as_posix() for path in paths if "<head>" in path.read_text(encoding="utf-8")
    )


class Links(HTMLParser):
    """The anchors of a page and what it points to."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.anchors, self.targets = {""}, list[str]()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("id", "name") and value:
                self.anchors.add(value)
            elif name in ("href", "src") and value:
                self.targets.append(value)


def test_links_within_the_book_lead_somewhere(site: Path) -> None:
    read = {(site / page).resolve(): Links(site / page) for page in pages(site)}
    lost = []
    for page, links in read.items():
        for target in links.targets:
            address, anchor = urldefrag(target)
            if urlsplit(target).scheme or target.startswith("//"):
                continue
            path = (page.parent / unquote(urlsplit(address).path)).resolve() if address else page
            if not path.is_file() or (path in read and unquote(anchor) not in read[path].anchors):
                lost.append(f"{page.relative_to(site.resolve())}: {target}")
    assert not lost


def test_no_page_tells_where_it_was_built_or_how_far_a_cell_had_come(site: Path) -> None:
    for page in pages(site):
        text = (site / page).read_text(encoding="utf-8")
        assert f"{ROOT}/" not in text, page
        assert "%|" not in text, page  # a progress bar that stands still


@contextmanager
def serve(site: Path, width: int) -> Iterator[tuple[str, Queue[dict[str, list[str]]], list[str]]]:
    """The site with `LISTEN` in every page, and the page that looks at all of them, at the address given."""
    found: Queue[dict[str, list[str]]] = Queue()
    missing: list[str] = []
    start = LOOK.replace("WIDTH", str(width)).replace("PAGES", json.dumps(pages(site)))

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(site))

        def do_GET(self) -> None:
            path = Path(self.translate_path(self.path))
            if urlsplit(self.path).path == "/look":
                self.give(start)
            elif path.suffix == ".html" and path.is_file():
                self.give(path.read_text(encoding="utf-8").replace("<head>", "<head>" + LISTEN, 1))
            else:
                super().do_GET()

        def do_POST(self) -> None:
            found.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.give("")

        def give(self, text: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(text.encode())

        def send_error(self, code: int, *rest: Any) -> None:
            if self.path != "/favicon.ico":
                missing.append(f"{code} {self.path}")
            super().send_error(code, *rest)

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/look", found, missing
        finally:
            server.shutdown()


@pytest.mark.parametrize("width", [1280, 390])
def test_every_page_is_shown_whole(site: Path, width: int, tmp_path: Path) -> None:
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"needs one of {', '.join(BROWSERS)}")
    options = ["--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--hide-scrollbars"]
    options += [f"--user-data-dir={tmp_path}", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
    with serve(site, width) as (address, found, missing):
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen([browser, *options, address], **quiet)
        try:
            reports = found.get(timeout=SECONDS)
        finally:
            process.terminate()
            process.wait()
    assert sorted(reports) == pages(site)
    problems = [
        f"{page}: {one}" for page, found_there in reports.items() for one in found_there if one != KNOWN
    ]
    assert "\n".join(problems + missing) == ""
