"""Groups of recipients' domains: those of one provider are paced together, all others as the rest."""

from __future__ import annotations

import re
from functools import lru_cache

from mailservice.mail_servers import GROUPS, REST

_DOMAINS = {
    "gmail": "gmail.com googlemail.com",
    "mail.ru": "mail.ru bk.ru list.ru inbox.ru internet.ru xmail.ru mail.ua",
    "yandex": "ya.ru narod.ru",
    "outlook": "msn.com passport.com windowslive.com",
    "yahoo": "ymail.com rocketmail.com myyahoo.com aol.com aim.com",
}
# Providers with an address in many countries: yahoo.co.uk, hotmail.fr, yandex.kz.
_NAMES = {"yandex": "yandex", "outlook": "outlook", "hotmail": "outlook", "live": "outlook", "yahoo": "yahoo"}
_COUNTRY = re.compile(r"(?:com?\.)?[a-z]{2}|com")
_KNOWN = {domain: group for group, domains in _DOMAINS.items() for domain in domains.split()}
assert {*_DOMAINS, REST} == {*GROUPS}


def group_of(address: str) -> str:
    """The group of an address."""
    return _group_of_domain(address.rpartition("@")[2])


@lru_cache(maxsize=10_000)
def _group_of_domain(domain: str) -> str:
    domain = domain.lower().rstrip(".")
    if domain in _KNOWN:
        return _KNOWN[domain]
    name, _, country = domain.partition(".")
    return _NAMES[name] if name in _NAMES and _COUNTRY.fullmatch(country) else REST
