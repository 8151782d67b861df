import logging

import pytest
from rq import SimpleWorker
from rq.serializers import JSONSerializer

from mailservice import account_mail
from mailservice.jobs import account_letters
from mailservice.queues import JsonJob, QueueName, queue
from mailservice.services.account_letters import AccountLetter
from tests import factories

KEY = "rq:scheduler:scheduled_jobs"


@pytest.fixture
def user(app):
    return factories.user(email="anna@example.org", confirmed=False)


def test_the_job_sends_the_letter(user, mail_server):
    account_letters.send("confirm", user.id)
    assert len(mail_server.letters_to("anna@example.org")) == 1


def test_a_temporary_refusal_is_tried_again_three_times_ever_later(user, mail_server, redis):
    mail_server.on_mail("451 later")
    waits = []
    for tried in range(4):
        redis.delete(KEY)
        account_letters.send("confirm", user.id, tried)
        waits.append([round(at) for _, at in redis.zrange(KEY, 0, -1, withscores=True)])
    assert [len(w) for w in waits] == [1, 1, 1, 0]
    assert waits[1][0] - waits[0][0] == pytest.approx(240, abs=5)
    assert waits[2][0] - waits[0][0] == pytest.approx(840, abs=5)


def test_a_final_refusal_is_recorded_without_the_link(user, mail_server, redis, caplog):
    mail_server.on_rcpt("anna@example.org", "550 5.1.1 no such user")
    with caplog.at_level(logging.INFO):
        account_letters.send("confirm", user.id)
    assert redis.zcard(KEY) == 0
    assert "550 5.1.1 no such user" in caplog.text
    assert "/confirm/" not in caplog.text


def test_what_a_page_rings_for_a_worker_sends(user, mail_server, redis):
    account_mail.ring(AccountLetter.CONFIRM, user.id)
    assert mail_server.accepted == []
    accounts = queue(QueueName.ACCOUNTS, redis)
    SimpleWorker([accounts], connection=redis, job_class=JsonJob, serializer=JSONSerializer).work(burst=True)
    assert len(mail_server.letters_to("anna@example.org")) == 1
    assert accounts.failed_job_registry.count == 0
