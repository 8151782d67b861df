"""The demonstration: an empty database filled with people, mailings and a past that the engine might have had."""

from mailservice.services.demo.filling import Scene, fill, is_empty
from mailservice.services.demo.holding import hold

__all__ = ["Scene", "fill", "hold", "is_empty"]
