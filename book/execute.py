"""`jcache` with kernels that listen on sockets in the file system: none opens a port of the machine."""

import sys

from jupyter_cache.cli.commands.cmd_main import jcache
from jupyter_client.connect import ConnectionFileMixin

# jcache reads no configuration, and passes none on to the kernels' manager.
ConnectionFileMixin.transport.default_value = "ipc"

if __name__ == "__main__":
    sys.exit(jcache())
