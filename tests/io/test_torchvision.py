import subprocess
import sys

from n3lib.io.torchvision import models, transforms

import torch


def test_torchvision_works_for_what_the_library_needs() -> None:
    image = transforms.functional.pil_to_tensor(transforms.functional.to_pil_image(torch.zeros(3, 64, 64)))
    scores = models.resnet18()(image[None] / 255)
    assert scores.shape == (1, 1000)


def test_libraries_that_import_torchvision_can_be_imported() -> None:
    # Both import torchvision while they load, and fail where torchvision alone would.
    import torchmetrics  # noqa: F401
    from transformers import BertModel  # noqa: F401


def test_a_network_of_timm_is_found_where_nothing_has_imported_torchvision_before() -> None:
    asked = "BackboneConfig('timm:tf_efficientnet_lite0'), pretrained=False"
    code = "from n3lib.backbone import BackboneConfig; from n3lib.pretrained.networks import load_backbone"
    code += f"; print(load_backbone({asked}).width)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ran.stdout == "2560\n", ran.stderr
