"""What the nemesis does to the mail server and to the wire between it and the senders."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.chaos.world import WINDOW
from tests.faults.mail_server import ACCEPT, DROP, HANG, RESET, Action, Wait

if TYPE_CHECKING:
    from tests.chaos.nemesis import Act, Harm, Nemesis

SERVER, WIRE = "the mail server", "the mail server's wire"
# How some of the next letters, or of the next connections, fare.
SPOILED: tuple[tuple[str, Action], ...] = (
    ("dot", (ACCEPT, DROP)),
    ("dot", (ACCEPT, RESET)),
    ("dot", DROP),
    ("dot", HANG),
    ("dot", (ACCEPT, HANG)),
    ("dot", (Wait(2), "250 2.0.0 late, but queued")),
    ("dot", "451 4.3.0 not now"),
    ("dot", b"what?\r\n"),
    ("content", DROP),
    ("content", (Wait(1), RESET)),
    ("rcpt", "421 4.3.2 closing"),
    ("rcpt", (Wait(1), "250 2.1.5 ok")),
    ("mail", HANG),
    ("data", "451 4.3.0 later"),
    ("connect", "421 4.3.2 too busy"),
    ("connect", HANG),
    ("ehlo", DROP),
)


def spoil(nemesis: Nemesis, act: Act) -> str:
    """Each may take with it what else is in flight on its connection."""
    stage, action = SPOILED[int(act.which * len(SPOILED))]
    times = 1 + int(3 * act.long)
    nemesis.at_risk += WINDOW * times
    nemesis.world.mail.on(stage, action, times=times)
    return f"{stage}: {action}, {times} times"


def cut(nemesis: Nemesis, act: Act) -> str:
    nemesis.risk_flights(len(nemesis.world.senders))
    if act.which < 0.5:
        nemesis.world.mail_wire.cut()
        return "all connections break"
    nemesis.world.mail.drop_connections()
    return "the mail server closes all connections"


def freeze(nemesis: Nemesis, act: Act) -> str:
    """For longer than a command may take, and sometimes longer than the answer to a letter may."""
    if nemesis.is_broken(SERVER):
        return ""
    nemesis.risk_flights(len(nemesis.world.senders))
    nemesis.world.mail.pause()
    return nemesis.broke(SERVER, 0.5 + 5 * act.long, nemesis.world.mail.resume)


def refuse(nemesis: Nemesis, act: Act) -> str:
    if nemesis.is_broken(WIRE):
        return ""
    wire = nemesis.world.mail_wire
    nemesis.risk_flights(len(nemesis.world.senders))
    wire.is_down = True
    wire.cut()
    return nemesis.broke(WIRE, 0.3 + 2 * act.long, wire.heal)


def slow_down(nemesis: Nemesis, act: Act) -> str:
    if nemesis.is_broken(WIRE):
        return ""
    wire = nemesis.world.mail_wire
    wire.delay = 0.3 * act.which
    return f"{wire.delay:.2f} s, " + nemesis.broke(WIRE, 1 + 3 * act.long, wire.heal)


def change_manners(nemesis: Nemesis, act: Act) -> str:
    """What it offers to connections that come, and how quick it is."""
    mail = nemesis.world.mail
    mail.pipelining, mail.chunking, mail.delay = act.which < 0.8, act.long < 0.7, 0.001 + 0.005 * act.which
    return f"pipelining {mail.pipelining}, chunking {mail.chunking}, delay {mail.delay:.3f} s"


HARM: Harm = {
    "spoil answers": (9, spoil),
    "cut the mail server off": (2, cut),
    "freeze the mail server": (2, freeze),
    "refuse connections": (2, refuse),
    "slow down the mail server's wire": (2, slow_down),
    "change the mail server's manners": (3, change_manners),
}
