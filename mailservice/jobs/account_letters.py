"""Account letters in a worker: a temporary refusal is tried again."""

from __future__ import annotations

import logging
from datetime import timedelta

from mailservice import account_mail
from mailservice.queues import Job, enqueue_in
from mailservice.services.account_letters import AccountLetter

log = logging.getLogger(__name__)
RETRIES = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=15))


def send(kind: str, user_id: int, tried: int = 0, about_id: int | None = None) -> None:
    """`tried`: how often this letter has been refused before. Harmless when doubled or late."""
    try:
        reply = account_mail.deliver(AccountLetter(kind), user_id, about_id)
    except account_mail.NotSent as error:
        again = error.temporary and tried < len(RETRIES)
        again = again and enqueue_in(RETRIES[tried], Job.ACCOUNT_LETTER, kind, user_id, tried + 1, about_id)
        level = logging.WARNING if again else logging.ERROR
        log.log(level, "The letter “%s” for user %d was not sent: %s", kind, user_id, error)
    else:
        log.info("The letter “%s” for user %d: %s", kind, user_id, reply or "nothing to send")
