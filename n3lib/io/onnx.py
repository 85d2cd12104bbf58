"""Export of a network to ONNX."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from n3lib.io.errors import N3Error

OPSET = 18


@torch.no_grad()
def export_onnx(
    network: nn.Module, images: Tensor, path: Path, outputs: Sequence[str], metadata: Mapping[str, str]
) -> None:
    """Write `images` to `outputs` for batches of any size, checked with onnxruntime on one image and on all.

    Raises:
        N3Error: ONNX is not installed, or the exported network gives other numbers.
    """
    try:
        import onnx
        import onnxruntime
        import onnxscript  # noqa: F401  (the exporter needs it)
    except ImportError:
        raise N3Error("ONNX export is not installed", "pip install 'n3lib[onnx]'") from None
    sizes = {"images": {0: torch.export.Dim("batch", min=1)}}
    names: Any = {"input_names": ["images"], "output_names": list(outputs), "dynamic_shapes": sizes}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # of the exporter, about its own parts
        torch.onnx.export(
            network, (images,), path, **names, opset_version=OPSET, external_data=False, verbose=False
        )
    model = onnx.load(path)
    onnx.helper.set_model_props(model, dict(metadata))
    onnx.save(model, path)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for some in (images[:1], images):
        got = session.run(list(outputs), {"images": some.numpy()})
        for name, one, expected in zip(outputs, got, network(some), strict=True):
            if not np.allclose(one, expected.numpy(), atol=1e-3, rtol=1e-3):
                raise N3Error(f"the exported ONNX network gives other {name}", "Report this with the card")
