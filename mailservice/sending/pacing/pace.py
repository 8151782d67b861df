"""The pace of one sender at one mail server: permits in its hand, and what it has seen of each group."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import Any, NamedTuple

from sqlalchemy.exc import DBAPIError

from mailservice import clock
from mailservice.mail_servers import REST, Limits
from mailservice.sending.pacing import permits
from mailservice.sending.pacing.groups import group_of
from mailservice.sending.pacing.permits import SERVER, Answer, Bad, Grant, Slow, Wish
from mailservice.sending.pacing.rounds import Round, is_about_pace
from mailservice.sending.pacing.store import Store
from mailservice.smtp.outcome import Accepted, Deferred, Outcome

log = logging.getLogger(__name__)
HOUR = "hour"
ASK_EVERY = 0.1  # seconds between questions to the store, at least
LOOK_EVERY = 2.0  # seconds, while nothing is limited: another sender may have been told to slow down
LONGEST = 10.0  # seconds that it is worth waiting for permits

Submit = Callable[..., "Future[Any]"]


class Stock:
    """Permits of one limit in a sender's hand; moments are of the steady clock."""

    __slots__ = ("again_at", "is_wanted", "left", "rate", "slot", "until")

    def __init__(self, *, rate: float, is_wanted: bool = False, again_at: float = 0.0) -> None:
        self.left = 0
        self.slot = 0
        self.until = 0.0
        self.again_at = again_at
        self.rate = rate  # letters per second
        self.is_wanted = is_wanted

    def refill(self, grant: Grant, at: float) -> None:
        self.left, self.slot, self.is_wanted = grant.size, grant.slot, False
        self.until, self.again_at, self.rate = at + grant.valid, at + grant.again, grant.rate

    def wait(self, now: float) -> float:
        return 0.0 if self.left > 0 and now < self.until else max(self.again_at - now, 0.0)


class Told(NamedTuple):
    """What the store said, and when it was asked, on the steady clock."""

    at: float
    answer: Answer
    of_hour: Grant | None


class Pace:
    """Everything here belongs to the loop's thread; the stores are asked in another one, through `submit`.

    While `is_free` no letter needs to ask, and no acceptance to be noted; what was put off is always noted.
    """

    def __init__(
        self,
        server: str,
        limits: Limits,
        *,
        shared: Store,
        lasting: Store,
        submit: Submit,
        steady: Callable[[], float] = clock.steady,
    ):
        """`lasting` keeps the hour's count, which must survive a lost Redis."""
        self.is_free = limits.are_none
        self._server, self._limits = server, limits
        self._shared, self._lasting = shared, lasting
        self._submit, self._steady = submit, steady
        self._stocks = {name: Stock(rate=rate) for name, rate in limits.groups.items()}
        if limits.per_second:
            self._stocks[SERVER] = Stock(rate=limits.per_second, is_wanted=True)
        if limits.per_hour:
            self._stocks[HOUR] = Stock(rate=float("inf"), is_wanted=True)
        self._bound: dict[str, tuple[Stock, ...]] = {}  # what binds a group's letters
        self._slow: dict[str, Slow] = {}
        self._rounds: dict[str, Round] = {}
        self._seen: dict[str, Bad | None] = {}  # not told yet
        self._unused: dict[int, int] = {}  # of an hour's permits, by slot: not given back yet
        self._asking: Future[Told] | None = None
        self._asked_at = float("-inf")

    group = staticmethod(group_of)

    def may(self, group: str) -> bool:
        """Takes the permits that a letter of the group needs; False when there are none now."""
        now = self._steady()
        stocks = self._bound.get(group)
        if stocks is None:
            stocks = self._bind(group)
        is_out = False
        for stock in stocks:
            if stock.left <= 0 or now >= stock.until:
                stock.is_wanted = is_out = True
        if is_out:
            return False
        for stock in stocks:
            stock.left -= 1
            if not stock.left:
                stock.is_wanted = True
        return True

    def wait(self, group: str = SERVER) -> float:
        """Seconds until the group's own limits may let its next letter go; without a group: the server's."""
        now = self._steady()
        names = (group,) if group else (SERVER, HOUR)
        return max(self._stocks[name].wait(now) if name in self._stocks else 0.0 for name in names)

    def rate(self, group: str) -> float:
        """Letters per second that the group's own limits let go; infinite where the server's bind it first."""
        own, server = self._stocks.get(group), self._stocks.get(SERVER)
        return own.rate if own and (not server or own.rate < server.rate) else float("inf")

    def note(self, group: str, outcome: Outcome) -> None:
        """Takes in what the server said about a letter of the group."""
        if isinstance(outcome, Deferred):
            if not is_about_pace(outcome.reply):
                return
            self.is_free = False
        elif not isinstance(outcome, Accepted) or not (group in self._rounds or group in self._slow):
            return
        round_ = self._rounds.get(group)
        if round_ is None:
            round_ = self._rounds[group] = Round(self._steady())
        round_.count(outcome)
        if round_.is_full:
            self._judge(group)

    def turn(self) -> None:
        """Takes what the store has answered and asks it anew when it is time; several times a second."""
        self._take_answer()
        if self._asking is not None:
            return
        now = self._steady()
        for group in [group for group, round_ in self._rounds.items() if round_.is_over(now)]:
            self._judge(group)
        since = now - self._asked_at
        wanted = [name for name, stock in self._stocks.items() if stock.is_wanted and now >= stock.again_at]
        if since >= (ASK_EVERY if wanted or self._seen else LOOK_EVERY):
            self._ask(wanted, now)

    def rest(self) -> None:
        """The sender goes on with something else: what it has seen and what it has left is for others."""
        self._take_answer()
        for group in list(self._rounds):
            self._judge(group)
        self._collect_unused(float("inf"))
        if self._seen or self._unused:
            self._ask([], self._steady())

    def _bind(self, group: str) -> tuple[Stock, ...]:
        found = tuple(self._stocks[name] for name in (SERVER, HOUR, group) if name in self._stocks)
        self._bound[group] = found
        return found

    def _judge(self, group: str) -> None:
        """A round is over: a bad one slows the group down, a good one lets it rise again."""
        bad = self._rounds.pop(group).verdict(self._steady(), may_hold=group != REST)
        if bad or (group in self._slow and group not in self._seen):
            self._seen[group] = bad
        self._look_whether_free()

    def _ask(self, wanted: list[str], now: float) -> None:
        wish = Wish(frozenset(wanted) - {HOUR}, self._seen)
        self._collect_unused(now)
        self._asking = self._submit(self._ask_stores, wish, self._unused, HOUR in wanted)
        self._asked_at, self._seen, self._unused = now, {}, {}

    def _collect_unused(self, now: float) -> None:
        stock = self._stocks.get(HOUR)
        if stock and stock.left > 0 and now >= stock.until:
            self._unused[stock.slot] = self._unused.get(stock.slot, 0) + stock.left
            stock.left = 0

    # In the other thread

    def _ask_stores(self, wish: Wish, unused: dict[int, int], wants_hour: bool) -> Told:
        at = self._steady()
        act = partial(permits.settle, limits=self._limits, wish=wish)
        ask = self._shared.update if wish.names or wish.seen else self._shared.look
        answer = ask(self._server, act)
        of_hour = self._ask_for_hour(unused, wants_hour) if unused or wants_hour else None
        return Told(at, answer, of_hour)

    def _ask_for_hour(self, unused: dict[int, int], wanted: bool) -> Grant | None:
        act = partial(permits.take_of_hour, limit=self._limits.per_hour, unused=unused, wanted=wanted)
        return self._lasting.update(f"{self._server} {HOUR}", act)

    # Back in the loop's

    def _take_answer(self) -> None:
        if self._asking is None or not self._asking.done():
            return
        asking, self._asking = self._asking, None
        try:
            at, answer, of_hour = asking.result()
        except DBAPIError as error:  # whatever else the sender wants of it will say so, too
            log.warning("The pace at %s is not known: %s", self._server, error.orig)
            return
        self._slow = answer.slow
        for name in [name for name in self._stocks if self._is_unbound(name)]:
            del self._stocks[name]
        for name in answer.slow.keys() - self._stocks.keys():
            held, rate = answer.slow[name]
            self._stocks[name] = Stock(rate=rate or float("inf"), again_at=at + held)
        grants = answer.grants | ({HOUR: of_hour} if of_hour else {})
        for name, grant in grants.items():
            if name in self._stocks:
                self._stocks[name].refill(grant, at)
        self._bound.clear()
        self._look_whether_free()

    def _is_unbound(self, name: str) -> bool:
        return not (name in (SERVER, HOUR) or name in self._limits.groups or name in self._slow)

    def _look_whether_free(self) -> None:
        self.is_free = not (self._stocks or self._rounds or self._seen or self._slow)
