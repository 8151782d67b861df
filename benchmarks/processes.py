"""Processes that measurements start: their ports, their CPU, their end."""

from __future__ import annotations

import contextlib
import os
import resource
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.contest import Missing
from mailservice.runtime.processes import die_with_parent


class Ran(NamedTuple):
    output: str
    seconds: float
    cpu: float  # seconds


def run(command: Sequence[str | Path], *, environment: Mapping[str, str] | None = None, told: str = "") -> Ran:
    """Runs a program to its end. Raises Missing where it is not there or fails, with its last words."""
    before, began = _children(), time.perf_counter()
    try:
        done = subprocess.run(command, input=told, capture_output=True, text=True, env=environment and {**environment})
    except FileNotFoundError as error:
        raise Missing(f"there is no {Path(command[0]).name} here") from error
    seconds = time.perf_counter() - began
    if done.returncode:
        words = (done.stderr or done.stdout).strip().splitlines() or ["no word"]
        raise Missing(f"{Path(command[0]).name} ended with {done.returncode}: {words[-1]}")
    return Ran(done.stdout, seconds, _children() - before)


def _children() -> float:
    """Seconds of CPU of this process's children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@contextlib.contextmanager
def serving(command: Sequence[str | Path], port: int, environment: Mapping[str, str] | None = None) -> Iterator[None]:
    """A server that listens on this port, as long as the context lasts."""
    process = subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=environment and {**environment},
        preexec_fn=die_with_parent,
    )
    try:
        _wait_for(port, process)
        yield
    finally:
        process.terminate()
        process.wait()


def _wait_for(port: int, process: subprocess.Popen[bytes], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError as error:
            if process.poll() is not None or time.monotonic() > end:
                raise Missing(f"{Path(str(process.args[0])).name} does not start here") from error  # type: ignore[index]
            time.sleep(0.02)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def cpu_of(pids: list[int]) -> float:
    """Seconds of CPU that these processes have used, their ended children included."""
    tick, total = os.sysconf("SC_CLK_TCK"), 0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += sum(int(value) for value in fields[11:15])
    return total / tick


def family(pid: int) -> list[int]:
    """A process and its living descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                children.setdefault(parent, []).append(int(entry.name))
    found, queue = [], [pid]
    while queue:
        found.append(queue.pop())
        queue += children.get(found[-1], [])
    return found
