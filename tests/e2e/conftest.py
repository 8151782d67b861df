"""A real `make run`, and a real browser in front of it."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator

import pytest
from flask import Flask
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright
from werkzeug.serving import WSGIRequestHandler, make_server

from tests.runtime import installation

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    if not CHROMIUM:
        pytest.skip("no Chromium on this machine: install Debian's “chromium” or set CHROMIUM to its path")
    # For this package alone: while it lives, its event loop is in the way of everybody else's.
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The addresses of a service started by `make run`: `pages` and `inbox`."""
    folder = tmp_path_factory.mktemp("service")
    installation.copy_project(folder)
    ports = installation.ports()
    run = installation.Run(folder, **ports)
    try:
        run.wait_until_it_runs()
        yield {
            "pages": f"http://127.0.0.1:{ports['WEB_PORT']}",
            "inbox": f"http://127.0.0.1:{ports['INBOX_WEB_PORT']}",
        }
    finally:
        run.close()


def is_complaint(message: ConsoleMessage) -> bool:
    """An error of our own; an answer of 404 or 410 to a page that is asked for is none."""
    return message.type == "error" and not message.text.startswith("Failed to load resource")


@pytest.fixture
def page(chromium: Browser, service: dict[str, str]) -> Iterator[Page]:
    """A page of a new visitor who reads English; an error in its console fails the test."""
    context = chromium.new_context(locale="en-US", timezone_id="Europe/Moscow", base_url=service["pages"])
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text) if is_complaint(message) else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    yield page
    context.close()
    assert complaints == []


class Quiet(WSGIRequestHandler):
    def log(self, *_: object) -> None:
        """Its lines would bury the reason of a failure."""


@pytest.fixture
def site(app: Flask) -> Iterator[str]:
    """The app behind a real web server."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()
