"""The whole way of a stranger: form, letter, link, click; and what keeps robots out."""

import re
from datetime import timedelta
from email import message_from_bytes
from email.policy import default
from urllib.parse import urlsplit

import pytest
from flask import current_app
from sqlalchemy import select

from mailservice import clock
from mailservice.database import db, transaction
from mailservice.jobs import entries
from mailservice.models import Client, Consent, SignUp, Suppression, SuppressionReason
from mailservice.queues import QueueName, queue
from mailservice.services import signups
from tests import factories

ADDRESS = "boris@example.org"
BORIS = {"email": ADDRESS, "full_name": "Boris"}


@pytest.fixture
def owner(app):
    return factories.user(full_name="Shop")


@pytest.fixture
def url(owner):
    words = {"title": "Our news", "text": "Twice a month.", "consent_text": "I agree.", "language": "en"}
    with transaction():
        form = signups.save_form(owner, is_open=True, **words)
    return f"/join/{form.key}"


def stamp(page):
    return re.search(r'name="shown" value="([^"]+)"', page.text)[1]


def asks(browser, url, time_machine, data=BORIS, **options):
    """As a person does: the form is shown, filled in, and sent some seconds later."""
    shown = stamp(browser.get(url))
    time_machine.move_to(clock.now() + timedelta(seconds=5))
    return browser.post(url, data=data | {"shown": shown}, **options)


def rung():
    """The letters that wait for a worker, as its arguments."""
    return [job.args for job in queue(QueueName.ACCOUNTS).jobs]


def work():
    """What a worker does, which has a session of its own."""
    with current_app.app_context():
        for args in rung():
            entries.account_letter(*args)
        queue(QueueName.ACCOUNTS).empty()


def letter(mail_server, address=ADDRESS):
    """Sends what waits; the letter to the address."""
    work()
    return message_from_bytes(mail_server.letters_to(address)[-1].content, policy=default)


def link(mail_server):
    text = letter(mail_server).get_body(("plain",)).get_content()
    return urlsplit(re.search(r"http\S+/join/confirm/\S+", text)[0]).path


def rows(model):
    db.session.rollback()
    return db.session.scalars(select(model)).all()


def test_a_stranger_signs_up_by_form_letter_and_click(owner, url, browser, mail_server, time_machine):
    page = browser.get(url)
    assert "I agree." in page.text
    answer = asks(browser, url, time_machine)
    assert "Check your mail" in answer.text
    assert rows(Client) == []
    path = link(mail_server)
    assert browser.get(path).status_code == browser.head(path).status_code == 200
    assert rows(Client) == rows(Consent) == []
    answer = browser.post(path, environ_base={"REMOTE_ADDR": "192.0.2.7"}, headers={"User-Agent": "A browser"})
    assert answer.status_code == 200
    assert "You are on the list" in answer.text
    (client,), (proof,) = rows(Client), rows(Consent)
    assert (client.email, client.full_name, client.source.value) == (ADDRESS, "Boris", "form")
    assert (proof.address, proof.detail["browser"], proof.detail["text"]) == ("192.0.2.7", "A browser", "I agree.")
    assert browser.get(path).status_code == browser.post(path).status_code == 410
    page = factories.sign_in(browser, owner).get(f"/clients/{client.id}").text
    assert "signed up by the form “Our news”" in page
    assert "192.0.2.7" in page


def test_the_letter_repeats_nothing_that_a_stranger_typed(url, browser, mail_server, time_machine):
    asks(browser, url, time_machine, BORIS | {"full_name": "Buy at evil.example now"})
    made = letter(mail_server)
    assert made["Subject"] == "“Our news”: confirm your address"
    assert made["Auto-Submitted"] == "auto-generated"
    assert "evil.example" not in made.as_string()


def test_the_answer_is_the_same_whatever_is_known_of_the_address(owner, url, browser, time_machine):
    factories.client(owner, email="known@example.org")
    with transaction() as session:
        for name in ("unsubscribed", "hard_bounce", "complaint"):
            email = f"{name.replace('_', '-')}@example.org"
            session.add(Suppression(owner_id=owner.id, email_normalised=email, reason=SuppressionReason(name)))
    answers = set()
    for name in ("fresh", "known", "unsubscribed", "hard-bounce", "complaint"):
        answer = asks(browser, url, time_machine, {"email": f"{name}@example.org"})
        answers.add((answer.status_code, answer.text.replace(name, "…")))
    assert len(answers) == 1
    assert len(rung()) == 5


@pytest.mark.parametrize("trap", ["website", "too quick", "no stamp", "forged stamp", "another form's stamp"])
def test_a_robot_gets_no_letter_sent(url, browser, time_machine, trap):
    if trap == "website":
        assert asks(browser, url, time_machine, BORIS | {"website": "http://evil.example"}).status_code == 200
    else:
        forged = {"too quick": stamp(browser.get(url)), "no stamp": "", "forged stamp": "x.y.z"}
        forged["another form's stamp"] = signups.stamp(signups.SignUpForm(key="another"), secret="x")
        time_machine.move_to(clock.now(), tick=False)
        if trap == "too quick":
            forged[trap] = stamp(browser.get(url))
        answer = browser.post(url, data=BORIS | {"shown": forged[trap]})
        assert answer.status_code == 422
        assert f'value="{ADDRESS}"' in answer.text
    assert rung() == []
    assert rows(SignUp) == []


def test_a_form_on_another_site_leads_to_ours_and_one_more_click(url, browser, time_machine):
    page = browser.post(url, data=BORIS, headers={"Origin": "https://shop.example"})
    assert 'value="Boris"' in page.text
    time_machine.move_to(clock.now() + timedelta(seconds=5))
    answer = browser.post(url, data=BORIS | {"shown": stamp(page)})
    assert "Check your mail" in answer.text
    assert len(rung()) == 1


def test_an_address_is_not_buried_in_letters_and_a_network_does_not_ask_for_ever(url, app, time_machine):
    def code(n, email=ADDRESS, network=None):
        origin = {"environ_base": {"REMOTE_ADDR": network or f"192.0.2.{n}"}}
        return asks(app.test_client(), url, time_machine, {"email": email}, **origin).status_code

    assert [code(n) for n in range(6)] == [200] * 5 + [429]
    codes = [code(n, f"client{n}@example.org", "198.51.100.1") for n in range(31)]
    assert codes == [200] * 30 + [429]


@pytest.mark.parametrize("email", ["", "nonsense", "a@example.org\nBcc: b@example.org", "a\x00@example.org"])
def test_a_wrong_address_is_told_beside_its_field(url, browser, time_machine, email):
    page = asks(browser, url, time_machine, {"email": email})
    assert page.status_code == 422
    assert 'id="email-error"' in page.text
    assert rung() == []


def test_who_had_unsubscribed_is_back_and_who_bounced_is_not(owner, url, browser, mail_server, time_machine):
    with transaction() as session:
        session.add(Suppression(owner_id=owner.id, email_normalised=ADDRESS, reason=SuppressionReason.UNSUBSCRIBED))
    asks(browser, url, time_machine)
    assert "You are back on the list" in browser.post(link(mail_server)).text
    assert rows(Suppression) == []
    with transaction() as session:
        session.add(Suppression(owner_id=owner.id, email_normalised=ADDRESS, reason=SuppressionReason.HARD_BOUNCE))
    asks(browser, url, time_machine)
    assert "your wish is passed on" in browser.post(link(mail_server)).text
    assert len(rows(Suppression)) == 1


def test_no_letter_goes_out_for_what_is_gone_by_then(owner, url, browser, mail_server, time_machine):
    asks(browser, url, time_machine)
    with transaction() as session:
        session.delete(session.scalars(select(SignUp)).one())
    work()
    assert mail_server.accepted == []


def test_the_pages_are_for_no_search_engine_no_cache_and_no_frame(url, browser):
    headers = browser.get(url).headers
    assert headers["X-Robots-Tag"] == "noindex"
    assert headers["Cache-Control"] == "no-store"
    assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]


def test_requests_of_last_week_are_forgotten_by_the_periodic_job(url, browser, time_machine):
    asks(browser, url, time_machine)
    time_machine.move_to(clock.now() + timedelta(days=8))
    entries.forget_sign_ups()
    assert rows(SignUp) == []
