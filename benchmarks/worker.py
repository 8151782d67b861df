"""One process of the service, as a benchmark starts it: it makes attempts ready, or sends one's letters.

It says "ready" when the app is loaded, begins at a line on its standard input, and answers with what it measured.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from benchmarks import ground
from config import ROOT
from mailservice.jobs import drains
from mailservice.runtime.processes import die_with_parent


class Task(NamedTuple):
    """`mailing_id`: what to make ready. Or `attempt_id`: whose letters to send, after those of `before`, unmeasured."""

    folder: str
    mail_port: int
    database_url: str
    mailing_id: int = 0
    attempt_id: int = 0
    before: int = 0


class Report(NamedTuple):
    seconds: float
    cpu: float  # seconds
    peak: float  # megabytes of memory
    attempt_id: int


class Worker:
    """The process, seen from outside."""

    def __init__(self, task: Task):
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", json.dumps(task)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            text=True,
            preexec_fn=die_with_parent,
        )
        self._read()

    def begin(self) -> None:
        assert self._process.stdin
        self._process.stdin.write("go\n")
        self._process.stdin.flush()

    def is_busy(self) -> bool:
        return self._process.poll() is None

    def report(self) -> Report:
        """What it measured, as soon as it has."""
        report = Report(*json.loads(self._read()))
        self._process.wait()
        return report

    def _read(self) -> str:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"a worker ended with {self._process.wait()} and no word")
        return line


def main(task: Task) -> None:
    app = ground.app_on(Path(task.folder), mail_port=task.mail_port, database_url=task.database_url)
    with app.app_context():
        if task.before:
            _send(task.before)
            drains.part()
        print("ready", flush=True)
        if not sys.stdin.readline():
            return  # who started it is gone
        used, began = _cpu(), time.perf_counter()
        attempt_id = task.attempt_id or ground.prepare(task.mailing_id)
        if task.attempt_id:
            _send(attempt_id)
        print(json.dumps(Report(time.perf_counter() - began, _cpu() - used, _peak(), attempt_id)), flush=True)
        drains.let_go()


def _send(attempt_id: int) -> None:
    """All that a worker's jobs do for an attempt, one slice after another."""
    while drains.drain(attempt_id):
        pass


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _peak() -> float:
    """What this process had in memory at most. (ru_maxrss would count what its parent had when it began.)"""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


if __name__ == "__main__":
    main(Task(*json.loads(sys.argv[1])))
