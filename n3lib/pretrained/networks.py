"""Architectures and published weights; batch norm is folded into the convolutions.

After folding, every layer of a CNN is a weight and a bias, so that "adapt every layer" (paper, section 3) has
one meaning for every architecture, and the trouble that the paper has with batch normalization (its appendix
A) is gone.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from n3lib.backbone import Backbone, BackboneConfig
from n3lib.io.errors import N3Error
from n3lib.io.files import expand
from n3lib.io.tensors import read_tensors

AVIARY_WEIGHTS = Path(__file__).parent / "aviary.safetensors"
# Mean and standard deviation that pixels in 0..1 are normalized with, per channel.
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
# Where a torchvision network is cut: the module whose output is the last feature map.
CUT = {"resnet18": "layer{stages}", "googlenet": "inception5b", "squeezenet1_1": "features"}


def load_backbone(config: BackboneConfig, pretrained: bool = True) -> Backbone:
    """Build a backbone with its pretrained weights.

    Args:
        config: which network.
        pretrained: False for the bare architecture, whose weights the caller loads.

    Raises:
        N3Error: an unknown name, a missing weights file, or one of another network.
    """
    features, mean, std = architecture(config, published=pretrained and not config.weights)
    weights = config.weights or (str(AVIARY_WEIGHTS) if config.name == "aviary" else "")
    if pretrained and weights:
        tensors, _ = read_tensors(expand(weights))
        folded = not any(key.endswith("running_mean") for key in tensors)
        features = fold_batchnorm(features) if folded else features
        _load(features, tensors, weights)
    return Backbone(fold_batchnorm(features), config, mean, std)


def architecture(
    config: BackboneConfig, published: bool = False
) -> tuple[fx.GraphModule, tuple[float, ...], tuple[float, ...]]:
    """A network up to its last feature map, batch norms and all, with what its pixels are normalized with.

    Args:
        config: which network; a weights file that it names is not read.
        published: with the published weights instead of random ones; not for `aviary`.

    Raises:
        N3Error: an unknown name, or weights that cannot be downloaded.
    """
    name = config.name
    if config.pool not in ("avg", "avg+max"):
        raise N3Error(f"unknown pooling {config.pool!r}", "Use avg or avg+max")
    if name == "aviary":
        return trace(SmallResNet().eval()), *HALF
    if name in CUT:
        network = _torchvision(name, published)
        return trace(network.eval(), CUT[name].format(stages=config.stages)), *IMAGENET
    if name.startswith("timm:"):
        network = _timm(name.removeprefix("timm:"), published)
        return trace(network.eval()), network.pretrained_cfg["mean"], network.pretrained_cfg["std"]
    raise N3Error(f"unknown backbone {name!r}", "Use aviary, resnet18, googlenet, squeezenet1_1 or timm:NAME")


def _torchvision(name: str, published: bool) -> nn.Module:
    from n3lib.io.torchvision import models

    settings: dict[str, Any] = {"weights": "IMAGENET1K_V1"} if published else {}
    if name == "googlenet" and not published:
        # As torchvision sets it up with its weights: it shuffles the input's channels itself.
        settings = {"aux_logits": False, "transform_input": True, "init_weights": False}
    with _published_weights(name):
        return getattr(models, name)(**settings)


def _timm(name: str, published: bool) -> Any:
    import n3lib.io.torchvision  # noqa: F401  (timm imports torchvision)

    try:
        import timm
    except ImportError:
        raise N3Error("timm is not installed", "pip install 'n3lib[timm]'") from None
    if name not in timm.list_models():
        raise N3Error(f"timm has no model {name!r}", "See timm.list_models()")
    with _published_weights(f"timm:{name}"):
        return timm.create_model(name, pretrained=published, num_classes=0, global_pool="")


@contextmanager
def _published_weights(name: str) -> Iterator[None]:
    """Say in one line that weights could not be had, whatever the library underneath calls it."""
    try:
        yield
    except OSError as error:  # URLError and the hub's errors are kinds of OSError
        raise N3Error(
            f"the published weights of {name} could not be downloaded: {error}",
            "Connect to the internet once, or name a local file with --backbone.weights",
        ) from None


def _load(module: nn.Module, tensors: Mapping[str, Tensor], path: str) -> None:
    """Load what the module has; the file may hold more (a classifier), never less or of another shape."""
    wanted = module.state_dict()
    missing = [k for k in wanted if k not in tensors and not k.endswith("num_batches_tracked")]
    wrong = [k for k in wanted if k in tensors and tensors[k].shape != wanted[k].shape]
    if missing or wrong:
        what = f"lacks {missing[0]}" if missing else f"has another shape for {wrong[0]}"
        raise N3Error(
            f"{path} holds weights of another network: it {what}", "Check --backbone.name, stages and weights"
        )
    with torch.no_grad():
        for key, value in wanted.items():
            if key in tensors:
                value.copy_(tensors[key])  # converts half precision too


class _Tracer(fx.Tracer):
    """Traces a network down to its layers, remembering where it is to be cut."""

    def __init__(self, cut: str) -> None:
        super().__init__()
        self.cut, self.node = cut, None

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        # timm derives its own classes from these two; they are layers all the same.
        return isinstance(m, nn.Conv2d | nn.BatchNorm2d) or super().is_leaf_module(m, module_qualified_name)

    def call_module(self, m: nn.Module, forward: Any, args: Any, kwargs: Any) -> Any:
        out = super().call_module(m, forward, args, kwargs)
        if self.cut and self.path_of_module(m) == self.cut:
            self.node = out.node
        return out


def trace(model: nn.Module, cut: str = "") -> fx.GraphModule:
    """The network as a graph that ends behind module `cut`, without the modules that are then unused."""
    tracer = _Tracer(cut)
    graph = tracer.trace(model)
    if cut:
        assert tracer.node is not None, f"no module {cut} in {type(model).__name__}"
        output = next(node for node in graph.nodes if node.op == "output")
        output.args = (tracer.node,)
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
    for node in list(module.graph.nodes):
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

    # Any below: a tensor, or the proxy with which the graph is traced.

    def __init__(self, widths: tuple[int, int, int] = (32, 64, 128)) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, widths[0], 3, stride=2, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.layer1 = ResidualBlock(widths[0], widths[0], 1)
        self.layer2 = ResidualBlock(widths[0], widths[1], 2)
        self.layer3 = ResidualBlock(widths[1], widths[2], 2)

    def forward(self, x: Any) -> Any:
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
            self.shortcut = nn.Sequential(
                nn.Conv2d(width_in, width_out, 1, stride, bias=False), nn.BatchNorm2d(width_out)
            )

    def forward(self, x: Any) -> Any:
        y = torch.relu(self.bn1(self.conv1(x)))
        return torch.relu(self.bn2(self.conv2(y)) + self.shortcut(x))
