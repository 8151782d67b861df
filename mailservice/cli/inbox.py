"""`flask inbox`: the local inbox, a mail server and its web page in one process."""

from __future__ import annotations

import asyncio
import logging
import signal
import threading

import click
from werkzeug.serving import WSGIRequestHandler, make_server

from config import Settings, load
from mailservice.inbox.page import create_page
from mailservice.inbox.smtp import serve
from mailservice.inbox.store import Store


@click.command("inbox")
def command() -> None:
    """Run the local inbox: it keeps every letter and shows it on a web page."""
    settings = load()
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    store = Store(settings.instance_path / "inbox" / "inbox.db", keep=settings.inbox_keep)
    try:
        asyncio.run(_run(settings, store))
    except OSError as error:
        raise click.ClickException(f"The inbox cannot listen: {error}") from None
    finally:
        store.close()


class QuietHandler(WSGIRequestHandler):
    """A line for every request is noise."""

    protocol_version = "HTTP/1.1"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        pass


async def _run(settings: Settings, store: Store) -> None:
    """Serves mail and pages until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signum, stop.set)
    page = make_server(
        settings.inbox_host,
        settings.inbox_web_port,
        create_page(settings, store),
        threaded=True,
        request_handler=QuietHandler,
    )
    threading.Thread(target=page.serve_forever, daemon=True).start()
    mail = await serve(store, settings.inbox_host, settings.inbox_smtp_port)
    await stop.wait()
    mail.close()
    await asyncio.to_thread(page.shutdown)


if __name__ == "__main__":  # as the Procfile starts it: without the application, in a fraction of the time
    command(prog_name="flask inbox")
