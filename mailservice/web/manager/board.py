"""The first page of the desk: whether the service does its work, and what needs a look."""

from __future__ import annotations

from typing import Any

from flask_admin import expose
from flask_babel import lazy_gettext as _l

from mailservice import queues
from mailservice.services import health, overview
from mailservice.web.manager.desk import Closed


class Board(Closed):
    def __init__(self) -> None:
        super().__init__(name=_l("Overview"), endpoint="manager", url="/manager")

    @expose("/")
    def index(self) -> Any:
        machinery = queues.ask(_machinery)  # None: Redis does not answer
        return self.render("manager/board.html", board=overview.board(), machinery=machinery)


def _machinery(redis: Any) -> dict[str, Any]:
    lag = health.scheduler_lag(redis)
    return {
        "queues": queues.queue_states(redis),
        "workers": queues.worker_states(redis),
        "lag": lag,
        "is_late": lag is None or lag > health.LONGEST_LAG,
    }
