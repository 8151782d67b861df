import re

import pytest
from sqlalchemy import select

from mailservice.database import db, transaction
from mailservice.models import Attempt, AttemptStatus, Event, Role, User, UserSession
from mailservice.queues import QueueName, queue
from mailservice.services import tokens
from mailservice.services.tokens import Purpose
from tests import factories
from tests.factories import PASSWORD, post
from tests.web import routes

NEW = "a brand new password"


@pytest.fixture
def user(app):
    return factories.user(email="anna@example.org")


@pytest.fixture
def signed_in(browser, user):
    return factories.sign_in(browser, user)


@pytest.fixture
def elsewhere(app, user):
    """Another browser of the same user."""
    return factories.sign_in(app.test_client(), user)


def is_in(browser):
    return browser.get("/clients").status_code == 200


def rung():
    return [tuple(job.args[:2]) for job in queue(QueueName.ACCOUNTS).get_jobs()]


def last_event():
    return db.session.scalars(select(Event).order_by(Event.id.desc())).first()


def opens(app, email, password):
    return post(app.test_client(), "/sign-in", {"email": email, "password": password}).status_code == 302


def test_the_profile_is_changed_and_the_pages_speak_accordingly(signed_in, user):
    profile = {"full_name": "Анна", "language": "ru", "time_zone": "Asia/Tokyo"}
    assert post(signed_in, "/account", profile).location == "/account"
    assert (user.full_name, user.language, user.time_zone) == ("Анна", "ru", "Asia/Tokyo")
    page = signed_in.get("/account").text
    assert '<html lang="ru"' in page
    assert 'value="Анна"' in page


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("full_name", "x" * 201),
        ("full_name", "=?a?b?c?="),
        ("language", "xx"),
        ("time_zone", "Mars"),
        ("time_zone", ""),
    ],
)
def test_a_wrong_profile_is_told_beside_its_field_and_kept(signed_in, user, field, value):
    profile = {"full_name": "Bella", "language": "en", "time_zone": "UTC"} | {field: value}
    page = post(signed_in, "/account", profile)
    assert page.status_code == 422
    assert f'id="{field}-error"' in page.text
    assert db.session.get(User, user.id).full_name == "Anna Petrova"


def test_a_new_password_keeps_this_browser_and_signs_out_the_others(app, signed_in, elsewhere, user):
    before = signed_in.get_cookie("session").value
    data = {"current_password": PASSWORD, "password": NEW}
    assert post(signed_in, "/account/password", data).location == "/account"
    assert is_in(signed_in)
    assert not is_in(elsewhere)
    thief = app.test_client()
    thief.set_cookie("session", before)
    assert not is_in(thief)
    assert opens(app, "anna@example.org", NEW)
    assert not opens(app, "anna@example.org", PASSWORD)


def test_a_new_password_is_an_event_with_its_network_address(signed_in, user):
    data = {"current_password": PASSWORD, "password": NEW}
    post(signed_in, "/account/password", data, environ_base={"REMOTE_ADDR": "192.0.2.7"})
    event = last_event()
    assert (event.action, event.actor_id, event.address) == ("password_changed", user.id, "192.0.2.7")


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"current_password": "a wrong one", "password": NEW}, "current_password"),
        ({"current_password": "", "password": NEW}, "current_password"),
        ({"current_password": PASSWORD, "password": "short"}, "password"),
        ({"current_password": PASSWORD, "password": "anna@example.org"}, "password"),
    ],
)
def test_without_the_present_password_or_a_good_new_one_nothing_changes(signed_in, elsewhere, data, field):
    page = post(signed_in, "/account/password", data)
    assert page.status_code == 422
    assert f'id="{field}-error"' in page.text
    assert is_in(elsewhere)


def asked_for(browser, email="new@example.org", password=PASSWORD):
    return post(browser, "/account/address", {"email": email, "current_password": password})


def address_link(app, user):
    token = tokens.make(user, purpose=Purpose.ADDRESS, secret=app.config["SECRET_KEY"])
    return f"/address/{token}"


def test_a_new_address_waits_until_its_letter_is_opened(app, signed_in, elsewhere, user):
    assert asked_for(signed_in).location == "/account/address"
    assert rung() == [("address", user.id), ("moving", user.id)]
    assert "new@example.org" in signed_in.get("/account").text
    assert db.session.get(User, user.id).email == "anna@example.org"
    url = address_link(app, user)
    assert signed_in.get(url).status_code == 200
    assert db.session.get(User, user.id).email == "anna@example.org"
    assert post(signed_in, url).location == "/account"
    assert db.session.get(User, user.id).email == "new@example.org"
    assert is_in(signed_in)
    assert not is_in(elsewhere)
    assert post(signed_in, url).status_code == 410
    assert opens(app, "new@example.org", PASSWORD)
    assert not opens(app, "anna@example.org", PASSWORD)


def test_a_new_address_needs_the_password(signed_in, user):
    page = asked_for(signed_in, password="a wrong one")
    assert page.status_code == 422
    assert 'id="current_password-error"' in page.text
    assert 'value="new@example.org"' in page.text
    assert rung() == []


def test_the_letters_link_is_for_the_account_that_asked_alone(app, signed_in, user):
    """Whoever reads the letter without knowing the password must not hand his address to a stranger's account."""
    asked_for(signed_in)
    url = address_link(app, user)
    assert app.test_client().get(url).location.startswith("/sign-in")
    stranger = factories.sign_in(app.test_client(), factories.user())
    assert stranger.get(url).status_code == 410
    assert post(stranger, url).status_code == 410
    assert db.session.get(User, user.id).email == "anna@example.org"


def test_whether_an_address_is_taken_is_told_to_nobody(signed_in):
    other = factories.user(email="taken@example.org")

    def seen(email):
        location = asked_for(signed_in, email).location
        page = signed_in.get(location).text
        return location, re.sub(r'[\w.]+@example\.org|value="[^"]+"', "", page)

    assert seen("taken@example.org") == seen("free@example.org")
    assert rung()[0] == ("exists", other.id)


def test_the_letter_is_sent_again_and_the_change_given_up(signed_in, user):
    asked_for(signed_in)
    post(signed_in, "/account/address/resend")
    assert rung()[2:] == [("address", user.id)]
    assert "waits for its confirmation" in signed_in.get("/account/address").text
    post(signed_in, "/account/address/give-up")
    assert "waits for its confirmation" not in signed_in.get("/account/address").text
    post(signed_in, "/account/address/resend")
    assert len(rung()) == 3


def test_the_list_shows_where_one_is_signed_in(app, signed_in, user):
    agent = "Mozilla/5.0 (Windows NT 10.0) Gecko/20100101 Firefox/140.0"
    phone = app.test_client()
    data = {"email": "anna@example.org", "password": PASSWORD}
    post(phone, "/sign-in", data, headers={"User-Agent": agent}, environ_base={"REMOTE_ADDR": "192.0.2.7"})
    page = signed_in.get("/account").text
    assert "Firefox, Windows" in page
    assert "192.0.2.7" in page
    assert page.count("this browser") == 1


def test_one_session_is_signed_out_and_the_others_stay(signed_in, elsewhere, user):
    (here, there) = db.session.scalars(select(UserSession.id).order_by(UserSession.id))
    assert post(signed_in, f"/account/sessions/{there}/end").status_code == 302
    assert not is_in(elsewhere)
    assert is_in(signed_in)
    post(signed_in, f"/account/sessions/{here}/end")
    assert not is_in(signed_in)


def test_signing_out_everywhere_ends_this_session_too(signed_in, elsewhere):
    assert post(signed_in, "/account/sessions/end").location == "/sign-in"
    assert not is_in(signed_in)
    assert not is_in(elsewhere)
    assert last_event().action == "signed_out_everywhere"


def test_an_account_is_deleted_with_its_password_and_all_that_is_in_it(app, signed_in, elsewhere, user):
    routes.make_things(user)
    page = signed_in.get("/account/delete").text
    assert "1 client" in page
    assert "2 messages" in page
    user_id = user.id
    assert post(signed_in, "/account/delete", {"current_password": PASSWORD}).location == "/"
    assert "Your account is deleted" in signed_in.get("/").text
    assert not is_in(signed_in)
    assert not is_in(elsewhere)
    assert db.session.scalar(select(User.id)) is None
    assert (last_event().action, last_event().subject_id) == ("account_deleted", user_id)
    assert not opens(app, "anna@example.org", PASSWORD)


def test_an_account_is_not_deleted_without_its_password(signed_in, user):
    page = post(signed_in, "/account/delete", {"current_password": "a wrong one"})
    assert page.status_code == 422
    assert db.session.get(User, user.id)


def test_an_account_is_not_deleted_while_a_mailing_is_being_sent(signed_in, user):
    things = routes.make_things(user)
    with transaction():
        db.session.get(Attempt, things.attempt_id).status = AttemptStatus.SENDING
    page = post(signed_in, "/account/delete", {"current_password": PASSWORD})
    assert page.status_code == 422
    assert "is being sent" in page.text
    assert is_in(signed_in)


def test_the_only_administrator_is_told_so(app, browser):
    factories.sign_in(browser, factories.user(role=Role.ADMIN))
    page = post(browser, "/account/delete", {"current_password": PASSWORD})
    assert page.status_code == 422
    assert "only administrator" in page.text


def test_a_form_open_in_another_tab_stays_good_when_the_session_is_renewed(signed_in):
    token = factories.csrf_token(signed_in)
    assert post(signed_in, "/account/password", {"current_password": PASSWORD, "password": NEW}).status_code == 302
    message = {"subject": "News", "body": "Good day", "csrf_token": token}
    assert signed_in.post("/messages/new", data=message).status_code == 302


def test_somebody_else_in_the_same_browser_gets_forms_of_his_own(signed_in):
    factories.user(email="boris@example.org")
    token = factories.csrf_token(signed_in)
    post(signed_in, "/sign-out")
    assert post(signed_in, "/sign-in", {"email": "boris@example.org", "password": PASSWORD}).status_code == 302
    assert signed_in.post("/messages/new", data={"subject": "News", "csrf_token": token}).status_code == 400
