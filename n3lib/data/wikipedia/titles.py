"""Wikipedia articles of classes whose names are not the articles' titles (`titles.json`, with sources).

Names with hyphens and capitals left out need no entry: `articles.candidates` finds those. Where
English Wikipedia has moved an article to another common name, the title here redirects to it.
"""

from pathlib import Path

from n3lib.io import read_json

# By dataset, then by class name as people write it.
TITLES: dict[str, dict[str, str]] = {
    dataset: entry["titles"] for dataset, entry in read_json(Path(__file__).with_name("titles.json")).items()
}
TITLES |= {"cub2010": TITLES["cub"], "flowers-species": TITLES["flowers"]}
