"""What a contest found: medians, and the tables that show them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from statistics import median

from benchmarks.contest import Contender, Measured, Place
from benchmarks.table import number, table

HEAD = ("", "how", "letters/s", "lowest", "highest", "CPU, µs/letter")


class Figures:
    """`missing`: why a contender, or whatever was to be sent to a place, has no figures."""

    def __init__(self) -> None:
        self.missing: dict[str | Place, str] = {}
        self._runs: dict[tuple[str, Place], list[Measured]] = defaultdict(list)

    def add(self, name: str, place: Place, measured: Measured) -> None:
        self._runs[name, place].append(measured)

    def of(self, name: str, place: Place) -> Measured | None:
        """The medians; None where nothing was measured."""
        runs = self._runs.get((name, place))
        return Measured(*map(median, zip(*runs, strict=True))) if runs else None

    def tables(self, contenders: Iterable[Contender], places: Iterable[Place]) -> str:
        """A table for each server and delay, with BDAT and DATA in it."""
        together: dict[tuple[str, int], list[Place]] = defaultdict(list)
        for place in places:
            together[place.server, place.delay].append(place)
        texts = []
        for (server, delay), same in together.items():
            title = f"Into {server}, " + (f"{delay} ms for each batch of replies" if delay else "no delay")
            texts.append(f"### {title}\n\n{self._table(list(contenders), same)}")
        return "\n\n".join(texts)

    def _table(self, contenders: list[Contender], places: list[Place]) -> str:
        rows = [self._row(c.name, place) for place in places for c in contenders if c.takes_part(place)]
        present = {contender.name for contender in contenders}
        for name, why in self.missing.items():
            if isinstance(name, str) and name not in present:
                rows.append((name, "", f"missing: {why}", "", "", ""))
        return table(HEAD, rows)

    def _row(self, name: str, place: Place) -> tuple[str, ...]:
        found = self.of(name, place)
        if not found:
            why = self.missing.get(name) or self.missing.get(place)
            return (name, place.way, f"missing: {why}", "", "", "")
        rates = [run.rate for run in self._runs[name, place]]
        return (name, place.way, *map(number, (found.rate, min(rates), max(rates), found.cpu)))
