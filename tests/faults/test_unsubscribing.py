"""Who unsubscribes while an attempt is running gets no letter of it that begins more than a second later."""

import time

from mailservice.models import Reason
from mailservice.sending import unsubscribe_token
from tests import factories
from tests.engine import due_mailing, results_of
from tests.faults.conftest import wait_until

LETTERS = 400
SLOW = 0.02  # seconds for each reply
SLOWER = 0.3  # while people leave, so that the attempt outlasts them however slow the machine is
PROMISED = 1.0  # seconds
UNDER_WAY = 1.0  # seconds in which a letter that has begun is through


def test_the_rest_of_a_running_attempt_knows_within_a_second(app, browser, mail_server, processes):
    mail_server.delay = SLOW
    owner = factories.user()
    mailing = due_mailing(owner, [f"client-{n:03}@example.org" for n in range(LETTERS)])
    key = unsubscribe_token.key(app.config["SECRET_KEY"])
    leaving = [f"client-{n:03}@example.org" for n in range(30, LETTERS, 10)]
    tokens = [unsubscribe_token.token(key, owner.id, address) for address in leaving]
    processes.start("scheduler")
    processes.start("worker", "accounts", "ticks")
    processes.start("worker", "sending")
    wait_until(lambda: len(mail_server.accepted) > 10, what="the first letters")
    mail_server.delay = SLOWER
    for token in tokens:
        assert browser.post(f"/u/{token}", data={"List-Unsubscribe": "One-Click"}).status_code == 200
    left_at, begun = time.time(), len(mail_server.accepted)
    assert begun < LETTERS / 2, "the attempt was too quick for this test"
    mail_server.delay = SLOW
    others = LETTERS - len(leaving)
    wait_until(lambda: sum(letter.recipient not in leaving for letter in list(mail_server.accepted)) == others)
    late = [taken.accepted_at - left_at for taken in mail_server.accepted if taken.recipient in leaving]
    assert max(late, default=0) < PROMISED + UNDER_WAY
    results = results_of(mailing)
    spared = [address for address in leaving if not mail_server.letters_to(address)]
    assert len(spared) > len(leaving) / 2
    wait_until(lambda: all(results_of(mailing)[address] for address in spared), what="the account of the attempt")
    results = results_of(mailing)
    assert {results[address][0].reason for address in spared} == {Reason.SUPPRESSED}
