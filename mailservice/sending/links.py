"""Links: a sender's own ways to the mail servers, and which of them is next."""

from __future__ import annotations

import random
from collections.abc import Collection
from typing import NamedTuple

from redis import Redis

from mailservice.mail_servers import Limits
from mailservice.sending.books import Books
from mailservice.sending.burdens import Burdens
from mailservice.sending.pacing import DatabaseStore, Pace, SharedStore
from mailservice.smtp import Loop, Server


class Route(NamedTuple):
    """A mail server by its name, its share of the letters, the connections of each sender, and the limits of all."""

    name: str  # what its breaker and its pace are kept under
    server: Server
    weight: float = 1
    connections: int = 1
    limits: Limits = Limits()


class Link:
    """Connections that live as long as the sender, and its pace. `load` is letters carried, by weight."""

    def __init__(self, route: Route, redis: Redis | None, books: Books):
        lasting = DatabaseStore()
        self.route = route
        self.loop = Loop(route.server, connections=route.connections)
        self.pace = Pace(
            route.name, route.limits, shared=SharedStore(redis, lasting), lasting=lasting, submit=books.submit
        )
        self.burdens = Burdens()
        self.is_clean = True  # nothing is held against it
        self.load = random.expovariate(route.weight)  # nosec B311: so that the first choice is by weight, too

    def carried(self, letters: int) -> None:
        self.load += letters / self.route.weight


def next_of(links: Collection[Link], well: Collection[Link]) -> Link:
    """The link that has carried least of those that are well; the others need not make up for it later."""
    chosen = min(well, key=lambda link: link.load)
    for link in links:
        link.load = max(link.load, chosen.load)
    return chosen
