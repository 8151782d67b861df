"""`flask crontab`, with a `crontab` program that keeps its table in a file."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask

from config import ROOT

PROGRAM = """#!/bin/sh
table="{table}"
if [ -e "{table}.broken" ]; then echo "crontab: you are not allowed to use this program" >&2; exit 1; fi
case "$1" in
  -l) if [ -f "$table" ]; then /bin/cat "$table"; else echo "no crontab for $USER" >&2; exit 1; fi ;;
  -) /bin/cat > "$table" ;;
  *) exit 2 ;;
esac
"""
OTHERS = b"MAILTO=me@example.org\n# mailservice is nice\n0 4 * * * backup \\%d \xff\n"


@pytest.fixture
def database() -> str:
    return "sqlite"


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of the fake program, which is the only one on PATH."""
    table, programs = tmp_path / "table", tmp_path / "programs"
    programs.mkdir()
    (programs / "crontab").write_text(PROGRAM.format(table=table))
    (programs / "crontab").chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    return table


@pytest.fixture
def run(app: Flask):
    return lambda *args: app.test_cli_runner().invoke(args=["crontab", *args])


def ours(table: Path) -> list[str]:
    return [line for line in os.fsdecode(table.read_bytes()).splitlines() if "send-mailings" in line]


def test_the_line_is_installed_once_and_runs_the_command_every_minute(table: Path, run) -> None:
    assert run("--install").exit_code == 0
    first = table.read_bytes()
    assert run("--install").exit_code == 0
    assert table.read_bytes() == first
    (line,) = ours(table)
    assert line.startswith(f"* * * * * cd {ROOT} && {Path(sys.executable).parent / 'flask'} send-mailings >> ")
    assert line.endswith(f" 2>&1 # mailservice {ROOT}")


def test_other_lines_stay_as_they_are(table: Path, run) -> None:
    table.write_bytes(OTHERS)
    run("--install")
    assert table.read_bytes().startswith(OTHERS)
    assert len(ours(table)) == 1
    run("--remove")
    assert table.read_bytes() == OTHERS
    assert "no line" in run("--remove").output
    assert table.read_bytes() == OTHERS


def test_an_older_form_of_the_line_is_replaced_where_it_stands(table: Path, run) -> None:
    table.write_bytes(b"1 * * * * first\n*/5 * * * * cd /old && flask send-mailings # mailservice %s\n" % bytes(ROOT))
    table.write_bytes(table.read_bytes() + b"2 * * * * last\n")
    assert "older form" in run().output
    run("--install")
    first, line, last = table.read_text().splitlines()
    assert (first, last) == ("1 * * * * first", "2 * * * * last")
    assert line.startswith("* * * * * cd ")


def test_the_line_of_another_installation_is_not_ours(table: Path, run) -> None:
    other = b"* * * * * cd /srv/x && flask send-mailings # mailservice /srv/x\n"
    table.write_bytes(other)
    run("--install")
    run("--remove")
    assert table.read_bytes() == other


def test_it_shows_whether_it_is_installed(table: Path, run) -> None:
    assert "not installed" in run("--show").output
    run("--install")
    assert "It is installed." in run("--show").output


def test_a_percent_sign_and_a_space_in_a_path_reach_the_shell_as_they_are(
    app: Flask, table: Path, run, tmp_path: Path
) -> None:
    folder = tmp_path / "100 % mail"
    app.config["SETTINGS"] = replace(app.config["SETTINGS"], instance_path=folder)
    run("--install")
    (line,) = ours(table)
    assert r"100 \% mail" in line
    assert "%" not in line.replace(r"\%", "")
    command = line.removeprefix("* * * * * ").replace(r"\%", "%")  # as cron reads it
    folder.mkdir()
    parsed = command.replace(f"{Path(sys.executable).parent / 'flask'}", "/bin/echo")
    subprocess.run(["/bin/sh", "-c", parsed], check=True)
    assert (folder / "send-mailings.log").read_text() == "send-mailings\n"


def test_without_the_program_the_line_is_printed_for_adding_by_hand(
    run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    result = run("--install")
    assert result.exit_code == 1
    assert "by hand" in result.output
    assert "send-mailings >> " in result.output
    assert "Traceback" not in result.output


def test_a_crontab_that_cannot_be_read_is_never_overwritten(table: Path, run) -> None:
    table.write_bytes(OTHERS)
    table.with_name("table.broken").touch()
    result = run("--install")
    assert result.exit_code == 1
    assert "not allowed" in result.output
    assert table.read_bytes() == OTHERS


def test_settings_of_this_shell_that_cron_will_not_see_are_named(
    table: Path, run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAIL_LOCAL_NAME", "a name of this shell only")
    assert "MAIL_LOCAL_NAME" in run("--install").output
