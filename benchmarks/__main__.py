"""Letters a second and CPU for each, of this service and of its peers, side by side.

    make bench SINK=path/to/sink.c [POSTFIX=folder] [ARGS="--letters 60000 --rounds 5"]

Each round does everything once, in turn, so that a noisy neighbour hurts all alike; medians are shown.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from pathlib import Path

from benchmarks import databases, demands, letter, machine, postfix, sinks
from benchmarks.contenders import nodemailer
from benchmarks.contenders.bare import Bare
from benchmarks.contenders.engine import Engine
from benchmarks.contenders.one_connection import FlaskMail, Smtplib
from benchmarks.contenders.smtp_source import SmtpSource
from benchmarks.contest import Contender, Place, Sink, noting
from benchmarks.databases import Postgresql, Sqlite
from benchmarks.figures import Figures

TRIPS = 300  # round trips that a run into a slow sink shall last at least, about: its beginning costs some
SECONDS = 5  # that it shall last at least
FEWEST = 20  # letters


def main() -> None:
    asked = _asked()
    figures = Figures()
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(databases.postgresql())
        contenders, places = _gather(stack, server, asked, figures.missing)
        described = f"{machine.description()}, PostgreSQL {server.version}"
        for number in range(asked.rounds):
            _round(f"{number + 1}/{asked.rounds}", contenders, places, asked.letters, figures)
    print(f"{described}\n\nLetters of {len(letter.ours()):,} octets, medians of {asked.rounds} rounds.\n")
    for contender in contenders:
        print(f"- {contender.name}: {contender.about}")
    print(f"\n{figures.tables(contenders, [p for p in sinks.PLACES if p.delay in asked.delays])}\n")
    print(demands.show(demands.demands(figures)))


def _gather(
    stack: contextlib.ExitStack, server: Postgresql, asked: argparse.Namespace, missing: dict[str | Place, str]
) -> tuple[list[Contender], list[Sink]]:
    """Whom and what can be had here; the rest is noted as missing."""
    scratch = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    contenders: list[Contender] = [Engine(database, n) for database in (server, Sqlite()) for n in (1, 2)]
    contenders += [Smtplib(), FlaskMail(), Bare()]
    places: list[Sink] = []
    for version in (nodemailer.NEWEST, nodemailer.BEFORE):
        with noting(missing, nodemailer.name_of(version)):
            contenders.append(nodemailer.Nodemailer(scratch, version))
    with noting(missing, SmtpSource.name, sinks.SMTP_SINK):
        programs = postfix.find(asked.postfix, scratch)
        contenders.append(SmtpSource(programs))
        places.append(stack.enter_context(sinks.smtp_sink(programs)))
    with noting(missing, *sinks.C_PLACES):
        program = sinks.build(asked.sink, scratch)
        places += [stack.enter_context(sinks.c_sink(program, place)) for place in sinks.C_PLACES]
    wanted = [c for c in contenders if any(part.lower() in c.name.lower() for part in asked.only)]
    return wanted, [sink for sink in places if sink.place.delay in asked.delays]


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__.partition("\n")[0])
    parser.add_argument("--sink", type=Path, help="C source of a cheap SMTP sink with -d delay and -c (no CHUNKING)")
    parser.add_argument("--postfix", type=Path, help="folder with Postfix's smtp-source and smtp-sink")
    parser.add_argument("--letters", type=int, default=60_000, help="that the fastest send in one run")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--delays", type=int, nargs="+", default=sinks.DELAYS, choices=sinks.DELAYS, help="ms")
    parser.add_argument("--only", nargs="+", default=[""], help="parts of the names of the contenders wanted")
    return parser.parse_args()


def _round(title: str, contenders: list[Contender], places: list[Sink], letters: int, figures: Figures) -> None:
    for sink in places:
        for contender in contenders:
            if contender.takes_part(sink.place):
                with noting(figures.missing, contender.name):
                    measured = contender.run(_amount(contender, sink.place, letters), sink)
                    figures.add(contender.name, sink.place, measured)
                    rate = f"{measured.rate:,.0f} letters/s"
                    print(f"{title}: {contender.name}, {sink.place}: {rate}", file=sys.stderr)


def _amount(contender: Contender, place: Place, letters: int) -> int:
    """So many letters that no run is over at once, and none takes much longer than the others."""
    most = letters * contender.share
    if place.delay:
        most = min(most, contender.per_round_trip(place) * max(TRIPS, 1000 / place.delay * SECONDS))
    return max(FEWEST, round(most))


if __name__ == "__main__":
    main()
