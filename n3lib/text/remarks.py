"""What to know about descriptions before relying on a network that is written from them."""

from collections.abc import Mapping, Sequence

from n3lib.data.texts import sentence_weights
from n3lib.text.pipeline import TextPipeline

LISTED = 10  # unknown words of a class


def remarks(pipeline: TextPipeline, classes: Mapping[str, Sequence[str]]) -> tuple[list[str], list[str]]:
    """Lines about descriptions as `parse_classes` gives them, and the classes whose texts say nothing here.

    Lines tell equal descriptions, and per class the words that no text the run was trained on has, with the
    nearest that are in one. The classes are those without any known word.
    """
    classes = {name: sentences for name, sentences in classes.items() if sentences}  # else the run knows it
    alike: dict[tuple[object, ...], list[str]] = {}
    for name, sentences in classes.items():
        alike.setdefault((*sentences, *sentence_weights(sentences)), []).append(name)
    same = "the same description: no image tells these classes apart"
    lines, strange = [f"{', '.join(names)}: {same}" for names in alike.values() if len(names) > 1], []
    for name, sentences in classes.items():
        met = pipeline.met(sentences)
        if unknown := [word for word, known in met.items() if not known]:
            near = ((word, pipeline.nearest(word)) for word in unknown[:LISTED])
            told = ", ".join(f"{word} ({other}?)" if other else word for word, other in near)
            more = f" and {len(unknown) - LISTED} more" if len(unknown) > LISTED else ""
            lines.append(f"{name}: {len(met) - len(unknown)} of {len(met)} words known; not {told}{more}")
        if not any(met.values()):
            strange.append(name)
    return lines, strange
