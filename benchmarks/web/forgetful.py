"""The service with a cache that keeps nothing: what every page would cost without one."""

from cachelib import NullCache

from wsgi import app

app.extensions["caching"].memory = NullCache()
