"""Articles of Wikipedia: found by a class name, and cut into sections."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import wikipediaapi

from n3lib.data.fetch.retries import Passing, retrying
from n3lib.data.names import human_name
from n3lib.data.texts import sentences
from n3lib.io.errors import N3Error

LICENSE = "CC BY-SA 4.0"
ALL = "all"
# Headings under which articles without a "Description" describe what their subject looks like, best first.
ALIKE = (
    "identification",
    "appearance",
    "characteristics",
    "morphology",
    "plumage",
    "anatomy",
    "features",
    "biology",
)

# One request for everything about an article. `maxlag` asks to be turned away when the servers are behind.
_PARAMETERS = {
    "prop": "info|extracts|pageprops",
    "inprop": "url",
    "ppprop": "disambiguation",
    "explaintext": 1,
    "exsectionformat": "wiki",
    "maxlag": 5,
}
_PASSING = ("maxlag", "ratelimited", "readonly", "internal_api_error")
_HEADING = re.compile(r"^(={2,6})[ \t]*(.+?)[ \t]*\1[ \t]*$", re.MULTILINE)
# Sections that do not speak of the subject.
_APPARATUS = re.compile(
    r"(cited |end|explanatory |external |foot|further |general |works? )?"
    r"(bibliography|citations?|cited|gallery|links?|literature|notes?|reading|references?|see also|sources)"
    r"( and .*| & .*)?",
    re.IGNORECASE,
)
_REMAINS = re.compile(r"\[(?:\d+|edit|citation needed|note \d+|[a-z])\]|\(\s*[;,:]*\s*\)|\u00ad|\u200b")
_FORBIDDEN = re.compile(r"[|#<>\[\]{}\n]")


def look_up(wiki: wikipediaapi.Wikipedia, name: str, asked: Mapping[str, str]) -> dict[str, Any] | str:
    """The entry of one class, or why there is none."""
    if asked["title"]:
        by, page = "title", _page(wiki, asked["title"])
        if page is None:
            return f"there is no article {asked['title']!r}"
    else:
        by, page = "name", next(filter(None, (_page(wiki, title) for title in candidates(name))), None)
        if page is None:
            by, page = "search", _search(wiki, name)
        if page is None:
            return "no article found"
    heading, text = _pick(_sections(page.extract), asked["section"])
    if not text:
        return f"article {page.title!r} has no section like {asked['section']!r}"
    return {
        "title": page.title,
        "url": page.fullurl,
        "revision": page.lastrevid,
        "license": LICENSE,
        "section": heading,
        "by": by,
        "asked": dict(asked),
        "sentences": list(text),
    }


def _page(wiki: wikipediaapi.Wikipedia, title: str) -> Any:
    """The article of this title, redirects followed; None if there is none, or only a list of meanings."""
    page = wiki.page(title)
    try:
        exists = page.exists()
    except KeyError:  # a title that belongs to another wiki has no page at all
        return None
    if not exists or "disambiguation" in getattr(page, "pageprops", {}) or not hasattr(page, "extract"):
        return None
    return page


def _search(wiki: wikipediaapi.Wikipedia, name: str) -> Any:
    """The first of three hits that is called the same kind of thing: an "... albatross" for an albatross."""
    last = _plain(name)[-1]
    for title in wiki.search(spaced(name), limit=3).pages:
        if last in _plain(title):
            page = _page(wiki, title)
            if page is not None:
                return page
    return None


def candidates(name: str) -> list[str]:
    """Titles under which a class may have its article, the likeliest first.

    Datasets write bird names without hyphens and apostrophes: "Black footed Albatross", "Brewer Blackbird". A
    small letter after a capital, or a word in -ed, continues the word before it.
    """
    words = spaced(name).split()
    joined: list[str] = []
    for index, word in enumerate(words):
        continues = words[0][0].isupper() or (word.endswith("ed") and index < len(words) - 1)
        if joined and word[0].islower() and continues:
            joined[-1] += f"-{word}"
        else:
            joined.append(word)
    forms = [joined, words]
    # The possessive stands before the kind of bird, or at the start: "Le Conte's sparrow".
    for index in dict.fromkeys((len(joined) - 2, 0)):
        if len(joined) > 1 and joined[index][0].isupper() and "-" not in joined[index]:
            owner = joined[index]
            owners = [f"{owner}'s"] + ([f"{owner[:-1]}'s"] if owner.endswith("s") else [])
            forms += [[*joined[:index], one, *joined[index + 1 :]] for one in owners]
    titles = []
    for form in forms:
        proper = max((i for i, word in enumerate(form) if "'" in word), default=0)
        # Articles on species are called "Black-footed albatross"; the form with capitals may redirect.
        lowered = [word if i <= proper else word.lower() for i, word in enumerate(form)]
        titles += [" ".join(lowered), " ".join(form)]
    usable = [title for title in dict.fromkeys(titles) if not _FORBIDDEN.search(title)]
    # The name itself first, as it stands.
    return sorted(usable, key=lambda title: title != spaced(name))


def usable_title(name: str, title: str) -> str:
    title = title.strip()
    if not title or _FORBIDDEN.search(title):
        raise N3Error(f"{title!r} for class {name!r} is no title of an article", "Correct or remove it")
    return title


def spaced(name: str) -> str:
    return " ".join(human_name(name).split())


def _plain(title: str) -> list[str]:
    """The words of a title in small letters, without the plural's s."""
    words = re.findall(r"\w+", title.lower().replace("'s", ""))
    return [word.removesuffix("s") for word in words] or [""]


# Sections.


@dataclass(frozen=True)
class _Section:
    level: int
    heading: str
    text: str


def _sections(extract: str) -> list[_Section]:
    """The sections of an article's plain text, in order; what stands before the first heading has none."""
    found = list(_HEADING.finditer(extract))
    ends = [match.start() for match in found[1:]] + [len(extract)]
    lead = extract[: found[0].start()] if found else extract
    return [_Section(9, "", lead)] + [
        _Section(len(match[1]), match[2], extract[match.end() : end])
        for match, end in zip(found, ends, strict=False)
    ]


def _pick(sections: Sequence[_Section], wanted: str) -> tuple[str, tuple[str, ...]]:
    """The heading and the sentences of the section that is asked for; no sentences if there is none."""
    if wanted.lower() == ALL:
        kept: list[_Section] = []
        hidden = 10  # the level of the apparatus that we are in
        for section in sections:
            if section.level <= hidden:
                hidden = section.level if _APPARATUS.fullmatch(section.heading) else 10
            if hidden == 10:
                kept.append(section)
        return ALL, _clean(kept)
    for index in _ranked(sections, wanted):
        text = _clean(list(_with_children(sections, index)))
        if text:
            return sections[index].heading, text
    return "", ()


def _ranked(sections: Sequence[_Section], wanted: str) -> list[int]:
    """Places of the sections that will do, the best first: the right word, then the start, then the level."""
    words = [wanted.lower(), *(ALIKE if wanted.lower() == "description" else ())]
    ranked = []
    for place, section in enumerate(sections):
        heading = section.heading.lower()
        for rank, word in enumerate(words):
            match = re.search(rf"(?<!\w){re.escape(word)}(?!\w)", heading)
            if match:
                ranked.append((rank, heading != word, match.start() > 0, section.level, place))
                break
    return [place for *_, place in sorted(ranked)]


def _with_children(sections: Sequence[_Section], index: int) -> Iterator[_Section]:
    yield sections[index]
    for section in sections[index + 1 :]:
        if section.level <= sections[index].level:
            return
        yield section


def _clean(sections: Sequence[_Section]) -> tuple[str, ...]:
    """The sentences of sections, without what a plain text leaves of notes and pronunciations."""
    text = _REMAINS.sub("", "\n".join(section.text for section in sections))
    text = re.sub(r"\(\s*[;,]\s*", "(", text)
    return sentences(re.sub(r"[ \t]+([,.;:])", r"\1", text))


# The network.


class Courteous(httpx.BaseTransport):
    """Asks one address, one request at a time, and again if the answer was only for now."""

    def __init__(self, api: str) -> None:
        try:
            self._api = httpx.URL(api)
        except httpx.InvalidURL:
            self._api = httpx.URL("")
        if self._api.scheme not in ("http", "https") or not self._api.host:
            raise N3Error(f"{api!r} is no http or https address", "Give the address of an api.php")
        # A client, not a bare transport: it knows the proxies of the environment.
        self._client = httpx.Client(timeout=30, follow_redirects=True)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        retry = retrying(f"{self._api.host} cannot be asked", "what was collected")
        return retry(self._ask, request.url.query, request.headers["User-Agent"])

    def _ask(self, query: bytes, agent: str) -> httpx.Response:
        """One request; what may pass is a `Passing` or an error of the transport."""
        refusal = f"{self._api.host} refuses to answer"
        response = self._client.get(self._api.copy_with(query=query), headers={"User-Agent": agent})
        status, retry_after = response.status_code, response.headers.get("Retry-After", "")
        if status == 429 or status >= 500:
            raise Passing(f"it says {status}", retry_after)
        if status != 200:
            remedy = "Give a contact address if there is none, and check the address"
            raise N3Error(f"{refusal} ({status})", remedy)
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise Passing("its answer is no JSON object", retry_after)
        if (error := answer.get("error")) is not None:
            said = {
                key: str(error.get(key, "")) if isinstance(error, dict) else "" for key in ("code", "info")
            }
            text = "{code}: {info}".format(**said)
            if said["code"].startswith(_PASSING):
                raise Passing(text, retry_after)
            raise N3Error(f"{refusal} ({text})", "Check the titles and the address")
        return httpx.Response(200, content=response.content)

    def close(self) -> None:
        self._client.close()


def make_client(transport: httpx.BaseTransport, contact: str) -> wikipediaapi.Wikipedia:
    if not contact.isprintable() or not contact.isascii():
        raise N3Error(f"contact {contact!r} is no address", "Give an e-mail address or a web page")
    agent = f"n3lib ({contact})" if contact else "n3lib"
    # The transport tries again, for more kinds of failure than the library does.
    return wikipediaapi.Wikipedia(
        agent, "en", extra_api_params=_PARAMETERS, max_retries=0, transport=transport
    )
