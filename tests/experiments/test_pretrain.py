"""Backbones pretrained on another generated world."""

from pathlib import Path

import pytest
import torch

from n3lib.backbone import BackboneConfig
from n3lib.experiments import pretrain as module
from n3lib.io import N3Error
from n3lib.io.tensors import read_tensors, write_tensors
from n3lib.pretrained.networks import load_backbone


@pytest.mark.parametrize("name", ["squeezenet1_1", "aviary"])
def test_what_is_pretrained_is_a_backbone(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for setting, value in {"SPECIES": 3, "IMAGES": 8, "BATCH": 7, "RECIPES": {name: (2, 0.01)}}.items():
        monkeypatch.setattr(module, setting, value)
    path = tmp_path / "weights.safetensors"
    accuracy = module.pretrain_backbone(path, name)
    assert read_tensors(path)[1] == {"accuracy": f"{accuracy:.4f}", "network": name}
    pooled = load_backbone(BackboneConfig(name, weights=str(path)))(torch.rand(2, 3, 64, 64))
    assert pooled.isfinite().all() and len(pooled.unique()) > 2
    # Not as it began: it has been trained.
    torch.manual_seed(module.SEED)
    begun = load_backbone(BackboneConfig(name), pretrained=False).features.state_dict()
    assert any(not torch.equal(begun[key], value) for key, value in read_tensors(path)[0].items())


def test_only_earlier_weights_of_the_network_are_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Begun(Exception):
        """Nothing was refused."""

    def begin(*_: object, **__: object) -> None:
        raise Begun

    monkeypatch.setattr(module, "make_aviary", begin)
    path, tensors = tmp_path / "weights.safetensors", {"a": torch.zeros(2)}
    for metadata in ({"accuracy": "0.9"}, {"accuracy": "0.9", "network": "resnet18"}):
        write_tensors(path, tensors, metadata)
        with pytest.raises(Begun):
            module.pretrain_backbone(path, "resnet18")
    for metadata in ({}, {"accuracy": "0.9", "network": "googlenet"}):
        write_tensors(path, tensors, metadata)
        with pytest.raises(N3Error, match=f"weights.safetensors.*{metadata.get('network', '')}.*-o"):
            module.pretrain_backbone(path, "resnet18")
    path.write_text('{"owl": "A bird."}')
    for place in (path, tmp_path, path / "below"):
        with pytest.raises(N3Error, match=place.name):
            module.pretrain_backbone(place, "resnet18")
    assert path.read_text() == '{"owl": "A bird."}'


def test_what_has_no_recipe_or_no_place_is_refused() -> None:
    with pytest.raises(N3Error, match="vgg19.*resnet18"):
        module.pretrain_backbone(Path("weights.safetensors"), "vgg19")
    with pytest.raises(N3Error, match="resnet18.*-o"):
        module.pretrain_backbone(name="resnet18")
