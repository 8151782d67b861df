"""How fast the public pages are, with the cache and without: `make bench-web`."""
