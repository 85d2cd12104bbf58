"""pyproject.toml (ranges), constraints.txt and environment.yml (pins) must agree."""

import shlex
import subprocess
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
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
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return read_pins(line for line in lines if not line.startswith("#"))


def test_every_direct_dependency_is_pinned_within_its_range() -> None:
    pins = constraints()
    for requirement in DIRECT:
        version = pins.get(canonicalize_name(requirement.name))
        assert version, f"{requirement.name} is not in constraints.txt"
        assert requirement.specifier.contains(version), f"{requirement} does not allow {version}"


def test_every_direct_dependency_has_a_range() -> None:
    assert [r.name for r in DIRECT if not r.specifier] == []


@pytest.mark.parametrize(
    ("target", "count"), [("results-cub", 3), ("results-text", 1), ("results-benchmark", 5), ("elmo", 1)]
)
def test_make_passes_a_folder_with_spaces_on_as_one(target: str, count: int) -> None:
    command = ["make", "-n", target, "DATA=my data", "MINILM=my models/minilm", "GLOVE=my vectors.txt"]
    told = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    words = shlex.split(told.replace("\\\n", " "))
    places = [words[i + 1] for i, word in enumerate(words) if word in ("--data-root", "--root")]
    assert places == ["my data"] * count
    if target == "results-text":
        encoders = {
            word.partition("=")[2].rstrip(";") for word in words if word.startswith("--text.encoder=")
        }
        assert encoders == {"my models/minilm", "glove:my vectors.txt", "words"}


def test_environment_is_the_same_installation() -> None:
    dependencies = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    (pip,) = (entry["pip"] for entry in dependencies if isinstance(entry, dict))
    options = [line for line in pip if line.startswith("-")]
    pinned = read_pins(line for line in pip if not line.startswith("-"))

    assert options == ["-c constraints.txt", f"-e .[{','.join(EXTRAS)}]"]
    direct = {canonicalize_name(requirement.name) for requirement in DIRECT}
    assert pinned == {name: version for name, version in constraints().items() if name in direct}
    assert f"python={PROJECT['requires-python'].removeprefix('>=')}" in dependencies
