"""A small supervisor on honcho's processes and printer.

honcho's own manager stops everything when one process ends. Here one that ends is started again, and stopping
has an order: Redis and the inbox go last, so that the workers can finish with them.
"""

from __future__ import annotations

import contextlib
import os
import queue
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from datetime import datetime
from subprocess import DEVNULL
from typing import Any

from honcho.colour import get_colours
from honcho.printer import Message, Printer
from honcho.process import Popen, Process

from mailservice.runtime import processes

GRACE = 6.0  # seconds from SIGTERM to SIGKILL
GRACE_OF_LAST = 1.0  # the same for those that are stopped last
STEADY = 30.0  # seconds after which a process counts as well started
LONGEST_PAUSE = 15.0  # seconds between two starts of a process that keeps ending
GIVE_UP_AFTER = 3  # starts of a process that everything waits for
LOOK_EVERY = 0.1  # seconds
SECOND_THOUGHT = 1.0  # seconds within which two requests to stop are one


class CannotStart(Exception):
    """A process that the others wait for does not come up."""


class Stopped(Exception):
    """The supervisor was told to stop."""


class Program(Process):
    """One run of a program. It ends with its process, even while a grandchild holds the output open."""

    def run(self, events: Any = None, ignore_signals: bool = False) -> None:
        self._events = events
        supervisor = os.getpid()

        def prepare() -> None:
            processes.die_with_parent()
            if os.getppid() != supervisor:  # it died before the line above
                os._exit(1)

        # The kernel means the thread by “parent”: this one lives as long as its child.
        try:
            self._child = Popen("exec " + self.cmd, env=self.env, cwd=self.cwd, stdin=DEVNULL, preexec_fn=prepare)
        except (OSError, subprocess.SubprocessError) as error:
            self.not_started(events, error)
            return
        self._send_message({"pid": self._child.pid}, type="start")
        try:
            threading.Thread(target=self._pass_on_output, args=(self._child.stdout,), daemon=True).start()
        except RuntimeError:  # no more threads: with nobody to read what it says, it would hang
            self._child.terminate()
        self._send_message({"returncode": self._child.wait()}, type="stop")

    def not_started(self, events: Any, error: Exception) -> None:
        """Too many processes or no memory, say. To the supervisor it is one that ended: it is started again."""
        self._events = events
        self._send_message(f"cannot be started: {error}")
        self._send_message({"returncode": os.EX_OSERR}, type="stop")

    def _pass_on_output(self, output: Any) -> None:
        for line in iter(output.readline, b""):
            self._send_message(line)
        output.close()


@dataclass
class Member:
    """A process of the service over all of its runs."""

    name: str
    cmd: str
    env: dict[str, str]
    colour: str
    last: bool  # stopped after all others
    pid: int | None = None
    started_at: float = 0.0
    early_ends: int = 0  # in a row
    start_at: float | None = None
    sessions: set[int] = field(default_factory=set)  # of all its runs

    def left(self) -> list[int]:
        return [pid for session in self.sessions for pid in processes.members(session)]


class Supervisor:
    def __init__(self, cwd: str, grace: float = GRACE) -> None:
        self.cwd, self.grace = cwd, grace
        # Of all queues, this one alone may be put into by a signal handler.
        self.events: queue.SimpleQueue[Message | None] = queue.SimpleQueue()
        self.members: dict[str, Member] = {}
        self._printer = Printer(width=len("system"))
        self._colours = get_colours()
        self._stop_wanted: str | None = None
        self._asked_at: float | None = None  # to stop, for the first time
        self._stopping = False

    def add(self, name: str, cmd: str, env: dict[str, str], *, last: bool = False) -> None:
        self.members[name] = Member(name, cmd, env, next(self._colours), last)
        self._printer.width = max(self._printer.width, len(name))

    def listen(self) -> None:
        """Takes over the signals that ask to stop; a closed terminal (SIGHUP) asks the same."""
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(signum, self._on_signal)

    def _on_signal(self, signum: int, _: object) -> None:
        now = time.monotonic()
        if self._asked_at is None:
            self._asked_at = now
        # Ctrl-C in a terminal often comes twice: to everybody, and passed on by make. That is one request.
        if self._stopping and now - self._asked_at >= SECOND_THOUGHT:  # asked twice: at once, then
            for member in self.members.values():
                processes.send(member.left(), signal.SIGKILL)
        self._stop_wanted = signal.Signals(signum).name
        self.events.put(None)

    def start(self, names: Collection[str]) -> None:
        for name in names:
            self._start(self.members[name])

    def _start(self, member: Member) -> None:
        member.start_at, member.started_at = None, time.monotonic()
        program = Program(member.cmd, name=member.name, colour=member.colour, env=member.env, cwd=self.cwd)
        try:
            threading.Thread(target=program.run, args=(self.events,), daemon=True).start()
        except RuntimeError as error:
            program.not_started(self.events, error)

    def run_until(self, condition: Callable[[], bool], needed: Collection[str] = (), seconds: float = 1e9) -> None:
        """Keeps everything running until `condition` holds.

        Raises Stopped when told to stop; CannotStart when one of `needed` keeps ending or the time is over.
        """
        deadline = time.monotonic() + seconds
        while True:
            self._turn()
            if self._stop_wanted or processes.make_was_interrupted():
                raise Stopped(self._stop_wanted or "SIGINT to make")
            for name in needed:
                if self.members[name].early_ends >= GIVE_UP_AFTER:
                    raise CannotStart(f"{name} does not start; its lines above say why.")
            if condition():
                return
            if time.monotonic() > deadline:
                raise CannotStart(f"{', '.join(needed)}: no answer within {seconds:g} s.")

    def _turn(self) -> None:
        """Handles what happened, and starts again what is due."""
        try:
            event = self.events.get(timeout=LOOK_EVERY)
            while True:
                if event is not None:
                    self._handle(event)
                event = self.events.get_nowait()
        except queue.Empty:
            pass
        for member in self.members.values():
            if member.start_at is not None and time.monotonic() >= member.start_at and not self._stopping:
                self._start(member)

    def _handle(self, event: Message) -> None:
        if event.type == "line":
            self._print(event)
            return
        member = self.members[event.name]
        if event.type == "start":
            member.pid = event.data["pid"]
            member.sessions = {s for s in member.sessions if processes.members(s)} | {event.data["pid"]}
        elif event.type == "stop":
            member.pid = None
            self._ended(member, event.data["returncode"])

    def _ended(self, member: Member, code: int) -> None:
        # What it leaves behind (a work-horse, say) has lost its master: nobody would believe its result.
        processes.send(member.left(), signal.SIGTERM)
        if self._stopping:
            return
        steady = time.monotonic() - member.started_at > STEADY
        member.early_ends = 1 if steady else member.early_ends + 1
        pause = 0.0 if member.early_ends == 1 else min(0.5 * 2 ** (member.early_ends - 2), LONGEST_PAUSE)
        member.start_at = time.monotonic() + pause
        how = f"code {code}" if code >= 0 else signal.Signals(-code).name
        self.say(f"{member.name} ended ({how}); starting it again" + (f" in {pause:g} s" if pause else ""))

    def stop(self) -> None:
        """Stops everything, within `grace` + GRACE_OF_LAST seconds whatever the processes do."""
        if self._asked_at is None:
            self._asked_at = time.monotonic()
        self._stopping = True
        everyone = list(self.members.values())
        self._stop([m for m in everyone if not m.last], self.grace)
        self._stop([m for m in everyone if m.last], GRACE_OF_LAST)

    def _stop(self, members: list[Member], grace: float) -> None:
        """SIGTERM to each process, which tells its own children; SIGKILL to all that is left in the end."""
        self._turn()  # so that the very newest is known, too
        processes.send([m.pid for m in members if m.pid is not None], signal.SIGTERM)
        deadline = time.monotonic() + grace
        while any(m.pid is not None or m.left() for m in members) and time.monotonic() < deadline:
            self._turn()
        for member in members:
            if left := member.left():
                self.say(f"{member.name} did not stop in time; killing it")
                processes.send(left, signal.SIGKILL)

    def say(self, text: str) -> None:
        now = datetime.now().astimezone()
        self._print(Message(type="line", data=text, time=now, name="system", colour=None))

    def _print(self, line: Message) -> None:
        """All that is printed goes through here: nobody may listen any more, or the disk be full; what runs goes on."""
        with contextlib.suppress(OSError, ValueError):
            self._printer.write(line)

    def show(self, text: str) -> None:
        """Prints it as it stands."""
        with contextlib.suppress(OSError, ValueError):
            self._printer.output.write(f"{text}\n")
            self._printer.output.flush()
