"""A running inbox: its mail server in a thread, its page through a test client."""

from __future__ import annotations

import asyncio
import smtplib
import threading
from collections.abc import Callable, Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from config import Settings
from mailservice.inbox.page import create_page
from mailservice.inbox.smtp import serve
from mailservice.inbox.store import Store
from tests.servers import free_ports

Send = Callable[..., None]


@pytest.fixture
def make_store(tmp_path: Path) -> Iterator[Callable[..., Store]]:
    """Opens the store, again and again on one file."""
    opened: list[Store] = []

    def make(keep: int = 1000) -> Store:
        opened.append(Store(tmp_path / "inbox" / "inbox.db", keep=keep))
        return opened[-1]

    yield make
    for store in opened:
        store.close()


@pytest.fixture
def store(make_store: Callable[..., Store]) -> Store:
    return make_store()


@pytest.fixture
def page(store: Store) -> Flask:
    return create_page(Settings(), store)


@pytest.fixture
def browser(page: Flask) -> FlaskClient:
    return page.test_client()


@pytest.fixture
def smtp_port(store: Store) -> Iterator[int]:
    """The port of a mail server over `store`."""
    port = free_ports()[0]
    loop = asyncio.new_event_loop()
    server = loop.run_until_complete(serve(store, "127.0.0.1", port))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield port
    loop.call_soon_threadsafe(server.close)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(10)
    loop.close()


@pytest.fixture
def send(smtp_port: int) -> Send:
    """Sends a letter to the inbox by the standard library."""

    def send(to: str = "Anna <anna@example.org>", subject: str = "Hello", text: str = "Hi", html: str = "") -> None:
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = "Shop <news@shop.example>", to, subject
        message.set_content(text)
        if html:
            message.add_alternative(html, subtype="html")
        with smtplib.SMTP("127.0.0.1", smtp_port, timeout=10) as connection:
            connection.send_message(message)

    return send
