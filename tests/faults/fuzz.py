"""Fuzzing guided by coverage: python tests/faults/fuzz.py json|config|archive -max_total_time=60

Needs atheris (pip install atheris); says so and ends well where it is not there. Any error but the library's
own one line stops it with the input that made it.
"""

import shutil
import sys
import tempfile
from pathlib import Path

try:
    import atheris
except ImportError:
    print("atheris is not installed: hypothesis alone has fuzzed")
    sys.exit(0)

with atheris.instrument_imports(include=["n3lib", "json", "tarfile", "zipfile", "yaml"]):
    from n3lib.config import read_config
    from n3lib.data.fetch.unpack import extract
    from n3lib.data.texts import read_classes
    from n3lib.io import N3Error

BOX = Path(tempfile.mkdtemp())
READ = {
    "json": (BOX / "classes.json", read_classes),
    "config": (BOX / "config.yaml", read_config),
    "archive": (BOX / "a.tar", lambda path: extract(path, BOX / "in")),
}
PATH, READER = READ[sys.argv.pop(1)]


def once(content: bytes) -> None:
    PATH.write_bytes(content)
    try:
        READER(PATH)
    except N3Error as error:
        assert "\n" not in str(error)
    finally:
        shutil.rmtree(BOX / "in", ignore_errors=True)
    assert {path.name for path in BOX.iterdir()} <= {PATH.name}, "written outside of its folder"


atheris.Setup(sys.argv, once)
atheris.Fuzz()
