"""Servers that take every letter and throw it away: Postfix's smtp-sink, and one in C whose source is given."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from benchmarks import processes
from benchmarks.contest import Missing, Place, Sink
from benchmarks.postfix import Postfix

SMTP_SINK = Place("smtp-sink")
DELAYS = (0, 5, 50)  # milliseconds


def c_place(delay: int, *, has_chunking: bool) -> Place:
    return Place("the C sink", delay, has_chunking)


C_PLACES = tuple(c_place(delay, has_chunking=chunking) for delay in DELAYS for chunking in (False, True))
PLACES = (SMTP_SINK, *C_PLACES)


@contextlib.contextmanager
def smtp_sink(postfix: Postfix) -> Iterator[Sink]:
    """It offers PIPELINING, but no CHUNKING; it can delay by whole seconds only, so here it never does."""
    port = processes.free_port()
    as_whom = ["-u", "nobody"] if os.geteuid() == 0 else []  # it refuses to work as root
    command: list[str | Path] = [postfix.program("smtp-sink"), *as_whom, f"127.0.0.1:{port}", "256"]
    with processes.serving(command, port, postfix.environment):
        yield Sink(SMTP_SINK, port)


def build(source: Path | None, scratch: Path) -> Path:
    """The C sink's program, built in `scratch`."""
    if source is None:
        raise Missing("name its C source: make bench SINK=path/to/sink.c")
    program = scratch / source.stem
    processes.run(["cc", "-O2", "-w", "-o", program, source])
    return program


@contextlib.contextmanager
def c_sink(program: Path, place: Place) -> Iterator[Sink]:
    """It offers PIPELINING, and CHUNKING unless told not to (-c); -d keeps each batch of replies back."""
    port = processes.free_port()
    options = ["-d", str(place.delay)] if place.delay else []
    if not place.has_chunking:
        options.append("-c")
    with processes.serving([program, *options, str(port)], port):
        yield Sink(place, port)
