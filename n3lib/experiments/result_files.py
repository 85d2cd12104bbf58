"""A result's file: whose it is, asked before the work; and written so that no measurement is lost.

Two questions can come to one name, such as `n3 study mu` with its settings and with others. A file answers a
question only if all that decides the numbers is the same in both.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from n3lib.config import difference
from n3lib.data import GENERATED, DataConfig, find_source
from n3lib.io.console import tell
from n3lib.io.errors import N3Error
from n3lib.io.files import check_writable, read_json, write_json

OTHER = "Choose another -o, or delete this file"
_MARKS = ("study", "config")  # of every result


def answered(
    path: Path,
    question: Mapping[str, Any],
    data: DataConfig | None = None,
    mark: str = "metrics",
    remedy: str = OTHER,
) -> bool:
    """Whether a file answers a question already. To be asked before the work.

    Args:
        path: the file that the answer is to go to.
        question: what decides the answer, under the file's names for it, such as `study`, `seed`, `config`.
        data: the dataset as it lies here; its descriptions belong to the question (see `edition`).
        mark: a field that every file of this kind has.
        remedy: what to do about a file that is another question's.

    Returns:
        False where there is no file; one can be written then.

    Raises:
        N3Error: the file is of another kind or answers another question, or none can be written there.
    """
    path = Path(path)
    if path.is_dir() or not path.exists():
        check_writable(path)
        return False
    found = read_json(path)
    own = {mark, *(_MARKS if mark == "metrics" else ())}
    if not isinstance(found, dict) or not own <= found.keys():
        raise N3Error(f"{path} is there already and holds something else", remedy)
    if differs := difference(found, {**question, **(edition(data) if data else {})}):
        raise N3Error(f"{path} is there already and belongs to another question: {differs}", remedy)
    return True


def edition(data: DataConfig) -> dict[str, Any]:
    """What a question says about the descriptions of a dataset of photographs: their hash.

    Empty for what is generated, whose texts are its settings', and where no folder is named.

    Raises:
        N3Error: there is no such dataset, or its descriptions cannot be read.
    """
    if data.name in GENERATED or not data.root:
        return {}
    from n3lib.data.photographs.source import read_text

    source, root = find_source(data.name), Path(data.root)
    digest = read_text(source, root, source.index(root), data.text or None)[1]
    return {"environment": {"data_hashes": {"text": digest}}}


def write_result(path: Path, result: Any) -> None:
    """Write a result as JSON; where that fails, print it, since measuring it again takes long.

    Raises:
        N3Error: it cannot be written, such as on a full disk, or a number in it is not finite.
    """
    try:
        write_json(path, result)
    except (OSError, N3Error) as error:
        tell(json.dumps(result))
        problem = (
            error.problem if isinstance(error, N3Error) else f"{path} cannot be written: {error.strerror}"
        )
        raise N3Error(problem, "The result is printed instead: keep it") from None
