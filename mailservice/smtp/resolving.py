"""Name resolution that does not hold up the loop: getaddrinfo() may block for as long as it likes."""

import socket
import threading
from typing import Any

Address = tuple[int, tuple[Any, ...]]
"""An address family and what connect() takes."""


class Resolution:
    """The addresses of a host, in the order to try. Look at `done`, then at `error` and `addresses`."""

    def __init__(self, host: str, port: int) -> None:
        self.addresses: list[Address] = []
        self.error: str | None = None
        self.done = False
        try:
            self._ask(host, port, socket.AI_NUMERICHOST)
            self.done = True
        except (OSError, UnicodeError):  # not a number: ask, in a thread that may be left behind
            threading.Thread(target=self._resolve, args=(host, port), daemon=True).start()

    def _resolve(self, host: str, port: int) -> None:
        try:
            self._ask(host, port, 0)
        except (OSError, UnicodeError) as error:
            self.error = f"the name {host} has no address: {error}"
        self.done = True

    def _ask(self, host: str, port: int, flags: int) -> None:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=flags)
        self.addresses = [(int(family), address) for family, _, _, _, address in found]
