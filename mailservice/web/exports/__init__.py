"""Lists as files: clients, the stop list, deliveries of an attempt."""

from mailservice.web.exports.views import blueprint

__all__ = ["blueprint"]
