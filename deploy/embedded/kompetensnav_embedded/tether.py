"""Runs a command that ends when its parent does, even when the parent is killed.

    python -m kompetensnav_embedded.tether [--user nobody] COMMAND ARG ...

On Linux the kernel sends the child the signal (PR_SET_PDEATHSIG). The parent is looked at again afterwards,
in case it died in between.
"""

import ctypes
import os
import pwd
import signal
import sys

PR_SET_PDEATHSIG = 1


def tie(how: signal.Signals = signal.SIGTERM) -> None:
    """Ties this process to its parent's life."""
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, how)
    if os.getppid() != parent:
        sys.exit(1)


def main(arguments: list[str]) -> None:
    """Becomes the command."""
    how = signal.SIGTERM
    if arguments[:1] == ["--user"]:
        user = pwd.getpwnam(arguments[1])
        os.setgroups([])
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
        arguments = arguments[2:]
        how = signal.SIGINT  # PostgreSQL's fast shutdown
    tie(how)
    os.execvp(arguments[0], arguments)


if __name__ == "__main__":
    main(sys.argv[1:])
