"""The supervisor on small programs of the shell."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from honcho.process import Popen

from mailservice.runtime import processes
from mailservice.runtime.supervisor import CannotStart, Supervisor
from tests.servers import wait_until

SCRIPT = """
import os, sys
sys.path.insert(0, {root!r})
from mailservice.runtime.supervisor import Stopped, Supervisor
supervisor = Supervisor(cwd={folder!r}, grace=1.0)
for number, command in enumerate({commands!r}):
    supervisor.add("p%d" % number, command, dict(os.environ), last=command.startswith("sh last"))
supervisor.listen()
supervisor.start(list(supervisor.members))
try:
    supervisor.run_until(lambda: False)
except Stopped as reason:
    supervisor.say("stopped by " + str(reason))
finally:
    supervisor.stop()
"""

HORSE = """
import os, signal, time
os.setpgid(0, 0)
signal.signal(signal.SIGTERM, signal.SIG_IGN)
open("horse", "w").write(str(os.getpid()))
time.sleep(60)
"""


@pytest.fixture
def supervise(tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a supervisor of these commands in a process of its own."""

    def start(*commands: str) -> subprocess.Popen[str]:
        root = str(Path(__file__).parents[2])
        code = textwrap.dedent(SCRIPT).format(root=root, folder=str(tmp_path), commands=commands)
        command = [sys.executable, "-c", code]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        return started[-1]

    started: list[subprocess.Popen[str]] = []
    yield start
    for supervisor in started:  # whatever a failed test left behind
        supervisor.terminate()
        supervisor.wait(10)


def pid_in(path: Path) -> int:
    """The process id that a program wrote into this file."""
    return int(wait_until(lambda: path.exists() and path.read_text().strip(), what=f"a pid in {path.name}"))


def is_gone(pid: int) -> bool:
    try:
        return "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return True


def test_a_program_that_ends_is_started_again_and_again(
    supervise: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    supervisor = supervise("sh -c 'echo run >> runs; exit 3'")
    wait_until(lambda: (tmp_path / "runs").exists() and (tmp_path / "runs").read_text().count("run") >= 3)
    supervisor.terminate()
    output = supervisor.communicate(timeout=10)[0]
    assert "p0 ended (code 3); starting it again\n" in output
    assert "p0 ended (code 3); starting it again in 0.5 s" in output


def test_lines_of_a_program_carry_its_name(supervise: Callable[..., subprocess.Popen[str]]) -> None:
    supervisor = supervise("sh -c 'echo hello; exec sleep 60'")
    assert supervisor.stdout is not None
    assert supervisor.stdout.readline().rstrip().endswith("p0     | hello")
    supervisor.terminate()
    supervisor.communicate(timeout=10)


def test_who_ignores_the_request_to_stop_is_killed_with_all_children(
    supervise: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    # A work-horse has a process group of its own: only the session tells whose it is.
    (tmp_path / "horse.py").write_text(HORSE)
    supervisor = supervise(f"""sh -c 'trap "" TERM; echo $$ > stubborn; {sys.executable} horse.py; sleep 60'""")
    pids = [pid_in(tmp_path / "stubborn"), pid_in(tmp_path / "horse")]
    supervisor.send_signal(signal.SIGINT)
    began = time.monotonic()
    assert "did not stop in time" in supervisor.communicate(timeout=10)[0]
    assert time.monotonic() - began < 5
    assert all(is_gone(pid) for pid in pids)


def test_a_dead_programs_children_do_not_live_on(
    supervise: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    supervisor = supervise("sh -c 'echo $$ > master; sleep 61 & echo $! > horse; wait'")
    horse, master = pid_in(tmp_path / "horse"), pid_in(tmp_path / "master")
    os.kill(master, signal.SIGKILL)
    wait_until(lambda: is_gone(horse), what="the horse's end")
    wait_until(lambda: pid_in(tmp_path / "master") != master, what="a new master")
    supervisor.terminate()
    supervisor.communicate(timeout=10)


def test_the_last_ones_are_stopped_when_all_others_are_gone(
    supervise: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    last = tmp_path / "last"
    last.write_text("trap 'echo last >> order; exit' TERM; echo $$ > pid; while :; do sleep 0.05; done")
    slow = "trap 'sleep 0.3; echo first >> order; exit' TERM; touch ready; while :; do sleep 0.05; done"
    (tmp_path / "slow").write_text(slow)
    supervisor = supervise("sh last", "sh slow")
    pid_in(tmp_path / "pid")
    wait_until(lambda: (tmp_path / "ready").exists())
    supervisor.terminate()
    supervisor.communicate(timeout=10)
    assert (tmp_path / "order").read_text().split() == ["first", "last"]


def test_the_order_holds_when_nobody_reads_its_lines(
    supervise: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    last = "trap 'echo last >> order; exit' TERM; echo $$ > pid; while :; do sleep 0.05; done"
    slow = "trap 'echo bye; sleep 0.3; echo first >> order; exit' TERM; touch ready; while :; do sleep 0.05; done"
    (tmp_path / "last").write_text(last)
    (tmp_path / "slow").write_text(slow)
    supervisor = supervise("sh last", "sh slow")
    pid_in(tmp_path / "pid")
    wait_until(lambda: (tmp_path / "ready").exists())
    assert supervisor.stdout is not None
    supervisor.stdout.close()
    supervisor.terminate()
    supervisor.wait(10)
    wait_until(lambda: (tmp_path / "order").exists() and (tmp_path / "order").read_text().count("\n") == 2)
    assert (tmp_path / "order").read_text().split() == ["first", "last"]


def test_a_request_to_stop_that_comes_twice_at_once_is_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mailservice.runtime.supervisor.SECOND_THOUGHT", 60.0)  # however slow this machine is
    slow = "trap 'touch asked; sleep 0.3; echo done > end; exit' TERM; touch ready; while :; do sleep 0.05; done"
    (tmp_path / "slow").write_text(slow)
    supervisor = Supervisor(cwd=str(tmp_path), grace=20)
    supervisor.add("slow", "sh slow", dict(os.environ))
    supervisor.start(["slow"])
    supervisor.run_until(lambda: (tmp_path / "ready").exists(), seconds=10)

    def ask_again() -> None:
        wait_until(lambda: (tmp_path / "asked").exists())
        supervisor._on_signal(signal.SIGTERM, None)

    again = threading.Thread(target=ask_again)
    supervisor._on_signal(signal.SIGTERM, None)
    again.start()
    supervisor.stop()
    again.join()
    assert (tmp_path / "end").read_text() == "done\n"


def test_a_second_request_after_a_second_does_not_wait(tmp_path: Path) -> None:
    supervisor = Supervisor(cwd=str(tmp_path), grace=20)
    supervisor.add("stubborn", "sh -c 'trap \"\" TERM; touch ready; while :; do sleep 0.05; done'", dict(os.environ))
    supervisor.start(["stubborn"])
    supervisor.run_until(lambda: (tmp_path / "ready").exists(), seconds=10)
    again = threading.Timer(1.3, supervisor._on_signal, (signal.SIGTERM, None))
    supervisor._on_signal(signal.SIGTERM, None)
    again.start()
    began = time.monotonic()
    supervisor.stop()
    assert 1 < time.monotonic() - began < 10


def test_what_cannot_be_started_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails_once(*args: Any, **options: Any) -> Popen:
        tries.append(args)
        if len(tries) == 1:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        return Popen(*args, **options)

    tries: list[object] = []
    said: list[str] = []
    monkeypatch.setattr("mailservice.runtime.supervisor.Popen", fails_once)
    supervisor = Supervisor(cwd=str(tmp_path))
    monkeypatch.setattr(supervisor._printer, "write", lambda line: said.append(str(line.data)))
    supervisor.add("late", "sh -c 'touch here; exec sleep 60'", dict(os.environ))
    supervisor.start(["late"])
    supervisor.run_until(lambda: (tmp_path / "here").exists(), seconds=5)
    supervisor.stop()
    assert said[0].startswith(f"cannot be started: [Errno {errno.EAGAIN}]")
    assert "late ended" in said[1]


def test_a_killed_supervisor_takes_its_programs_along(
    supervise: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    supervisor = supervise("sh -c 'echo $$ > pid; exec sleep 60'")
    pid = pid_in(tmp_path / "pid")
    supervisor.kill()
    wait_until(lambda: is_gone(pid), what="the program's end")
    supervisor.communicate(timeout=10)


def test_a_program_that_all_wait_for_and_that_keeps_ending_is_given_up(tmp_path: Path) -> None:
    supervisor = Supervisor(cwd=str(tmp_path))
    supervisor.add("needed", "sh -c 'exit 1'", dict(os.environ))
    supervisor.start(["needed"])
    with pytest.raises(CannotStart, match="needed does not start"):
        supervisor.run_until(lambda: False, needed=["needed"], seconds=20)
    supervisor.stop()


def test_a_make_that_got_sigint_alone_is_noticed(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    code = (
        f"import sys, time; sys.path.insert(0, {str(root)!r}); from mailservice.runtime import processes\n"
        "print(processes.make_was_interrupted(), flush=True)\n"
        "while not processes.make_was_interrupted(): time.sleep(0.02)\n"
        "print('noticed', flush=True)"
    )
    (tmp_path / "watch.py").write_text(code)
    (tmp_path / "Makefile").write_text(f"run:\n\t@exec {sys.executable} watch.py\n")
    make = subprocess.Popen(["make"], cwd=tmp_path, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert make.stdout is not None
        assert make.stdout.readline() == "False\n"
        make.send_signal(signal.SIGINT)
        assert make.communicate(timeout=10)[0] == "noticed\n"
    finally:
        os.killpg(make.pid, signal.SIGKILL) if make.poll() is None else None


def test_other_parents_than_make_are_not_looked_at() -> None:
    assert processes.make_was_interrupted() is False
