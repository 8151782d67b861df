"""What the kernel knows of processes: dying with a parent, the members of a session, an interrupted make."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from pathlib import Path

PROC = Path("/proc")
PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def die_with_parent() -> None:
    """From now on the kernel sends this process SIGTERM when its parent dies, even by kill -9 (Linux only).

    It survives an exec, and is safe between fork and exec: one system call, nothing imported.
    """
    if _libc is not None:
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)


def members(session: int) -> list[int]:
    """The living processes of a session, its leader among them.

    A session, not a process group: RQ puts every work-horse into a group of its own, but all stay in the
    session that the supervisor opened for the worker.
    """
    if not PROC.is_dir():
        return _alive(session)
    found = []
    for folder in PROC.iterdir():
        if not folder.name.isdigit():
            continue
        with contextlib.suppress(OSError):  # it ended while we looked
            # "pid (name) state ppid pgrp session …", and the name may hold spaces and brackets.
            state, _, _, sid = (folder / "stat").read_text().rpartition(")")[2].split()[:4]
            if int(sid) == session and state not in "ZX":
                found.append(int(folder.name))
    return found


def _alive(pid: int) -> list[int]:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return []
    return [pid]


def send(pids: list[int], signum: int) -> None:
    """Signals each of `pids` that is still there."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signum)


def make_was_interrupted() -> bool:
    """Whether our parent is a `make` that was sent SIGINT.

    A terminal sends Ctrl-C to all of its foreground group, us included. But when the signal goes to make
    alone, make only puts its handler aside and waits for us: it passes SIGTERM on to its children, SIGINT
    not. The only trace is that the signal is no longer among those that make catches (or ignores).
    """
    try:
        status = (PROC / str(os.getppid()) / "status").read_text()
    except OSError:
        return False
    fields = dict(line.split(":", 1) for line in status.splitlines() if ":" in line)
    if fields["Name"].strip() not in {"make", "gmake"}:
        return False
    bit = 1 << (signal.SIGINT - 1)
    return not (int(fields["SigCgt"], 16) | int(fields["SigIgn"], 16)) & bit
