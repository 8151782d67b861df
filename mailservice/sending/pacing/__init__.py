"""Pacing: how many letters may go through a mail server, in all and to each group of domains.

All senders share the limits. A sender takes permits in blocks, away from its hot path, and there only counts
them down; where nothing is limited and no group backs off, one look at `Pace.is_free` is all it costs.
"""

from .groups import group_of
from .pace import LONGEST, Pace
from .parking import Parking
from .store import DatabaseStore, SharedStore

__all__ = ["LONGEST", "DatabaseStore", "Pace", "Parking", "SharedStore", "group_of"]
