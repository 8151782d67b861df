"""Addresses of one provider are one group, whatever the domain; all others are the rest."""

from __future__ import annotations

import pytest

from mailservice.mail_servers import GROUPS
from mailservice.sending.pacing import group_of

DOMAINS = {
    "gmail": ["gmail.com", "googlemail.com", "GMAIL.COM", "gmail.com."],
    "mail.ru": ["mail.ru", "bk.ru", "list.ru", "inbox.ru", "internet.ru"],
    "yandex": ["yandex.ru", "ya.ru", "yandex.com", "yandex.by", "yandex.kz", "yandex.ua", "narod.ru", "yandex.com.tr"],
    "outlook": ["outlook.com", "hotmail.com", "live.com", "msn.com", "hotmail.co.uk", "outlook.fr", "live.nl"],
    "yahoo": ["yahoo.com", "yahoo.co.uk", "yahoo.fr", "yahoo.com.br", "ymail.com", "aol.com"],
    "rest": ["example.org", "live.concerts.example", "gmail.com.example.org", "notgmail.com", "yahoo.shop.example", ""],
}


@pytest.mark.parametrize(
    ("domain", "group"), [(domain, group) for group, domains in DOMAINS.items() for domain in domains]
)
def test_a_domain_belongs_to_its_providers_group(domain, group):
    assert group_of(f"anna@{domain}") == group


def test_every_group_can_be_named_in_the_settings():
    assert set(DOMAINS) == set(GROUPS)
