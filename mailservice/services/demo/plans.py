"""The mailings of the demonstration, as a table; days are counted from today in the owner's zone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from mailservice.models import Periodicity, Reason
from mailservice.services.schedule import Schedule

ONCE, DAILY = Periodicity.ONCE, Periodicity.DAILY
WEEKLY, MONTHLY = Periodicity.WEEKLY, Periodicity.MONTHLY
CALM = timedelta(hours=2)  # around this moment no mailing but one fires


@dataclass(frozen=True)
class Plan:
    """`clients`: the first and the last (excluded) of the owner's clients, in order of their making."""

    title: str
    message: str
    clients: tuple[int, int]
    periodicity: Periodicity = ONCE
    start: int = 0  # days from today
    hour: int = 10
    end: int | None = None  # days from today
    due_now: bool = False
    month_ends: bool = False  # begins on the 31st of a month, at least `start` days ago
    weekday: int | None = None  # begins on this day of the week (Monday is 0), at least `start` days ago
    skipped: Mapping[int, Reason] = field(default_factory=dict)  # by occurrence: never sent, and why
    stopped: Reason | None = None  # its last attempt was, halfway through
    paused: int | None = None  # days ago
    disabled: str | None = None  # a manager's reason, given during the last attempt

    def schedule(self, now: datetime, time_zone: str) -> Schedule:
        """When it fires; moved by hours so that nothing but what is `due_now` falls due around this moment."""
        local = now.astimezone(ZoneInfo(time_zone)).replace(tzinfo=None, second=0, microsecond=0)
        if self.due_now:
            return Schedule(local, time_zone, ONCE, local + timedelta(days=self.end or 1))
        day = local.date() + timedelta(days=self.start)
        while (self.month_ends and day.day != 31) or self.weekday not in (None, day.weekday()):
            day -= timedelta(days=1)
        end = None if self.end is None else datetime.combine(local.date() + timedelta(days=self.end), time(23, 59))
        for hours in (0, 4, 8):
            start = datetime.combine(day, time(self.hour)) + timedelta(hours=hours)
            found = Schedule(start, time_zone, self.periodicity, end)
            if not _fires_around(found, now):
                break
        return found


def _fires_around(plan: Schedule, now: datetime) -> bool:
    following = next(plan.firings(after=now - CALM), None)
    return following is not None and following <= now + CALM


ANNA = (
    Plan("Добро пожаловать: первая рассылка", "welcome", (100, 140), due_now=True, end=30),
    Plan("Сводка для бариста", "shift", (60, 84), DAILY, start=-13, hour=7, skipped={5: Reason.MISSED}),
    Plan("Новинки недели", "novelties", (0, 96), WEEKLY, start=-51, hour=11),
    Plan("Отчёт партнёрам за месяц", "month", (84, 112), MONTHLY, start=-100, hour=12, month_ends=True),
    Plan("Скидка на Эфиопию", "discount", (0, 140), start=-20),
    Plan("Неделя до открытия второй кофейни", "shift", (64, 82), DAILY, start=-40, hour=9, end=-34),
    Plan("Субботняя дегустация", "tasting", (20, 58), WEEKLY, start=-30, hour=12, weekday=3, paused=6),
    Plan(
        "Акция партнёра",
        "export",
        (0, 48),
        WEEKLY,
        start=-16,
        hour=15,
        stopped=Reason.DISABLED,
        disabled="Жалобы получателей: клиенты не соглашались на рекламу партнёра.",
    ),
    Plan("Опрос: пять вопросов о кофе", "survey", (0, 152), start=6, hour=11),
    Plan("Wholesale offer list", "export", (140, 152), MONTHLY, start=12, hour=10, end=400),
)
JOHN = (
    Plan("Sunday reading list", "reading", (0, 70), WEEKLY, start=-45, hour=9, weekday=6),
    Plan("Books at the counter", "orders", (40, 56), DAILY, start=-9, hour=8, skipped={3: Reason.MISSED}),
    Plan("Catalogue of maps and charts", "catalogue", (0, 90), start=-28, hour=14),
    Plan("Русская полка", "russian", (56, 84), start=-3, hour=12, stopped=Reason.REFUSED),
    Plan("Loyalty points", "statement", (20, 90), MONTHLY, start=5, hour=10),
    Plan("An evening with a cartographer", "evening", (0, 90), start=9, hour=17),
    Plan("Late orders", "orders", (60, 72), DAILY, start=-12, hour=16, paused=4),
)
