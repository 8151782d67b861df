"""The terms of an exchange: how letters follow each other, who is told of them, and how it breaks."""

from enum import Enum
from typing import Any
from typing import Protocol as Interface

from .outcome import Outcome
from .reply import Reply


class Mode(Enum):
    """How letters follow each other."""

    LOCK_STEP = "lock-step"
    PIPELINING = "pipelining"
    CHUNKING = "chunking"


class Handler(Interface):
    """Those methods of loop.Source that an exchange calls."""

    def begin(self, keys: list[Any]) -> list[Any]: ...

    def accept(self, keys: list[Any], replies: list[str]) -> None: ...

    def end(self, key: Any, outcome: Outcome) -> None: ...


class Broken(Exception):
    """The connection is of no more use. `quiet`: by our own wish or in good order, so nobody's trouble."""

    def __init__(self, reason: str, reply: Reply | None = None, *, quiet: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.reply, self.quiet = reason, reply, quiet
