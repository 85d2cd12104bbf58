"""Earlier methods behind one interface; see `n3lib.baselines.base`."""

from n3lib.baselines.base import Baseline


def baselines() -> dict[str, type[Baseline]]:
    """Every method by its name in results and on the command line."""
    from n3lib.baselines.correction import CorrectionNetwork
    from n3lib.baselines.da import DA
    from n3lib.baselines.eszsl import ESZSL
    from n3lib.baselines.exem import EXEM, EXEMRBF
    from n3lib.baselines.gazsl import GAZSL, MEGAZSL
    from n3lib.baselines.nearest import NearestText
    from n3lib.baselines.pdcnn import PDCNNFC, PDCNNBoth, PDCNNConv
    from n3lib.baselines.sae import SAE
    from n3lib.baselines.sync import SynCFast, SynCOVO
    from n3lib.baselines.wac import WACKernel, WACLinear
    from n3lib.baselines.zslns import ZSLNS
    from n3lib.baselines.zslpp import ZSLPP

    return {
        "pdcnn-fc": PDCNNFC,
        "pdcnn-conv": PDCNNConv,
        "pdcnn-fc-conv": PDCNNBoth,
        "megazsl": MEGAZSL,
        "da": DA,
        "wac-linear": WACLinear,
        "wac-kernel": WACKernel,
        "eszsl": ESZSL,
        "zslns": ZSLNS,
        "sync-fast": SynCFast,
        "sync-ovo": SynCOVO,
        "zslpp": ZSLPP,
        "gazsl": GAZSL,
        "correction": CorrectionNetwork,
        "sae": SAE,
        "exem": EXEM,
        "exem-rbf": EXEMRBF,
        "nearest": NearestText,
    }
