import json
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from n3lib.data import SOURCES
from n3lib.data.names import human_name
from n3lib.data.texts import read_texts
from n3lib.data.wikipedia import network
from n3lib.data.wikipedia.articles import TITLES, candidates
from n3lib.data.wikipedia.descriptions import describe, read_titles
from n3lib.io import N3Error

JAY = """The blue jay (; Cyanocitta cristata) is a bird.[1]


== Taxonomy ==
It was named in 1758.


== Description ==
It is blue above . It is 22 cm (9 in) long.


=== Plumage ===
The crest is blue.


== Ecology ==
It eats acorns.


== See also ==
Steller's jay


== References ==


=== Notes ===
A note.


== External links ==
A link"""
ALBATROSS = "Lead.\n\n\n== Identification ==\nIt is dark.\n\n\n== Range ==\nPacific."
# Titles and texts; a text that starts with # is where the title leads, None a list of meanings.
PAGES = {
    "Blue jay": JAY,
    "Blue Jay": "#Blue jay",
    "Black-footed albatross": ALBATROSS,
    "Brewer's blackbird": "Lead.\n\n\n== Description and voice ==\nIt is black.",
    "Cardinal": None,
    "Northern cardinal": "Lead.\n\n\n== Description ==\nIt is red.",
    "Arctic tern": "Lead.\n\n\n== Description ==\nIt is white.",
    "Tern": "Lead.\n\n\n== Description ==\nA family.",
    "Ox": "Lead.\n\n\n== Uses ==\nIt pulls.",
    "Stub": "A bird.",
}
CLASSES = ["001.Blue_Jay", "002.Black_footed_Albatross", "003.Brewer_Blackbird"]


class Wiki:
    """Answers as MediaWiki does; `failures` are (status, body, headers) to send first, "cut", or None."""

    def __init__(self, path):
        self.path = path
        self.asked, self.agents, self.failures, self.hits = [], set(), [], {}

    def describe(self, classes=CLASSES, *args, **options):
        return describe(classes, self.path, *args, **options)

    def read(self):
        return json.loads(self.path.read_text(encoding="utf-8"))

    def answer(self, request):
        query = {key: value[0] for key, value in parse_qs(urlsplit(request.path).query).items()}
        self.agents.add(request.headers["User-Agent"])
        self.asked.append(query.get("titles") or f"search: {query['srsearch']}")
        if self.failures:
            failure = self.failures.pop(0)
            if failure == "cut":
                return request.reply(200, b"{" * 500, sent=1)
            if failure:
                status, body, headers = failure
                return request.reply(status, body.encode(), headers)
        assert urlsplit(request.path).path == "/w/api.php" and query["action"] == "query"
        assert query["format"] == "json" and query["redirects"] == "1" and query["maxlag"] == "5"
        answer = {"batchcomplete": "", "query": self.search(query) or self.page(query)}
        request.reply(200, json.dumps(answer).encode())

    def search(self, query):
        if query.get("list") != "search":
            return None
        hits = self.hits.get(query["srsearch"], [])
        return {"search": [{"ns": 0, "title": title, "pageid": 7} for title in hits]}

    def page(self, query):
        assert set(query["prop"].split("|")) == {"info", "extracts", "pageprops"}
        assert query["explaintext"] == "1" and query["inprop"] == "url"
        title, found = query["titles"], {}
        title = title[:1].upper() + title[1:]
        if title != query["titles"]:
            found["normalized"] = [{"from": query["titles"], "to": title}]
        text = PAGES.get(title, "")
        if text and text.startswith("#"):
            found["redirects"] = [{"from": title, "to": text[1:]}]
            title, text = text[1:], PAGES[text[1:]]
        if title.startswith("w:"):
            return {"interwiki": [{"title": title, "iw": "w"}]}
        if title not in PAGES:
            return found | {"pages": {"-1": {"ns": 0, "title": title, "missing": ""}}}
        number = 10 + list(PAGES).index(title)
        page = {"pageid": number, "ns": 0, "title": title, "lastrevid": 1000 + number}
        page["fullurl"] = f"https://en.wikipedia.org/wiki/{title.replace(' ', '_')}"
        page["extract"] = text or "Cardinal may refer to:\n\n\n== Description ==\nNothing."
        if text is None:
            page["pageprops"] = {"disambiguation": ""}
        return found | {"pages": {str(number): page}}


@pytest.fixture
def wiki(tmp_path, serve, slept, monkeypatch):
    wiki = Wiki(tmp_path / "texts.json")
    monkeypatch.setattr(network, "API", httpx.URL(f"{serve(wiki.answer)}/w/api.php"))
    return wiki


BLUE = ["It is blue above.", "It is 22 cm (9 in) long.", "The crest is blue."]


def test_description(wiki):
    report = wiki.describe(contact="a@b.org")
    assert report.found == ("Blue Jay", "Black footed Albatross", "Brewer Blackbird")
    assert report.filled == () and report.missing == {} and report.searched == {}
    assert wiki.read()["Blue Jay"] == {
        "title": "Blue jay",
        "url": "https://en.wikipedia.org/wiki/Blue_jay",
        "revision": 1010,
        "license": "CC BY-SA 4.0",
        "section": "Description",
        "by": "name",
        "asked": {"section": "Description", "title": ""},
        "sentences": BLUE,
    }
    sections = {name: entry["section"] for name, entry in wiki.read().items()}
    assert sections == {
        "Blue Jay": "Description",
        "Black footed Albatross": "Identification",
        "Brewer Blackbird": "Description and voice",
    }
    assert read_texts(wiki.path, CLASSES) == (tuple(BLUE), ("It is dark.",), ("It is black.",))
    (agent,) = wiki.agents
    assert agent.startswith("n3lib (a@b.org)")
    report.require_all()
    assert str(report) == f"{wiki.path}: 3 from Wikipedia, 0 by hand"


def test_whole_article(wiki):
    wiki.describe(["Blue Jay"], "all")
    assert wiki.read()["Blue Jay"]["sentences"] == [
        "The blue jay (Cyanocitta cristata) is a bird.",
        "It was named in 1758.",
        *BLUE,
        "It eats acorns.",
    ]
    assert wiki.read()["Blue Jay"]["section"] == "all"


def test_another_section(wiki):
    report = wiki.describe(["Blue Jay", "Black footed Albatross"], "ecology")
    assert wiki.read()["Blue Jay"]["sentences"] == ["It eats acorns."]
    assert report.missing == {
        "Black footed Albatross": "article 'Black-footed albatross' has no section like 'ecology'"
    }


@pytest.mark.parametrize(
    "headings, expected",
    [
        (["Anatomy", "Characteristics", "Appearance"], "Appearance"),
        (["Taxonomy and description", "Description and voice", "Morphology"], "Description and voice"),
        (["=Description", "Description"], "Description"),
        (["Biology", "=General morphology"], "=General morphology"),
        (["Biology"], "Biology"),
        (["Descriptions", "Appearances in film", "Mythology"], None),
    ],
)
def test_best_section(headings, expected, wiki, monkeypatch):
    lines = ["Lead."]
    for heading in headings:
        marks = "===" if heading[0] == "=" else "=="
        lines.append(f"\n\n{marks} {heading.strip('=')} {marks}\nThis is {heading}.")
    monkeypatch.setitem(PAGES, "Ox", "\n".join(lines))
    report = wiki.describe(["ox"])
    assert list(report.missing) == ([] if expected else ["ox"])
    if expected:
        assert wiki.read()["ox"]["sentences"][0] == f"This is {expected}."


def test_section_without_text_does_not_count(wiki, monkeypatch):
    monkeypatch.setitem(PAGES, "Ox", "Lead.\n\n\n== Description ==\n\n\n== Appearance ==\nIt has horns.")
    wiki.describe(["ox"])
    assert wiki.read()["ox"]["section"] == "Appearance"


@pytest.mark.parametrize(
    "name, expected",
    [
        (
            "Black footed Albatross",
            ["Black-footed albatross", "Black-footed Albatross", "Black footed albatross"],
        ),
        ("Brewer Blackbird", ["Brewer blackbird", "Brewer's blackbird", "Brewer's Blackbird"]),
        ("Forsters Tern", ["Forsters tern", "Forster's tern"]),
        ("Le Conte Sparrow", ["Le Conte's sparrow"]),
        ("Black and white Warbler", ["Black-and-white warbler"]),
        ("Nelson Sharp tailed Sparrow", ["Nelson's sharp-tailed sparrow"]),
        ("Mallard", []),
        ("polar+bear", []),
        ("What [is] this", []),
    ],
)
def test_candidates(name, expected):
    titles = candidates(name)
    if "[" in name:
        assert titles == []  # such an article cannot exist, and must not be asked for
        return
    assert titles[0] == name.replace("+", " ")
    assert [title for title in titles if title in expected] == expected
    assert len(titles) <= 8 and (expected or len(titles) == 1)


def test_list_of_meanings_is_no_article(wiki):
    report = wiki.describe(["Cardinal"])
    assert report.missing == {"Cardinal": "no article found"}
    titles = {"Cardinal": "Dodo", "Dodo": "Dodo", "CARDINAL": "Northern cardinal"}  # the last counts
    report = wiki.describe(["017.Cardinal"], titles=titles)
    assert report.found == ("Cardinal",) and wiki.read()["Cardinal"]["by"] == "title"
    assert wiki.asked[-1] == "Northern cardinal" and "Dodo" not in wiki.asked


def test_search(wiki):
    wiki.hits = {"Artic Tern": ["Blue jay", "Arctic tern", "Tern"]}
    report = wiki.describe(["Artic Tern"])
    assert wiki.asked == [*candidates("Artic Tern"), "search: Artic Tern", "Arctic tern"]
    assert report.searched == {"Artic Tern": "Arctic tern"} and wiki.read()["Artic Tern"]["by"] == "search"
    assert "Found by searching, to be checked: Artic Tern -> Arctic tern" in str(report)
    assert wiki.describe(["Artic Tern"]).searched == report.searched  # also when nothing is asked


def test_given_title_is_not_guessed_around(wiki):
    report = wiki.describe(["Blue Jay", "ox"], titles={"Blue Jay": "Blue jaybird", "ox": "w:Ox"})
    assert report.missing == {
        "Blue Jay": "there is no article 'Blue jaybird'",
        "ox": "there is no article 'w:Ox'",
    }
    assert wiki.asked == ["Blue jaybird", "w:Ox"]


def test_missing_and_filled(wiki, tmp_path):
    classes = ["Blue Jay", "ox", "Dodo", "Stub"]
    report = wiki.describe(classes)
    assert report.missing == {
        "ox": "article 'Ox' has no section like 'Description'",
        "Dodo": "no article found",
        "Stub": "article 'Stub' has no section like 'Description'",
    }
    assert list(wiki.read()) == ["Blue Jay"]
    with pytest.raises(N3Error, match="ox: .*; Dodo: .*; Stub: .*fill"):
        report.require_all()
    assert str(report).endswith("1 from Wikipedia, 0 by hand")

    fill = tmp_path / "mine.json"
    fill.write_text(json.dumps({"Ox": "It has horns. It is large.", "_stub": {"sentences": ["A bird."]}}))
    wiki.asked.clear()
    report = wiki.describe(classes, fill=fill)
    assert (
        report.found == ("Blue Jay",) and report.filled == ("ox", "Stub") and list(report.missing) == ["Dodo"]
    )
    assert {asked for asked in wiki.asked if "search" not in asked} == set(candidates("Dodo"))
    # What was filled in stays, and what the user writes into the file itself counts too.
    wiki.path.write_text(json.dumps(wiki.read() | {"Dodo": ["It is extinct."]}))
    report = wiki.describe(classes)
    assert report.filled == ("ox", "Dodo", "Stub") and report.missing == {}
    assert read_texts(wiki.path, classes)[1:3] == (("It has horns.", "It is large."), ("It is extinct.",))


def test_fill_goes_before_wikipedia(wiki, tmp_path):
    wiki.describe(["Blue Jay"])
    (tmp_path / "mine.json").write_text('{"001.Blue_Jay": "Mine."}')
    report = wiki.describe(["Blue Jay"], fill=tmp_path / "mine.json")
    assert report.filled == ("Blue Jay",) and read_texts(wiki.path, ["Blue Jay"]) == (("Mine.",),)
    assert len(wiki.asked) == 1


@pytest.mark.parametrize(
    "failure",
    [
        (503, "", {}),
        (429, "", {"Retry-After": "0"}),
        "cut",
        (200, "<html>", {}),
        (200, "[]", {}),
        (200, json.dumps({"error": {"code": "maxlag", "info": "Waiting"}}), {"Retry-After": "5"}),
    ],
)
def test_passing_failures(wiki, failure, slept):
    wiki.failures = [failure] * 4
    report = wiki.describe(["Blue Jay"])
    assert report.found == ("Blue Jay",) and wiki.asked == ["Blue Jay"] * 5
    asked = failure[2].get("Retry-After") if failure != "cut" else None
    assert slept == ([float(asked)] * 4 if asked else [1, 2, 4, 8])


def test_failures_that_stay(wiki, slept):
    for failure, problem in [
        ((503, "", {}), "503"),
        ((200, "<html>", {}), "JSON"),
        ("cut", "127.0.0.1"),
        ((429, "", {"Retry-After": "3600"}), "3600"),
        ((403, "", {}), "403"),
        ((200, '{"error": {"code": "badvalue", "info": "No"}}', {}), "badvalue"),
    ]:
        wiki.failures = [failure] * 5
        with pytest.raises(N3Error, match=problem):
            wiki.describe(["Blue Jay"])


def test_interrupted_collection_goes_on(wiki):
    wiki.describe(CLASSES[:2])
    wiki.path.unlink()
    wiki.failures = [None] * len(wiki.asked) + [(403, "", {})]
    with pytest.raises(N3Error):
        wiki.describe()
    assert list(wiki.read()) == ["Blue Jay", "Black footed Albatross"]
    wiki.asked.clear()
    report = wiki.describe()
    assert wiki.asked == candidates("Brewer Blackbird")[:3] and len(report.found) == 3
    before = wiki.path.read_bytes()
    assert wiki.describe() == report and wiki.path.read_bytes() == before
    assert len(wiki.asked) == 3  # nothing was asked the last time


def test_another_question_asks_again(wiki):
    classes = ["Blue Jay", "Cardinal"]
    wiki.describe(classes, titles={"Cardinal": "Northern cardinal"})
    wiki.asked.clear()
    wiki.describe(classes, titles={"Cardinal": "Blue jay"})
    assert wiki.asked == ["Blue jay"] and wiki.read()["Cardinal"]["title"] == "Blue jay"
    # While the new answer is not there, the old one stays.
    wiki.failures = [(403, "", {})]
    with pytest.raises(N3Error):
        wiki.describe(classes, "all")
    assert wiki.read()["Blue Jay"]["section"] == "Description"
    report = wiki.describe(classes, "Ecology", titles={"Cardinal": "Northern cardinal"})
    assert list(wiki.read()) == ["Blue Jay"] and list(report.missing) == ["Cardinal"]


@pytest.mark.parametrize(
    "content, problem",
    [
        ("{", "JSON"),
        ("[]", "texts.json"),
        ('{"Dodo": "text"}', "'Dodo'"),
        ('{"Blue Jay": "a", "001.Blue_Jay": "b"}', "001.Blue_Jay"),
    ],
)
def test_file_of_something_else_is_not_touched(wiki, content, problem):
    wiki.path.write_text(content)
    with pytest.raises(N3Error, match=problem):
        wiki.describe()
    assert wiki.path.read_text() == content and wiki.asked == []


@pytest.mark.parametrize("empty", ["", " ", [], None, {"sentences": []}])
def test_entry_without_text_is_asked_for(wiki, empty):
    wiki.path.write_text(json.dumps({"Blue Jay": empty}))
    assert wiki.describe(["Blue Jay"]).found == ("Blue Jay",)


def test_bad_questions(wiki, tmp_path):
    for options, problem in [
        ({"classes": []}, "class names"),
        ({"classes": ["a", "001.a"]}, "class names"),
        ({"classes": [" "]}, "class names"),
        ({"section": " "}, "section"),
        ({"titles": {"Blue Jay": "A|B"}}, r"A\|B"),
        ({"titles": {"Blue Jay": " "}}, "title"),
        ({"contact": "a\nb"}, "contact"),
        ({"fill": tmp_path / "none.json"}, "none.json"),
        ({"path": tmp_path}, tmp_path.name),
    ]:
        with pytest.raises(N3Error, match=problem):
            describe(**{"classes": CLASSES, "path": wiki.path} | options)
    (tmp_path / "mine.json").write_text('{"Blue Jay": "Mine.", "Dodo": "Extinct."}')
    with pytest.raises(N3Error, match="mine.json.*'Dodo'"):
        wiki.describe(fill=tmp_path / "mine.json")
    (tmp_path / "file").write_text("")
    with pytest.raises(N3Error, match="texts.json"):
        describe(CLASSES, tmp_path / "file" / "texts.json")
    assert wiki.asked == []


def test_titles():
    assert TITLES.keys() == SOURCES.keys()
    for dataset, titles in TITLES.items():
        if dataset != "flowers-species":  # which has some of the classes of flowers
            assert titles.keys() <= {human_name(name) for name in SOURCES[dataset].names}
        for name, title in titles.items():
            assert name == human_name(name) and not set("+_|#[]{}<>") & set(name + title)
            assert title == title.strip() and title[0].isupper()
            assert title.lower() not in (one.lower() for one in candidates(name)[:1])
    assert TITLES["cub"]["Artic Tern"] == "Arctic tern" and TITLES["awa2"]["seal"] == "Pinniped"


def test_titles_of_ones_own(tmp_path):
    path = tmp_path / "titles.json"
    path.write_text('{"blue-jay": "Blue jay"}', encoding="utf-16")
    assert read_titles(path, CLASSES) == {"blue-jay": "Blue jay"}
    for content, problem in [
        ("[]", "titles"),
        ('{"Blue Jay": 3}', "titles"),
        ('{"Blue Jays": "Blue jay", "Dodo": "Dodo"}', "'Blue Jays' .like Blue Jay.*'Dodo'"),
        ('{"Blue Jay": "Blue jay", "blue_jay": "Jay"}', "'Blue Jay' and 'blue_jay'"),
    ]:
        path.write_text(content)
        with pytest.raises(N3Error, match=f"titles.json.*{problem}"):
            read_titles(path, CLASSES)
