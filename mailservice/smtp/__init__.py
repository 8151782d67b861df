"""An SMTP client for many letters to one server: standard library only, and it never mistakes maybe sent for not sent.

A Loop takes Letters from a Source, hands them to a Server and tells the Source each letter's Outcome.
"""

from .letter import Letter
from .loop import Loop, Source, probe
from .outcome import (
    Accepted,
    Ambiguous,
    Deferred,
    NotSent,
    Outcome,
    Rejected,
    Stage,
    Trouble,
    TroubleKind,
)
from .reply import Reply
from .server import Deadlines, Security, Server

__all__ = [
    "Accepted",
    "Ambiguous",
    "Deadlines",
    "Deferred",
    "Letter",
    "Loop",
    "NotSent",
    "Outcome",
    "Rejected",
    "Reply",
    "Security",
    "Server",
    "Source",
    "Stage",
    "Trouble",
    "TroubleKind",
    "probe",
]
