"""Whether a port is free and whether a server answers: the conditions that starting waits for."""

from __future__ import annotations

import errno
import http.client
import socket
from dataclasses import dataclass
from pathlib import Path

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

PATIENCE = 1.0  # seconds


@dataclass(frozen=True)
class Port:
    """A port that a process of ours is going to listen on."""

    purpose: str
    setting: str
    host: str
    number: int

    def problem(self) -> str | None:
        """Why nobody could listen here, in words; None when it is free."""
        try:
            found = socket.getaddrinfo(self.host, self.number, type=socket.SOCK_STREAM)
            family, kind, proto, _, address = found[0]
            with socket.socket(family, kind, proto) as s:
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                s.bind(address)
                s.listen(1)
        except OSError as error:
            why = {errno.EADDRINUSE: "is taken by another program", errno.EACCES: "is not allowed to you"}
            return (
                f"Port {self.number} on {self.host} {why.get(error.errno or 0, f'cannot be used: {error}')}, "
                f"and {self.purpose} would be there. Stop that program, or choose another port: "
                f"{self.setting}={self.number + 1 if self.number < 65535 else self.number - 1} "
                f"(in .env, or as in: make run {self.setting}=…)."
            )
        return None


def reachable(host: str) -> str:
    """The address at which a server bound to `host` is reached from here."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # nosec B104


def redis(path: Path) -> bool:
    try:
        with Redis(
            unix_socket_path=str(path),
            socket_timeout=PATIENCE,
            socket_connect_timeout=PATIENCE,
            retry=Retry(NoBackoff(), 0),  # who asks asks again anyway
        ) as client:
            return bool(client.ping())
    except RedisError:
        return False


def smtp(host: str, port: int) -> bool:
    try:
        with socket.create_connection((reachable(host), port), timeout=PATIENCE) as s:
            if not s.recv(512).startswith(b"220"):
                return False
            s.sendall(b"QUIT\r\n")
            return s.recv(512).startswith(b"221")
    except OSError:
        return False


def web(host: str, port: int, path: str) -> bool:
    connection = http.client.HTTPConnection(reachable(host), port, timeout=PATIENCE)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
