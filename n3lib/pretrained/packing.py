"""A finished run as one small file."""

import json
from pathlib import Path

import torch
from torch import Tensor

from n3lib.backbone import from_columns
from n3lib.extensions import shared_offset
from n3lib.io import N3Error, expand, writing
from n3lib.io.checkpoint import trained_state
from n3lib.io.files import check_writable, read_json
from n3lib.io.tensors import without_zeros, write_tensors
from n3lib.model import N3
from n3lib.pretrained.runs import FORM, RECORDS, SUFFIX, TENSORS
from n3lib.run import Run


def pack(run: Run, path: str | Path) -> Path:
    """Write a run as one safetensors file, without local paths.

    Numbers are kept in half precision, and are float32 again when the run is opened; zeros take no room.

    Raises:
        N3Error: the file cannot be written.
    """
    path = expand(path)
    if path.suffix != SUFFIX:
        raise N3Error(f"{path} is no name of a packed run", f"Let it end in {SUFFIX}")
    check_writable(path)
    tensors = {
        f"{name}/{key}": _halved(value)
        for name, state in zip(TENSORS, _settled(run.model), strict=True)
        for key, value in state.items()
    }
    records = {name: read_json(run.folder / name) for name in RECORDS}
    config = records["config.json"]
    config["data"]["root"] = config["backbone"]["weights"] = ""
    config["data"]["text"] = Path(config["data"]["text"]).name
    config["data"]["also"] = [Path(one).name for one in config["data"].get("also", [])]
    metadata = {name: json.dumps(record, ensure_ascii=False) for name, record in records.items()}
    with writing(path, "Make room there, or choose another file"):
        write_tensors(path, without_zeros(tensors), {"form": FORM, **metadata})
    return path


@torch.no_grad()
def _settled(model: N3) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The network and what was trained, with the offset that all tasks share moved into the network.

    The networks that are written are the same; of the offset, zeros are left.
    """
    features, trained, phi = (
        model.backbone.features.state_dict(),
        trained_state(model),
        model.labels2adaptation,
    )
    if phi.log_shared_mu is None or model.config.gains:  # gains are multiples of the pretrained columns
        return features, trained
    for i, name in enumerate(phi.names):
        offset = shared_offset(phi.shared[i], phi.log_shared_mu[i], phi.std[i], model.config)  # (M, N)
        columns = model.backbone.columns(name) + offset / model.config.gamma  # (M, N)
        features |= from_columns({name: columns}, model.backbone.features)
        trained[f"labels2adaptation.shared.{i}"] = torch.zeros_like(offset)
        if phi.decoders:  # whose deltas are in units of the layer's spread
            trained["labels2adaptation.log_mu"] = trained["labels2adaptation.log_mu"].clone()
            trained["labels2adaptation.log_mu"][i] += (phi.std[i] / columns.std()).log()
    return features, trained


def _halved(tensor: Tensor) -> Tensor:
    """Half precision, unless numbers are beyond its range: then more than its rounding is lost."""
    if not tensor.is_floating_point():
        return tensor
    half = tensor.half()
    return half if (half.float() - tensor).norm() <= 1e-3 * tensor.norm() else tensor
