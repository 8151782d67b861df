import pytest

from mailservice.models import Reason, State
from mailservice.services.causes import Cause, cause_of
from mailservice.services.reports import Trouble
from mailservice.web.reports.words import CAUSES


@pytest.mark.parametrize(
    ("state", "reason", "code", "enhanced", "cause"),
    [
        (State.FAILED, None, 550, "5.1.1", Cause.NO_ADDRESS),
        (State.FAILED, None, 550, "5.1.99", Cause.NO_ADDRESS),
        (State.FAILED, None, 553, None, Cause.NO_ADDRESS),
        (State.FAILED, None, 552, "5.2.2", Cause.MAILBOX_FULL),
        (State.FAILED, None, 552, None, Cause.MAILBOX_FULL),
        (State.FAILED, None, 550, "5.2.1", Cause.MAILBOX_OFF),
        (State.FAILED, None, 554, "5.7.1", Cause.UNWANTED),
        (State.FAILED, None, 550, "5.7.26", Cause.NOT_TRUSTED),
        (State.FAILED, None, 550, "5.1.8", Cause.SENDER),
        (State.FAILED, None, 552, "5.3.4", Cause.TOO_BIG),
        (State.FAILED, None, 550, "5.4.4", Cause.NO_WAY),
        (State.FAILED, Reason.STALE, 451, "4.7.1", Cause.TEMPORARY),
        (State.FAILED, None, 550, None, Cause.REFUSED),
        (State.FAILED, None, 554, "5.0.0", Cause.REFUSED),
        (State.FAILED, None, None, None, Cause.REFUSED),
        (State.FAILED, Reason.BAD_MESSAGE, None, None, Cause.BAD_MESSAGE),
        (State.UNKNOWN, None, None, None, Cause.LOST),
        (State.SKIPPED, Reason.SUPPRESSED, None, None, Cause.SUPPRESSED),
        (State.SKIPPED, Reason.CLIENT_DELETED, None, None, Cause.CLIENT_GONE),
        (State.CANCELLED, Reason.BY_OWNER, None, None, Cause.STOPPED),
    ],
)
def test_the_code_decides_and_the_enhanced_code_refines(state, reason, code, enhanced, cause):
    assert cause_of(Trouble(state, reason, code, enhanced, 1, "text never counts: mailbox full, spam")) is cause


def test_every_cause_has_words():
    assert set(CAUSES) == set(Cause)
