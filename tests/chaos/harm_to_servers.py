"""What the nemesis does to the database and to Redis, and to the wire between the database and the service."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.chaos.relay import Relay
from tests.chaos.servers import Postgres

if TYPE_CHECKING:
    from tests.chaos.nemesis import Act, Harm, Nemesis

WIRE = "the database's wire"


def lock(nemesis: Nemesis, act: Act) -> str:
    """Somebody else's transaction keeps everybody from writing."""
    if nemesis.is_broken("the lock") or nemesis.is_broken("PostgreSQL"):
        return ""
    return nemesis.broke("the lock", 0.5 + 4 * act.long, nemesis.world.lock_out())


def crash_postgres(nemesis: Nemesis, act: Act) -> str:
    return _break_postgres(nemesis, act, Postgres.crash)


def stop_postgres_at_once(nemesis: Nemesis, act: Act) -> str:
    return _break_postgres(nemesis, act, Postgres.stop_at_once)


def _break_postgres(nemesis: Nemesis, act: Act, how: Callable[[Postgres], None]) -> str:
    if nemesis.is_broken("PostgreSQL"):
        return ""
    postgres = _postgres(nemesis)
    how(postgres)
    return nemesis.broke("PostgreSQL", 0.1 + 2 * act.long, postgres.start)


def kill_backend(nemesis: Nemesis, act: Act) -> str:
    if nemesis.is_broken("PostgreSQL"):
        return ""
    _postgres(nemesis).kill_backend(act.which)
    return "PostgreSQL drops everybody and recovers"


def terminate_backends(nemesis: Nemesis, act: Act) -> str:
    if nemesis.is_broken("PostgreSQL"):
        return ""
    _postgres(nemesis).terminate_backends()
    return "all of them"


def cut_database(nemesis: Nemesis, act: Act) -> str:
    _wire(nemesis).cut()
    return "all connections"


def lose_commits(nemesis: Nemesis, act: Act) -> str:
    """What is asked arrives and is done; its answers do not come, and then the connections break."""

    def mend(wire: Relay) -> None:
        wire.heal()
        wire.cut()

    return _on_wire(nemesis, "is_deaf", True, 0.1 + act.long, mend)


def freeze_database(nemesis: Nemesis, act: Act) -> str:
    return _on_wire(nemesis, "is_frozen", True, 0.5 + 4 * act.long)


def slow_database(nemesis: Nemesis, act: Act) -> str:
    return _on_wire(nemesis, "delay", 0.01 + 0.1 * act.which, 1 + 4 * act.long)


def _on_wire(
    nemesis: Nemesis, what: str, value: float, seconds: float, mend: Callable[[Relay], None] | None = None
) -> str:
    if nemesis.is_broken(WIRE):
        return ""
    wire = _wire(nemesis)
    setattr(wire, what, value)
    return f"{value:.2f} " + nemesis.broke(WIRE, seconds, lambda: mend(wire) if mend else wire.heal())


def _postgres(nemesis: Nemesis) -> Postgres:
    assert nemesis.world.postgres, "this harm is not done to SQLite"
    return nemesis.world.postgres


def _wire(nemesis: Nemesis) -> Relay:
    assert nemesis.world.database_wire, "this harm is not done to SQLite"
    return nemesis.world.database_wire


def flush_redis(nemesis: Nemesis, act: Act) -> str:
    if nemesis.is_broken("Valkey"):
        return ""
    nemesis.world.valkey.flush()
    return "everything is forgotten"


def crash_redis(nemesis: Nemesis, act: Act) -> str:
    if nemesis.is_broken("Valkey"):
        return ""
    nemesis.world.valkey.crash()
    return nemesis.broke("Valkey", 0.2 + 2 * act.long, nemesis.world.valkey.start)


def freeze_redis(nemesis: Nemesis, act: Act) -> str:
    if nemesis.is_broken("Valkey"):
        return ""
    process = nemesis.world.valkey.process
    process.send_signal(signal.SIGSTOP)
    return nemesis.broke("Valkey", 0.5 + 3 * act.long, lambda: process.send_signal(signal.SIGCONT))


HARM: Harm = {
    "lock the database": (2, lock),
    "flush Redis": (2, flush_redis),
    "kill -9 Redis": (2, crash_redis),
    "SIGSTOP to Redis": (1, freeze_redis),
}
HARM_TO_POSTGRES: Harm = {
    "kill -9 PostgreSQL": (3, crash_postgres),
    "PostgreSQL stops at once": (2, stop_postgres_at_once),
    "kill -9 a backend": (2, kill_backend),
    "terminate backends": (2, terminate_backends),
    "cut the database's wire": (3, cut_database),
    "lose the database's answers": (4, lose_commits),
    "freeze the database's wire": (2, freeze_database),
    "slow down the database's wire": (2, slow_database),
}
