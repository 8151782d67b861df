"""The blueprint that the views of this feature hang on, and the names that their pages know."""

from __future__ import annotations

from flask import Blueprint

from mailservice import clock
from mailservice.services import launching
from mailservice.services.watching import Stage
from mailservice.web.mailings import words as say

blueprint = Blueprint("mailings", __name__, url_prefix="/mailings")


@blueprint.app_context_processor
def _words() -> dict[str, object]:
    return {"say": say, "Stage": Stage, "can_be_undone": lambda m: launching.can_be_undone(m, clock.now())}
