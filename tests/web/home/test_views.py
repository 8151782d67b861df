from mailservice import clock
from mailservice.database import transaction
from mailservice.models import Attempt, AttemptStatus, Reason
from tests import factories
from tests.queries import counted


def test_a_visitor_is_told_what_this_is_and_the_way_in(browser):
    page = browser.get("/")
    assert page.status_code == 200
    assert "/register" in page.text
    assert "/sign-in" in page.text


def test_a_new_user_sees_the_first_steps(browser):
    factories.sign_in(browser, factories.user())
    page = browser.get("/").text
    assert all(f'href="{url}"' in page for url in ("/clients/new", "/messages/new", "/mailings/new"))


def test_a_user_sees_problems_first_then_what_comes_and_what_was(browser):
    owner = factories.user()
    mailing = factories.mailing(owner, title="Troubled digest")
    factories.mailing(factories.user(), title="Somebody else's")
    with transaction() as session:
        session.add(
            Attempt(
                mailing_id=mailing.id,
                owner_id=owner.id,
                occurrence=0,
                due_at=clock.now(),
                status=AttemptStatus.DONE,
                succeeded=False,
                failed=1,
                audience=1,
                server_reply="550 5.1.1 no such user",
            )
        )
    factories.sign_in(browser, owner)
    page = browser.get("/").text
    assert "550 5.1.1 no such user" in page
    assert page.count("Troubled digest") == 3
    assert "Somebody else" not in page


def test_each_page_keeps_to_the_strict_policy(browser):
    factories.sign_in(browser, factories.user())
    for url in ("/", "/clients", "/clients/new", "/sign-in", "/nowhere"):
        page = browser.get(url)
        assert "script-src 'self'" in page.headers["Content-Security-Policy"]
        assert "style=" not in page.text
        assert "<style" not in page.text
        assert "onclick" not in page.text


def test_trouble_says_why_and_the_servers_reply_only_where_that_is_why(browser):
    owner = factories.user()
    for occurrence, (reason, reply) in enumerate(((Reason.BY_OWNER, "451 later"), (Reason.REFUSED, "554 no more"))):
        mailing = factories.mailing(owner)
        with transaction() as session:
            session.add(
                Attempt(
                    mailing_id=mailing.id,
                    owner_id=owner.id,
                    occurrence=occurrence,
                    due_at=clock.now(),
                    status=AttemptStatus.CANCELLED,
                    succeeded=False,
                    reason=reason,
                    cancelled=1,
                    audience=1,
                    server_reply=reply,
                )
            )
    factories.sign_in(browser, owner)
    page = browser.get("/").text
    assert "stopped by hand" in page
    assert "the mail server refused one letter after another" in page
    assert "451 later" not in page
    assert "554 no more" in page


def sent_attempt(owner, **values):
    mailing = factories.mailing(owner, title="Digest")
    values = {"status": AttemptStatus.DONE, "succeeded": True, "sent": 7, "due_at": clock.now()} | values
    with transaction() as session:
        session.add(Attempt(mailing_id=mailing.id, owner_id=owner.id, occurrence=0, **values))
    return mailing


def test_each_number_of_the_dashboard_opens_the_list_behind_it(browser):
    owner = factories.user(time_zone="UTC")
    factories.sign_in(browser, owner)
    sent_attempt(owner)
    page = browser.get("/").text
    for address in ("/sent?period=today", "/sent?period=week", "/mailings?state=created"):
        assert address in page
    page = browser.get("/sent?period=week").text
    assert "7 letters sent in 7 days" in page
    assert "Digest" in page
    assert browser.get("/sent?period=nonsense&page=-1").status_code == 200


def test_what_runs_stands_on_the_dashboard_and_is_told_again_only_when_it_has_changed(browser):
    owner = factories.user()
    factories.sign_in(browser, owner)
    sent_attempt(owner, status=AttemptStatus.SENDING, succeeded=None, sent=0)
    assert 'data-live="/live"' in browser.get("/").text
    first = browser.get("/live")
    assert "Digest" in first.text
    assert browser.get("/live", headers={"If-None-Match": first.headers["ETag"]}).status_code == 304
    factories.sign_in(browser, factories.user())
    assert "Digest" not in browser.get("/live").text


def test_the_lists_cost_as_many_questions_however_long_they_are(browser):
    owner = factories.user()
    factories.sign_in(browser, owner)

    def questions(path):
        browser.get(path)  # what is the same for everybody is kept from now on
        with counted() as statements:
            assert browser.get(path).status_code == 200
        return len(statements)

    def more():
        sent_attempt(owner)
        sent_attempt(owner, status=AttemptStatus.SENDING, succeeded=None)

    more()
    pages = ("/", "/live", "/sent?period=month", "/mailings", "/mailings?state=created&sort=title")
    few = [questions(path) for path in pages]
    for _ in range(4):
        more()
    assert [questions(path) for path in pages] == few
