import threading
from datetime import UTC, datetime, timedelta

import pytest

from mailservice import clock
from mailservice.database import transaction
from mailservice.errors import Invalid, NotFound, Refused
from mailservice.models import Attempt, AttemptStatus, Mailing, MailingStatus, Periodicity, User
from mailservice.services import audiences, mailing_lists, mailings
from mailservice.services.mailings import Phase
from mailservice.services.schedule import Schedule
from mailservice.web import filters
from tests import factories

TOMORROW = (datetime.now(UTC) + timedelta(days=1)).replace(tzinfo=None, microsecond=0)
DAY = timedelta(days=1)


@pytest.fixture
def owner(app):
    return factories.user()


@pytest.fixture
def anna(owner):
    return factories.client(owner, email="anna@example.org")


def plan(start=TOMORROW, end=None, zone="UTC", periodicity=Periodicity.DAILY):
    return Schedule(start, zone, periodicity, end)


def create(owner, **values):
    values = {"title": "Digest", "message_id": None, "plan": plan(), "audience": audiences.everyone()} | values
    values["message_id"] = values["message_id"] or factories.message(owner).id
    with transaction():
        return mailings.create(owner, **values)


def update(owner, mailing, **values):
    with transaction():
        fresh = mailings.own(owner, mailing.id, lock=True)
        values = {"title": fresh.title, "message_id": fresh.message_id, "audience": None} | values
        values.setdefault("plan", mailings.schedule.of(fresh))
        return mailings.update(fresh, owner, **values)


def attempt(mailing, **values):
    values = {"occurrence": 0, "due_at": clock.now(), "status": AttemptStatus.SENDING} | values
    with transaction() as session:
        row = Attempt(mailing_id=mailing.id, owner_id=mailing.owner_id, **values)
        session.add(row)
    return row


def test_a_mailing_in_the_future_waits_for_its_first_firing(owner, anna):
    mailing = create(owner)
    assert mailing.status is MailingStatus.CREATED
    assert (mailing.next_occurrence, mailing.next_at) == (0, TOMORROW.replace(tzinfo=UTC))
    assert audiences.count(mailing) == 1


def test_a_mailing_inside_its_window_is_due_at_once(owner, anna):
    mailing = create(owner, plan=plan(TOMORROW - 3 * DAY, TOMORROW + DAY))
    assert mailing.next_at <= clock.now()


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("end_date", plan(end=TOMORROW)),
        ("end_date", plan(end=TOMORROW - DAY)),
        ("end_date", plan(TOMORROW - 5 * DAY, TOMORROW - 2 * DAY)),
        ("end_date", plan(end=TOMORROW.replace(year=9999, day=1))),
        ("start_date", plan(TOMORROW.replace(year=9999, day=1))),
        ("start_date", plan(TOMORROW.replace(year=1999, day=1))),
        ("start_date", plan(TOMORROW.replace(year=1, day=1))),
        ("time_zone", plan(zone="Mars/Olympus")),
        ("time_zone", plan(zone="../etc/passwd")),
        ("time_zone", plan(zone="\x00")),
        ("time_zone", plan(zone="")),
    ],
)
def test_a_schedule_that_cannot_be_is_refused_beside_its_field(owner, anna, field, wrong):
    with pytest.raises(Invalid) as error:
        create(owner, plan=wrong)
    assert error.value.field == field
    assert mailing_lists.search(owner).total == 0


def test_somebody_elses_message_cannot_be_sent(owner, anna):
    with pytest.raises(Invalid) as error:
        create(owner, message_id=factories.message(factories.user()).id)
    assert error.value.field == "message_id"


def test_a_mailing_to_nobody_is_not_made(owner):
    with pytest.raises(Invalid) as error:
        create(owner)
    assert error.value.field == "audience"
    assert mailing_lists.search(owner).total == 0


def test_somebody_elses_mailing_is_not_there(owner):
    mailing = factories.mailing(factories.user())
    for mailing_id in (mailing.id, 2**63, 2**90):
        with pytest.raises(NotFound):
            mailings.own(owner, mailing_id)
    assert mailing_lists.search(owner).items == []


def test_a_new_schedule_arms_the_mailing_anew(owner, anna):
    mailing = create(owner)
    changed = update(owner, mailing, plan=plan(TOMORROW + DAY))
    assert changed.next_at == (TOMORROW + DAY).replace(tzinfo=UTC)


def test_a_new_title_leaves_the_schedule_alone_even_when_its_end_has_passed(owner, anna):
    mailing = factories.mailing(
        owner,
        start_local=TOMORROW - 5 * DAY,
        end_local=TOMORROW - 2 * DAY,
        next_at=None,
        status=MailingStatus.FINISHED,
    )
    assert update(owner, mailing, title="Renamed").title == "Renamed"
    assert update(owner, mailing).status is MailingStatus.FINISHED


def test_a_later_end_revives_a_finished_mailing(owner, anna):
    start = TOMORROW - 5 * DAY
    mailing = factories.mailing(
        owner, start_local=start, end_local=start + 2 * DAY, next_at=None, status=MailingStatus.FINISHED
    )
    changed = update(owner, mailing, plan=plan(start, TOMORROW + 5 * DAY))
    assert changed.status is MailingStatus.RUNNING
    assert changed.next_at == TOMORROW.replace(tzinfo=UTC)


def test_the_clients_stay_unless_others_are_chosen(owner, anna):
    mailing = create(owner)
    boris = factories.client(owner, email="boris@example.org")
    assert audiences.count(update(owner, mailing, title="Other")) == 1
    update(owner, mailing, audience=audiences.chosen(owner, pasted=boris.email))
    assert audiences.as_text(mailing) == "boris@example.org"


def test_a_mailing_with_an_open_attempt_is_not_deleted(owner):
    mailing = factories.mailing(owner)
    attempt(mailing)
    with pytest.raises(Refused), transaction():
        mailings.delete(mailings.own(owner, mailing.id, lock=True))
    assert mailings.own(owner, mailing.id)


def test_a_mailing_is_deleted_with_its_closed_attempts(owner):
    mailing = factories.mailing(owner)
    attempt(mailing, status=AttemptStatus.DONE)
    with transaction():
        mailings.delete(mailings.own(owner, mailing.id, lock=True))
    assert mailing_lists.search(owner).total == 0


def test_pausing_and_resuming(owner):
    mailing = factories.mailing(owner)
    with transaction():
        mailings.pause(mailings.own(owner, mailing.id))
    since = mailings.own(owner, mailing.id).paused_at
    with transaction():
        mailings.pause(mailings.own(owner, mailing.id))
    assert mailings.own(owner, mailing.id).paused_at == since
    with transaction():
        mailings.resume(mailings.own(owner, mailing.id))
    assert mailings.own(owner, mailing.id).paused_at is None


def test_a_firing_that_fell_into_the_pause_is_not_made_up_for(owner):
    now = clock.now()
    late = now - timedelta(minutes=5)
    mailing = factories.mailing(
        owner, start_local=late.replace(tzinfo=None), next_at=late, next_occurrence=0, paused_at=late - DAY
    )
    with transaction():
        mailings.resume(mailings.own(owner, mailing.id))
    assert mailings.own(owner, mailing.id).next_at > now


def test_a_finished_mailing_cannot_be_paused(owner):
    mailing = factories.mailing(owner, status=MailingStatus.FINISHED, next_at=None)
    with pytest.raises(Refused), transaction():
        mailings.pause(mailings.own(owner, mailing.id))


def test_resuming_does_not_lift_a_managers_disabling(owner):
    mailing = factories.mailing(owner, disabled_at=clock.now(), paused_at=clock.now())
    with transaction():
        mailings.resume(mailings.own(owner, mailing.id))
    assert mailings.phase_of(mailings.own(owner, mailing.id)) is Phase.DISABLED


def test_one_word_says_how_a_mailing_stands(owner):
    now = clock.now()
    rows = {
        Phase.DRAFT: factories.mailing(owner, is_draft=True, next_at=None),
        Phase.CREATED: factories.mailing(owner),
        Phase.RUNNING: factories.mailing(owner, status=MailingStatus.RUNNING),
        Phase.SENDING: factories.mailing(owner, status=MailingStatus.RUNNING),
        Phase.PAUSED: factories.mailing(owner, status=MailingStatus.RUNNING, paused_at=now),
        Phase.DISABLED: factories.mailing(owner, paused_at=now, disabled_at=now),
        Phase.FINISHED: factories.mailing(owner, status=MailingStatus.FINISHED, next_at=None, paused_at=now),
    }
    attempt(rows[Phase.SENDING])
    for phase, mailing in rows.items():
        assert mailings.phase_of(mailing) is phase
        assert [line.mailing.id for line in mailing_lists.search(owner, phase=phase).items] == [mailing.id]
    assert mailings.phases(owner) == dict.fromkeys(Phase, 1)


def test_the_list_finds_by_title_and_subject_and_shows_the_last_attempt(owner):
    message = factories.message(owner, subject="Spring sale")
    mailing = factories.mailing(owner, message=message, title="Offers")
    factories.mailing(owner, title="Other")
    attempt(mailing, status=AttemptStatus.DONE, sent=3)
    attempt(mailing, occurrence=1, status=AttemptStatus.DONE, sent=5, failed=1)
    for words in ("offer", "SPRING"):
        (line,) = mailing_lists.search(owner, words=words).items
        assert line.mailing.id == mailing.id
        assert (line.counts.sent, line.counts.failed, line.clients) == (5, 1, 1)
    assert mailing_lists.search(owner, words="%").total == 0


def test_one_mailing_comes_of_two_equal_ones_made_at_once(app, owner, anna):
    message = factories.message(owner)
    owner_id, values = owner.id, {"title": "Digest", "message_id": message.id, "plan": plan()}
    barrier = threading.Barrier(4)
    made = []

    def make():
        with app.app_context():
            barrier.wait()
            with transaction() as session:
                person = session.get(User, owner_id)
                made.append(mailings.create(person, audience=audiences.everyone(), **values).id)

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 4
    assert len(set(made)) == 1


def test_an_equal_mailing_is_made_later_or_with_another_title(app, owner, anna):
    message = factories.message(owner)

    def make(title):
        with transaction():
            return mailings.create(
                owner, title=title, message_id=message.id, plan=plan(), audience=audiences.everyone()
            ).id

    first = make("Digest")
    assert make("Another") != first
    with transaction() as session:
        session.get(Mailing, first).created_at = clock.now() - mailings.TWINS_WITHIN
    assert make("Digest") != first


def test_a_list_counts_the_clients_of_a_mailing_to_a_limit_and_says_so(app, monkeypatch):
    monkeypatch.setattr(mailing_lists, "MOST_COUNTED", 2)
    owner = factories.user()
    people = [factories.client(owner) for _ in range(4)]
    for title, number in (("A", 0), ("B", 2), ("C", 3), ("D", 4)):
        factories.mailing(owner, title=title, clients=people[:number])
    lines = mailing_lists.search(owner, order=mailing_lists.Order.TITLE).items
    assert [(line.clients, str(line.clients)) for line in lines] == [(0, "0"), (2, "2"), (2, ">2"), (2, ">2")]
    with app.test_request_context():
        shown = [filters.number(line.clients) for line in lines]
    assert [text.split()[-1] for text in shown] == ["0", "2", "2", "2"]
    assert [len(text.split()) > 1 for text in shown] == [False, False, True, True]
