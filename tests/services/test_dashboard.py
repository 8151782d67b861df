from datetime import timedelta

from mailservice import clock
from mailservice.database import db, transaction
from mailservice.models import Attempt, AttemptStatus, Breaker, Mailing
from mailservice.services import dashboard
from mailservice.services.mailings import Phase
from tests import factories
from tests.queries import counted


def attempt(mailing, *, occurrence=0, ago=timedelta(hours=1), **values):
    values.setdefault("status", AttemptStatus.DONE)
    with transaction() as session:
        row = Attempt(
            mailing_id=mailing.id,
            owner_id=mailing.owner_id,
            occurrence=occurrence,
            due_at=clock.now() - ago,
            **values,
        )
        session.add(row)
    return row


def test_a_new_user_has_three_steps_before_him(app):
    board = dashboard.of(factories.user(), servers=["a:25", "b:25"])
    assert board.is_new
    steps = [board.has_clients, board.has_messages, board.has_mailings]
    assert steps == [False, False, False]
    assert [*board.attempts, *board.failed, *board.firings] == []


def test_made_steps_are_seen(app):
    owner = factories.user()
    factories.client(owner)
    board = dashboard.of(owner, servers=[])
    assert (board.has_clients, board.has_messages, board.has_mailings) == (True, False, False)


def test_problems_are_recent_attempts_with_losses(app):
    owner = factories.user()
    mailing = factories.mailing(owner)
    bad = attempt(mailing, succeeded=False, failed=2, audience=2)
    attempt(mailing, occurrence=1, succeeded=True, sent=2, audience=2)
    attempt(mailing, occurrence=2, succeeded=False, ago=timedelta(days=30))
    attempt(mailing, occurrence=3, succeeded=False, status=AttemptStatus.SKIPPED)
    board = dashboard.of(owner, servers=[])
    assert [a.id for a in board.failed] == [bad.id]
    assert len(board.attempts) == 4
    assert board.counts[bad.id].failed == 2


def test_only_mailings_that_will_fire_come_next(app):
    owner = factories.user()
    later = factories.mailing(owner, title="later", next_at=clock.now() + timedelta(days=2))
    sooner = factories.mailing(owner, title="sooner", next_at=clock.now() + timedelta(days=1))
    factories.mailing(owner, paused_at=clock.now())
    stopped = factories.mailing(owner, disabled_at=clock.now())
    factories.mailing(owner, next_at=None, next_occurrence=None)
    factories.mailing(factories.user())
    board = dashboard.of(owner, servers=[])
    assert [m.id for m in board.firings] == [sooner.id, later.id]
    assert [m.id for m in board.disabled] == [stopped.id]


def test_a_mail_server_that_is_away_is_a_problem(app):
    with transaction() as session:
        session.add(Breaker(name="a:25", retry_at=clock.now() + timedelta(seconds=30)))
        session.add(Breaker(name="b:25"))
    assert [b.name for b in dashboard.of(factories.user(), servers=["a:25", "b:25"]).breakers] == ["a:25"]


def test_the_page_costs_as_many_questions_however_much_there_is(app):
    owner = factories.user()

    def questions() -> int:
        db.session.rollback()
        with counted() as statements:
            board = dashboard.of(owner, servers=["a:25"])
            assert all(isinstance(a.mailing, Mailing) for a in board.attempts)
        return len(statements)

    def more() -> None:
        attempt(factories.mailing(owner), succeeded=False)
        attempt(factories.mailing(owner), status=AttemptStatus.SENDING)

    more()
    few = questions()
    for _ in range(4):
        more()
    assert questions() == few < 20


def test_what_is_sent_now_and_how_many_mailings_stand_how(app):
    owner = factories.user()
    sending = factories.mailing(owner)
    attempt(sending, status=AttemptStatus.SENDING)
    factories.mailing(owner, is_draft=True, next_at=None)
    board = dashboard.of(owner, servers=[])
    assert [watch.mailing.id for watch in board.running] == [sending.id]
    assert board.phases == {Phase.SENDING: 1, Phase.DRAFT: 1}
    assert set(board.sent.values()) == {0}
