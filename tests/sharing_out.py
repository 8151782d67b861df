"""Which process tests what, when several test side by side.

The tests of a file stay together, since what they start they start once. The longest files come first, so that at the
end nobody waits for one that began late.
"""

from __future__ import annotations

from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

# Long tests that need each other for nothing: each goes where there is room.
APART = ("tests/web/test_fuzz.py", "tests/web/test_header_injection.py")
# Those of more than a minute. A new one may be missing here; then the run takes a little longer.
LONGEST = (
    *("tests/e2e/test_stored_xss.py", "tests/faults/test_kill.py", *APART, "tests/e2e/test_pages.py"),
    *("tests/architecture/test_routes.py", "tests/chaos/test_chaos.py", "tests/web/test_ownership.py"),
    *("tests/cli/test_seed.py", "tests/faults/test_answers.py", "tests/jobs/test_importing.py"),
    *("tests/sending/test_bad_moments.py", "tests/runtime/test_make_run.py", "tests/e2e/test_desk.py"),
    *("tests/faults/test_turns.py", "tests/sending/test_pace_of_runs.py", "tests/e2e/test_clean_path.py"),
    *("tests/faults/test_preparing.py", "tests/cli/test_send_mailings.py", "tests/e2e/test_planning_walk.py"),
)


class Scheduling(LoadScopeScheduling):
    """By file, as `--dist loadfile` does it, but for the files in APART, and in the order of the tests."""

    def __init__(self, config: pytest.Config, log: Any = None) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False  # by number of tests the longest would come last

    def _split_scope(self, nodeid: str) -> str:
        file = _file(nodeid)
        return nodeid if file in APART else file


def in_order(items: list[pytest.Item]) -> None:
    """Puts the tests of the longest files first."""
    place = {file: number for number, file in enumerate(LONGEST)}
    items.sort(key=lambda item: place.get(_file(item.nodeid), len(place)))


def _file(nodeid: str) -> str:
    return nodeid.partition("::")[0]
