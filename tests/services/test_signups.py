import threading
from datetime import timedelta

import pytest
from sqlalchemy import select

from mailservice import clock
from mailservice.database import db, transaction
from mailservice.errors import Invalid, NotFound, Refused
from mailservice.models import Client, ClientSource, Consent, SignUp, Suppression, SuppressionReason, Turn
from mailservice.services import signups, unsubscribing
from tests import factories

SECRET = "a secret of this installation"
ADDRESS = "boris@example.org"
WORDS = {"title": "Our news", "text": "Twice a month.", "consent_text": "I agree.", "language": "en"}


@pytest.fixture
def owner(app):
    return factories.user()


@pytest.fixture
def form(owner):
    return save(owner)


def save(owner, **values):
    with transaction():
        return signups.save_form(owner, **({"is_open": True} | WORDS | values))


def ask(form, email="Boris@Example.org", full_name="Boris"):
    with transaction():
        return signups.ask(form, email=email, full_name=full_name, address="192.0.2.1", browser="Firefox")


def confirm(token):
    with transaction():
        return signups.confirm(token, secret=SECRET, address="192.0.2.2", browser="Safari")


def signed_up(form, **values):
    return confirm(signups.token(ask(form, **values), secret=SECRET))


def suppress(owner, reason, **values):
    with transaction() as session:
        session.add(Suppression(owner_id=owner.id, email_normalised=ADDRESS, reason=reason, **values))


def standing(owner):
    row = unsubscribing.standing(owner.id, email_normalised=ADDRESS)
    return row.reason if row else None


def rows(model):
    return db.session.scalars(select(model)).all()


def test_asking_alone_makes_no_client(form):
    ask(form)
    assert rows(Client) == rows(Consent) == []


def test_the_letters_link_makes_a_client_with_the_proof(owner, form):
    assert signed_up(form) is Turn.CONFIRMED
    (client,) = rows(Client)
    assert (client.email, client.email_normalised, client.full_name) == ("Boris@Example.org", ADDRESS, "Boris")
    assert (client.source, client.source_detail) == (ClientSource.FORM, "Our news")
    (proof,) = rows(Consent)
    assert (proof.owner_id, proof.email_normalised, proof.address) == (owner.id, ADDRESS, "192.0.2.2")
    assert {name: proof.detail[name] for name in ("text", "form", "asked_from", "browser")} == {
        "text": "I agree.",
        "form": "Our news",
        "asked_from": "192.0.2.1",
        "browser": "Safari",
    }
    assert abs(clock.now() - proof.at) < timedelta(minutes=1)
    assert rows(SignUp) == []


def test_the_proof_has_the_words_that_were_shown_and_not_those_of_today(owner, form):
    token = signups.token(ask(form), secret=SECRET)
    save(owner, consent_text="Quite another thing.")
    confirm(token)
    assert rows(Consent)[0].detail["text"] == "I agree."


def test_a_client_who_is_there_keeps_his_name_and_where_he_came_from(owner, form):
    factories.client(owner, email=ADDRESS, full_name="B. Ivanov", source=ClientSource.IMPORT)
    signed_up(form)
    (client,) = rows(Client)
    assert (client.full_name, client.source) == ("B. Ivanov", ClientSource.IMPORT)


def test_a_link_works_once_and_asking_twice_is_one_request(form):
    first, second = ask(form), ask(form, full_name="B. Ivanov")
    assert first.id == second.id
    token = signups.token(second, secret=SECRET)
    confirm(token)
    assert rows(Client)[0].full_name == "B. Ivanov"
    with pytest.raises(Refused):
        confirm(token)
    with pytest.raises(Refused):
        signups.asked(token, secret="another secret")


def test_who_had_unsubscribed_returns_by_his_own_click(owner, form):
    suppress(owner, SuppressionReason.UNSUBSCRIBED, said="too many")
    assert signed_up(form) is Turn.RETURNED
    assert standing(owner) is None
    assert [turn.turn for turn in rows(Consent)] == [Turn.RETURNED]


@pytest.mark.parametrize(
    "reason", [reason for reason in SuppressionReason if reason is not SuppressionReason.UNSUBSCRIBED]
)
def test_what_else_stands_on_the_stop_list_only_the_owner_lifts(owner, form, reason):
    suppress(owner, reason)
    assert signed_up(form) is Turn.ASKED_BACK
    assert standing(owner) is reason


def test_who_unsubscribed_on_top_of_a_bounce_is_left_with_the_bounce(owner, form):
    suppress(owner, SuppressionReason.UNSUBSCRIBED, before=SuppressionReason.HARD_BOUNCE, detail="550 5.1.1")
    assert signed_up(form) is Turn.ASKED_BACK
    assert standing(owner) is SuppressionReason.HARD_BOUNCE


def test_an_unconfirmed_request_is_forgotten_after_a_week(form, time_machine):
    token = signups.token(ask(form), secret=SECRET)
    time_machine.move_to(clock.now() + timedelta(days=6))
    with transaction():
        signups.forget()
    assert len(rows(SignUp)) == 1
    time_machine.move_to(clock.now() + timedelta(days=2))
    with pytest.raises(Refused):
        confirm(token)
    with transaction():
        signups.forget()
    assert rows(SignUp) == []


@pytest.mark.parametrize("why", ["closed", "blocked", "unconfirmed", "unknown"])
def test_a_form_that_takes_nobody_is_not_there(owner, form, why):
    if why == "closed":
        save(owner, is_open=False)
    with transaction() as session:
        session.add(owner)
        owner.blocked_at = clock.now() if why == "blocked" else None
        owner.confirmed_at = None if why == "unconfirmed" else owner.confirmed_at
    with pytest.raises(NotFound):
        signups.open_form("unknown" if why == "unknown" else form.key)


def test_the_address_of_a_form_stays_when_its_words_change(owner, form):
    key = form.key
    assert save(owner, title="Another title").key == key


@pytest.mark.parametrize("wrong", [{"title": " "}, {"consent_text": ""}, {"language": "xx"}, {"title": "a\nb"}])
def test_wrong_settings_are_told_beside_their_field(owner, wrong):
    with pytest.raises(Invalid) as refused:
        save(owner, **wrong)
    assert refused.value.field in wrong


def test_a_stamp_says_whether_a_person_had_time_to_read(owner, form, time_machine):
    now = clock.now().replace(microsecond=0)
    time_machine.move_to(now, tick=False)
    stamp = signups.stamp(form, secret=SECRET)
    other = save(factories.user())
    for seconds, read in ((0, False), (1, False), (2, True), (3600, True), (13 * 3600, False)):
        time_machine.move_to(now + timedelta(seconds=seconds), tick=False)
        assert signups.was_read(form, stamp, secret=SECRET) is read, seconds
    time_machine.move_to(now + timedelta(seconds=60), tick=False)
    assert not signups.was_read(other, stamp, secret=SECRET)
    for forged in ("", "x", stamp + "x", stamp[:-4], "\x00", "привет"):
        assert not signups.was_read(form, forged, secret=SECRET)


def test_three_clicks_at_once_are_one_consent(app, owner, form):
    tokens = [signups.token(ask(form, email=ADDRESS), secret=SECRET)] * 3
    turns = []

    def run(token):
        with app.app_context():
            try:
                turns.append(confirm(token))
            except Refused:
                turns.append(None)

    threads = [threading.Thread(target=run, args=(token,)) for token in tokens]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    db.session.rollback()
    assert turns.count(Turn.CONFIRMED) == 1
    assert len(rows(Client)) == len(rows(Consent)) == 1
