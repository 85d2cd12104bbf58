"""Architectures and published weights; batch norm is folded into the convolutions.

Every layer of a CNN is then a weight and a bias: "adapt every layer" (paper, section 3) has one meaning for
every architecture, and the paper's trouble with batch normalization (its appendix A) is gone.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from n3lib.backbone import Backbone, BackboneConfig
from n3lib.io import N3Error, expand
from n3lib.io.tensors import read_tensors

AVIARY_WEIGHTS = Path(__file__).parent / "aviary.safetensors"
# Mean and standard deviation that pixels in 0..1 are normalized with, per channel.
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
# Where a torchvision network is cut: the module whose output is the last feature map.
CUT = {"resnet18": "layer{stages}", "googlenet": "inception5b", "squeezenet1_1": "features"}


def load_backbone(config: BackboneConfig, pretrained: bool = True) -> Backbone:
    """A backbone with its pretrained weights, or without them where the caller loads others.

    Raises:
        N3Error: an unknown name, or a weights file that is missing or another network's.
    """
    features, mean, std = architecture(config, published=pretrained and not config.weights)
    weights = config.weights or (str(AVIARY_WEIGHTS) if config.name == "aviary" else "")
    if pretrained and weights:
        tensors, _ = read_tensors(expand(weights))
        if not any(key.endswith("running_mean") for key in tensors):  # they are folded already
            features = fold_batchnorm(features)
        _load(features, tensors, weights)
    return Backbone(fold_batchnorm(features), config, mean, std)


def architecture(
    config: BackboneConfig, published: bool = False
) -> tuple[fx.GraphModule, tuple[float, ...], tuple[float, ...]]:
    """A network up to its last feature map, batch norms and all, and the mean and deviation of its pixels.

    Its weights are random, or where asked the published ones (but for `aviary`); no weights file is read. An
    `N3Error` if the name is unknown or they cannot be downloaded.
    """
    name = config.name
    if config.pool not in ("avg", "avg+max"):
        raise N3Error(f"unknown pooling {config.pool!r}", "Use avg or avg+max")
    if name == "aviary":
        return trace(SmallResNet()), *HALF
    try:
        if name in CUT:
            return trace(_torchvision(name, published), CUT[name].format(stages=config.stages)), *IMAGENET
        if name.startswith("timm:"):
            return _timm(name.removeprefix("timm:"), published)
    except OSError as error:  # URLError and the hub's errors are kinds of OSError
        problem = f"the published weights of {name} could not be downloaded: {error}"
        remedy = "Connect to the internet once, or name a local file with --backbone.weights"
        raise N3Error(problem, remedy) from None
    raise N3Error(f"unknown backbone {name!r}", "Use aviary, resnet18, googlenet, squeezenet1_1 or timm:NAME")


def _torchvision(name: str, published: bool) -> nn.Module:
    from n3lib.io.torchvision import models

    if published:
        return getattr(models, name)(weights="IMAGENET1K_V1")
    # GoogLeNet as torchvision sets it up with its weights: it shuffles the input's channels itself.
    googlenet = {"aux_logits": False, "transform_input": True, "init_weights": False}
    return getattr(models, name)(**(googlenet if name == "googlenet" else {}))


def _timm(name: str, published: bool) -> tuple[fx.GraphModule, tuple[float, ...], tuple[float, ...]]:
    import n3lib.io.torchvision  # noqa: F401  (timm imports torchvision)

    import timm

    if name not in timm.list_models():
        raise N3Error(f"timm has no model {name!r}", "See timm.list_models()")
    network: Any = timm.create_model(name, pretrained=published, num_classes=0, global_pool="")
    try:
        traced = trace(network)
    except (AssertionError, RuntimeError, TypeError, ValueError) as error:
        problem = f"the layers of timm:{name} cannot be traced: {error}"
        raise N3Error(problem, "Use a convolutional network that takes images of any size") from None
    return traced, network.pretrained_cfg["mean"], network.pretrained_cfg["std"]


def _load(module: nn.Module, tensors: Mapping[str, Tensor], path: str) -> None:
    """Load what the module has; the file may hold more (a classifier), never less or of another shape."""
    state = module.state_dict()
    wrong = [f"lacks {k}" for k in state if k not in tensors and not k.endswith("num_batches_tracked")]
    common = (k for k in state if k in tensors)
    wrong += [f"has another shape for {k}" for k in common if state[k].shape != tensors[k].shape]
    if wrong:
        problem = f"{path} holds weights of another network: it {wrong[0]}"
        raise N3Error(problem, "Check --backbone.name, stages and weights")
    module.load_state_dict(tensors, strict=False)  # converts half precision too


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        # timm derives its own classes from these two; they are layers all the same.
        return isinstance(m, nn.Conv2d | nn.BatchNorm2d) or super().is_leaf_module(m, module_qualified_name)


def trace(model: nn.Module, cut: str = "") -> fx.GraphModule:
    """The network in evaluation mode as a graph that ends behind module `cut`, without unused modules."""
    graph = _Tracer().trace(model.eval())
    if cut:
        *_, last = (node for node in graph.nodes if cut in node.meta.get("nn_module_stack", ()))
        graph.output_node().args = (last,)
    module = fx.GraphModule(model, graph)
    graph.eliminate_dead_code()
    module.recompile()
    module.delete_all_unused_submodules()
    return module


def fold_batchnorm(module: fx.GraphModule) -> fx.GraphModule:
    """Fold each batch norm that follows a convolution into it (exact in evaluation mode).

    Every convolution leaves with a bias. A timm layer that joins norm and activation leaves its activation.
    """
    module.eval()
    modules = dict(module.named_modules())
    for node in module.graph.nodes:
        if node.op != "call_module" or not isinstance(modules[node.target], nn.BatchNorm2d):
            continue
        before, norm = node.args[0], modules[node.target]
        conv = modules.get(before.target) if before.op == "call_module" else None
        if not isinstance(conv, nn.Conv2d) or len(before.users) != 1:
            continue
        module.set_submodule(before.target, fuse_conv_bn_eval(conv, norm))
        activation = getattr(norm, "act", None)
        if activation is None:
            node.replace_all_uses_with(before)
            module.graph.erase_node(node)
        else:
            module.set_submodule(node.target, activation)
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear) and layer.bias is None:
            layer.bias = nn.Parameter(layer.weight.new_zeros(layer.weight.shape[0]))
    module.graph.lint()
    module.recompile()
    module.delete_all_unused_submodules()
    return module


class SmallResNet(nn.Module):
    """The aviary's own network: a stem and three residual blocks, 0.3 M parameters, 1/8 resolution."""

    def __init__(self, widths: tuple[int, int, int] = (32, 64, 128)) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, widths[0], 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.layer1 = ResidualBlock(widths[0], widths[0], 1)
        self.layer2 = ResidualBlock(widths[0], widths[1], 2)
        self.layer3 = ResidualBlock(widths[1], widths[2], 2)

    def forward(self, x: Any) -> Any:  # a tensor, or the proxy with which the graph is traced
        x = torch.relu(self.bn1(self.conv1(x)))  # (B, 32, H/2, W/2)
        return self.layer3(self.layer2(self.layer1(x)))  # (B, 128, H/8, W/8)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around which the input is added (He et al., 2016)."""

    def __init__(self, width_in: int, width_out: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width_out)
        self.conv2 = nn.Conv2d(width_out, width_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width_out)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or width_in != width_out:
            widen = nn.Conv2d(width_in, width_out, 1, stride, bias=False)
            self.shortcut = nn.Sequential(widen, nn.BatchNorm2d(width_out))

    def forward(self, x: Any) -> Any:
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + self.shortcut(x))
