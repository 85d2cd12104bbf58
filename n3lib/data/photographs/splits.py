"""The class splits of the datasets (`splits.json`); training classes are all that are not listed.

Numbers in the file are class ids, counted from 1. For NABirds they count the 404 merged species in the order
of `NABIRDS_NAMES`, for Flowers-Species its 55 labels.

Published:

- PS, "proposed split", of CUB and AWA2: Xian et al., "Zero-shot learning: the good, the bad and the ugly",
  CVPR 2017, and TPAMI 2018. No test class is one of the classes of ImageNet-1K.
- SS, "standard split", of CUB: Akata et al., "Label-embedding for attribute-based classification", CVPR 2013.
  Of AWA2: Lampert et al., "Attribute-based classification for zero-shot visual object categorization",
  TPAMI 2014.
- SCE, "super-category exclusive", of CUB and NABirds, and SCS, "super-category shared", of NABirds: Elhoseiny
  et al., "Link the head to the 'beak': zero shot learning from noisy text description at part precision",
  CVPR 2017. By these ids CUB's SCE is not quite exclusive: the warblers 158 to 160 are seen.

Drawn for this library, because they are not published, by one fixed rule: put the classes to choose from in
order of the SHA-256 of "<split>:<official id>" and take as many as needed (what the paper's Table 1 says, if
it does). The official id of a label of Flowers-Species is that of Oxford Flowers. The tests draw them again
from what the file has under "drawn from":

- The validation classes of every split that came without: CUB's SS and SCE, AWA2's SS, NABirds' SCE. AWA2's
  PS came with 13, of which Table 1 keeps 10; the other three are trained on.
- NABirds' SS: the 40 test classes from the 81 of SCS, then 40 validation classes from the rest of these; the
  one left over is trained on. NABirds' PS: the test classes from those that no class of ImageNet-1K covers,
  seen generously: a class that is a group covers all of it, and "drake" covers all ducks.
- Flowers-Species' SS and PS, the latter without labels that ImageNet-1K covers among the test classes: its
  "daisy" is any daisy, and the cardoon is the artichoke's wild form.
- The random splits of the paper's appendix B, after Lei Ba et al., "Predicting deep zero-shot convolutional
  neural networks using textual descriptions", ICCV 2015: "160/40" of CUB and "82/20" of Oxford Flowers. First
  the test classes are taken, then as many for validation. `load` in `source.py` leaves out a fifth of the
  images of their seen classes, as the paper does.
"""

from pathlib import Path

from n3lib.data.dataset import Split
from n3lib.io.files import read_json


def read_splits(dataset: str, classes: int) -> dict[str, Split]:
    """The splits of a dataset of so many classes, by their names."""
    ids = set(range(classes))
    splits = {}
    for name, parts in read_json(Path(__file__).with_name("splits.json"))[dataset].items():
        val, test = ({number - 1 for number in parts[part]} for part in ("val", "test"))
        splits[name] = Split(name, *(tuple(sorted(part)) for part in (ids - val - test, val, test)))
    return splits
