"""The text encoders by name; each is imported when it is asked for, as most bring a large package along."""

from n3lib.io import N3Error, expand
from n3lib.text.bank import TokenEncoder

WIDEST = 4096  # numbers per word
MOVED = "Name the place of its files: --encoder PATH, or Run.load(folder, encoder=PATH)"
_BERT = "bert-base-uncased"


def make_encoder(spec: str) -> TokenEncoder:
    """The encoder that `spec` names.

    Args:
        spec: `words` or `words:WIDTH` (`WordEncoder`), `glove:NAME` or `glove:FILE` (`GloveEncoder`), `elmo`
            or `elmo:FOLDER` (`ElmoEncoder`), `bert` (the paper's, short for `bert-base-uncased`), or anything
            else: a transformers model, by its name on the Hugging Face hub or by its folder.

    Raises:
        N3Error: the width is not a positive number, or the model cannot be found.
    """
    kind, colon, rest = spec.partition(":")
    if not spec:
        raise N3Error("text.encoder is empty", "Name one, such as words, bert or a folder")
    if kind in ("words", "glove", "elmo") and colon and not rest:
        raise N3Error(f"text encoder {spec!r} is cut short", f"Write what comes after {kind}:")
    if kind == "words":
        from n3lib.text.words import WordEncoder

        rest = rest or "64"
        if not rest.isdecimal() or not 1 <= int(rest[:9]) <= WIDEST:
            raise N3Error(f"text encoder {spec!r}: the width is not in 1 to {WIDEST:,}", "Write words:128")
        return WordEncoder(int(rest))
    if kind == "glove":
        from n3lib.text.glove import GloveEncoder

        return GloveEncoder(rest or "glove-wiki-gigaword-300")
    if kind == "elmo":
        from n3lib.text.elmo import ElmoEncoder

        return ElmoEncoder(rest or None)
    from n3lib.text.transformer import TransformerEncoder

    return TransformerEncoder(_BERT if spec == "bert" else spec)


def at_place(spec: str) -> str:
    """`spec` with an absolute path, as in `glove:/data/vectors.txt`; empty if it names no file or folder."""
    kind, _, rest = spec.partition(":")
    if kind == "words" or spec in ("elmo", "glove"):
        return ""
    if kind in ("elmo", "glove"):
        prefix, path = f"{kind}:", expand(rest)
    else:
        prefix, path = "", expand(_BERT if spec == "bert" else spec)
    there = path.is_file() if kind == "glove" else path.is_dir()
    return f"{prefix}{path.absolute()}" if there else ""


def find_encoder(spec: str, place: str, given: str) -> str:
    """The text encoder of a run, as `make_encoder` takes it; an `N3Error` if it is not at its place.

    What was a file or folder in training is never looked for on a hub.

    Args:
        spec: what the configuration of the run names.
        place: where that was in training (`at_place`); empty for no file or folder.
        given: where a user says that it is now; empty for `place`, or what `spec` names from here.
    """
    kind = spec.partition(":")[0]
    if given and kind == "words":
        raise N3Error(f"the text encoder {spec} has no files", "Leave --encoder out")
    if given and kind in ("elmo", "glove") and not given.startswith(f"{kind}:"):
        given = f"{kind}:{given}"
    if not place and not given:
        return spec
    found = at_place(given) if given else at_place(place) or at_place(spec)
    if not found:
        raise N3Error(f"the text encoder {spec} is not at {given or place}", MOVED)
    return found
