"""The design's invariants that the database alone can prove; `flask doctor` and every fault test ask them."""

from __future__ import annotations

from sqlalchemy import Connection, text

# Each query finds the rows that break a rule; none may be found. "<> 'deferred'" is what the index on results says.
QUERIES = {
    "1 the states of deliveries add up to the audience": """
        SELECT a.id FROM attempts a WHERE a.status NOT IN ('planned', 'preparing')
        AND a.audience <> (SELECT count(*) FROM deliveries d WHERE d.attempt_id = a.id)""",
    "1 a batch's counts add up to its deliveries": """
        SELECT b.attempt_id FROM batches b WHERE b.size <>
        (SELECT count(*) FROM deliveries d WHERE d.attempt_id = b.attempt_id AND d.batch = b.number)""",
    "2 a closed attempt has none waiting": """
        SELECT a.id FROM attempts a JOIN batches b ON b.attempt_id = a.id
        WHERE a.status NOT IN ('planned', 'preparing', 'sending') AND b.waiting > 0""",
    "3 one delivery for each attempt and address": """
        SELECT attempt_id FROM deliveries GROUP BY attempt_id, email_normalised HAVING count(*) > 1""",
    "8 at most one open attempt a mailing": """
        SELECT mailing_id FROM attempts WHERE status IN ('planned', 'preparing', 'sending')
        GROUP BY mailing_id HAVING count(*) > 1""",
    "9 one attempt for each mailing and occurrence": """
        SELECT mailing_id FROM attempts GROUP BY mailing_id, occurrence HAVING count(*) > 1""",
    "11 the owner of a mailing owns its message and clients": """
        SELECT m.id FROM mailings m JOIN messages s ON s.id = m.message_id WHERE s.owner_id <> m.owner_id
        UNION ALL SELECT mc.mailing_id FROM mailing_clients mc JOIN clients c ON c.id = mc.client_id
        JOIN mailings m ON m.id = mc.mailing_id WHERE c.owner_id <> m.owner_id""",
    "12 an attempt's counts are those of its results": """
        SELECT a.id FROM attempts a WHERE a.status IN ('done', 'cancelled', 'failed') AND a.sent <>
        (SELECT count(*) FROM results r JOIN deliveries d ON d.id = r.delivery_id AND d.round = r.round
         WHERE d.attempt_id = a.id AND r.state = 'sent' AND r.state <> 'deferred')""",
    "12 a batch's counts are those of its results": """
        SELECT b.attempt_id FROM batches b WHERE b.sent + b.failed + b.unknown + b.skipped + b.cancelled <>
        (SELECT count(*) FROM results r JOIN deliveries d ON d.id = r.delivery_id AND d.round = r.round
         WHERE d.attempt_id = b.attempt_id AND d.batch = b.number AND r.state <> 'deferred')""",
}


def broken(connection: Connection) -> dict[str, list[int]]:
    """By rule, the ids of rows that break it; empty when all is well."""
    found = {rule: [row[0] for row in connection.execute(text(query))] for rule, query in QUERIES.items()}
    return {rule: ids for rule, ids in found.items() if ids}
