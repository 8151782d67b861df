import re

import pytest
from sqlalchemy import select

from mailservice.database import db, transaction
from mailservice.models import AttemptStatus, Mailing, Reason, Result, State
from mailservice.services.counting import STATES
from mailservice.web.reports.words import REASONS, refusal
from tests import factories
from tests.engine import attempt_of, due_mailing, run_senders
from tests.faults.mail_server import ACCEPT, DROP
from tests.services.test_reports import SPREAD, attempt


def rows(page):
    return len(re.findall(r"\d{3}\.\w+@example\.org\s*</td>", page.text))


def test_before_the_first_attempt_the_report_says_what_will_stand_there(signed_in):
    assert "No attempts yet" in signed_in.get("/reports").text


def test_the_report_lists_attempts_with_reason_and_answer(signed_in, owner):
    attempt(owner, {"sent": 2}, status=AttemptStatus.DONE, succeeded=True, server_reply="250 queued as X1")
    attempt(owner, {}, status=AttemptStatus.SKIPPED, reason=Reason.OVERLAP)
    page = signed_in.get("/reports")
    assert "250 queued as X1" in page.text
    assert "the attempt before was still running" in page.text
    assert "250 queued as X1" not in signed_in.get("/reports?outcome=skipped").text


def test_each_number_of_an_attempt_opens_a_list_of_so_many(signed_in, owner):
    row = attempt(owner)
    page = signed_in.get(f"/attempts/{row.id}")
    for state in STATES:
        url = f"/attempts/{row.id}/deliveries?state={state}"
        tile = re.search(re.escape(f'href="{url}"') + r".*?</i>(\d+)</b>", page.text)
        assert tile
        assert int(tile[1]) == SPREAD[state] == rows(signed_in.get(url))
    assert rows(signed_in.get(f"/attempts/{row.id}/deliveries")) == sum(SPREAD.values())


def test_why_letters_were_not_delivered_is_said_in_words_and_in_the_servers_own(signed_in, owner):
    row = attempt(owner)
    page = signed_in.get(f"/attempts/{row.id}")
    assert "There is no such address" in page.text
    assert "550 5.1.1 user unknown" in page.text
    assert "The address is on the stop list" in page.text
    link = re.search(r'href="([^"]+exact=1[^"]+code=550[^"]*)"', page.text)
    assert rows(signed_in.get(link[1].replace("&amp;", "&"))) == SPREAD["failed"]


def test_a_list_shows_the_answer_and_finds_by_address(signed_in, owner):
    row = attempt(owner)
    page = signed_in.get(f"/attempts/{row.id}/deliveries?state=waiting")
    assert "451 later" in page.text
    assert rows(signed_in.get(f"/attempts/{row.id}/deliveries?q=000.SENT")) == 1


def test_a_long_list_has_a_next_stretch(signed_in, owner):
    row = attempt(owner, {"sent": 60})
    page = signed_in.get(f"/attempts/{row.id}/deliveries?state=sent&size=25")
    assert rows(page) == 25
    following = re.search(r'rel="next" href="([^"]+)"', page.text)[1].replace("&amp;", "&")
    assert rows(signed_in.get(following)) == 25


def test_somebody_elses_attempt_is_not_there(signed_in):
    theirs = attempt(factories.user())
    for attempt_id in (theirs.id, 0, 2**63, 10**30):
        assert signed_in.get(f"/attempts/{attempt_id}").status_code == 404
        assert signed_in.get(f"/attempts/{attempt_id}/deliveries").status_code == 404
    assert signed_in.get(f"/reports?mailing={theirs.mailing_id}").status_code == 404
    assert signed_in.get(f"/reports?mailing={10**30}").status_code == 404
    assert "No attempts yet" in signed_in.get("/reports").text


@pytest.mark.parametrize(
    "query",
    [
        "state=nonsense",
        "state=failed&exact=1&code=99999999999999999999",
        "state=failed&exact=1&code=abc&reason=nonsense&enhanced=%00",
        "after=%00",
        "before=%00",
        "after=",
        "q=%00%25",
        "size=-1",
        "state=waiting&exact=1",
    ],
)
def test_a_list_takes_any_address(signed_in, owner, query):
    row = attempt(owner)
    assert signed_in.get(f"/attempts/{row.id}/deliveries?{query}").status_code == 200


def test_the_report_takes_any_address(signed_in, owner):
    attempt(owner)
    for query in ("outcome=nonsense", "mailing=abc", "page=-1", "page=abc"):
        assert signed_in.get(f"/reports?{query}").status_code == 200


def test_every_reason_has_words(app):
    assert set(REASONS) == set(Reason)


def test_the_enhanced_code_refines_and_the_code_decides(app):
    assert refusal(550, "5.1.1") == "There is no such address"
    assert refusal(550, "5.1.99") == "Something is wrong with the address"
    assert refusal(552, None) == "The mailbox is full or the letter is too big"
    assert refusal(599, None) == "The mail server refused the letter"
    assert refusal(451, None) == "The mail server asks to come later"
    assert refusal(None, None) == ""


def test_what_was_left_out_is_not_called_undelivered(signed_in, owner):
    row = attempt(owner, {"sent": 1, "skipped": 1})
    page = signed_in.get(f"/attempts/{row.id}").text
    undelivered, _, left_out = page.partition("Left out")
    assert 'title="skipped"' in left_out
    assert 'title="skipped"' not in undelivered


def test_the_reasons_stand_in_plain_words_and_each_group_opens_its_list(signed_in, owner):
    row = attempt(owner, {"sent": 1, "failed": 5, "unknown": 1}, status=AttemptStatus.DONE, succeeded=False)
    replies = [(550, "5.1.1"), (550, "5.1.1"), (553, None), (552, "5.2.2"), (550, "5.7.1")]
    with transaction() as session:
        for result, (code, enhanced) in zip(
            session.scalars(select(Result).where(Result.state == State.FAILED)), replies, strict=True
        ):
            result.code, result.enhanced, result.reply = code, enhanced, f"{code} {enhanced or ''} no"
    page = signed_in.get(f"/attempts/{row.id}")
    links = re.findall(r'href="([^"]+why=(\w+)[^"]*)"><i[^>]+></i>(\d+)</a>', page.text)
    assert {(cause, int(number)) for _, cause, number in links} == {
        ("no_address", 3),
        ("mailbox_full", 1),
        ("unwanted", 1),
        ("lost", 1),
    }
    for link, _cause, number in links:
        assert rows(signed_in.get(link.replace("&amp;", "&"))) == int(number)
    assert "<summary>The server's answers</summary>" in page.text
    assert "553  no" in page.text


def test_the_chart_has_a_name_a_description_and_the_numbers_beside(signed_in, owner):
    row = attempt(owner, {"sent": 4, "failed": 1}, status=AttemptStatus.DONE, succeeded=False)
    page = signed_in.get(f"/attempts/{row.id}").text
    svg = page[page.index('<svg viewBox="0 0 1000 200"') :].partition("</svg>")[0]
    assert 'role="img" aria-labelledby="course-title course-desc"' in svg
    assert "4 sent, 1 failed. From" in svg
    assert 'class="c-sent"' in svg
    assert "style=" not in page
    table = page[page.index("The same in numbers") :].partition("</table>")[0]
    numbers = list(map(int, re.findall(r'<td class="num">(\d+)</td>', table)))  # two in a row; a second may pass
    assert (sum(numbers[::2]), sum(numbers[1::2])) == (4, 1)


def test_sending_again_asks_first_and_says_what_it_did(signed_in, owner, mail_server):
    mail_server.on_dot((ACCEPT, DROP), times=1)
    mailing = due_mailing(owner, ["lost@example.org"])
    run_senders()
    row = attempt_of(mailing)
    page = signed_in.get(f"/attempts/{row.id}")
    assert f'href="/attempts/{row.id}/again?to=unknown"' in page.text
    page = signed_in.get(f"/attempts/{row.id}/again?to=unknown")
    assert "Some of them may get the letter twice." in page.text
    assert "Send 1 letter again" in page.text
    fields = dict(re.findall(r'name="(to|number|seen)" value="([^"]*)"', page.text))
    answers = [factories.post(signed_in, f"/attempts/{row.id}/again", fields) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [302, 409]
    assert "being sent at this moment" in answers[1].text
    assert "1 letter is sent again." in answers[1].text
    run_senders()
    assert len(mail_server.letters_to("lost@example.org")) == 2
    assert attempt_of(mailing).succeeded


def test_where_nobody_failed_there_is_nobody_to_send_to(signed_in, owner):
    row = attempt(owner, {"sent": 1}, status=AttemptStatus.DONE, succeeded=True)
    assert "/again" not in signed_in.get(f"/attempts/{row.id}").text
    page = signed_in.get(f"/attempts/{row.id}/again")
    assert page.status_code == 200
    assert "There is nobody to send to again." in page.text


def test_the_times_of_a_mailing_stand_side_by_side(signed_in, owner):
    first = attempt(owner, {"sent": 3, "failed": 1}, status=AttemptStatus.DONE, succeeded=False)
    mailing = db.session.get_one(Mailing, first.mailing_id)
    second = {"status": AttemptStatus.DONE, "succeeded": True, "occurrence": 1}
    attempt(owner, {"sent": 4}, mailing=mailing, **second)
    page = signed_in.get(f"/reports?mailing={mailing.id}").text
    assert "From one time to the next" in page
    assert page.count('<rect class="chart-aim"') == 2
    assert "75%" in page
    assert "100%" in page
