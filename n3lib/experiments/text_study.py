"""What reads the text: encoders side by side, on a sentence, in closed form, and in the committed results."""

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cosine_similarity, linear

from n3lib.backbone import load_backbone
from n3lib.classifiers import Exemplar, feature_statistics, fold
from n3lib.config import RunConfig
from n3lib.data.dataset import ZeroShotDataset
from n3lib.data.images import cache_dir
from n3lib.experiments.freshness import note
from n3lib.experiments.results import Markup, Table, load_results, table
from n3lib.io.errors import N3Error
from n3lib.io.paths import expand
from n3lib.metrics import extract, metrics
from n3lib.text.cache import encode_cached
from n3lib.text.elmo import FILES
from n3lib.text.encoders import make_encoder
from n3lib.text.pipeline import TextConfig, TextPipeline
from n3lib.text.tokens import Encoded, TokenEncoder

# The paper's encoders, and the small one of configs/cub-ps.yaml.
ENCODERS = (
    "words",
    "glove:glove-wiki-gigaword-300",
    "sentence-transformers/all-MiniLM-L6-v2",
    "bert",
    "elmo",
)
RIDGES = (0.03, 0.1, 0.3, 1.0, 3.0)

# What read the text of a result, in the order of the table, and the paper's Table 4 on the nearest encoder.
_NEAREST = {"TF-IDF": "", "MiniLM": "17.6 (BERT)", "BERT": "17.6 (BERT)", "GloVe": "8.9 (GloVe)"}
_NEAREST |= {"ELMo, paragraph": "4.1 (ELMo)", "ELMo, sentence": "5.0 (ELMo)"}


def encoders(description: Sequence[str], place: int = 0, specs: Sequence[str] = ENCODERS) -> Table:
    """What each text encoder makes of a description; what is not on this machine is named with a command.

    Args:
        description: its sentences. The last column is the mean cosine between the embeddings of their
            tokens, each sentence read alone and all read as one paragraph.
        place: of the sentence whose tokens are shown.
        specs: see `n3lib.text.encoders.make_encoder`; nothing is downloaded.
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
        tokens = " ".join(alone[place].words)
        rows.append([encoder.name, str(encoder.width), tokens, _agreement(encoder, description, alone)])
    return Table(["encoder", "numbers a token", "tokens", "sentence and paragraph (cosine)"], rows)


def _agreement(encoder: TokenEncoder, description: Sequence[str], alone: Sequence[Encoded]) -> str:
    """How alike the tokens' embeddings are where the description is read as a paragraph."""
    try:
        (whole,) = encode_cached(encoder, [" ".join(description)])
    except N3Error:  # ELMo, where only the sentences are in the cache
        return ""
    parts = torch.cat([one.embeddings for one in alone]).float()  # (L, e)
    if parts.shape != whole.embeddings.shape:
        return ""
    return f"{cosine_similarity(parts, whole.embeddings.float(), dim=1).mean().item():.2f}"


def _load(spec: str) -> TokenEncoder:
    """The encoder that `make_encoder` would give, but never a download.

    Raises:
        N3Error: it is not on this machine, or damaged.
    """
    kind, _, rest = spec.partition(":")
    if kind == "words" or expand(rest or spec).exists():
        return make_encoder(spec)
    encoder = make_encoder(_kept(kind, rest, spec))
    encoder.name = spec  # not that of a file or folder of the cache
    return encoder


def _kept(kind: str, rest: str, spec: str) -> str:
    """What names the file or folder that an earlier download has left."""
    if kind == "glove":
        base = expand(os.environ.get("GENSIM_DATA_DIR") or "~/gensim-data")
        return f"glove:{base / rest / rest}.gz"
    if kind == "elmo":
        if all((cache_dir() / "elmo" / name).is_file() for name in FILES):
            return spec
    else:
        from huggingface_hub import snapshot_download

        with suppress(OSError, ValueError):
            return snapshot_download("bert-base-uncased" if spec == "bert" else spec, local_files_only=True)
    raise N3Error(f"text encoder {spec} is not on this machine")


def cached_files(encoder: TokenEncoder, descriptions: Sequence[Sequence[str]]) -> list[int]:
    """How many files an empty token cache holds after each of these descriptions was encoded in turn."""
    counts = []
    with TemporaryDirectory() as folder:
        for sentences in descriptions:
            encode_cached(encoder, sentences, folder)
            counts.append(len(list(Path(folder).rglob("*.safetensors"))))
    return counts


def heaviest(reader: TextPipeline, sentences: Sequence[str], count: int = 12) -> dict[str, float]:
    """The words of a description that its TF-IDF row gives the largest weights; the row has unit length."""
    row = reader.tfidf.transform([sentences])[0]  # (V,)
    return {reader.tfidf.vocabulary[i]: float(row[i]) for i in np.argsort(-row, kind="stable")[:count]}


@torch.no_grad()
def closed_form(data: ZeroShotDataset, config: RunConfig, readers: Mapping[str, TextConfig]) -> Table:
    """Accuracy of the exemplar classifier on the frozen network with each of these readers, untrained.

    The training classes give the exemplars; the strength of the regression is chosen, for each reader, from
    `RIDGES` on the validation classes.
    """
    backbone, seen = load_backbone(config.backbone), list(data.split.train)
    picks = [data.indices([c])[: config.exemplar_images] for c in seen]
    places = torch.repeat_interleave(torch.arange(len(seen)), torch.tensor([len(p) for p in picks]))
    features = extract(backbone, data.images, np.concatenate(picks))
    known = feature_statistics(features, places, len(seen), whiten=True)
    asked = {}
    for part in ("val", "test"):
        ids = list(data.split.part(part))
        indices = data.indices(ids)
        labels = torch.tensor([ids.index(label) for label in data.labels[indices]])
        asked[part] = ids, extract(backbone, data.images, indices), labels

    rows = []
    for name, text in readers.items():
        reader = TextPipeline.fit(make_encoder(text.encoder), [data.texts[c] for c in seen], text)
        bank = reader.bank(data.texts)
        parts = [bank.pooled]
        if text.tfidf:
            parts.append(bank.tfidf)

        def accuracy(part: str, ridge: float, parts: list[torch.Tensor] = parts) -> float:
            ids, images, labels = asked[part]
            generator = Exemplar(ridge, lexical=len(parts) > 1)
            written = generator([p[ids] for p in parts], [p[seen] for p in parts], known.exemplars)
            weight, bias = fold(written, known.center, known.transform)
            return metrics(linear(images, weight, bias), labels)["per_class_accuracy"]

        best = max(RIDGES, key=lambda ridge: accuracy("val", ridge))
        numbers = sum(part.shape[1] for part in parts)
        rows.append([name, f"{numbers:,}", f"{best:g}", f"{accuracy('test', best):.1f}"])
    ways = len(data.split.test)
    head = ["what reads the text", "numbers a class", "ridge", f"accuracy, {ways}-way (%)"]
    return Table(head, rows, f"Chance is {100 / ways:.1f} %.")


# Results.


def text_encoders(folder: str | Path) -> Table:
    """CUB's proposed split by what reads the text: closed form and trained N3, beside the paper's Table 4.

    Args:
        folder: of results, such as `results/text-encoders`.
    """
    groups: dict[tuple[int, str, str], list[dict[str, Any]]] = {}
    results = load_results(folder, dataset="cub", split="PS", part="test", text="own")
    for result in results:
        groups.setdefault(_kind(result["config"]), []).append(result)
    rows = []
    for (_, label, nearest), members in sorted(groups.items()):
        frozen = [r for r in members if not r["config"]["train"]["steps"]]
        trained = [r for r in members if r not in frozen and r["config"]["model"]["adapt"] == "all"]
        cells = [table(some, [], ["per_class_accuracy"]).rows for some in (frozen, trained)]
        closed, n3 = (found[0] if found else ["", ""] for found in cells)
        rows.append([label, closed[0], n3[0], n3[1], nearest])
    head = ["what reads the text", "closed form (%)", "N3, every layer (%)", "seeds of N3"]
    missing = (
        "There are no results of text encoders yet. For each seed S and each encoder:"
        " `n3 train configs/cub-ps.yaml --data-root DIR -o RUN --seed=S --text.encoder=ENCODER"
        " --text.tfidf=false --model.ridge=RIDGE`, then"
        " `n3 evaluate RUN -o results/text-encoders/NAME.json`."
        " For words counted: `--text.encoder=words --text.tfidf=true`; for the closed form:"
        " `--model.adapt=classifier --train.steps=0`; for class names alone: `--data.text=names`."
    )
    return Table([*head, "nearest in the paper's Table 4 (%)"], rows, note(results) if rows else missing)


def _kind(config: Mapping[str, Any]) -> tuple[int, str, str]:
    """A result's place in the table, what read its text, and the paper's figure for the nearest encoder."""
    text, names = config["text"], config["data"].get("text") == "names"
    spec, counted = str(text["encoder"]).lower(), text.get("tfidf", text.get("lexical"))
    if spec.partition(":")[0] == "words":
        kind, label = ("TF-IDF", "words counted (TF-IDF)") if counted else ("words", "random vectors")
    elif spec.startswith("glove"):
        size = re.search(r"(\d+)d\b|-(\d+)$", spec)
        kind, label = "GloVe", f"GloVe {size[1] or size[2]}d" if size else "GloVe"
    elif spec.startswith("elmo"):
        kind = label = f"ELMo, {text['context']}"
    elif "minilm" in spec:
        kind, label = "MiniLM", "MiniLM (BERT architecture)"
    else:
        kind, label = ("BERT", "BERT") if "bert" in spec else (spec, str(text["encoder"]))
    if counted and kind != "TF-IDF":
        label += ", and words counted"
    place = [*_NEAREST].index(kind) if kind in _NEAREST else len(_NEAREST)
    if names:
        return place + 100, f"class names alone, {label}", ""
    return place, label, _NEAREST.get(kind, "")
