"""A result that today's code no longer gives is told from one whose code only moved."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from n3lib import classifiers
from n3lib.experiments import fingerprints, provenance
from n3lib.io import write_json

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def committed() -> list[dict[str, Any]]:
    return list(provenance.committed(ROOT / "results").values())


@pytest.fixture
def anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Instances are computed again, and what is computed under a changed library is not kept."""
    monkeypatch.setattr(fingerprints, "numbers", fingerprints.numbers.__wrapped__)


@pytest.mark.parametrize("instance", provenance.known())
def test_this_version_gives_the_known_numbers(instance: str) -> None:
    assert fingerprints.agree(instance), "if the change is meant: make fingerprints"


def test_every_instance_that_a_committed_result_needs_is_known(committed: list[dict[str, Any]]) -> None:
    needed = {name for result in committed for name in provenance.instances(result)}
    assert needed and needed <= provenance.known().keys()


def stronger(ridge: Callable) -> Callable:
    return lambda kernel, gram, targets, strength: ridge(kernel, gram, targets, 1.1 * strength)


def test_other_behaviour_flags_what_uses_it_and_nothing_else(
    anew: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("classifiers", "baselines.exem"):
        monkeypatch.setattr(f"n3lib.{module}.ridge", stronger(classifiers.ridge))
    assert not fingerprints.agree("method exem")
    assert not fingerprints.agree("n3 mirror=true")
    assert fingerprints.agree("method sae")


def test_a_function_of_another_name_or_module_flags_nothing(
    anew: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def moved(*given: Any, **named: Any) -> Any:
        return original(*given, **named)

    original = classifiers.ridge
    monkeypatch.setattr("n3lib.baselines.exem.ridge", moved)
    assert fingerprints.agree("method exem")


def test_results_are_flagged_until_they_are_made_again(
    committed: list[dict[str, Any]], tmp_path: Path
) -> None:
    result = next(r for r in committed if r.get("method") == "exem" and not provenance.stale(r))
    assert provenance.note([result], "Chance is 2 %.") == "Chance is 2 %."
    older = {name: value for name, value in result.items() if name != "fingerprint"}
    other = result | {"fingerprint": "0" * 8}
    unread = result | {"config": {"data": {"nobody": 1}}}
    for one in (older, other, unread):
        assert provenance.stale(one)
        assert provenance.note([result, one], "Chance is 2 %.") != "Chance is 2 %."
    assert fingerprints.stamp(older) == result
    for name, one in (("a", result), ("b", older)):
        write_json(tmp_path / "some" / f"{name}.json", one)
    (row,) = provenance.table(tmp_path).rows
    assert [str(cell) for cell in row] == ["some", result["environment"]["code_revision"], "2", "1"]


@pytest.mark.parametrize("kind", ["n3", "method exem"])
def test_a_result_of_changed_code_gets_another_fingerprint(
    kind: str, committed: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = [result for result in committed if not provenance.stale(result)]
    pairs = ((result, name) for result in fresh for name in provenance.instances(result))
    result, instance = next((result, name) for result, name in pairs if name.startswith(kind))
    assert fingerprints.stamp(result)["fingerprint"] == result["fingerprint"]
    changed = provenance.known() | {instance: [*provenance.known()[instance], 1.0]}
    monkeypatch.setattr(provenance, "known", lambda: changed)
    assert provenance.stale(result)


def test_the_fingerprint_does_not_depend_on_the_order_of_instances() -> None:
    assert provenance.fingerprint([[1.0, 2.0], [3.0]]) == provenance.fingerprint([[3.0], [1.0, 2.0]])
    assert provenance.fingerprint([[1.0, 2.0]]) != provenance.fingerprint([[1.0, 2.1]])
