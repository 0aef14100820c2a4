"""``python -m hub.demo.child <arguments of hub>``: the hub's command line, ended when its parent is gone.

The parent holds the other end of standard input and never writes.  However it ends, ``kill -9`` included, the system
closes the pipe; a child that lived on would hold the ports and the ledgers that the next one needs.
"""

import os
import runpy
import signal
import sys
import threading


def _watch() -> None:
    while os.read(0, 4096):
        pass
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    threading.Thread(target=_watch, name="parent", daemon=True).start()
    sys.argv[0] = "hub"
    runpy.run_module("hub.cli", run_name="__main__", alter_sys=True)
