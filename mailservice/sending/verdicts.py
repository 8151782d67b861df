"""From what the server said about a letter to the result that the ledger keeps."""

from __future__ import annotations

import random
import re
from datetime import datetime, timedelta
from typing import NamedTuple

from mailservice.models import Reason, State
from mailservice.sending.batches import PATIENCE
from mailservice.sending.claims import Waiting
from mailservice.sending.entries import LONGEST_REPLY, Entry
from mailservice.smtp.outcome import Accepted, Ambiguous, Deferred, NotSent, Outcome, Rejected, Stage
from mailservice.smtp.reply import Reply

# Enhanced codes (RFC 3463) that say the address itself is wrong; 5.1.7 and 5.1.8 speak of the sender.
NO_SUCH_ADDRESS = frozenset({"5.1.0", "5.1.1", "5.1.2", "5.1.3", "5.1.6", "5.1.10"})
LADDER = (timedelta(minutes=5), timedelta(minutes=15), timedelta(minutes=30), timedelta(minutes=60))
LAST_RUNG = timedelta(hours=2)
SPREAD = 0.2
NAMED_DELAY = re.compile(r"\b(\d{1,5}) ?(s|sec|secs|seconds?|m|min|mins|minutes?|h|hours?)\b", re.IGNORECASE)
SECONDS = {"s": 1, "m": 60, "h": 3600}

Trouble = Deferred | Rejected | Ambiguous | NotSent


class Judgement(NamedTuple):
    """`entry`: what to keep, None to queue the letter again; `stop`: why the whole attempt must not go on."""

    entry: Entry | None
    stop: Reason | None = None
    is_policy: bool = False  # a refusal that says something about us, not about the address


def judge(
    attempt_id: int, batch: int, waiting: Waiting, outcome: Outcome, now: datetime, *, is_burden: bool = False
) -> Judgement:
    """What follows from an outcome. `is_burden`: connections end over this letter, so what is not sent is put off."""
    if isinstance(outcome, Accepted):  # nearly all are
        reply = outcome.reply
        words = str(reply)[:LONGEST_REPLY]
        delivery_id = waiting.delivery_id
        return Judgement(
            Entry(attempt_id, batch, delivery_id, waiting.round, State.SENT, now, reply.code, reply.enhanced, words)
        )
    return _judge_trouble(attempt_id, batch, waiting, outcome, now, is_burden)


def _judge_trouble(
    attempt_id: int, batch: int, waiting: Waiting, outcome: Trouble, now: datetime, is_burden: bool
) -> Judgement:
    def entry(state: State, reply: Reply | None = None, text: str = "", **more: object) -> Entry:
        return Entry(
            attempt_id,
            batch,
            waiting.delivery_id,
            waiting.round,
            state,
            now,
            code=reply.code if reply and not reply.is_local else None,
            enhanced=reply.enhanced if reply else None,
            reply=(str(reply) if reply else text)[:LONGEST_REPLY],
            **more,  # type: ignore[arg-type]
        )

    def put_off(reply: Reply | None, text: str = "") -> Judgement:
        at = next_try(waiting, reply, now)
        if at is None:
            return Judgement(entry(State.FAILED, reply, text, reason=Reason.STALE))
        return Judgement(entry(State.DEFERRED, reply, text, not_before=at))

    match outcome:
        case Deferred(reply):
            return put_off(reply)
        case Rejected(reply, stage):
            if stage is Stage.RCPT and reply.enhanced in NO_SUCH_ADDRESS and not reply.is_local:
                gone = waiting.email_normalised
                return Judgement(entry(State.FAILED, reply, suppress=gone))
            stop = {Stage.MAIL: Reason.SENDER_REFUSED, Stage.SIZE: Reason.TOO_BIG}.get(stage)
            return Judgement(entry(State.FAILED, reply), stop, is_policy=not reply.is_local)
        case Ambiguous(reason):
            return Judgement(entry(State.UNKNOWN, text=reason))
        case NotSent(reason, reply):
            return put_off(reply, reason) if is_burden else Judgement(None)


def next_try(waiting: Waiting, reply: Reply | None, now: datetime) -> datetime | None:
    """When a deferred letter is tried again; None when it has been tried for a day."""
    wait = LADDER[waiting.tries] if waiting.tries < len(LADDER) else LAST_RUNG
    wait *= 1 + random.uniform(-SPREAD, SPREAD)  # nosec B311
    at = now + max(wait, named_delay(reply) if reply else timedelta())
    return at if at - (waiting.first_try or now) <= PATIENCE else None


def named_delay(reply: Reply) -> timedelta:
    """The delay that the reply asks for, at most a day; none when it names none."""
    found = NAMED_DELAY.search(reply.text)
    if found is None:
        return timedelta()
    return min(timedelta(seconds=int(found[1]) * SECONDS[found[2][0].lower()]), PATIENCE)
