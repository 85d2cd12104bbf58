"""Wikipedia articles of classes whose names are not the articles' titles (`titles.json`).

Names with hyphens and capitals left out need no entry: `articles.candidates` finds those. Where
English Wikipedia has moved an article to another common name, the title here redirects to it.

- CUB (Wah et al., 2011, "The Caltech-UCSD Birds-200-2011 Dataset"): no apostrophes, some short or old names.
  A class called like a larger group has the species that its photographs show.
- AWA2 (Xian et al., 2019, "Zero-shot learning: a comprehensive evaluation of the good, the bad and the
  ugly"): animals by their everyday names. Where the article of that name is on something else, or on a group
  that it does not describe, the kind of animal that the photographs mostly show.
- NABirds (Van Horn et al., 2015, "Building a bird recognition app and large scale dataset with citizen
  scientists"): the American names of 2014, of which some have since changed or have other meanings.
- Oxford Flowers (Nilsback and Zisserman, 2008, "Automated flower classification over a large number of
  classes"): garden names. Scientific names where the common one has several meanings.
"""

from pathlib import Path

from n3lib.io.files import read_json

# By dataset, then by class name as people write it.
TITLES: dict[str, dict[str, str]] = read_json(Path(__file__).with_name("titles.json"))
TITLES |= {"cub2010": TITLES["cub"], "flowers-species": TITLES["flowers"]}
