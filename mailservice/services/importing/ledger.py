"""The ledger of an import: its rows, and the statements that carry a slice of them out or take it back.

A slice is the records above `after` up to `upto`. Every statement asks what is true now, so that what changed
since the check is seen; each is repeatable, and the same on both databases but for the way in.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CursorResult, TextClause, bindparam, inspect, text

from mailservice.database import UtcDateTime, db
from mailservice.models import Client, RowState
from mailservice.services.importing.rows import Row

# What was read of the file, on its way to the ledger: this connection's own, and empty after each transaction.
ARRIVALS = """
    CREATE TEMPORARY TABLE IF NOT EXISTS import_arrivals (
        number integer, state varchar(20), reason varchar(20), email text, email_normalised varchar(320),
        full_name text, comment text)
"""
COPY = "COPY import_arrivals FROM STDIN"
INSERT = "INSERT INTO import_arrivals VALUES (?, ?, ?, ?, ?, ?, ?)"
ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
NULL = "\\N"
# A slice is a few thousand rows beside tables of any size: always by index, and never by a plan that was made while
# the tables were empty. So the bounds of a slice stand in its statements as they are, which are new to the server each
# time; to forbid it to keep plans at all would cost more: it would plan each look at a foreign key.
BY_INDEX = """SET LOCAL enable_seqscan = off; SET LOCAL enable_hashjoin = off; SET LOCAL enable_mergejoin = off;
SET LOCAL enable_material = off; SET LOCAL jit = off"""
BOUNDS = [bindparam(name, type_=BigInteger(), literal_execute=True) for name in ("after", "upto")]

SLICE = "r.import_id = :import AND r.number > :after AND r.number <= :upto"
# What a client has afterwards; {old} is what it had, {new} the row's.
KEEP = "CASE WHEN {old} <> '' THEN {old} ELSE {new} END"
OVERWRITE = "CASE WHEN {new} <> '' THEN {new} ELSE {old} END"

# “+ 0” hides a column from the planner: what it knows of an owner or of an import may be older than most of their
# rows, and the only good way to a row is by its address, or in the ledger by its number.
COUNTS = text(f"SELECT r.state, count(*) FROM import_rows r WHERE {SLICE} GROUP BY r.state")  # nosec B608
JUDGEMENT = """CASE WHEN s.id IS NOT NULL THEN 'suppressed' WHEN c.id IS NULL THEN 'new'
                WHEN {name} = c.full_name AND {comment} = c.comment THEN 'unchanged' ELSE 'changed' END"""
STOPPED = "s.owner_id + 0 = :owner AND s.email_normalised = r.email_normalised"
# A duplicate of a row in an earlier slice is looked for one by one: as an EXISTS it might be answered by a
# hash of the whole ledger.
TAKEN = f"""
    WITH r AS MATERIALIZED (
        SELECT a.number, a.reason, a.email, a.email_normalised, a.full_name, a.comment,
            CASE WHEN a.state = 'new' AND (
                SELECT 1 FROM import_rows e
                WHERE e.email_normalised = a.email_normalised AND e.import_id + 0 = :import AND e.number + 0 <= :after
                LIMIT 1
            ) IS NOT NULL THEN 'duplicate' ELSE a.state END AS state
        FROM import_arrivals a WHERE a.number <= :upto)
    INSERT INTO import_rows (import_id, number, state, reason, email, email_normalised, full_name, comment,
        old_full_name, old_comment)
    SELECT :import, r.number, CASE WHEN r.state <> 'new' THEN r.state ELSE {JUDGEMENT} END,
        coalesce(r.reason, s.reason), r.email, r.email_normalised, r.full_name, r.comment, c.full_name, c.comment
    FROM r
    LEFT JOIN clients c
        ON r.state = 'new' AND c.owner_id + 0 = :owner AND c.email_normalised = r.email_normalised
    LEFT JOIN suppressions s ON r.state = 'new' AND {STOPPED}
"""  # nosec B608
JUDGED = f"""
    UPDATE import_rows
    SET state = found.state, reason = found.reason, old_full_name = found.full_name, old_comment = found.comment
    FROM (
        SELECT r.import_id AS import_id, r.number AS number, {JUDGEMENT} AS state,
            s.reason AS reason, c.full_name AS full_name, c.comment AS comment
        FROM import_rows r
        LEFT JOIN clients c ON c.owner_id + 0 = :owner AND c.email_normalised = r.email_normalised
        LEFT JOIN suppressions s ON {STOPPED}
        WHERE {{slice}} AND {{which}}
    ) AS found
    WHERE import_rows.import_id = found.import_id + 0 AND import_rows.number = found.number + 0 AND (
        import_rows.state <> found.state OR coalesce(import_rows.reason, '') <> coalesce(found.reason, '')
        OR coalesce(import_rows.old_full_name, '') <> coalesce(found.full_name, '')
        OR coalesce(import_rows.old_comment, '') <> coalesce(found.comment, ''))
"""  # nosec B608
KNOWN = "r.state IN ('changed', 'unchanged', 'suppressed')"
NOT_MADE = "r.state = 'new' AND (c.import_id IS NULL OR c.import_id <> :import)"
MADE = text(f"""
    INSERT INTO clients (
        owner_id, email, email_normalised, full_name, comment, created_at, updated_at, import_id, source, source_detail)
    SELECT :owner, r.email, r.email_normalised, r.full_name, r.comment, :now, :now, :import, 'import',
        (SELECT i.name FROM imports i WHERE i.id = :import)
    FROM import_rows r
    WHERE {SLICE} AND r.state = 'new' AND NOT EXISTS (SELECT 1 FROM suppressions s WHERE {STOPPED})
    ORDER BY r.number
    ON CONFLICT (owner_id, email_normalised) DO NOTHING
""")  # nosec B608
# Somebody else made the client and threw it away again between two of our questions: it is left as it is.
OVERTAKEN = text(f"""
    UPDATE import_rows AS r SET state = 'unchanged'
    WHERE {SLICE} AND r.state = 'new' AND NOT EXISTS (
        SELECT 1 FROM clients c
        WHERE c.owner_id + 0 = :owner AND c.email_normalised = r.email_normalised AND c.import_id = :import)
""")  # nosec B608
CHANGED = """
    UPDATE clients SET full_name = {name}, comment = {comment}, updated_at = :now
    FROM import_rows r
    WHERE {slice} AND r.state = 'changed' AND clients.owner_id + 0 = :owner
        AND clients.email_normalised = r.email_normalised
        AND clients.full_name = r.old_full_name AND clients.comment = r.old_comment
"""
# Who stands in a mailing, was tagged, written to or changed since is somebody's by now, and stays.
REMOVED = text(f"""
    DELETE FROM clients
    WHERE owner_id + 0 = :owner AND import_id = :import AND updated_at = created_at
        AND email_normalised IN (SELECT r.email_normalised FROM import_rows r WHERE {SLICE} AND r.state = 'new')
        AND NOT EXISTS (SELECT 1 FROM mailing_clients m WHERE m.client_id = clients.id)
        AND NOT EXISTS (SELECT 1 FROM client_tags t WHERE t.client_id = clients.id)
        AND NOT EXISTS (SELECT 1 FROM deliveries d WHERE d.client_id = clients.id)
""")  # nosec B608
RESTORED = """
    UPDATE clients SET full_name = r.old_full_name, comment = r.old_comment, updated_at = :now
    FROM import_rows r
    WHERE {slice} AND r.state = 'changed' AND clients.owner_id + 0 = :owner
        AND clients.email_normalised = r.email_normalised
        AND clients.full_name = {name} AND clients.comment = {comment}
"""


@dataclass(frozen=True)
class Slice:
    """Some records of one import; `overwrites`: what the file says counts more than what is there."""

    import_id: int
    owner_id: int
    overwrites: bool
    after: int
    upto: int

    @property
    def values(self) -> dict[str, int]:
        return {"import": self.import_id, "owner": self.owner_id, "after": self.after, "upto": self.upto}

    def statement(self, template: str, old_name: str, old_comment: str, **parts: str) -> TextClause:
        merged = OVERWRITE if self.overwrites else KEEP
        name = merged.format(old=old_name, new="r.full_name")
        comment = merged.format(old=old_comment, new="r.comment")
        return text(template.format(slice=SLICE, name=name, comment=comment, **parts))


def add(part: Slice, rows: Sequence[Row]) -> None:
    """Writes the rows and says of each what it would do."""
    connection = db.session.connection()
    is_postgresql = connection.dialect.name == "postgresql"
    connection.exec_driver_sql(f"{ARRIVALS} ON COMMIT DELETE ROWS" if is_postgresql else ARRIVALS)
    connection.exec_driver_sql("DELETE FROM import_arrivals")
    with closing(connection.connection.cursor()) as cursor:
        if is_postgresql:
            with cursor.copy(COPY) as copy:
                copy.write("".join(map(_copy_line, _marked(rows))))
        else:
            cursor.executemany(INSERT, list(_marked(rows)))
    _by_index()
    _execute(part, part.statement(TAKEN, "c.full_name", "c.comment"))


def _marked(rows: Sequence[Row]) -> Iterator[Row]:
    """The rows, of which those that repeat the address of another one above are duplicates."""
    seen: set[str] = set()
    for row in rows:
        address = row.email_normalised
        if address in seen:
            row = row._replace(state=RowState.DUPLICATE)
        elif address:
            seen.add(address)
        yield row


def counts(part: Slice) -> Counter[str]:
    """How many rows are in each state."""
    return Counter({row[0]: row[1] for row in db.session.execute(COUNTS.bindparams(*BOUNDS), part.values)})


def carry_out(part: Slice, now: datetime) -> Counter[str]:
    """Makes and changes the clients; how the numbers of rows in each state differ from those of the check."""
    _by_index()
    before = found = counts(part)
    if any(before[state] for state in (RowState.CHANGED, RowState.UNCHANGED, RowState.SUPPRESSED)):
        found = counts(part) if _judge(part, KNOWN) else before
    if found[RowState.NEW] and _execute(part, MADE, now, of=Client) < found[RowState.NEW]:
        _judge(part, NOT_MADE)
        _execute(part, OVERTAKEN)
        found = counts(part)
    if found[RowState.CHANGED]:
        _execute(part, part.statement(CHANGED, "r.old_full_name", "r.old_comment"), now, of=Client)
    return _difference(found, before)


def _difference(now: Counter[str], before: Counter[str]) -> Counter[str]:
    difference = Counter(now)
    difference.subtract(before)
    return difference


def take_back(part: Slice, now: datetime) -> tuple[int, int]:
    """How many clients were removed, and how many have their former name and comment again."""
    _by_index()
    restored = _execute(part, part.statement(RESTORED, "r.old_full_name", "r.old_comment"), now, of=Client)
    return _execute(part, REMOVED, of=Client), restored


def _judge(part: Slice, which: str) -> int:
    """Says anew what rows would do; how many would now do something else."""
    return _execute(part, part.statement(JUDGED, "c.full_name", "c.comment", which=which))


def _by_index() -> None:
    if db.session.connection().dialect.name == "postgresql":
        db.session.connection().exec_driver_sql(BY_INDEX)


def _execute(part: Slice, statement: TextClause, now: datetime | None = None, *, of: type[Client] | None = None) -> int:
    """How many rows it changed; `of` tells those who keep something made of them."""
    values: dict[str, Any] = dict(part.values)
    statement = statement.bindparams(*BOUNDS)
    if now:
        statement, values["now"] = statement.bindparams(bindparam("now", type_=UtcDateTime())), now
    result = db.session.execute(statement, values, bind_arguments={"mapper": inspect(of)} if of else None)
    assert isinstance(result, CursorResult)
    return result.rowcount


def _copy_line(row: Row) -> str:
    number, state, reason, email, normalised, full_name, comment = row
    if normalised is None or "\\" in full_name or not comment.isprintable() or "\\" in comment:
        email, full_name, comment = (value.translate(ESCAPES) for value in (email, full_name, comment))
    return f"{number}\t{state.value}\t{reason or NULL}\t{email}\t{normalised or NULL}\t{full_name}\t{comment}\n"
