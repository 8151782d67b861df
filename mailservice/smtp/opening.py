"""The opening of a connection, from the greeting until letters may follow: a script without sockets or clock.

`opening()` is a generator. It yields what to do next: an Ask (write this, then give me the one reply) or
HANDSHAKE (start TLS now). It returns the server's Offers or raises Failed.
"""

from base64 import b64encode
from collections.abc import Generator
from dataclasses import dataclass
from enum import Enum

from .offers import Offers
from .outcome import Trouble, TroubleKind
from .reply import Reply
from .server import Security, Server


@dataclass(frozen=True, slots=True)
class Ask:
    """Write `command` (nothing, where the server speaks first) and wait `limit` seconds for the reply."""

    command: bytes
    limit: float
    name: str  # for the reason of a failure; never holds a secret


class Handshake(Enum):
    """The script asks for a TLS handshake; send it None when that is done."""

    NOW = "now"


Script = Generator[Ask | Handshake, Reply | None, Offers]


class Failed(Exception):
    """The opening failed; `trouble` says how."""

    def __init__(self, kind: TroubleKind, reason: str, reply: Reply | None = None) -> None:
        super().__init__(reason)
        self.trouble = Trouble(kind, reason, reply)


def opening(server: Server, *, private: bool) -> Script:
    """Greeting, EHLO, STARTTLS, AUTH. `private`: nobody can listen (TLS is on, or the peer is this machine)."""
    greeting = yield from _ask(b"", server.deadlines.greeting, "greeting")
    if greeting.code != 220:
        raise Failed(TroubleKind.HOST, "the server greeted with a refusal", greeting)
    offers = yield from _hello(server)
    if server.security is Security.STARTTLS:
        yield from _starttls(server, offers)
        offers = yield from _hello(server)  # what was offered in the clear is void (RFC 3207 §4.2)
        private = True
    if server.username is not None:
        if not private:
            raise Failed(TroubleKind.CONFIGURATION, "a password is not sent without TLS to another machine")
        yield from _authenticate(server, offers)
    return offers


def _ask(command: bytes, limit: float, name: str) -> Generator[Ask, Reply | None, Reply]:
    reply = yield Ask(command, limit, name)
    if reply is None:
        raise AssertionError("an Ask is answered with a reply")
    return reply


def _command(server: Server, command: bytes, name: str) -> Generator[Ask, Reply | None, Reply]:
    return _ask(command, server.deadlines.command, name)


def _hello(server: Server) -> Generator[Ask, Reply | None, Offers]:
    """EHLO, or HELO for a server that does not know EHLO (RFC 5321 §3.2)."""
    name = server.local_name.encode("ascii")
    reply = yield from _command(server, b"EHLO " + name + b"\r\n", "EHLO")
    if reply.code == 250:
        return Offers.parse(reply)
    if reply.code >= 500:
        helo = yield from _command(server, b"HELO " + name + b"\r\n", "HELO")
        if helo.code == 250:
            return Offers()
        raise Failed(TroubleKind.HOST, "the server refused HELO", helo)
    raise Failed(TroubleKind.HOST, "the server refused EHLO", reply)


def _starttls(server: Server, offers: Offers) -> Script:
    if not offers.starttls:
        raise Failed(TroubleKind.CONFIGURATION, "STARTTLS is required and the server does not offer it")
    reply = yield from _command(server, b"STARTTLS\r\n", "STARTTLS")
    if reply.code != 220:
        passing = 400 <= reply.code < 500
        kind = TroubleKind.HOST if passing else TroubleKind.CONFIGURATION
        raise Failed(kind, "the server refused STARTTLS", reply)
    yield Handshake.NOW
    return offers


def _authenticate(server: Server, offers: Offers) -> Generator[Ask, Reply | None, None]:
    """AUTH PLAIN (RFC 4616), else LOGIN; both are safe because the way is private."""
    username, password = (server.username or "").encode(), (server.password or "").encode()
    if "PLAIN" in offers.auth:
        token = b64encode(b"\0" + username + b"\0" + password)
        reply = yield from _command(server, b"AUTH PLAIN " + token + b"\r\n", "AUTH")
        if reply.code == 334:  # a server that wants the token on a line of its own
            reply = yield from _command(server, token + b"\r\n", "AUTH")
    elif "LOGIN" in offers.auth:
        reply = yield from _command(server, b"AUTH LOGIN\r\n", "AUTH")
        for word in (username, password):
            if reply.code == 334:
                reply = yield from _command(server, b64encode(word) + b"\r\n", "AUTH")
    else:
        raise Failed(TroubleKind.CONFIGURATION, "the server offers neither AUTH PLAIN nor AUTH LOGIN")
    if reply.code == 235:
        return
    if reply.code >= 500:
        raise Failed(TroubleKind.CONFIGURATION, "the server refused our name and password", reply)
    raise Failed(TroubleKind.HOST, "the server could not check our name and password", reply)
