"""The inbox's mail server: takes every letter, and says so only once the letter is on disk."""

from __future__ import annotations

import asyncio
import logging
import re
import sqlite3
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

from mailservice.inbox.store import Arrival, Store

LARGEST = 64 * 1024 * 1024  # octets of one letter
PLAIN_PATH = re.compile(r"<([\w.+%=/-]+@[\w.-]+)>(.*)", re.ASCII)

# One line for every command of every letter is noise.
logging.getLogger("mail.log").setLevel(logging.WARNING)


class Handler:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.original_content, bytes)
        arrival = Arrival(envelope.mail_from or "", list(envelope.rcpt_tos), envelope.original_content)
        try:
            await asyncio.wrap_future(self._store.add(arrival))
        except sqlite3.Error as error:
            return f"451 4.3.0 The inbox cannot write: {error}"
        except Exception as error:
            return f"554 5.6.0 The inbox cannot keep this letter: {type(error).__name__}"
        return "250 2.0.0 Kept in the inbox"


class Server(SMTP):
    """aiosmtpd's protocol with two short cuts, which together more than double its pace.

    It reads a letter in large pieces instead of line by line, and an ordinary address with one pattern.
    """

    line_length_limit = LARGEST  # also the size of the reader's buffer; long lines are let in

    def _getaddr(self, arg: str) -> tuple[str | None, str | None]:
        if plain := PLAIN_PATH.fullmatch(arg):
            return plain[1], plain[2]
        found: tuple[str | None, str | None] = super()._getaddr(arg)
        return found

    async def smtp_DATA(self, arg: str) -> None:
        if await self.check_helo_needed():
            return
        assert self.envelope is not None
        if arg or not self.envelope.rcpt_tos:
            await self.push("501 5.5.4 Syntax: DATA" if arg else "503 5.5.1 Error: need RCPT command")
            return
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        try:
            self.envelope.original_content = await self._read_letter()
        except asyncio.LimitOverrunError:
            await self.push("552 5.3.4 Error: too much mail data")
            self._writer.close()
            return
        status = await self._call_handler_hook("DATA")
        self._set_post_data_state()
        await self.push(status)

    async def _read_letter(self) -> bytes:
        """All up to the lone dot, with the dots removed that were added to lines beginning with one."""
        data = bytearray(b"\r\n")  # so that a dot in the very first line is like any other
        while not data.endswith(b"\r\n.\r\n"):
            data += await self._reader.readuntil(b".\r\n")
            if len(data) > LARGEST:
                raise asyncio.LimitOverrunError("the letter is too large", len(data))
        return bytes(data[:-3].replace(b"\r\n.", b"\r\n")[2:])


async def serve(store: Store, host: str, port: int) -> asyncio.Server:
    """Listens on host:port."""
    loop = asyncio.get_running_loop()

    def protocol() -> Any:
        return Server(
            Handler(store),
            hostname="localhost",
            ident="local inbox",
            data_size_limit=LARGEST,
            enable_SMTPUTF8=True,
            loop=loop,
        )

    return await loop.create_server(protocol, host, port, backlog=1024, reuse_address=True)
