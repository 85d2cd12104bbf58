"""What is pinned agrees with what is asked for; what is imported is imported only when needed."""

import ast
import importlib
import os
import pkgutil
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import n3lib

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
DIRECT = [Requirement(line) for group in (PROJECT["dependencies"], *EXTRAS.values()) for line in group]


def read_pins(lines: Iterable[str]) -> dict[str, str]:
    pins = {}
    for line in lines:
        requirement = Requirement(line)
        (specifier,) = requirement.specifier
        assert specifier.operator == "==", f"{line} is not an exact pin"
        pins[canonicalize_name(requirement.name)] = specifier.version
    return pins


def constraints() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    return read_pins(line for line in lines if not line.startswith("#"))


def test_every_direct_dependency_is_pinned_within_its_range() -> None:
    pins = constraints()
    for requirement in DIRECT:
        version = pins.get(canonicalize_name(requirement.name))
        assert version, f"{requirement.name} is not in constraints.txt"
        assert requirement.specifier.contains(version), f"{requirement} does not allow {version}"


def test_every_direct_dependency_has_a_range() -> None:
    assert [r.name for r in DIRECT if not r.specifier] == []


@pytest.mark.parametrize(("target", "count"), [("results-text", 1), ("results-benchmark", 7), ("elmo", 1)])
def test_make_passes_a_folder_with_spaces_on_as_one(target: str, count: int) -> None:
    command = [
        "make",
        "-n",
        target,
        f"PYTHON={sys.executable}",
        "DATA=my data",
        "CUB_ARGS=--text.encoder='my models/minilm'",
    ]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    words = shlex.split(told.replace("\\\n", " "))
    places = [words[i + 1] for i, word in enumerate(words) if word in ("--data-root", "--root")]
    assert places == ["my data"] * count
    assert target in ("elmo", "results-benchmark") or "--text.encoder=my models/minilm" in words


def test_environment_is_the_same_installation() -> None:
    dependencies = yaml.safe_load((ROOT / "environment.yml").read_text("utf-8"))["dependencies"]
    (pip,) = (entry["pip"] for entry in dependencies if isinstance(entry, dict))
    options = [line for line in pip if line.startswith("-")]
    pinned = read_pins(line for line in pip if not line.startswith("-"))

    assert options == ["-c constraints.txt", f"-e .[{','.join(EXTRAS)}]"]
    direct = {canonicalize_name(requirement.name) for requirement in DIRECT}
    assert pinned == {name: version for name, version in constraints().items() if name in direct}
    assert f"python={PROJECT['requires-python'].removeprefix('>=')}" in dependencies


def run_python(*arguments: str) -> str:
    """What an interpreter of its own prints."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    ran = subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, check=True, encoding="utf-8"
    )
    return ran.stdout


@pytest.mark.parametrize(
    "options", ["--help", "--version", "evaluate --help", "data --help", "data info --help"]
)
def test_help_and_version_wait_for_no_large_library(options: str) -> None:
    code = (
        "import sys\n"
        "from n3lib.cli.commands import main\n"
        "try:\n    main(sys.argv[1:])\nexcept SystemExit:\n    pass\n"
        "print(*{name.split('.')[0] for name in sys.modules})"
    )
    loaded = run_python("-c", code, *options.split()).splitlines()[-1].split()
    assert "n3lib" in loaded
    assert not {"torch", "numpy", "scipy", "jsonargparse", "yaml"} & set(loaded)


def test_the_package_gives_its_names_whatever_is_imported_first() -> None:
    code = (
        "import n3lib.trainer, n3lib.evaluation, n3lib.synthesis\n"
        "import n3lib as n3\n"
        "from n3lib import train, N3Error\n"
        "assert n3.train is train is n3lib.run.train\n"
        "assert issubclass(N3Error, Exception)\n"
        "assert set(n3.__all__) <= set(dir(n3))\n"
        "print(*(getattr(n3, name).__name__ for name in n3.__all__))\n"
    )
    assert run_python("-c", code).split() == n3lib.__all__


def test_the_package_has_no_other_names_and_no_module_of_a_function_s_name() -> None:
    with pytest.raises(AttributeError, match="tarin"):
        n3lib.tarin  # noqa: B018
    assert not {module.name for module in pkgutil.iter_modules(n3lib.__path__)} & set(n3lib.__all__)


def test_every_module_can_be_imported_first() -> None:
    # What another package imports from is below it, and imports nothing of it: that may be there already.
    code = (
        "import importlib, pkgutil, sys, n3lib\n"
        "names = [m.name for m in pkgutil.walk_packages(n3lib.__path__, 'n3lib.')]\n"
        "for name in names:\n"
        "    for other in [m for m in sys.modules if m.split('.')[:2] == name.split('.')[:2]]:\n"
        "        del sys.modules[other]\n"
        "    importlib.import_module(name)\n"
        "print(len(names))"
    )
    assert int(run_python("-c", code)) > 50


def test_the_entry_points_are_one() -> None:
    module, _, function = PROJECT["scripts"]["n3"].partition(":")
    assert callable(getattr(importlib.import_module(module), function))
    assert run_python("-m", "n3lib", "--version") == run_python(
        "-c", f"from {module} import {function}; {function}(['--version'])"
    )


def test_text_files_and_other_programs_are_read_and_written_as_utf_8() -> None:
    """Reads the syntax tree of every module: none leaves the encoding to the system."""
    not_text = ("Image.open", "archive.open", "file.open", "os.open", "tarfile.open")
    found = []
    for path in (ROOT / "n3lib").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            given = {option.arg: ast.unparse(option.value) for option in node.keywords}
            kind = called.rpartition(".")[2]
            parts = [part for argument in node.args for part in ast.walk(argument)]
            modes = [str(part.value) for part in parts if isinstance(part, ast.Constant)]
            binary = any(re.fullmatch(r"[rwax]\+?b\+?|[rwax]b\+", mode) for mode in modes)
            text = kind == "open" and not binary and called not in not_text
            text |= kind == "read_text" and not node.args
            text |= called.endswith(".write_text") or given.get("text") == "True"
            if text and "encoding" not in given:
                found.append(f"{path.name}:{node.lineno} {called}")
    assert found == []
