"""Pages of the feature `reports`."""

from mailservice.web.reports import again, over_time
from mailservice.web.reports.views import blueprint

__all__ = ["again", "blueprint", "over_time"]
