"""`flask doctor`, before things that are in order and things that are not."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import text

from config import ROOT
from mailservice.cli import seed
from mailservice.database import write
from tests.faults.mail_server import MailServer
from tests.servers import free_ports


@pytest.fixture
def run(app: Flask):
    return lambda: app.test_cli_runner().invoke(args=["doctor"])


def verdicts(output: str) -> dict[str, str]:
    """ok or FAIL, by the name of the check."""
    return {line[6:21].strip(): line[:4].strip() for line in output.splitlines()}


def failed(output: str) -> list[str]:
    return [name for name, verdict in verdicts(output).items() if verdict == "FAIL"]


def test_a_service_in_order_is_all_ok(app: Flask, run, mail_server: MailServer) -> None:
    app.test_cli_runner().invoke(seed.command)
    result = run()
    assert (result.exit_code, failed(result.output)) == (0, []), result.output
    assert set(verdicts(result.output)) == {
        *("settings", "instance folder", "database", "migrations", "redis", "mail server", "ledger")
    }


def test_a_mail_server_that_does_not_answer_is_named_with_its_reason(run) -> None:
    result = run()
    assert result.exit_code == 1
    assert failed(result.output) == ["mail server"]
    assert "refused" in result.output


def test_a_mail_server_that_greets_with_a_refusal_is_quoted(run, mail_server: MailServer) -> None:
    mail_server.on_connect("554 5.7.1 go away")
    result = run()
    assert failed(result.output) == ["mail server"]
    assert "go away" in result.output


def test_redis_away_fails_its_line_only(app: Flask, run, mail_server: MailServer, tmp_path: Path) -> None:
    app.config["REDIS_URL"] = f"unix://{tmp_path}/none.sock"
    kept = app.extensions.pop("redis_clients", None)
    try:
        result = run()
    finally:
        app.extensions["redis_clients"] = kept or {}
    assert (result.exit_code, failed(result.output)) == (1, ["redis"])


def test_a_broken_rule_of_the_ledger_is_named_with_its_rows(app: Flask, run, mail_server: MailServer) -> None:
    app.test_cli_runner().invoke(seed.command)
    with write() as connection:
        attempt_id = connection.scalar(text("SELECT max(id) FROM attempts WHERE sent > 0"))
        connection.execute(text("UPDATE attempts SET sent = sent + 1 WHERE id = :id"), {"id": attempt_id})
    result = run()
    assert (result.exit_code, failed(result.output)) == (1, ["ledger"])
    assert f"12 an attempt's counts are those of its results” is broken by {attempt_id}" in result.output


def test_tables_of_another_version_tell_the_command_that_helps(app: Flask, run, mail_server: MailServer) -> None:
    with write() as connection:
        before = connection.scalar(text("SELECT version_num FROM alembic_version"))
        connection.execute(text("UPDATE alembic_version SET version_num = 'older'"))
    try:
        result = run()
    finally:
        with write() as connection:
            connection.execute(text("UPDATE alembic_version SET version_num = :v"), {"v": before})
    assert (result.exit_code, failed(result.output)) == (1, ["migrations"])
    assert "flask db upgrade" in result.output


def test_an_instance_folder_that_cannot_be_written_fails(
    app: Flask, run, mail_server: MailServer, tmp_path: Path
) -> None:
    app.config["SETTINGS"] = replace(app.config["SETTINGS"], instance_path=tmp_path / "gone")
    result = run()
    assert (result.exit_code, failed(result.output)) == (1, ["instance folder"])


def test_a_database_out_of_reach_fails_in_words_and_without_its_password(tmp_path: Path) -> None:
    (port,) = free_ports()
    environ = {
        "PATH": os.environ["PATH"],
        "INSTANCE_PATH": str(tmp_path),
        "DATABASE_URL": f"postgresql://mail:hush@127.0.0.1:{port}/mail",
        "INBOX_SMTP_PORT": str(port),
    }
    done = subprocess.run(
        [Path(sys.executable).parent / "flask", "doctor"], cwd=ROOT, env=environ, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert {"database", "migrations", "ledger"} <= set(failed(done.stdout))
    assert "hush" not in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_each_of_several_mail_servers_has_a_line_and_none_shows_a_password(
    app: Flask, run, mail_server: MailServer
) -> None:
    (away,) = free_ports()
    urls = (
        f"smtp://127.0.0.1:{mail_server.port}?security=none&weight=3&per_hour=500&gmail=20 "
        f"smtp://shop:hush@127.0.0.1:{away}?security=none"
    )
    app.config["SETTINGS"] = replace(app.config["SETTINGS"], mail_server="", mail_servers=urls)
    result = run()
    assert failed(result.output) == ["mail server 2"]
    assert f"127.0.0.1:{mail_server.port}, none, weight 3, 500/h, gmail 20/s" in result.output
    assert "hush" not in result.output
