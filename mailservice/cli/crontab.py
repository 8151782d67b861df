"""`flask crontab`: the line that runs `flask send-mailings` every minute, in this user's crontab."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import click
from dotenv import dotenv_values
from flask import current_app
from flask.cli import with_appcontext

from config import ROOT, Settings

MARK = b"# mailservice "


class Missing(Exception):
    """There is no `crontab` program on this machine."""


@click.command("crontab")
@click.option("--install", "act", flag_value="install", help="Add the line, or bring it up to date.")
@click.option("--remove", "act", flag_value="remove", help="Take the line out.")
@click.option("--show", "act", flag_value="show", help="Show the line, and whether it is installed (the default).")
@with_appcontext
def command(act: str | None) -> None:
    """Send mailings from crontab, every minute; other lines of the crontab stay as they are."""
    line = _line(current_app.config["SETTINGS"])
    try:
        {"install": _install, "remove": _remove}.get(act or "show", _show)(line)
    except Missing:
        click.echo(os.fsdecode(line))
        raise click.ClickException(
            "This machine has no “crontab” program. Install one (cron), or add the line above by hand."
        ) from None


def _line(settings: Settings) -> bytes:
    """It ends with a comment that names this installation, so that it is found again."""
    flask = Path(sys.executable).parent / "flask"
    log = settings.instance_path / "send-mailings.log"
    run = f"cd {shlex.quote(str(ROOT))} && {shlex.quote(str(flask))} send-mailings >> {shlex.quote(str(log))} 2>&1"
    if "\n" in run or "\r" in run:
        raise click.ClickException("A path with a line break cannot stand in a crontab.")
    # cron takes a bare “%” for the end of the command.
    return os.fsencode(f"* * * * * {run} ".replace("%", r"\%")) + _mark()


def _mark() -> bytes:
    return MARK + os.fsencode(str(ROOT).replace("%", r"\%"))


def _install(line: bytes) -> None:
    before = _read()
    if line in before:
        click.echo("The line is there already.")
    else:
        first = next((n for n, old in enumerate(before) if _is_ours(old)), len(before))
        others = [old for old in before if not _is_ours(old)]
        _write([*others[:first], line, *others[first:]])
        click.echo("The line is installed: mailings are sent every minute.")
    _warn_of_lost_settings()


def _remove(line: bytes) -> None:
    before = _read()
    others = [old for old in before if not _is_ours(old)]
    if len(others) == len(before):
        click.echo("There is no line of this installation.")
    else:
        _write(others)
        click.echo("The line is removed.")


def _show(line: bytes) -> None:
    click.echo(os.fsdecode(line))
    found = [old for old in _read() if _is_ours(old)]
    if not found:
        click.echo("It is not installed; to install it: flask crontab --install")
    elif line in found:
        click.echo("It is installed.")
    else:
        click.echo("An older form of it is installed; to renew it: flask crontab --install")


def _is_ours(line: bytes) -> bool:
    return not line.lstrip().startswith(b"#") and line.rstrip().endswith(b" " + _mark())


def _read() -> list[bytes]:
    done = _crontab("-l")
    if done.returncode == 0:
        return done.stdout.removesuffix(b"\n").split(b"\n") if done.stdout else []
    said = done.stderr.decode(errors="replace").strip()
    # A user without a crontab; anything else must not be taken for an empty one, or its lines were lost.
    if any(words in said.lower() for words in ("no crontab", "no such file")):
        return []
    raise click.ClickException(f"“crontab -l” failed: {said or done.returncode}")


def _write(lines: list[bytes]) -> None:
    done = _crontab("-", stdin=b"".join(line + b"\n" for line in lines))
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip()
        raise click.ClickException(f"“crontab -” failed: {said or done.returncode}")


def _crontab(argument: str, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            ["crontab", argument], input=stdin, capture_output=True, env=os.environ | {"LC_ALL": "C"}, check=False
        )
    except (FileNotFoundError, PermissionError):
        raise Missing from None


def _warn_of_lost_settings() -> None:
    """cron knows nothing of this shell's environment, only of `.env`."""
    kept = dotenv_values(ROOT / ".env")
    names = [f.name.upper() for f in fields(Settings)]
    lost = [name for name in names if name in os.environ and os.environ[name] != kept.get(name)]
    if lost:
        click.echo(f"cron does not see what is set in this shell only; put it into .env: {', '.join(lost)}", err=True)
