"""Chapter 6: text encoders side by side, on a sentence, in closed form, and in results (Table 4)."""

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import cosine_similarity

from n3lib.experiments.experiment import FROZEN, Evaluation, Experiment
from n3lib.experiments.provenance import note
from n3lib.experiments.results import Markup, Table, accuracy_cell, load_results
from n3lib.experiments.tables import PAPER_NUMBERS
from n3lib.io import N3Error, expand
from n3lib.io.files import cache_dir
from n3lib.text.bank import TokenEncoder
from n3lib.text.cache import encode_cached
from n3lib.text.elmo import FILES
from n3lib.text.encoders import make_encoder

# The paper's encoders, and the small one of configs/benchmark.yaml.
MINILM = "sentence-transformers/all-MiniLM-L6-v2"
ENCODERS = ("words", "glove:glove-wiki-gigaword-300", MINILM, "bert", "elmo")

# Titles in the order of the table, and the paper's Table 4 on the nearest encoder.
_NEAREST: dict[str, str] = PAPER_NUMBERS["table4"]

# Each encoder alone, in closed form and trained; the ridges were chosen on validation classes.
_TEXTS = {
    "minilm": ["--text.tfidf=false", "--model.ridge=0.3"],  # the encoder of configs/benchmark.yaml
    "glove": ["--text.encoder=glove:glove-wiki-gigaword-50", "--text.tfidf=false", "--model.ridge=1.0"],
    "tfidf": ["--text.encoder=words"],
}
TEXT_ENCODERS = Experiment(
    "text-encoders",
    "How does accuracy depend on the text encoder? (section 5.5, Table 4)",
    "benchmark",
    {
        f"{folder}{name}": [f"--data.split={split}", *settings]
        for folder, split in {"": "PS", "SS/": "SS"}.items()
        for name, settings in {
            **_TEXTS,
            **{f"frozen-{name}": [*settings, *FROZEN] for name, settings in _TEXTS.items()},
            "frozen-names": ["--text.encoder=words", "--data.text=names", *FROZEN],
        }.items()
    },
    selected={f"{folder}{name}": "n3" for folder in ("", "SS/") for name in _TEXTS},
    evaluations=(Evaluation(),),
    folder="text_encoders",
)


def encoders(description: Sequence[str], place: int = 0, specs: Sequence[str] = ENCODERS) -> Table:
    """The tokens of one sentence of a description, the one at `place`, by text encoder.

    The last column is the mean cosine between the embeddings of all tokens, each sentence encoded alone and
    all as one paragraph. Nothing is downloaded: of an encoder that is not here, the command is shown.
    """
    rows = []
    for spec in specs:
        try:
            encoder = _load(spec)
            alone = encode_cached(encoder, description)
        except N3Error:
            command = f"n3 data embed aviary --encoder {spec}"
            if spec.startswith("elmo"):
                command = "make elmo NAME=aviary CONTEXT=sentence"
            rows.append([spec, "", Markup(f"not on this machine: `{command}`"), ""])
            continue
        cosine = ""
        with suppress(N3Error):  # ELMo, where only the sentences are in the cache
            (whole,) = encode_cached(encoder, [" ".join(description)])
            parts = torch.cat([one.embeddings for one in alone])  # (L, e)
            if parts.shape == whole.embeddings.shape:
                cosines = cosine_similarity(parts.float(), whole.embeddings.float(), dim=1)
                cosine = f"{cosines.mean().item():.2f}"
        rows.append([encoder.name, str(encoder.width), " ".join(alone[place].words), cosine])
    return Table(["encoder", "numbers per token", "tokens", "sentence and paragraph (cosine)"], rows)


def _load(spec: str) -> TokenEncoder:
    """The encoder of `make_encoder`, from a file or the cache of an earlier download; else an `N3Error`."""
    kind, _, rest = spec.partition(":")
    if kind == "words" or expand(rest or spec).exists():
        return make_encoder(spec)
    path = ""
    if kind == "glove":
        path = f"glove:{expand(os.environ.get('GENSIM_DATA_DIR') or '~/gensim-data') / rest / rest}.gz"
    elif kind == "elmo":
        path = spec if all((cache_dir() / "elmo" / name).is_file() for name in FILES) else ""
    else:
        from huggingface_hub import snapshot_download

        with suppress(OSError, ValueError):
            path = snapshot_download("bert-base-uncased" if spec == "bert" else spec, local_files_only=True)
    if not path:
        raise N3Error(f"text encoder {spec} is not on this machine")
    encoder = make_encoder(path)
    encoder.name = spec  # not that of a file or folder of the cache
    return encoder


def table4(folder: str | Path) -> Table:
    """Text encoders on two splits of CUB, in closed form and with N3 trained, beside the paper's Table 4."""
    results = load_results(folder, dataset="cub", split=("PS", "SS"), part="test", text="own")
    forms = {"closed form": lambda r: not r["config"]["train"]["steps"]}
    forms["N3"] = lambda r: r["config"]["train"]["steps"] and r["config"]["model"]["adapt"] == "all"
    columns = [(split, form) for split in ("PS", "SS") for form in forms]
    rows = []
    for kind in sorted({_kind(r["config"]) for r in results}):
        own = [r for r in results if _kind(r["config"]) == kind]
        some = [[r for r in own if r["split"] == split and forms[form](r)] for split, form in columns]
        if any(some):
            rows.append([kind[1], *map(accuracy_cell, some), kind[2]])
    missing = (
        "There are no results of text encoders yet: `make results-text DATA=DIR` makes them. Another encoder:"
        " `n3 train configs/cub-ps.yaml --data-root DIR -o RUN --text.encoder=ENCODER --text.tfidf=false`,"
        " then `n3 evaluate RUN -o results/text_encoders/NAME.json`."
    )
    seeds = sorted({r["seed"] for r in results})
    below = note(results, f"N3 adapts every layer; seeds {', '.join(map(str, seeds))}.") if rows else missing
    head = ["text encoder", *(f"{split}, {form} (%)" for split, form in columns)]
    return Table([*head, "nearest in the paper's Table 4, SS (%)"], rows, below)


def _kind(config: Mapping[str, Any]) -> tuple[int, str, str]:
    """A result's row in the table: its rank, its title, and the paper's number for the nearest encoder."""
    text = config["text"]
    spec, lexical = str(text["encoder"]), text.get("tfidf", text.get("lexical"))
    patterns = {"words(:|$)": "random vectors", "glove": "GloVe", "elmo": f"ELMo, {text['context']}"}
    patterns |= {".*minilm": "MiniLM", ".*bert": "BERT"}
    kind = next((kind for pattern, kind in patterns.items() if re.match(pattern, spec.lower())), spec)
    if kind == "random vectors" and lexical:
        kind = label = "TF-IDF"
    else:
        size = re.search(r"(\d+)d\b|-(\d+)$", spec) if kind == "GloVe" else None
        label = f"GloVe {size[1] or size[2]}d" if size else kind
        label += " (BERT architecture)" if kind == "MiniLM" else ""
        label += ", and TF-IDF" if lexical else ""
    rank = [*_NEAREST, kind].index(kind)
    if config["data"].get("text") == "names":
        return rank + 100, f"class names alone, {label}", ""
    return rank, label, _NEAREST.get(kind, "")
