"""Files, errors and the console. The names that nearly every module needs are here; none brings PyTorch."""

from n3lib.io.console import tell, warn
from n3lib.io.errors import N3Error, printable
from n3lib.io.files import check_writable, expand, read_json, sha256_file, write_json, writing
from n3lib.io.ranges import Range, check_ranges

__all__ = ["N3Error", "Range", "check_ranges", "check_writable", "expand", "printable", "read_json"]
__all__ += ["sha256_file", "tell", "warn", "write_json", "writing"]
