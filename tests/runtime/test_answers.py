"""Ports that are free or taken, servers that answer or do not."""

from __future__ import annotations

import socket
from pathlib import Path

from mailservice.runtime import answers
from mailservice.runtime.answers import Port
from tests.servers import free_ports


def test_a_free_port_is_no_problem() -> None:
    assert Port("the web pages", "WEB_PORT", "127.0.0.1", free_ports()[0]).problem() is None


def test_a_taken_port_is_named_with_the_setting_that_changes_it() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        number = server.getsockname()[1]
        problem = Port("the web pages", "WEB_PORT", "127.0.0.1", number).problem()
    assert problem is not None
    assert f"Port {number} on 127.0.0.1 is taken" in problem
    assert "WEB_PORT=" in problem


def test_an_address_that_is_not_this_machines_is_a_problem_too() -> None:
    problem = Port("the web pages", "WEB_PORT", "192.0.2.1", 8000).problem()
    assert problem is not None
    assert "cannot be used" in problem


def test_nobody_answers_where_nobody_listens(tmp_path: Path) -> None:
    port = free_ports()[0]
    assert not answers.smtp("127.0.0.1", port)
    assert not answers.web("127.0.0.1", port, "/healthz")
    assert not answers.redis(tmp_path / "none.sock")


def test_a_server_that_accepts_and_is_silent_does_not_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert not answers.smtp("127.0.0.1", port)
        assert not answers.web("127.0.0.1", port, "/healthz")
