"""Child processes that do not outlive their parent."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> Callable[[], None] | None:
    """What a child does before it becomes its program: ask the kernel to be ended together with its parent.

    To be given as ``preexec_fn``; ``None`` where the system is not Linux. The kernel means the thread that started the
    child.
    """
    if not sys.platform.startswith("linux"):
        return None
    # Loaded before the fork: between fork and exec nothing may be imported or allocated that could hold a lock.
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    parent = os.getpid()

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGKILL)

    return ask
