"""The journal survives the death of its writer, and says no more than is sure."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from config import ROOT
from mailservice.models import Reason, State
from mailservice.sending import journal
from mailservice.sending.entries import Entry
from mailservice.sending.journal import ROOM, Journal, owned, read

AT = datetime(2024, 5, 15, 12, 30, 15, 123456, tzinfo=UTC)
ENTRY = Entry(7, 1, 11, 1, State.SENT, AT, code=250, enhanced="2.0.0", reply="250 2.0.0 «принято»\nsecond line")
FULL = Entry(
    7,
    1,
    12,
    2,
    State.DEFERRED,
    AT,
    code=451,
    enhanced="4.7.1",
    reply="451 4.7.1 later",
    reason=Reason.STALE,
    not_before=AT + timedelta(minutes=5),
    suppress="gone@example.org",
)

WRITER = """
import os, sys
from pathlib import Path
from datetime import UTC, datetime
from mailservice.models import State
from mailservice.sending.entries import Entry
from mailservice.sending.journal import Journal
journal = Journal(Path(sys.argv[1]))
for number in range(1, 100_001):
    journal.begin(7, 1, number)
    journal.end(Entry(7, 1, number, 1, State.SENT, datetime.now(UTC), code=250, reply="250 OK"))
    if number == 50:
        print(journal.path, flush=True)
"""


@pytest.fixture
def folder(tmp_path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def mine(folder):
    made = Journal(folder)
    yield made
    made.close()


def test_what_was_written_is_read_back_as_it_was(mine):
    mine.begin(7, 1, 11)
    mine.begin(7, 1, 12)
    mine.end(ENTRY)
    mine.begin(8, 2, 13)
    mine.withdraw(8, 2, 13)
    mine.begin(8, 2, 14)
    mine.end(FULL)
    account = read(mine.path)
    assert account.complete
    assert account.begun == {(7, 1): {11, 12}, (8, 2): {14}}
    assert account.ended == {(7, 1): [ENTRY, FULL]}


@pytest.mark.parametrize("state", list(State))
def test_an_entry_of_every_kind_passes_through_the_file(mine, state):
    entry = Entry(2**60, 3, 2**61, 4, state, AT)
    mine.end(entry)
    assert read(mine.path).ended == {(2**60, 3): [entry]}


def test_a_new_journal_knows_of_nothing_begun_and_is_sure_of_it(mine):
    account = read(mine.path)
    assert (account.complete, account.begun, account.ended) == (True, {}, {})


def test_its_lines_survive_kill_9_and_each_is_whole(folder):
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(folder)], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    path = Path(writer.stdout.readline().strip())
    with owned(path) as dead:
        assert not dead
    writer.send_signal(signal.SIGKILL)
    assert writer.wait(10) == -signal.SIGKILL
    account = read(path)
    ended = [entry.delivery_id for entry in account.ended[7, 1]]
    assert account.complete
    assert len(ended) >= 50
    assert ended == list(range(1, len(ended) + 1))
    assert account.begun[7, 1] in ({*ended}, {*ended, len(ended) + 1}), "one at most was on the wire"
    with owned(path) as dead:
        assert dead


def test_a_line_cut_short_by_death_is_passed_over(mine):
    """A letter is begun only after its whole line is written: half a line began nothing."""
    mine.begin(7, 1, 11)
    whole = mine.path.read_bytes().rstrip(b"\0")
    for torn in (b"+", b"+ 7", b"+ 7 1 1", b'= {"attempt_id": 7', b"- 7 1 11"):
        mine.path.write_bytes(whole + torn)
        account = read(mine.path)
        assert (account.complete, account.begun, account.ended) == (True, {(7, 1): {11}}, {})


@pytest.mark.parametrize(
    "broken",
    [b"?", b"+ 7 1", b"+ a b c", b"= {", b"= []", b'= {"state": "sent"}', b"\x00\x00\x00", b"\xff\xfe", b"", b"= null"],
)
def test_a_broken_line_in_the_middle_makes_it_unsure_but_what_is_whole_counts(mine, broken):
    """A power cut can leave anything: then what the file does not name may have been begun all the same."""
    mine.begin(7, 1, 11)
    mine.path.write_bytes(mine.path.read_bytes().rstrip(b"\0") + broken + b"\n+ 7 1 12\n")
    account = read(mine.path)
    assert not account.complete
    assert account.begun == {(7, 1): {11, 12}}


@pytest.mark.parametrize("head", [b'{"boot": "another"}\n', b"{}\n", b"[]\n", b"", b"\n", b"\xff\n"])
def test_a_journal_of_another_boot_is_no_proof_of_what_was_not_begun(mine, head):
    mine.path.write_bytes(head + b"+ 7 1 11\n" if head else b"")
    account = read(mine.path)
    assert not account.complete
    assert account.begun == ({(7, 1): {11}} if head else {})


def test_the_boot_is_named_in_its_first_line(mine):
    assert json.loads(mine.path.read_bytes().splitlines()[0]) == {"boot": journal.boot_id()}
    assert journal.boot_id() or sys.platform != "linux"


def test_a_journal_that_is_gone_says_nothing(folder):
    assert read(folder / "nobody") is None
    with owned(folder / "nobody") as dead:
        assert not dead


def test_a_live_owner_is_not_taken_for_dead_and_one_heir_keeps_others_out(folder):
    mine = Journal(folder)
    with owned(mine.path) as dead:
        assert not dead
    mine.close(keep=True)
    with owned(mine.path) as first, owned(mine.path) as second:
        assert (first, second) == (True, False)
        mine.path.unlink()
    with owned(mine.path) as dead:
        assert not dead


def test_an_heir_who_comes_when_the_file_was_just_buried_inherits_nothing(folder, monkeypatch):
    mine = Journal(folder)
    mine.close(keep=True)
    open_file = os.open

    def open_and_be_slow(path, flags):
        file = open_file(path, flags)
        mine.path.unlink()  # by another heir, between our opening it and our lock
        return file

    monkeypatch.setattr("mailservice.sending.journal.os.open", open_and_be_slow)
    with owned(mine.path) as dead:
        assert not dead


def test_closing_leaves_no_file_unless_it_is_to_be_kept(folder):
    for keep, left in ((False, 0), (True, 1)):
        Journal(folder).close(keep=keep)
        assert len(list(folder.iterdir())) == left


def test_only_its_user_may_read_it(mine):
    assert mine.path.stat().st_mode & 0o777 == 0o600


def no_space(*_):
    raise OSError(errno.ENOSPC, "no space left on device")


def test_on_a_full_disk_there_is_no_journal(folder, monkeypatch):
    monkeypatch.setattr("mailservice.sending.journal.os.posix_fallocate", no_space)
    with pytest.raises(OSError, match="no space left"):
        Journal(folder)


def begin_until_full(mine):
    for number in range(ROOM):
        mine.begin(7, 1, number)


def test_a_journal_that_cannot_grow_says_so_and_keeps_what_it_has(mine, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("mailservice.sending.journal.os.posix_fallocate", no_space)
        with pytest.raises(OSError, match="no space left"):
            begin_until_full(mine)
    written = len(read(mine.path).begun[7, 1])
    mine.begin(7, 1, written)
    assert read(mine.path).begun == {(7, 1): set(range(written + 1))}


def test_a_journal_grows_beyond_its_first_room(mine):
    long = ENTRY._replace(reply="я" * 1000)
    for number in range(500):
        mine.end(long._replace(delivery_id=number))
    assert len(read(mine.path).ended[7, 1]) == 500


def test_two_journals_of_one_process_are_two(folder):
    one, two = Journal(folder), Journal(folder)
    assert one.holder != two.holder
    one.close()
    two.close()
