"""`python -m n3lib` is `n3`."""

import sys

from n3lib.cli.commands import main

if __name__ == "__main__":
    sys.exit(main())
