"""What was sent in some days, in words."""

from flask_babel import lazy_gettext as _l
from flask_babel import ngettext

from mailservice.services.recent import Period

PERIODS = {Period.TODAY: _l("today"), Period.WEEK: _l("in 7 days"), Period.MONTH: _l("in 30 days")}


def letters(period: Period, number: int) -> str:
    """The words beside the number of letters."""
    match period:
        case Period.TODAY:
            return ngettext("letter sent today", "letters sent today", number)
        case Period.WEEK:
            return ngettext("letter sent in 7 days", "letters sent in 7 days", number)
        case Period.MONTH:
            return ngettext("letter sent in 30 days", "letters sent in 30 days", number)
