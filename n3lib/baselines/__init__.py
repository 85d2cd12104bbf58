"""Earlier methods behind one interface; see `n3lib.baselines.base`."""

from n3lib.baselines.base import Baseline


def baselines() -> dict[str, type[Baseline]]:
    """Every method by its name in results and on the command line."""
    from n3lib.baselines import correction, da, eszsl, exem, gazsl, pdcnn, sae, sync, wac, zslns, zslpp
    from n3lib.baselines.nearest import NearestText

    return {
        "pdcnn-fc": pdcnn.PDCNNFC,
        "pdcnn-conv": pdcnn.PDCNNConv,
        "pdcnn-fc-conv": pdcnn.PDCNNBoth,
        "megazsl": gazsl.MEGAZSL,
        "da": da.DA,
        "wac-linear": wac.WACLinear,
        "wac-kernel": wac.WACKernel,
        "eszsl": eszsl.ESZSL,
        "zslns": zslns.ZSLNS,
        "sync-fast": sync.SynCFast,
        "sync-ovo": sync.SynCOVO,
        "zslpp": zslpp.ZSLPP,
        "gazsl": gazsl.GAZSL,
        "correction": correction.CorrectionNetwork,
        "sae": sae.SAE,
        "exem": exem.EXEM,
        "exem-rbf": exem.EXEMRBF,
        "nearest": NearestText,
    }
