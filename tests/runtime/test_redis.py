"""`flask redis`: the embedded server as a process of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from config import ROOT, Settings
from mailservice.runtime import answers
from tests.servers import wait_until

pytestmark = pytest.mark.slow


@pytest.fixture
def flask_redis() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts `flask redis` on an instance folder."""
    started: list[subprocess.Popen[str]] = []

    def start(instance: Path, **environ: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "mailservice.cli.redis"]
        env = {"PATH": os.environ["PATH"], "INSTANCE_PATH": str(instance)} | environ
        started.append(subprocess.Popen(command, cwd=ROOT, env=env, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def wait_for(settings: Settings) -> None:
    wait_until(lambda: answers.redis(settings.redis_socket), seconds=30, what="an answer of Redis")


def command(settings: Settings, *words: str) -> object:
    from redis import Redis

    with Redis(unix_socket_path=str(settings.redis_socket)) as redis:
        return redis.execute_command(*words)


def test_what_was_written_is_there_after_kill_9(
    flask_redis: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    settings = Settings(instance_path=tmp_path)
    server = flask_redis(tmp_path)
    wait_for(settings)
    command(settings, "SET", "key", "value")
    wait_until(lambda: any(f.stat().st_size for f in tmp_path.glob("redis/appendonlydir/*.incr.aof")))
    server.send_signal(signal.SIGKILL)
    server.communicate(timeout=10)
    flask_redis(tmp_path)
    wait_for(settings)
    assert command(settings, "GET", "key") == b"value"
    assert "noeviction" in str(command(settings, "CONFIG", "GET", "maxmemory-policy"))


def test_two_servers_never_share_a_folder(flask_redis: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    settings = Settings(instance_path=tmp_path)
    flask_redis(tmp_path)
    wait_for(settings)
    second = flask_redis(tmp_path)
    assert "Another Redis server already runs" in second.communicate(timeout=30)[1]
    assert second.returncode == 1
    assert answers.redis(settings.redis_socket)


def test_a_very_long_path_is_no_obstacle(flask_redis: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    instance = tmp_path / ("x" * 90)
    flask_redis(instance)
    settings = Settings(instance_path=instance)
    wait_for(settings)
    assert (instance / "redis" / "appendonlydir").is_dir()
    shutil.rmtree(settings.redis_socket.parent)  # it is outside of pytest's folder


def test_it_does_not_start_beside_a_server_that_is_set(
    flask_redis: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    process = flask_redis(tmp_path, REDIS_URL="redis://redis.example")
    assert "REDIS_URL is set" in process.communicate(timeout=30)[1]
