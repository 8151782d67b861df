"""Pages of the feature `mailings`."""

from mailservice.web.mailings import acts, fragments, launch, views
from mailservice.web.mailings.blueprint import blueprint

__all__ = ["acts", "blueprint", "fragments", "launch", "views"]
