from itertools import pairwise

import pytest

from mailservice.models import AttemptStatus, MailingStatus, State
from mailservice.web import states


@pytest.mark.parametrize("state", [*State, *AttemptStatus, *MailingStatus, "waiting", "paused", "disabled"])
def test_every_state_has_a_word(state):
    assert str(state) in states.WORDS


@pytest.mark.parametrize(
    "counts",
    [
        {"sent": 1},
        {"sent": 99_999, "failed": 1},
        {"sent": 1, "waiting": 2, "failed": 3, "unknown": 4, "skipped": 5, "cancelled": 6},
    ],
)
def test_a_bar_is_full_and_shows_whatever_exists(counts):
    parts = states.segments(counts)
    assert {p.state: p.count for p in parts} == counts
    assert sum(p.width for p in parts) == pytest.approx(states.BAR_WIDTH, abs=0.1)
    assert min(p.width for p in parts) >= states.NARROWEST
    for left, right in pairwise(parts):
        assert right.x == pytest.approx(left.x + left.width, abs=0.1)


@pytest.mark.parametrize("counts", [{}, {"sent": 0}, {"sent": None}])
def test_nothing_is_an_empty_bar(counts):
    assert states.segments(counts) == []
