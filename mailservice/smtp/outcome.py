"""What became of one letter, and what befell a connection: plain values, the caller meets every case."""

from dataclasses import dataclass, field
from enum import Enum

from .reply import Reply


class Stage(Enum):
    """What the server refused; SIZE was refused by ourselves because of the SIZE it had announced (RFC 1870)."""

    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    CONTENT = "CONTENT"
    SIZE = "SIZE"


@dataclass(frozen=True, slots=True)
class Accepted:
    """2xx after the whole content: the server has taken the responsibility (RFC 5321 §4.1.1.4)."""

    reply: Reply


@dataclass(frozen=True, slots=True)
class Deferred:
    """4xx to MAIL, RCPT, DATA or after the content: the server has it not, the same letter may be tried later."""

    reply: Reply


@dataclass(frozen=True, slots=True)
class Rejected:
    """5xx, or our own refusal (`reply.is_local`): the server has it not and will never take it as it is."""

    reply: Reply
    stage: Stage


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """The content was completely handed over and no valid answer came: the server may have it or not."""

    reason: str


@dataclass(frozen=True, slots=True)
class NotSent:
    """Surely not sent, through no fault of the letter: queue it again, charge it no try.

    `reply`: what the server said to its envelope, where that is why. `at_hand`: it said nothing, and the connection
    ended while it had this letter's envelope to answer.
    """

    reason: str
    reply: Reply | None = None
    at_hand: bool = field(default=False, compare=False)


Outcome = Accepted | Deferred | Rejected | Ambiguous | NotSent


class TroubleKind(Enum):
    """HOST passes by itself (refused, timeout, reset, bad greeting); CONFIGURATION needs a person."""

    HOST = "host"
    CONFIGURATION = "configuration"


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why a connection failed, in words for a person, and the reply that said so where there was one."""

    kind: TroubleKind
    reason: str
    reply: Reply | None = None
