"""The text encoders by name; each is imported when it is asked for, as most bring a large package along."""

from n3lib.errors import N3Error
from n3lib.text.tokens import TokenEncoder


def make_encoder(spec: str) -> TokenEncoder:
    """The encoder that `spec` names.

    Args:
        spec: one of
            `words` or `words:WIDTH`: `WordEncoder`;
            `glove:NAME` or `glove:FILE`: `GloveEncoder`;
            `elmo` or `elmo:FOLDER`: `ElmoEncoder`;
            `bert`: the paper's, short for `bert-base-uncased`;
            anything else: a transformers model, by its name on the Hugging Face hub or by its folder.

    Raises:
        N3Error: the width is not a positive number, or the model cannot be found.
    """
    kind, colon, rest = spec.partition(":")
    if kind in ("words", "glove", "elmo") and colon and not rest:
        raise N3Error(f"text encoder {spec!r} is cut short", f"Write what comes after {kind}:")
    if kind == "words":
        from n3lib.text.words import WordEncoder

        if not colon:
            return WordEncoder()
        if not rest.isdecimal() or int(rest) < 1:
            raise N3Error(f"text encoder {spec!r}: the width is no positive number", "Write words:128")
        return WordEncoder(int(rest))
    if kind == "glove":
        from n3lib.text.glove import GloveEncoder

        return GloveEncoder(rest or "glove-wiki-gigaword-300")
    if kind == "elmo":
        from n3lib.text.elmo import ElmoEncoder

        return ElmoEncoder(rest or None)
    from n3lib.text.transformer import TransformerEncoder

    return TransformerEncoder("bert-base-uncased" if spec == "bert" else spec)
