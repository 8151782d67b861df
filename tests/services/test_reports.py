from datetime import timedelta

import pytest
from sqlalchemy import func, select

from mailservice import clock
from mailservice.database import db, transaction
from mailservice.errors import NotFound
from mailservice.models import Attempt, AttemptStatus, Batch, Delivery, Reason, Result, State
from mailservice.services import reports
from mailservice.services.counting import STATES, counts_of
from mailservice.services.reports import Ending, Which
from tests import factories

SPREAD = {"sent": 5, "waiting": 3, "failed": 4, "unknown": 2, "skipped": 1, "cancelled": 2}
REPLIES = {
    "sent": {"code": 250, "enhanced": "2.0.0", "reply": "250 2.0.0 queued"},
    "failed": {"code": 550, "enhanced": "5.1.1", "reply": "550 5.1.1 user unknown"},
    "skipped": {"reason": Reason.SUPPRESSED},
    "cancelled": {"reason": Reason.ENDED},
}


@pytest.fixture
def owner(app):
    return factories.user()


def attempt(owner, spread=SPREAD, *, status=AttemptStatus.SENDING, mailing=None, **values):
    """An attempt whose deliveries are spread over the states; every second waiting one is deferred."""
    mailing = mailing or factories.mailing(owner)
    values = {"occurrence": 0, "due_at": clock.now(), "status": status} | values
    row = Attempt(mailing_id=mailing.id, owner_id=owner.id, **values)
    with transaction() as session:
        session.add(row)
        session.flush()
        if not row.is_open:
            for state, number in spread.items():
                if state != "waiting":
                    setattr(row, state, number)
        batch = {"waiting": 0, **spread}
        session.add(Batch(attempt_id=row.id, number=0, size=sum(spread.values()), **batch))
        session.flush()
        for number, state in enumerate(s for s in spread for _ in range(spread[s])):
            _deliver(session, row, number, state)
    return row


def _deliver(session, attempt, number, state):
    email = f"{number:03}.{state}@example.org"
    delivery = Delivery(
        attempt_id=attempt.id,
        batch=0,
        client_id=number + 1,
        email=email,
        email_normalised=email,
        full_name="Boris",
        comment="",
    )
    session.add(delivery)
    session.flush()
    result = {"delivery_id": delivery.id, "attempt_id": attempt.id, "round": 1, "tried_at": clock.now()}
    if state != "waiting":
        session.add(Result(**result, state=State(state), **REPLIES.get(state, {})))
    elif number % 2:
        later = clock.now() + timedelta(minutes=5)
        session.add(Result(**result, state=State.DEFERRED, code=451, reply="451 later", not_before=later))


def everybody(attempt, which, size=2):
    """All deliveries of a list, walked stretch by stretch, forwards."""
    found, after = [], None
    while True:
        page = reports.deliveries(attempt, which, size=size, after=after)
        found += page.lines
        if page.after is None:
            return found
        after = page.after


@pytest.mark.parametrize("status", [AttemptStatus.SENDING, AttemptStatus.CANCELLED])
def test_every_number_is_the_number_of_deliveries_in_the_list_behind_it(owner, status):
    spread = SPREAD if status is AttemptStatus.SENDING else SPREAD | {"waiting": 0}
    row = attempt(owner, spread, status=status)
    counts = counts_of([row])[row.id]
    by_state = dict(
        db.session.execute(
            select(Result.state, func.count()).where(Result.state != State.DEFERRED).group_by(Result.state)
        ).all()
    )
    for state in STATES:
        lines = everybody(row, Which(state))
        assert len(lines) == getattr(counts, state) == spread[state]
        assert {line.state for line in lines} <= {None if state == "waiting" else State(state)}
        if state != "waiting":
            assert by_state[State(state)] == spread[state]
    assert counts.total == len(everybody(row, Which())) == sum(spread.values())


def test_a_delivery_sent_again_counts_by_its_current_round(owner):
    row = attempt(owner, {"failed": 2})
    with transaction() as session:
        first = session.scalars(select(Delivery).order_by(Delivery.id)).first()
        first.round = 2
        batch = session.scalars(select(Batch)).one()
        batch.failed, batch.waiting = 1, 1
    assert [line.delivery.id for line in everybody(row, Which("waiting"))] == [first.id]
    assert len(everybody(row, Which("failed"))) == 1
    assert [kind.number for kind in reports.troubles(row)] == [1]


def test_a_long_list_is_walked_forwards_and_back(owner):
    row = attempt(owner, {"sent": 5})
    first = reports.deliveries(row, Which("sent"), size=2)
    second = reports.deliveries(row, Which("sent"), size=2, after=first.after)
    third = reports.deliveries(row, Which("sent"), size=2, after=second.after)
    assert (first.before, third.after) == (None, None)
    back = reports.deliveries(row, Which("sent"), size=2, before=third.before)
    assert [line.delivery.id for line in back.lines] == [line.delivery.id for line in second.lines]
    beginning = reports.deliveries(row, Which("sent"), size=2, before=back.before)
    assert beginning.before is None
    assert [line.delivery.id for line in beginning.lines] == [line.delivery.id for line in first.lines]


def test_deliveries_are_found_by_a_part_of_the_address(owner):
    row = attempt(owner)
    assert len(everybody(row, Which("failed", "FAILED@exam"))) == 4
    assert everybody(row, Which("failed", "%")) == []
    assert everybody(row, Which("sent", "failed@")) == []


def test_why_letters_were_not_delivered_is_grouped_and_each_group_opens_its_list(owner):
    row = attempt(owner, SPREAD | {"waiting": 0}, status=AttemptStatus.CANCELLED)
    with transaction() as session:
        odd = session.scalars(select(Result).where(Result.state == State.FAILED)).first()
        odd.code, odd.enhanced, odd.reply = 552, "5.2.2", "552 5.2.2 mailbox full"
    kinds = reports.troubles(row)
    assert [kind.number for kind in kinds] == [3, 2, 2, 1, 1]
    assert kinds[0].reply == "550 5.1.1 user unknown"
    for kind in kinds:
        which = Which(kind.state, reason=kind.reason, code=kind.code, enhanced=kind.enhanced, exact=True)
        assert len(everybody(row, which)) == kind.number


def test_the_letters_put_off_and_their_next_try(owner):
    number, at = reports.deferred(attempt(owner))
    assert number == sum(1 for n in range(5, 8) if n % 2)
    assert at > clock.now()


def test_a_delivery_shows_its_latest_answer_and_its_tries(owner):
    row = attempt(owner, {"sent": 1})
    with transaction() as session:
        delivery = session.scalars(select(Delivery)).one()
        deferred = {"state": State.DEFERRED, "code": 451, "tried_at": clock.now(), "attempt_id": row.id}
        session.add(Result(delivery_id=delivery.id, round=1, **deferred))
    (line,) = reports.deliveries(row, Which()).lines
    assert (line.state, line.latest.code, line.tries) == (State.SENT, 250, 2)


def test_somebody_elses_attempt_is_not_there(owner):
    row = attempt(factories.user())
    for attempt_id in (row.id, 2**63, 2**100):
        with pytest.raises(NotFound):
            reports.own(owner, attempt_id)
    assert reports.attempts(owner).items == []


def test_attempts_are_filtered_by_mailing_and_by_how_they_ended(owner):
    mailing = factories.mailing(owner)
    done = AttemptStatus.DONE
    rows = {
        Ending.OPEN: attempt(owner, {"waiting": 1}, mailing=mailing),
        Ending.SUCCEEDED: attempt(owner, {"sent": 1}, status=done, succeeded=True),
        Ending.TROUBLED: attempt(owner, {"sent": 1, "failed": 1}, status=done, succeeded=False),
        Ending.STOPPED: attempt(owner, {"cancelled": 1}, status=AttemptStatus.CANCELLED),
        Ending.SKIPPED: attempt(owner, {}, status=AttemptStatus.SKIPPED, reason=Reason.MISSED),
    }
    for ending, row in rows.items():
        assert reports.ending_of(row) is ending
        assert [line.attempt.id for line in reports.attempts(owner, ending=ending).items] == [row.id]
    lines = reports.attempts(owner, mailing_id=mailing.id).items
    assert [line.attempt.id for line in lines] == [rows[Ending.OPEN].id]
    assert lines[0].counts.waiting == 1
