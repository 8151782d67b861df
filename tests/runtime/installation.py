"""The project copied into a folder of its own, and `make run` in it as a person types it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from config import ROOT
from tests.servers import free_ports, wait_until

RUNNING = "The mailing service is running."


def copy_project(to: Path) -> None:
    """All files that a checkout has or will have, and this virtual environment under the usual name."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in listed.stdout.split("\0"):
        if name and (ROOT / name).is_file():
            (to / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, to / name)
    (to / ".venv").mkdir()
    for name in ("bin", "lib", "pyvenv.cfg"):
        (to / ".venv" / name).symlink_to(Path(sys.prefix) / name)
    shutil.copy(ROOT / "requirements.txt", to / ".venv" / "installed.txt")


def processes_in(folder: Path) -> dict[int, str]:
    """Command lines of the living processes whose working directory is in `folder`, by id."""
    found = {}
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and Path(os.readlink(entry / "cwd")).is_relative_to(folder):
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode().strip()
                if command:  # a zombie has none
                    found[int(entry.name)] = command
        except OSError:  # it ended meanwhile
            continue
    return found


class Run:
    """One `make run`; what it printed so far is in `output`."""

    def __init__(self, folder: Path, **settings: object) -> None:
        self.folder = folder
        clean = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
        self.began = time.monotonic()
        self.make = subprocess.Popen(
            ["make", "run"],
            cwd=folder,
            env=clean | {name: str(value) for name, value in settings.items()},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self.output = ""
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.make.stdout is not None
        for line in self.make.stdout:
            self.output += line

    def wait_until_it_runs(self, seconds: float = 60) -> None:
        def runs() -> bool:
            assert self.make.poll() is None, self.output
            return RUNNING in self.output

        wait_until(runs, seconds=seconds, what=f"“{RUNNING}”")

    def supervisor(self) -> int:
        return next(pid for pid, command in self.processes().items() if command.endswith("flask up"))

    def processes(self) -> dict[int, str]:
        return processes_in(self.folder)

    def pids(self, ending: str) -> set[int]:
        return {pid for pid, command in self.processes().items() if command.endswith(ending)}

    def signal_make(self, signum: signal.Signals) -> None:
        """To make's process alone, unlike Ctrl-C in a terminal."""
        self.make.send_signal(signum)

    def wait(self, seconds: float = 10) -> int:
        code = self.make.wait(seconds)
        self._reader.join(seconds)
        return code

    def close(self) -> None:
        """Whatever a failed test left behind."""
        for pid in self.processes():
            os.kill(pid, signal.SIGKILL)
        self.make.kill()
        self.wait()


def ports() -> dict[str, int]:
    """Free ports for one installation, by the names of their settings."""
    return dict(zip(("WEB_PORT", "INBOX_SMTP_PORT", "INBOX_WEB_PORT"), free_ports(3), strict=True))
