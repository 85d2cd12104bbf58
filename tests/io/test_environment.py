"""What a result was made with is known wherever it is made."""

import pytest
import torch

from n3lib.io.environment import environment


def test_the_environment_is_known_also_without_git(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    told = environment({"text": "0"})
    assert told["code_revision"] is None
    assert told["data_hashes"] == {"text": "0"}
    assert told["packages"]["torch"] == torch.__version__
