"""`flask up`: the whole service on one machine, in the foreground, as the Procfile lists it."""

from __future__ import annotations

import contextlib
import fcntl
import importlib
import logging
import os
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import click
from flask import current_app
from flask.cli import with_appcontext
from flask_migrate import upgrade
from honcho.environ import expand_processes, parse_procfile
from sqlalchemy import select
from sqlalchemy.exc import OperationalError

from config import ROOT, Settings
from mailservice.database import db
from mailservice.models import User
from mailservice.runtime import answers
from mailservice.runtime.answers import Port
from mailservice.runtime.supervisor import CannotStart, Stopped, Supervisor

STAND_INS = ("redis", "inbox")
PATIENCE = 60.0  # seconds for the servers to answer


@click.command("up")
@with_appcontext
def command() -> None:
    """Run everything: web, workers, scheduler and, where none is set, Redis and a mail server."""
    settings: Settings = current_app.config["SETTINGS"]
    with _alone(settings.instance_path / "up.lock"):
        _check_ports(settings)
        supervisor = Supervisor(cwd=str(ROOT))
        _add_processes(supervisor, settings)
        supervisor.listen()
        try:
            _run(supervisor, settings)
        except Stopped as reason:
            supervisor.say(f"{reason}: stopping everything")
        except CannotStart as error:
            log = settings.instance_path / "redis" / "redis.log"
            raise click.ClickException(f"{error} (Redis writes to {log}.)") from None
        finally:
            supervisor.stop()
        supervisor.say("stopped")


def _run(supervisor: Supervisor, settings: Settings) -> None:
    """Starts what the others need, then the others, each when what it needs has answered."""
    first = [name for name in supervisor.members if _kind(name) in STAND_INS]
    supervisor.start(first)
    _prepare_database(settings)  # while they come up
    supervisor.run_until(partial(_stand_ins_answer, settings), needed=first, seconds=PATIENCE)
    supervisor.start([name for name in supervisor.members if name not in first])
    supervisor.run_until(partial(_web_answers, settings), needed=["web"], seconds=PATIENCE)
    supervisor.show(_welcome(settings))
    supervisor.run_until(lambda: False)


def _kind(name: str) -> str:
    """A process's name in the Procfile: `worker` of `worker.2`."""
    return name.partition(".")[0]


def _stand_ins_answer(settings: Settings) -> bool:
    return (not settings.embedded_redis or answers.redis(settings.redis_socket)) and (
        not settings.embedded_inbox or answers.smtp(settings.inbox_host, settings.inbox_smtp_port)
    )


def _web_answers(settings: Settings) -> bool:
    return answers.web(settings.web_host, settings.web_port, "/healthz")


@contextlib.contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Two supervisors on one instance folder would start two of everything."""
    with path.open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise click.ClickException(
                f"The service already runs on {path.parent} (process {file.read().strip()})."
            ) from None
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield


def _check_ports(settings: Settings) -> None:
    ports = [Port("the web pages", "WEB_PORT", settings.web_host, settings.web_port)]
    if settings.embedded_inbox:
        host = settings.inbox_host
        ports += [
            Port("the local inbox's mail server", "INBOX_SMTP_PORT", host, settings.inbox_smtp_port),
            Port("the local inbox's page", "INBOX_WEB_PORT", host, settings.inbox_web_port),
        ]
    if problems := [problem for port in ports if (problem := port.problem())]:
        raise click.ClickException("\n       ".join(problems))


def _prepare_database(settings: Settings) -> None:
    """Brings the tables up to date; an empty database of one's own machine gets the demo data."""
    logging.getLogger("alembic").setLevel(logging.WARNING)  # which tables it looked at is noise
    try:
        upgrade()
        seed = current_app.cli.commands.get("seed")
        if seed is not None and not settings.production:
            seed.main(["--if-empty"], prog_name="flask seed", standalone_mode=False)
    except OperationalError as error:
        raise click.ClickException(f"The database does not answer: {error.orig}") from None
    finally:
        db.engine.dispose()  # from here on the supervisor has no business with it


def _add_processes(supervisor: Supervisor, settings: Settings) -> None:
    """The Procfile's processes: as many workers as are set, no stand-in for what is elsewhere."""
    commands = parse_procfile((ROOT / "Procfile").read_text()).processes
    counts = {
        "worker": settings.workers,
        "redis": int(settings.embedded_redis),
        "inbox": int(settings.embedded_inbox),
    }
    for process in expand_processes(commands, concurrency=counts):
        kind = _kind(process.name)
        name = process.name if counts.get(kind, 1) > 1 else kind
        environment = process.env | _environment(settings)
        supervisor.add(name, process.cmd, environment, last=kind in STAND_INS)


def _environment(settings: Settings) -> dict[str, str]:
    """What the processes see: ours, the virtual environment's programs, and what the Procfile names."""
    return os.environ | {
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
        "PYTHONUNBUFFERED": "1",
        "WEB_HOST": settings.bind_host,
        "WEB_PORT": str(settings.web_port),
        "WEB_WORKERS": str(settings.web_workers),
    }


def _welcome(settings: Settings) -> str:
    """The addresses and the demo sign-ins, in a box."""
    lines = ["The mailing service is running.", "", f"Pages     {settings.public_url}"]
    if settings.embedded_inbox:
        inbox = answers.reachable(settings.inbox_host)
        lines += [
            f"Inbox     http://{inbox}:{settings.inbox_web_port}   (every letter sent arrives here)",
            f"SMTP      {inbox}:{settings.inbox_smtp_port}",
        ]
    else:
        lines += [f"Mail      goes to {server.name}" for server in settings.servers]
    if not settings.production and (sign_ins := _demo_sign_ins()):
        lines += ["", "Demo sign-ins:", *(f"  {line}" for line in sign_ins)]
    lines += ["", "Ctrl-C stops everything."]
    width = max(map(len, lines))
    rows = [f"│ {line.ljust(width)} │" for line in lines]
    edge = "─" * (width + 2)
    return "\n".join(["", f"╭{edge}╮", *rows, f"╰{edge}╯", ""])


def _demo_sign_ins() -> list[str]:
    """Lines of “role  address  password” for those demo users who are in this database."""
    with contextlib.suppress(ModuleNotFoundError):
        rows: Any = getattr(importlib.import_module("mailservice.cli.seed"), "SIGN_INS", ())
        query = select(User.email).where(User.email.in_([address for _, address, _ in rows]))
        there = set(db.session.scalars(query))
        db.session.remove()
        db.engine.dispose()
        return _columns([list(row) for row in rows if row[1] in there])
    return []


def _columns(rows: list[list[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows]
