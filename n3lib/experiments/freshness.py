"""Whether the code and the settings that made a result are still those that are here.

A result names its code revision. What its methods are made of is compared between that revision and the
files here: every function, class and constant as a syntax tree, without docstrings and imports. A renamed
variable counts; a better comment does not, nor that something moved from one of the files to another. Data
are not looked at: a result holds their hashes.
"""

import ast
import re
import subprocess
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from n3lib.baselines import baselines
from n3lib.data import GENERATED
from n3lib.experiments.results import Table, load_results
from n3lib.experiments.studies import STUDIES

ROOT = Path(__file__).parents[2]
# What a number hangs on. All that has to do with files, tables and pictures does not count.
_READING = (
    "text/bank",
    "text/encoders",
    "text/pipeline",
    "text/tfidf",
    "text/tokens",
    "text/words",
    "text/transformer",
    "text/glove",
)
_SHARED = ("backbone", "evaluation", "scoring", *_READING)
_N3 = ("classifiers", "episodes", "features", "model", "run", "trainer")
_BASELINES = ("benchmark", "baselines/base", "baselines/features")


def changed(result: Mapping[str, Any]) -> list[str] | None:
    """The files that a result hangs on and that have changed since it was made, relative to the repository.

    Returns:
        None where that cannot be told: there is no git, no history, or no such revision in it.
    """
    revision = _revision(result).removesuffix("-dirty")
    differing = _touched(revision) if revision else None
    if differing is None:
        return None
    touched = [path for path in _made_of(result) if path in differing]
    before = frozenset().union(*(_meaning(path, revision) for path in touched))
    now = frozenset().union(*(_meaning(path, "") for path in touched))
    gone_or_new = before ^ now  # wherever it stood, and wherever it stands
    return [path for path in touched if gone_or_new & (_meaning(path, revision) | _meaning(path, ""))]


def flag(results: Sequence[Mapping[str, Any]]) -> str:
    """A line for below a table or picture of these results; empty where nothing has changed since."""
    if not any(map(changed, results)):
        return ""
    return "Some of these results are older than the code: appendix B names what has changed since."


def note(results: Sequence[Mapping[str, Any]], *lines: str) -> str:
    """What stands below a table of results: these lines, and the flag."""
    return "\n\n".join(filter(None, [*lines, flag(results)]))


def freshness_table(folder: Path) -> Table:
    """Every folder of results, the revisions that made them, and what has changed since.

    Args:
        folder: of the results.
    """
    rows = []
    for path in sorted(path for path in folder.iterdir() if path.is_dir() and path.name != "bench"):
        by_revision: dict[str, list[Mapping[str, Any]]] = {}
        for result in load_results(path):
            by_revision.setdefault(_revision(result) or "unknown", []).append(result)
        for revision, results in by_revision.items():
            told = [changed(result) for result in results]
            files = list(dict.fromkeys(file for some in told for file in some or ()))
            since = "cannot be told here" if None in told else ", ".join(map(_short, files)) or "nothing"
            rows.append([path.name, revision, str(len(results)), since])
    return Table(["results", "made by revision", "files", "changed since"], rows)


def _revision(result: Mapping[str, Any]) -> str:
    return result.get("environment", {}).get("code_revision") or ""


def _short(path: str) -> str:
    return path.removeprefix("n3lib/").removesuffix(".py")


def _made_of(result: Mapping[str, Any]) -> list[str]:
    """The files, relative to the repository."""
    study, method = result.get("study"), result.get("method")
    modules = [*_SHARED]
    if study == "benchmark":
        modules += _BASELINES
    if study == "benchmark" and method in (known := baselines()):
        modules.append(known[method].__module__.removeprefix("n3lib.").replace(".", "/"))
    else:
        modules += _N3
    if study == "saliency":
        return [f"n3lib/{module}.py" for module in (*modules, "box_saliency", "data/boxes", "saliency")]
    return [*(f"n3lib/{module}.py" for module in modules), f"configs/{_settings_of(result)}.yaml"]


def _settings_of(result: Mapping[str, Any]) -> str:
    """The name in `configs/`."""
    study = result.get("study")
    if study == "benchmark":
        told = re.search(r" --config configs/(\S+)\.yaml", result.get("command", ""))
        return told[1] if told else "benchmark"
    if study in STUDIES:
        return STUDIES[study].config
    if result["dataset"] in GENERATED:
        return "aviary"
    return "cub-ps-paper" if result["config"]["episodes"]["kind"] != "zero-shot" else "cub-ps"


@lru_cache
def _touched(revision: str) -> frozenset[str] | None:
    """The files whose text differs from the revision's; None without a history."""
    listed = _git("diff", "--name-only", revision, "--", "n3lib", "configs")
    return None if listed is None else frozenset(listed.splitlines())


def _git(*command: str) -> str | None:
    try:
        ran = subprocess.run(["git", *command], cwd=ROOT, capture_output=True)
    except OSError:  # there is no git here
        return None
    return ran.stdout.decode("utf-8", "replace") if ran.returncode == 0 else None


@lru_cache
def _meaning(path: str, revision: str) -> frozenset[str]:
    """What counts of a file: each of its definitions, or the values of a configuration.

    Args:
        path: relative to the repository.
        revision: empty for the file as it is here.

    Returns:
        Empty for a file that is not there.
    """
    here = ROOT / path
    if revision:
        text = _git("show", f"{revision}:{path}")
    else:
        text = here.read_text("utf-8") if here.is_file() else None
    if text is None:
        return frozenset()
    if path.endswith(".yaml"):
        return frozenset([repr((path, yaml.safe_load(text)))])
    tree = _WithoutImports().visit(ast.parse(text))
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            and ast.get_docstring(node) is not None
        ):
            node.body = node.body[1:]
    return frozenset(map(ast.dump, tree.body))


class _WithoutImports(ast.NodeTransformer):
    """Where a name comes from is told by what its own file holds."""

    def visit_Import(self, node: ast.Import) -> None:
        return None

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        return None
