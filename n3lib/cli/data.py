"""`n3 data`: get, check, describe and encode datasets; every action is one call into the library."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from n3lib.io.console import tell
from n3lib.io.errors import N3Error
from n3lib.io.files import expand


def as_path(text: str) -> Path:
    """A path of the command line."""
    try:
        return expand(text)
    except N3Error as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def add_actions(data: argparse.ArgumentParser, command: Callable[..., argparse.ArgumentParser]) -> None:
    """The subcommands of `n3 data`; `command` adds one to those that are given."""
    actions = data.add_subparsers(dest="action", required=True, metavar="ACTION")

    def action(name: str, call: Any, text: str, example: str, goes_on: bool = False) -> Any:
        sub = command(name, call, text, f"n3 data {name} {example}", actions, goes_on)
        names = "aviary, dialects, cub, cub2010, awa2, nabirds, flowers or flowers-species"
        sub.add_argument("name", help=names)
        sub.add_argument("--root", default="", help="folder that holds the dataset")
        return sub

    info = action("info", _info, "classes, images and lengths of descriptions", "cub --root DIR --split SS")
    info.add_argument("--split", default="", help="such as PS, SS or SCE (default: the dataset's first)")

    text = "fetch a dataset, check its hash, unpack it"
    download = action("download", _download, text, "cub --root DIR", goes_on=True)
    text = "folder or archive that you have already"
    download.add_argument("--from", dest="source", type=as_path, help=text)

    action("verify", _verify, "count and decode everything", "cub --root DIR")

    text = "collect the text of every class from Wikipedia; goes on where it stopped"
    example = "cub --root DIR --section all --contact you@example.org"
    describe = action("describe", _describe, text, example, goes_on=True)
    text = "a section (default: Description), or `all`"
    describe.add_argument("--section", default="Description", help=text)
    text = "your address, which Wikipedia asks of its readers"
    describe.add_argument("--contact", required=True, help=text)
    for flags, text in {
        ("--titles",): 'JSON file {"class": "title of its article"}',
        ("--fill",): "JSON file of descriptions for classes without an article",
        ("-o", "--output"): "the JSON file (default: the dataset's own, in the root)",
    }.items():
        describe.add_argument(*flags, type=as_path, help=text)

    example = "cub --root DIR --encoder bert"
    embed = action("embed", _embed, "encode the descriptions into the cache", example, goes_on=True)
    embed.add_argument("--encoder", required=True, help="bert, glove:NAME, elmo:FOLDER, a name or a folder")
    contexts = ["sentence", "paragraph"]
    embed.add_argument("--context", choices=contexts, default="sentence", help="what is read at once")
    for sub in (info, embed):
        text = "JSON file of the descriptions (default: the one in the root; `names`: class names alone)"
        sub.add_argument("--text", default="", help=text)

    example = "n3 data backbone --name resnet18 -o runs/backbones/resnet18.safetensors"
    backbone = command("backbone", _backbone, "pretrain a network on generated birds", example, actions)
    backbone.add_argument("--name", default="aviary", help="aviary, resnet18, googlenet or squeezenet1_1")
    text = "where the weights go (default: in the package)"
    backbone.add_argument("-o", "--output", type=as_path, help=text)


def _info(options: argparse.Namespace) -> None:
    from n3lib.data import GENERATED, DataConfig, find_source, load_data

    generated = options.name in GENERATED
    if generated and (options.root or options.split):
        what = f"folder {options.root}" if options.root else f"split {options.split}"
        raise N3Error(f"{options.name} is generated and has no {what}", "Leave it out")
    split = options.split or ("" if generated else next(iter(find_source(options.name).splits)))
    config = DataConfig(options.name, root=options.root, split=split, text=options.text)
    dataset = load_data(config)
    words = sorted(sum(len(s.split()) for s in text) for text in dataset.texts)
    tell(f"{dataset.name}: {len(dataset.classes)} classes, {len(dataset.images)} images")
    for part in ("train", "val", "test"):
        ids = dataset.split.part(part)
        tell(f"  {dataset.split.name} {part}: {len(ids)} classes, {len(dataset.indices(ids))} images")
    tell(f"  words a description: {words[0]} to {words[-1]}, median {words[len(words) // 2]}")


def _download(options: argparse.Namespace) -> None:
    from n3lib.data import find_photographs
    from n3lib.data.photographs.acquisition import fetch_dataset

    source, root = find_photographs(options.name, options.root)
    odd = fetch_dataset(source, root, options.source)
    for line in (*(f"{one}, but holds the whole dataset" for one in odd), source.title, source.terms):
        tell(line)
    tell(f"in {options.root}; next: n3 data verify {source.name}")


def _verify(options: argparse.Namespace) -> None:
    from n3lib.data import find_photographs
    from n3lib.data.photographs.acquisition import verify

    source, root = find_photographs(options.name, options.root)
    for problem in (problems := verify(source, root)):
        tell(problem)
    if problems:
        raise N3Error(f"{options.root} does not hold {source.name} as published", "See the lines above")
    tell(f"{source.name}: {source.classes} classes, {source.images} images, all of them sound")


def _describe(options: argparse.Namespace) -> None:
    from n3lib.data import find_photographs
    from n3lib.data.wikipedia.descriptions import describe, read_titles
    from n3lib.data.wikipedia.titles import TITLES

    source, root = find_photographs(options.name, options.root)
    output = options.output or root / source.text
    classes = source.index(root).classes
    _check_section(output, options.section)
    # The user's last: of two titles for one class, the last counts.
    titles = TITLES[source.name] | (read_titles(options.titles, classes) if options.titles else {})
    collected = describe(classes, output, options.section, titles, options.fill, contact=options.contact)
    tell(collected)
    collected.require_all()


def _check_section(path: Path, section: str) -> None:
    """Refuse texts of another section, which would be asked for anew and replaced one by one."""
    from n3lib.io.files import read_json

    held = read_json(path) if path.is_file() else {}
    entries = held.values() if isinstance(held, dict) else ()
    asked = [entry.get("asked") for entry in entries if isinstance(entry, dict)]
    sections = {str(one.get("section")) for one in asked if isinstance(one, dict)}
    if sections and section not in sections:
        problem = f"{path} holds the section {', '.join(sorted(sections))!r}, and {section!r} is asked for"
        raise N3Error(problem, "Choose another -o, or delete this file")


def _embed(options: argparse.Namespace) -> None:
    from n3lib.data import DataConfig, read_descriptions
    from n3lib.io.files import cache_dir, check_writable
    from n3lib.text.cache import encode_texts
    from n3lib.text.encoders import make_encoder
    from n3lib.text.pipeline import TextConfig, arranged

    check_writable(cache_dir() / "text", True, "Set N3_CACHE to a writable folder")
    encoder = make_encoder(options.encoder)
    texts = read_descriptions(DataConfig(options.name, root=options.root, text=options.text))
    encoded = encode_texts(encoder, arranged(texts, TextConfig(context=options.context)))
    tokens = sum(len(one.embeddings) for text in encoded for one in text)
    what = f"{len(texts)} descriptions, {tokens:,} tokens of {encoder.width} numbers"
    tell(f"{encoder.name}: {what} in the cache")


def _backbone(options: argparse.Namespace) -> None:
    from n3lib.experiments.pretrain import pretrain_backbone

    pretrain_backbone(options.output, options.name)
