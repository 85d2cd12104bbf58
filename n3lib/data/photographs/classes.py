"""The official class names of the datasets, in the order of their class ids (`names.json`).

Published splits, which are lists of ids, are held against them. The spellings of CUB-200 are those of 2011;
NABirds has 404 merged species, see `nabirds`.

Flowers-Species is the paper's selection: labels of Oxford Flowers that name one species. The paper gives
their number, 55, and that of their images, 3,545, but no list, so what is left out, and why (`NOT_SPECIES`),
is this library's reading. For most labels there is no doubt. For 14 there is (a common name of both a species
and its genus); of the 12 ways to choose among those that give 55 labels and 3,545 images, this is the only
one without the cultivar and without the hybrid group, bolero deep blue and bearded iris.
"""

from pathlib import Path

from n3lib.io import read_json

_TABLE = read_json(Path(__file__).with_name("names.json"))

CUB_NAMES, AWA2_NAMES, NABIRDS_NAMES, FLOWERS_NAMES = (
    tuple(_TABLE[dataset]) for dataset in ("cub", "awa2", "nabirds", "flowers")
)
# The numbers of images of these species: by them the order of the published splits was found.
NABIRDS_COUNTS: tuple[int, ...] = tuple(_TABLE["nabirds images"])
NOT_SPECIES: dict[str, str] = _TABLE["no species"]
FLOWERS_SPECIES_NAMES = tuple(name for name in FLOWERS_NAMES if name not in NOT_SPECIES)
