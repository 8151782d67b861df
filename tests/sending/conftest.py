"""What tests of the engine share with those that kill its processes."""

from tests.faults.conftest import processes

__all__ = ["processes"]
