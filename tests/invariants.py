"""The twelve invariants of the design, asked of the database and of the test mail server's own ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from sqlalchemy import text

from mailservice.database import read
from mailservice.services import invariants


def assert_hold(accepted_message_ids: Iterable[str]) -> None:
    """`accepted_message_ids`: one for each letter that the mail server took."""
    with read() as connection:
        assert invariants.broken(connection) == {}
        states = dict(
            connection.execute(
                text("""SELECT d.id, r.state FROM deliveries d LEFT JOIN results r
                        ON r.delivery_id = d.id AND r.round = d.round AND r.state <> 'deferred'""")
            ).all()
        )
    accepted = Counter(delivery_of(message_id) for message_id in accepted_message_ids)
    assert [d for d, times in accepted.items() if times > 1] == [], "4 accepted more than once"
    assert [d for d, s in states.items() if s == "sent" and d not in accepted] == [], "5 sent, the server has it not"
    assert [d for d, s in states.items() if s == "failed" and d in accepted] == [], "6 failed, and the server has it"
    assert [d for d in accepted if d not in states] == [], "7 the server has what we know nothing of"


def delivery_of(message_id: str) -> int:
    """The delivery's id as the Message-ID names it: <attempt.delivery.key@domain>."""
    return int(message_id.strip("<>").split(".")[1])
