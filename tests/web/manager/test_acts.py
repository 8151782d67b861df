"""The desk's acts: blocking, disabling, their undoing, and roles; each with its form, its event and its limits."""

from __future__ import annotations

import re
from email import message_from_bytes
from email.policy import default

import pytest
from rq import SimpleWorker
from rq.serializers import JSONSerializer
from sqlalchemy import select

from mailservice import clock
from mailservice.database import db, transaction
from mailservice.models import Attempt, AttemptStatus, Event, Mailing, Reason, Role, User
from mailservice.queues import JsonJob, QueueName, queue
from mailservice.services.mailings import Phase, phase_of
from tests import factories
from tests.factories import post


@pytest.fixture
def owner(app):
    return factories.user(email="owner@shop.example", full_name="Olga Owner")


@pytest.fixture
def manager(app):
    return factories.user(role=Role.MANAGER, full_name="Maria Manager")


@pytest.fixture
def admin(app):
    return factories.user(role=Role.ADMIN)


@pytest.fixture
def signed_in(browser, manager):
    return factories.sign_in(browser, manager)


def fresh(row):
    db.session.rollback()
    return db.session.get_one(type(row), row.id)


def events():
    db.session.rollback()
    return db.session.scalars(select(Event).order_by(Event.id)).all()


def letters_of_workers(redis):
    accounts = queue(QueueName.ACCOUNTS, redis)
    SimpleWorker([accounts], connection=redis, job_class=JsonJob, serializer=JSONSerializer).work(burst=True)


# Users


def test_a_manager_blocks_a_user_and_lets_him_in_again(app, signed_in, owner, manager, redis):
    his_browser = factories.sign_in(app.test_client(), owner)
    assert his_browser.get("/mailings").status_code == 200
    page = post(signed_in, f"/manager/users/{owner.id}/block", {"reason": "Bought lists"}, follow_redirects=True).text
    assert "owner@shop.example is blocked." in page
    assert "Blocked by Maria Manager" in page
    assert "Bought lists" in page
    assert his_browser.get("/mailings").location.startswith("/sign-in")
    assert redis.llen("rq:queue:ticks") == 1
    page = post(signed_in, f"/manager/users/{owner.id}/unblock", follow_redirects=True).text
    assert "may sign in again" in page
    assert fresh(owner).is_active
    assert his_browser.get("/mailings").location.startswith("/sign-in")
    told = [(e.action, e.actor_id, e.subject_id, e.address, e.detail["reason"]) for e in events()]
    assert told == [
        ("blocked", manager.id, owner.id, "127.0.0.1", "Bought lists"),
        ("unblocked", manager.id, owner.id, "127.0.0.1", ""),
    ]


@pytest.mark.parametrize("reason", ["", "   ", "x" * 501, "a\x00b", "=?utf-8?q?x?="])
def test_a_reason_that_is_none_comes_back_beside_its_field(signed_in, owner, reason):
    mailing = factories.mailing(owner)
    for path in (f"/manager/users/{owner.id}/block", f"/manager/mailings/{mailing.id}/disable"):
        page = post(signed_in, path, {"reason": reason})
        assert page.status_code == 422
        assert 'id="reason-error"' in page.text
    assert fresh(owner).is_active
    assert fresh(mailing).disabled_at is None
    assert events() == []


@pytest.mark.parametrize("role", [Role.MANAGER, Role.ADMIN])
def test_a_manager_is_not_offered_to_block_those_above_users_and_cannot(signed_in, manager, role):
    for person in (factories.user(role=role), manager):
        page = signed_in.get(f"/manager/users/{person.id}").text
        assert "/block" not in page
        for act in ("block", "unblock"):
            path = f"/manager/users/{person.id}/{act}"
            assert signed_in.get(path).status_code == 409
            assert post(signed_in, path, {"reason": "x"}).status_code == 409
        assert fresh(person).is_active


def test_an_administrator_blocks_a_manager_and_never_himself(browser, admin, manager):
    factories.sign_in(browser, admin)
    assert post(browser, f"/manager/users/{manager.id}/block", {"reason": "Left"}).status_code == 302
    assert post(browser, f"/manager/users/{admin.id}/block", {"reason": "Left"}).status_code == 409
    assert not fresh(manager).is_active
    assert fresh(admin).is_active


def test_blocking_twice_says_that_it_is_done(signed_in, owner):
    path = f"/manager/users/{owner.id}/block"
    post(signed_in, path, {"reason": "Spam"})
    page = post(signed_in, path, {"reason": "More spam"})
    assert page.status_code == 422
    assert "This user is blocked already." in page.text
    assert fresh(owner).blocked_reason == "Spam"


# Roles


def test_an_administrator_gives_roles(app, browser, admin, owner):
    factories.sign_in(browser, admin)
    his_browser = factories.sign_in(app.test_client(), owner)
    page = post(browser, f"/manager/users/{owner.id}/role", {"role": "manager"}, follow_redirects=True).text
    assert "is now: manager" in page
    assert fresh(owner).role is Role.MANAGER
    assert his_browser.get("/mailings").location.startswith("/sign-in")
    assert [(e.action, e.actor_id, e.detail) for e in events()] == [
        ("role_changed", admin.id, {"before": "user", "after": "manager"})
    ]


def test_an_administrator_gives_and_takes_the_right_to_write_the_blog(app, browser, admin, owner):
    factories.sign_in(browser, admin)
    for is_editor, word in ((True, "user, writes the blog"), (False, "user")):
        posted = {"role": "user"} | ({"is_editor": "y"} if is_editor else {})
        page = post(browser, f"/manager/users/{owner.id}/role", posted, follow_redirects=True).text
        assert fresh(owner).is_editor is is_editor
        assert word in page
        assert ("writes the blog" in page) is is_editor


def test_for_a_manager_there_are_no_roles_to_give(signed_in, owner, manager):
    for person in (owner, manager):
        assert "/role" not in signed_in.get(f"/manager/users/{person.id}").text
        assert signed_in.get(f"/manager/users/{person.id}/role").status_code == 404
        assert post(signed_in, f"/manager/users/{person.id}/role", {"role": "admin"}).status_code == 404
    assert fresh(manager).role is Role.MANAGER


def test_the_last_administrator_cannot_step_down(browser, admin):
    factories.sign_in(browser, admin)
    page = post(browser, f"/manager/users/{admin.id}/role", {"role": "user"})
    assert page.status_code == 422
    assert "only administrator" in page.text
    assert fresh(admin).role is Role.ADMIN


@pytest.mark.parametrize("role", ["", "king", "ADMIN", "\x00"])
def test_a_role_that_is_none_is_refused(browser, admin, owner, role):
    factories.sign_in(browser, admin)
    assert post(browser, f"/manager/users/{owner.id}/role", {"role": role}).status_code == 422
    assert fresh(owner).role is Role.USER


# Mailings


def test_a_manager_disables_a_mailing_and_its_owner_learns_who_when_and_why(
    app, signed_in, owner, manager, mail_server, redis
):
    mailing = factories.mailing(owner, title="Weekly digest")
    with transaction() as session:
        values = {"occurrence": 0, "due_at": clock.now(), "status": AttemptStatus.SENDING}
        session.add(Attempt(mailing_id=mailing.id, owner_id=owner.id, **values))
    path = f"/manager/mailings/{mailing.id}"
    page = post(signed_in, f"{path}/disable", {"reason": "Complaints <b>"}, follow_redirects=True).text
    assert "Disabled by Maria Manager" in page
    assert db.session.scalars(select(Attempt)).one().reason is Reason.DISABLED
    number, owner_id = mailing.id, owner.id
    letters_of_workers(redis)
    (taken,) = mail_server.letters_to("owner@shop.example")
    letter = message_from_bytes(taken.content, policy=default)
    text = letter.get_body(("plain",)).get_content()
    for told in ("Weekly digest", "Maria Manager", "Complaints <b>", "Europe/Moscow", f"/mailings/{number}"):
        assert told in text
    assert "Complaints &lt;b&gt;" in letter.get_body(("html",)).get_content()
    owner = db.session.get_one(User, owner_id)
    his_page = factories.sign_in(app.test_client(), owner).get(f"/mailings/{number}").text
    for told in ("Disabled by Maria Manager", "Complaints &lt;b&gt;"):
        assert told in his_page
    (event,) = events()
    assert (event.action, event.actor.full_name, event.subject_id) == ("mailing_disabled", "Maria Manager", number)
    assert event.address == "127.0.0.1"


def test_a_mailing_is_enabled_again(signed_in, owner, redis):
    mailing = factories.mailing(owner)
    path = f"/manager/mailings/{mailing.id}"
    post(signed_in, f"{path}/disable", {"reason": "Complaints"})
    page = post(signed_in, f"{path}/enable", {"reason": "A mistake"}, follow_redirects=True).text
    assert "is enabled again" in page
    assert phase_of(fresh(mailing)) is Phase.CREATED
    assert [e.detail["reason"] for e in events()] == ["Complaints", "A mistake"]


def test_a_letter_about_a_mailing_that_is_enabled_by_then_is_not_sent(signed_in, owner, mail_server, redis):
    mailing = factories.mailing(owner)
    path = f"/manager/mailings/{mailing.id}"
    post(signed_in, f"{path}/disable", {"reason": "Complaints"})
    post(signed_in, f"{path}/enable")
    letters_of_workers(redis)
    assert mail_server.accepted == []


def test_disabling_twice_and_enabling_what_is_not_disabled_are_said_to_be_done(signed_in, owner):
    mailing = factories.mailing(owner)
    path = f"/manager/mailings/{mailing.id}"
    assert "not disabled" in post(signed_in, f"{path}/enable").text
    post(signed_in, f"{path}/disable", {"reason": "Complaints"})
    page = post(signed_in, f"{path}/disable", {"reason": "Again"})
    assert page.status_code == 422
    assert fresh(mailing).disabled_reason == "Complaints"


@pytest.mark.parametrize("act", ["edit", "pause", "resume", "cancel", "delete"])
def test_nothing_else_of_others_can_be_changed(signed_in, owner, act):
    mailing = factories.mailing(owner)
    assert post(signed_in, f"/mailings/{mailing.id}/{act}", {"title": "Mine now"}).status_code == 404
    assert db.session.scalars(select(Mailing.title)).all() == ["Weekly digest"]


@pytest.mark.parametrize("act", ["users/{}/block", "users/{}/unblock", "mailings/{}/disable", "mailings/{}/enable"])
def test_an_act_needs_its_form_and_somebody_to_act_on(signed_in, owner, act):
    mailing = factories.mailing(owner)
    number = mailing.id if "mailings" in act else owner.id
    path = "/manager/" + act.format(number)
    page = signed_in.get(path).text
    assert re.search(r'name="csrf_token"', page)
    assert signed_in.post(path, data={"reason": "x"}).status_code == 400
    for wrong in (0, 999_999, 2**63, 10**30):
        assert signed_in.get("/manager/" + act.format(wrong)).status_code == 404
        assert post(signed_in, "/manager/" + act.format(wrong), {"reason": "x"}).status_code == 404
    assert events() == []


def test_whoever_lost_his_role_a_moment_ago_acts_no_more(app, signed_in, manager, owner):
    with transaction() as session:
        session.get_one(User, manager.id).role = Role.USER
    assert post(signed_in, f"/manager/users/{owner.id}/block", {"reason": "x"}).status_code == 404
    assert fresh(owner).is_active
