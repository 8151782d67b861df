"""Ready octets over as many connections as the service has: the bound of what any client gets through a delay."""

from __future__ import annotations

import contextlib
import selectors
import socket
import time
from collections.abc import Iterator

from benchmarks import ground, letter
from benchmarks.contest import Measured, Missing, Place, Sink

WINDOW = 8  # letters in flight on a connection by BDAT
REPLIES = 4  # to each letter: RSET (or the dot of the one before), MAIL, RCPT, content (or DATA)
READ = 64 * 1024
ENVELOPE = b"MAIL FROM:<news@shop.example>\r\nRCPT TO:<user@example.org>\r\n"


class Bare:
    name = "bare octets"
    about = f"{ground.CONNECTIONS} connections, letters that are ready; nothing is looked at but the number of replies"
    share = 1.0

    def takes_part(self, place: Place) -> bool:
        return place.delay > 0

    def per_round_trip(self, place: Place) -> float:
        return ground.CONNECTIONS * (WINDOW if place.has_chunking else 1)

    def run(self, letters: int, sink: Sink) -> Measured:
        content, window = letter.ours(), WINDOW if sink.place.has_chunking else 1
        if sink.place.has_chunking:
            whole = b"RSET\r\n%bBDAT %d LAST\r\n%b" % (ENVELOPE, len(content), content)
        else:
            whole = content + b".\r\n" + ENVELOPE + b"DATA\r\n"
        with contextlib.ExitStack() as stack, selectors.DefaultSelector() as selector:
            peers = [Peer(stack.enter_context(_opened(sink)), whole) for _ in range(ground.CONNECTIONS)]
            began, used, accepted = time.perf_counter(), time.process_time(), 0
            for peer in peers:
                selector.register(peer.connection, selectors.EVENT_READ, peer)
                peer.send(window)
            while accepted < letters:
                accepted += sum(key.data.go_on() for key, _events in selector.select())
            seconds, cpu = time.perf_counter() - began, time.process_time() - used
        return Measured(accepted / seconds, cpu / accepted * 1e6)


class Peer:
    """A connection that takes a letter for each that was answered."""

    def __init__(self, connection: socket.socket, whole: bytes):
        self.connection = connection
        self._whole = whole  # a letter
        self._lines = 0  # that no letter was counted for yet

    def send(self, letters: int) -> None:
        self.connection.sendall(self._whole * letters)

    def go_on(self) -> int:
        """Hears what was said, and sends as many letters as that answered; how many."""
        said = self.connection.recv(READ)
        if not said:
            raise Missing("the sink hung up")
        answered, self._lines = divmod(self._lines + said.count(b"\n"), REPLIES)
        self.send(answered)
        return answered


@contextlib.contextmanager
def _opened(sink: Sink) -> Iterator[socket.socket]:
    """A connection up to where letters follow; without CHUNKING the server waits for the first one's content."""
    with socket.create_connection(("127.0.0.1", sink.port)) as peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        peer.recv(READ)
        peer.sendall(b"EHLO shop.example\r\n")
        peer.recv(READ)
        if not sink.place.has_chunking:
            peer.sendall(ENVELOPE + b"DATA\r\n")
            lines = 0
            while lines < REPLIES - 1:
                lines += peer.recv(READ).count(b"\n")
        yield peer
