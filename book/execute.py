"""`jcache` with kernels that listen on sockets in the file system: none opens a port of the machine."""

import sys
import tempfile
import uuid
from functools import partial

from jupyter_cache.cli.commands.cmd_main import jcache
from jupyter_cache.executors import utils
from jupyter_client.manager import AsyncKernelManager
from traitlets import default

SOCKETS = tempfile.TemporaryDirectory(prefix="n3-")


class FileKernelManager(AsyncKernelManager):
    """Starts kernels that are reached by files."""

    @default("transport")
    def _files(self) -> str:
        return "ipc"

    @default("ip")
    def _place(self) -> str:  # absolute: a kernel runs in the folder of its notebook
        return f"{SOCKETS.name}/{uuid.uuid4().hex[:8]}"


# jcache has no option for it.
utils.executenb = partial(utils.executenb, kernel_manager_class=FileKernelManager)

if __name__ == "__main__":
    sys.exit(jcache())
