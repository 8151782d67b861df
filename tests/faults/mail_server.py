"""An SMTP server on a real socket that does what a test tells it, with a ledger of what it accepted.

    with MailServer(pipelining=True) as server:
        server.on_rcpt("gone@example.org", "550 5.1.1 no such user")
        server.on_dot((ACCEPT, DROP), times=1)
        ...
        assert server.tries("gone@example.org") == 1

An action is a reply ("550 no"), raw octets (b"garbage"), one of DROP RESET HANG ACCEPT PASS, a Drip, a Wait,
or a tuple of these, done in turn: ("250 ok", "250 ok") are two replies instead of one, (ACCEPT, DROP) takes
the letter and says nothing, (PASS, DROP) does the usual and then drops. The first reply decides the effect: a
letter whose dot is answered 2xx is in the ledger before the reply leaves. Every setting may be changed while
the server runs.

By itself: python -m tests.faults.mail_server --port 0 --ledger FILE
"""

import argparse
import base64
import contextlib
import json
import os
import re
import select
import signal
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import NamedTuple, Self


class Special(Enum):
    """What a server may do beside replying."""

    DROP = "close the connection in good order (FIN)"
    RESET = "break it (RST)"
    HANG = "say and read nothing more, keep it open"
    ACCEPT = "take the letter into the ledger, say nothing"
    PASS = "do the usual"


DROP, RESET, HANG, ACCEPT, PASS = Special


@dataclass(frozen=True)
class Drip:
    """A reply, one octet every `seconds`."""

    reply: str
    seconds: float


@dataclass(frozen=True)
class Wait:
    """Seconds to wait before what follows."""

    seconds: float


Step = str | bytes | Special | Drip | Wait
Action = Step | tuple[Step, ...]


class Taken(NamedTuple):
    """One letter for one recipient, as the server accepted it; `accepted_at` in seconds since the epoch."""

    recipient: str
    sender: str
    content: bytes
    message_id: str
    accepted_at: float
    connection: int


@dataclass
class Rule:
    """What on() was told."""

    stage: str
    action: tuple[Step, ...]
    subject: str | None  # the address it is for; None for every one
    times: int | None  # how often it still applies; None for ever
    after: int  # how many matches pass before it applies
    connection: int | None  # which connection, counted from 1

    def matches(self, stage: str, subject: str | None, connection: int) -> bool:
        return (
            self.stage == stage
            and self.times != 0
            and self.subject in (None, subject)
            and self.connection in (None, connection)
        )


def long_reply(code: int, lines: int = 200, width: int = 20) -> bytes:
    """One reply of many lines."""
    body = b"".join(b"%d-%s\r\n" % (code, b"x" * width) for _ in range(lines - 1))
    return body + b"%d end\r\n" % code


class MailServer:
    """See the module. `starttls` and `tls` are (certificate, key) paths; `delay`: seconds before each reply."""

    def __init__(
        self,
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        pipelining: bool = True,
        chunking: bool = True,
        eight_bit: bool = True,
        utf8: bool = True,
        size: int | None = None,
        starttls: tuple[str | Path, str | Path] | None = None,
        tls: tuple[str | Path, str | Path] | None = None,
        auth: dict[str, str] | None = None,
        auth_methods: str = "PLAIN LOGIN",
        delay: float = 0.0,
        ledger: Path | None = None,
    ) -> None:
        self.host, self.port = host, port
        self.pipelining, self.chunking, self.eight_bit, self.utf8 = pipelining, chunking, eight_bit, utf8
        self.size, self.starttls, self.tls, self.delay = size, starttls, tls, delay
        self.auth, self.auth_methods = auth, auth_methods
        self.accepted: list[Taken] = []
        self.connections = 0  # opened so far
        self.commands: dict[int, list[str]] = {}  # by connection, counted from 1
        self.news = threading.Condition()
        self.stopped = threading.Event()
        self.going = threading.Event()
        self.going.set()
        self.rules: list[Rule] = []
        self._sessions: set[_Session] = set()
        self._listener: socket.socket | None = None
        self._file = os.open(ledger, os.O_WRONLY | os.O_CREAT | os.O_APPEND) if ledger else None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> Self:
        """Listen; `port` is known from here on."""
        self.listen()
        return self

    def stop(self) -> None:
        """Close everything, as a killed server does."""
        self.stopped.set()
        self.going.set()
        self.refuse()
        self.drop_connections()
        for session in self._running():
            session.join(5)
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def listen(self) -> None:
        """Take connections (again), on the same port."""
        if self._listener is None:
            self._listener = socket.create_server((self.host, self.port), backlog=256)
            self.port = self._listener.getsockname()[1]
            threading.Thread(target=self._serve, args=(self._listener,), daemon=True).start()

    def refuse(self) -> None:
        """Refuse new connections; those that are open go on."""
        listener, self._listener = self._listener, None
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)  # wakes accept(), which close() does not
            listener.close()

    def pause(self) -> None:
        """Hang as a whole, until resume()."""
        self.going.clear()

    def resume(self) -> None:
        """Go on where pause() stopped."""
        self.going.set()

    def drop_connections(self) -> None:
        """Close all connections that are open."""
        for session in self._running():
            session.cut()

    def forget(self) -> None:
        """Forget all rules; the ledger stays."""
        with self.news:
            self.rules.clear()

    @property
    def open_connections(self) -> int:
        """How many connections are open now."""
        return len(self._running())

    def letters_to(self, address: str) -> list[Taken]:
        """What it accepted for an address."""
        return [taken for taken in list(self.accepted) if taken.recipient == address]

    def tries(self, address: str) -> int:
        """How often RCPT named an address."""
        wanted = f"RCPT TO:<{address}>".upper()
        with self.news:
            return sum(line.upper().startswith(wanted) for lines in self.commands.values() for line in lines)

    def wait_for(self, condition: Callable[[], object], timeout: float = 5.0) -> None:
        """Wait until `condition` holds; looked at whenever the server has heard or accepted something."""
        end = time.monotonic() + timeout
        with self.news:
            while not condition():
                if time.monotonic() > end:
                    raise TimeoutError("the mail server waited in vain")
                self.news.wait(0.05)

    def on(
        self,
        stage: str,
        action: Action,
        subject: str | None = None,
        *,
        times: int | None = None,
        after: int = 0,
        connection: int | None = None,
    ) -> None:
        """Do `action` at a stage; the youngest match wins. `after`: let so many matches pass first."""
        steps = action if isinstance(action, tuple) else (action,)
        with self.news:
            self.rules.insert(0, Rule(stage, steps, subject, times, after, connection))

    def on_connect(self, action: Action, **when: int | None) -> None:
        self.on("connect", action, **when)  # type: ignore[arg-type]

    def on_ehlo(self, action: Action, **when: int | None) -> None:
        self.on("ehlo", action, **when)  # type: ignore[arg-type]

    def on_helo(self, action: Action, **when: int | None) -> None:
        self.on("helo", action, **when)  # type: ignore[arg-type]

    def on_starttls(self, action: Action, **when: int | None) -> None:
        self.on("starttls", action, **when)  # type: ignore[arg-type]

    def on_auth(self, action: Action, **when: int | None) -> None:
        self.on("auth", action, **when)  # type: ignore[arg-type]

    def on_mail(self, action: Action, sender: str | None = None, **when: int | None) -> None:
        self.on("mail", action, sender, **when)  # type: ignore[arg-type]

    def on_rcpt(self, address: str | None, action: Action, **when: int | None) -> None:
        self.on("rcpt", action, address, **when)  # type: ignore[arg-type]

    def on_data(self, action: Action, recipient: str | None = None, **when: int | None) -> None:
        self.on("data", action, recipient, **when)  # type: ignore[arg-type]

    def on_content(self, action: Action, recipient: str | None = None, **when: int | None) -> None:
        """In the middle of the content (of DATA or BDAT), when some of it has come."""
        self.on("content", action, recipient, **when)  # type: ignore[arg-type]

    def on_dot(self, action: Action, recipient: str | None = None, **when: int | None) -> None:
        """After the whole content (of DATA or BDAT LAST)."""
        self.on("dot", action, recipient, **when)  # type: ignore[arg-type]

    def on_rset(self, action: Action, **when: int | None) -> None:
        self.on("rset", action, **when)  # type: ignore[arg-type]

    def on_quit(self, action: Action, **when: int | None) -> None:
        self.on("quit", action, **when)  # type: ignore[arg-type]

    def rule(self, stage: str, subject: str | None, connection: int) -> tuple[Step, ...] | None:
        """What to do at a stage instead of the usual; counts as used."""
        with self.news:
            for rule in self.rules:
                if rule.matches(stage, subject, connection):
                    if rule.after:
                        rule.after -= 1
                        continue
                    if rule.times is not None:
                        rule.times -= 1
                    return rule.action
        return None

    def heard(self, connection: int, line: str) -> None:
        with self.news:
            self.commands[connection].append(line)
            self.news.notify_all()

    def take(self, taken: Taken) -> None:
        """Write a letter into the ledger."""
        with self.news:
            if self._file is not None:
                row = {"recipient": taken.recipient, "message_id": taken.message_id, "time": taken[4]}
                os.write(self._file, json.dumps(row).encode() + b"\n")
            self.accepted.append(taken)
            self.news.notify_all()

    def _running(self) -> "list[_Session]":
        with self.news:
            return [session for session in self._sessions if session.is_alive()]

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                accepted, _ = listener.accept()
            except OSError:
                return
            with self.news:
                if self.stopped.is_set():
                    accepted.close()
                    return
                self.connections += 1
                self.commands[self.connections] = []
                session = _Session(self, accepted, self.connections)
                self._sessions = {other for other in self._sessions if other.is_alive()} | {session}
                session.start()


class _Gone(Exception):
    """The connection is over."""


class _Session(threading.Thread):
    """One connection."""

    def __init__(self, server: MailServer, connection: socket.socket, number: int) -> None:
        super().__init__(daemon=True)
        self._server, self._socket, self._number = server, connection, number
        self._heard, self._said = bytearray(), bytearray()
        self._sender: str | None = None
        self._recipients: list[str] = []
        self._chunks: list[bytes] = []
        self._encrypted = False
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def cut(self) -> None:
        """End it from another thread."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def run(self) -> None:
        with contextlib.suppress(_Gone, OSError):
            if self._server.tls:
                self._encrypt(self._server.tls)
            self._do("connect", "220 mail.test ESMTP")
            while True:
                line = self._line().decode("utf-8", "replace")
                self._server.heard(self._number, line)
                verb = line.upper().split(" ", 1)[0]
                getattr(self, f"_hear_{verb.lower()}", self._hear_unknown)(line)
        with contextlib.suppress(OSError):
            self._socket.close()

    def _hear_unknown(self, line: str) -> None:
        self._do("unknown", "502 5.5.2 what?")

    def _hear_ehlo(self, line: str) -> None:
        server = self._server
        offers = ["mail.test", "ENHANCEDSTATUSCODES"]
        offers += ["PIPELINING"] * server.pipelining + ["CHUNKING"] * server.chunking
        offers += ["8BITMIME"] * server.eight_bit + ["SMTPUTF8"] * server.utf8
        offers += [f"SIZE {server.size}"] if server.size is not None else []
        offers += ["STARTTLS"] if server.starttls and not self._encrypted else []
        offers += [f"AUTH {server.auth_methods}"] if server.auth is not None else []
        self._forget_letter()
        self._do("ehlo", "\r\n".join([f"250-{offer}" for offer in offers[:-1]] + [f"250 {offers[-1]}"]))

    def _hear_helo(self, line: str) -> None:
        self._forget_letter()
        self._do("helo", "250 mail.test")

    def _hear_starttls(self, line: str) -> None:
        keys = self._server.starttls
        if not keys:
            self._do("starttls", "502 5.5.1 not here")
        elif self._do("starttls", "220 2.0.0 go ahead"):
            self._flush()
            self._encrypt(keys)

    def _hear_auth(self, line: str) -> None:
        _, method, *initial = line.split(" ")
        if method.upper() == "PLAIN":
            token = initial[0] if initial else self._challenge("")
            _, name, password = base64.b64decode(token).decode().split("\0")
        else:
            name = base64.b64decode(initial[0] if initial else self._challenge("VXNlcm5hbWU6")).decode()
            password = base64.b64decode(self._challenge("UGFzc3dvcmQ6")).decode()
        known = (self._server.auth or {}).get(name) == password
        self._do("auth", "235 2.7.0 welcome" if known else "535 5.7.8 wrong name or password", name)

    def _challenge(self, words: str) -> str:
        self._say(f"334 {words}\r\n".encode())
        line = self._line().decode()
        self._server.heard(self._number, line)
        return line

    def _hear_mail(self, line: str) -> None:
        sender = self._address(line)
        size = re.search(r" SIZE=(\d+)", line)
        if self._sender is not None:
            self._do("nested", "503 5.5.1 nested MAIL")
        elif size and self._server.size and int(size[1]) > self._server.size:
            self._do("mail", "552 5.3.4 too big", sender)
        elif self._do("mail", "250 2.1.0 sender ok", sender):
            self._sender = sender

    def _hear_rcpt(self, line: str) -> None:
        address = self._address(line)
        if self._sender is None:
            self._do("early", "503 5.5.1 MAIL first")
        elif self._do("rcpt", "250 2.1.5 recipient ok", address):
            self._recipients.append(address)

    def _hear_data(self, line: str) -> None:
        usual = "354 go ahead" if self._recipients else "554 5.5.1 no valid recipients"
        if self._do("data", usual, self._subject(), wanted="3"):
            self._content(self._until_dot())

    def _hear_bdat(self, line: str) -> None:
        _, size, *last = line.upper().split(" ")
        self._chunks.append(self._exactly(int(size)))
        if not self._recipients:
            self._chunks.clear()
            self._do("bdat", "503 5.5.1 no valid recipients", self._subject())
        elif last == ["LAST"]:
            self._content(b"".join(self._chunks))
        else:
            self._say(b"250 2.0.0 more\r\n")

    def _hear_rset(self, line: str) -> None:
        self._forget_letter()
        self._do("rset", "250 2.0.0 reset")

    def _hear_noop(self, line: str) -> None:
        self._do("noop", "250 2.0.0 ok")

    def _hear_quit(self, line: str) -> None:
        self._do("quit", "221 2.0.0 bye")
        self._drop()

    def _content(self, content: bytes) -> None:
        found = re.search(rb"^message-id:\s*(\S+)", content.partition(b"\r\n\r\n")[0], re.I | re.M)
        message_id = found[1].decode("ascii", "replace") if found else ""
        sender, number = self._sender or "", self._number

        def accept() -> None:
            for recipient in self._recipients:
                self._server.take(Taken(recipient, sender, content, message_id, time.time(), number))

        usual = f"250 2.0.0 queued as {len(self._server.accepted) + 1:X}"
        if not self._recipients:
            usual = "554 5.5.1 no valid recipients"
        self._do("dot", usual, self._subject(), accept=accept)
        self._forget_letter()

    def _forget_letter(self) -> None:
        self._sender, self._recipients, self._chunks = None, [], []

    def _subject(self) -> str | None:
        return self._recipients[0] if self._recipients else None

    @staticmethod
    def _address(line: str) -> str:
        return line.partition("<")[2].rpartition(">")[0]

    def _do(
        self,
        stage: str,
        usual: str,
        subject: str | None = None,
        *,
        wanted: str = "2",
        accept: Callable[[], None] | None = None,
    ) -> bool:
        """Do what the rules say, or the usual; whether the first reply was a yes, of the class `wanted`."""
        steps = self._server.rule(stage, subject, self._number) or (PASS,)
        first = next((step for step in steps if step is PASS or isinstance(step, str | Drip)), "")
        words = usual if first is PASS else first.reply if isinstance(first, Drip) else str(first)
        agreed = words.startswith(wanted)
        if accept and (agreed or ACCEPT in steps):
            accept()
        for step in steps:
            self._act(step, usual)
        return agreed

    def _act(self, step: Step, usual: str) -> None:
        self._server.going.wait()
        match step:
            case str() | Special.PASS:
                self._say((usual if step is PASS else str(step)).encode() + b"\r\n")
            case bytes():
                self._say(step)
            case Drip(reply, seconds):
                for octet in reply.encode() + b"\r\n":
                    self._say(bytes([octet]))
                    self._flush()
                    self._pause(seconds)
            case Wait(seconds):
                self._flush()
                self._pause(seconds)
            case Special.DROP:
                self._drop()
            case Special.RESET:
                self._flush()
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                raise _Gone
            case Special.HANG:
                self._flush()
                self._server.stopped.wait()
                raise _Gone

    def _pause(self, seconds: float) -> None:
        if self._server.stopped.wait(seconds):
            raise _Gone

    def _drop(self) -> None:
        """FIN, and only when the client has hung up too close(), which would break with RST what is unread."""
        self._flush()
        self._socket.shutdown(socket.SHUT_WR)
        poll = select.poll()
        poll.register(self._socket, select.POLLRDHUP)
        poll.poll(1000)
        raise _Gone

    def _say(self, octets: bytes) -> None:
        if self._server.delay:
            self._flush()
            self._pause(self._server.delay)
        self._said += octets

    def _flush(self) -> None:
        if self._said:
            self._socket.sendall(self._said)
            self._said.clear()

    def _more(self) -> None:
        """Read on; what was said leaves first, so replies to pipelined commands travel together."""
        self._flush()
        self._server.going.wait()
        data = self._socket.recv(65536)
        if not data:
            raise _Gone
        self._server.going.wait()
        self._heard += data

    def _line(self) -> bytes:
        while (end := self._heard.find(b"\n")) < 0:
            self._more()
        line = bytes(self._heard[:end])
        del self._heard[: end + 1]
        return line.removesuffix(b"\r")

    def _exactly(self, size: int) -> bytes:
        while not self._heard and size:
            self._more()
        self._amid()
        while len(self._heard) < size:
            self._more()
        chunk = bytes(self._heard[:size])
        del self._heard[:size]
        return chunk

    def _until_dot(self) -> bytes:
        while not self._heard:
            self._more()
        self._amid()
        self._heard[:0] = b"\r\n"  # so that a dot on the first line ends an empty content
        seen = 0
        while (end := self._heard.find(b"\r\n.\r\n", max(seen - 4, 0))) < 0:
            seen = len(self._heard)
            self._more()
        content = bytes(self._heard[: end + 2])
        del self._heard[: end + 5]
        return content.replace(b"\r\n.", b"\r\n")[2:]

    def _amid(self) -> None:
        steps = self._server.rule("content", self._subject(), self._number) or ()
        for step in steps:
            self._act(step, "")
        self._flush()

    def _encrypt(self, keys: tuple[str | Path, str | Path]) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*keys)
        self._heard.clear()
        self._socket = context.wrap_socket(self._socket, server_side=True)
        self._encrypted = True


def main() -> None:
    """Run by itself until SIGTERM, for tests that kill."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--ledger", type=Path, required=True, help="one JSON line per accepted letter")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each reply")
    parser.add_argument("--no-pipelining", action="store_true")
    parser.add_argument("--no-chunking", action="store_true")
    parser.add_argument("--size", type=int)
    given = parser.parse_args()
    server = MailServer(
        port=given.port,
        pipelining=not given.no_pipelining,
        chunking=not given.no_chunking,
        size=given.size,
        delay=given.delay,
        ledger=given.ledger,
    )
    with server:
        print(server.port, flush=True)
        signal.sigwait({signal.SIGTERM, signal.SIGINT})


if __name__ == "__main__":
    main()
