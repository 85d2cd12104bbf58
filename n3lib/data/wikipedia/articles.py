"""Articles of Wikipedia, found by a class name or by the title in `titles.json`, which has its sources."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import wikipediaapi

from n3lib.data.names import human_name
from n3lib.data.wikipedia.sections import pick_section
from n3lib.io import N3Error, read_json

LICENSE = "CC BY-SA 4.0"
# Titles of the articles that `candidates` does not find: by dataset, then by class name as people write it.
# Where English Wikipedia has moved an article to another common name, the title redirects to it.
TITLES: dict[str, dict[str, str]] = {
    dataset: entry["titles"] for dataset, entry in read_json(Path(__file__).with_name("titles.json")).items()
}
TITLES |= {"cub2010": TITLES["cub"], "flowers-species": TITLES["flowers"]}
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
    heading, text = pick_section(page.extract, asked["section"])
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
    titles = filter(lambda title: last in _plain(title), wiki.search(spaced(name), limit=3).pages)
    return next((page for title in titles if (page := _page(wiki, title)) is not None), None)


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
    # The possessive comes before the kind of bird, or at the start: "Le Conte's sparrow".
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
    # The name itself first, as it is.
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
