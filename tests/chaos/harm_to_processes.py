"""What the nemesis does to the service's own processes."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from tests.chaos.servers import Postgres, Valkey
from tests.chaos.world import CLERKS, LEASE, SENDERS

if TYPE_CHECKING:
    from tests.chaos.nemesis import Act, Harm, Nemesis

REST = 1.5  # seconds, at most, before the supervisor starts again what was killed
COMMANDS_AT_ONCE = 2


def _sender(nemesis: Nemesis, act: Act) -> str:
    names = nemesis.world.senders
    return names[int(act.which * len(names))]


def kill_sender(nemesis: Nemesis, act: Act) -> str:
    name = _sender(nemesis, act)
    nemesis.kill(name, REST * act.long)
    return name


def kill_all_senders(nemesis: Nemesis, act: Act) -> str:
    names = nemesis.world.senders
    for name in names:
        nemesis.kill(name, REST * act.long)
    return ", ".join(names)


def kill_in_a_race(nemesis: Nemesis, act: Act) -> str:
    """Several look after the dead one at once: the others, and two that come for it."""
    name = _sender(nemesis, act)
    nemesis.kill(name, 0)
    helpers = [send_too(nemesis, act) for _ in range(COMMANDS_AT_ONCE)]
    return " ".join([name, "and", *helpers])


def kill_clerk(nemesis: Nemesis, act: Act) -> str:
    name = CLERKS[int(act.which * len(CLERKS))]
    nemesis.kill(name, REST * act.long)
    return name


def kill_scheduler(nemesis: Nemesis, act: Act) -> str:
    nemesis.kill("scheduler", REST * act.long)
    return f"for {REST * act.long:.1f} s"


def kill_everything(nemesis: Nemesis, act: Act) -> str:
    """As if the container had been taken away: databases and all."""
    world = nemesis.world
    for name in list(world.processes):
        nemesis.kill(name, REST * act.long)
    servers: dict[str, Valkey | Postgres | None] = {"Valkey": world.valkey, "PostgreSQL": world.postgres}
    for what, server in servers.items():
        if server and not nemesis.is_broken(what):
            server.crash()
            nemesis.broke(what, 0.1, server.start)
    return "servers too"


def end_sender(nemesis: Nemesis, act: Act) -> str:
    """It has ten seconds; a mail server that is silent has longer."""
    name = _sender(nemesis, act)
    nemesis.risk_flights(1)
    nemesis.world.signal(name, signal.SIGTERM)
    return name


def stop_sender(nemesis: Nemesis, act: Act) -> str:
    """For less than a lease, or until others have taken over."""
    return nemesis.stop(_sender(nemesis, act), LEASE * (0.3 + 2.7 * act.long))


def stop_clerk(nemesis: Nemesis, act: Act) -> str:
    return nemesis.stop(CLERKS[int(act.which * len(CLERKS))], LEASE * act.long)


def send_too(nemesis: Nemesis, act: Act) -> str:
    """`flask send-mailings` beside the workers."""
    running = [name for name in nemesis.world.senders if name not in SENDERS]
    return nemesis.world.start_command() if len(running) < COMMANDS_AT_ONCE else ""


def fill_disk(nemesis: Nemesis, act: Act) -> str:
    names = (*SENDERS, *CLERKS)
    name, seconds = names[int(act.which * len(names))], 0.5 + 3 * act.long
    nemesis.world.fill_disk(name, full=True)
    nemesis.later(seconds, lambda: nemesis.world.fill_disk(name, full=False))
    return f"of {name}, for {seconds:.1f} s"


HARM: Harm = {
    "kill -9 a sender": (8, kill_sender),
    "kill -9 all senders": (2, kill_all_senders),
    "kill -9 a sender, and a race for it": (4, kill_in_a_race),
    "kill -9 a clerk": (3, kill_clerk),
    "kill -9 the scheduler": (2, kill_scheduler),
    "kill -9 everything": (1, kill_everything),
    "SIGTERM to a sender": (3, end_sender),
    "SIGSTOP to a sender": (6, stop_sender),
    "SIGSTOP to a clerk": (2, stop_clerk),
    "send-mailings": (4, send_too),
    "no room on the disk": (3, fill_disk),
}
