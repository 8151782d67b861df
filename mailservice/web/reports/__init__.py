"""Pages of the feature `reports`."""

from mailservice.web.reports import again
from mailservice.web.reports.views import blueprint

__all__ = ["again", "blueprint"]
