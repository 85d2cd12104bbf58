"""Files, errors and the console: what nearly every module needs, and nothing that brings PyTorch."""

from n3lib.io.console import tell, warn
from n3lib.io.errors import N3Error, printable
from n3lib.io.files import expand, read_json, write_json

__all__ = ["N3Error", "expand", "printable", "read_json", "tell", "warn", "write_json"]
