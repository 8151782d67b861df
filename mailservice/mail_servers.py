"""What the settings say of mail: servers in their compact form, how much each may be asked for, a mailbox."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from email.utils import formataddr, parseaddr
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from mailservice.urls import in_ascii

REST = "rest"
GROUPS = ("gmail", "mail.ru", "yandex", "outlook", "yahoo", REST)  # of recipients' domains
PORTS = {"none": 25, "starttls": 587, "tls": 465}
SCHEMES = {"smtp": "starttls", "smtps": "tls"}
SHAPE = "smtp://user:password@host:587?weight=1; write what is special in a name or password as %XX"


@dataclass(frozen=True)
class Limits:
    """Letters that all senders together may hand to one server; what is zero or not named is not limited."""

    per_second: float = 0
    per_hour: int = 0
    groups: Mapping[str, float] = field(default_factory=dict)  # letters per second, by group

    @property
    def are_none(self) -> bool:
        return not (self.per_second or self.per_hour or self.groups)

    def __str__(self) -> str:
        """As in “50/s, 1000/h, gmail 20/s”; empty where there are none."""
        words = [f"{self.per_second:g}/s"] if self.per_second else []
        words += [f"{self.per_hour}/h"] if self.per_hour else []
        return ", ".join(words + [f"{group} {rate:g}/s" for group, rate in self.groups.items()])


@dataclass(frozen=True)
class MailServer:
    """One mail server. `connections` are each sender's own; `letters_per_connection`: zero is no limit."""

    host: str
    port: int
    security: str
    username: str = ""
    password: str = field(default="", repr=False)
    weight: float = 1
    connections: int = 1
    letters_per_connection: int = 0
    limits: Limits = Limits()

    @property
    def name(self) -> str:
        return f"{self.host}:{self.port}"


def parse(text: str, default: MailServer) -> tuple[list[MailServer], list[str]]:
    """The servers of a list of URLs, and a line for each that cannot be read; no line repeats what may be secret.

    What a URL does not say is as in `default`, but for host, port, security, name and password.
    """
    servers: list[MailServer] = []
    urls = _words(text)
    problems = [] if urls or not text else ["names no server."]
    for number, url in enumerate(urls, start=1):
        try:
            server = _parse_one(url, default)
        except ValueError as error:
            problems.append(f"server {number}: {error}")
            continue
        if any(server.name == other.name for other in servers):
            problems.append(f"server {number}: {server.name} is named twice.")
        servers.append(server)
    return servers, problems


def parse_groups(text: str) -> tuple[dict[str, float], list[str]]:
    """Letters per second by group, from “gmail=20 mail.ru=10”, and a line for each that cannot be read."""
    rates: dict[str, float] = {}
    problems: list[str] = []
    for word in _words(text):
        group, _, rate = word.partition("=")
        try:
            if group not in GROUPS:
                raise ValueError(f"“{group}” is none of {', '.join(GROUPS)}.")
            rates[group] = _number(group, rate)
        except ValueError as error:
            problems.append(str(error))
    return rates, problems


def is_mailbox(text: str) -> bool:
    """Whether it is one address, with or without a name (RFC 5322 3.4)."""
    name, address = parseaddr(text)
    local, _, domain = address.rpartition("@")
    if not (local and domain and address.isascii()):
        return False
    return formataddr((name, address)).count("@") == text.count("@") and text.isprintable()


def with_ascii_domain(mailbox: str) -> str:
    """The mailbox with its domain in ASCII (RFC 5890), as letters need it; as it stands where that cannot be."""
    domain = parseaddr(mailbox)[1].rpartition("@")[2]
    if domain.isascii():
        return mailbox
    try:
        return mailbox.replace(f"@{domain}", f"@{in_ascii(domain)}")
    except ValueError:
        return mailbox


def _words(text: str) -> list[str]:
    return [word for word in re.split(r"[\s,]+", text) if word]


def _parse_one(url: str, default: MailServer) -> MailServer:
    try:
        parts = urlsplit(url)
        port = parts.port
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise ValueError(f"is not like {SHAPE}.") from None
    options = dict(pairs)
    if not _is_clean(parts) or len(options) != len(pairs):
        raise ValueError(f"is not like {SHAPE}.")
    if not options.keys() <= {"security", *NUMBERS, *LIMITS, *GROUPS}:
        raise ValueError(f"knows only {', '.join(['security', *NUMBERS, *LIMITS, *GROUPS])}.")
    security = options.get("security", SCHEMES[parts.scheme])
    if security not in PORTS:
        raise ValueError(f"security is one of {', '.join(PORTS)}.")
    given: dict[str, Any] = {name: NUMBERS[name](name, options[name]) for name in NUMBERS if name in options}
    return replace(
        default,
        host=parts.hostname or "",
        port=PORTS[security] if port is None else port,
        security=security,
        username=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        limits=_limits(options, default.limits),
        **given,
    )


def _is_clean(parts: SplitResult) -> bool:
    return (
        parts.scheme in SCHEMES
        and bool(parts.hostname)
        and parts.path in ("", "/")
        and not parts.fragment
        and parts.port != 0
        and bool(parts.username) == bool(parts.password)
    )


def _limits(options: dict[str, str], default: Limits) -> Limits:
    given: dict[str, Any] = {name: LIMITS[name](name, options[name]) for name in LIMITS if name in options}
    groups = {name: _number(name, options[name]) for name in GROUPS if name in options}
    return replace(default, groups={**default.groups, **groups}, **given)


def _number(name: str, text: str) -> float:
    with_hint = ValueError(f"{name} is a number above zero.")
    try:
        value = float(text)
    except ValueError:
        raise with_hint from None
    if not (math.isfinite(value) and value > 0):
        raise with_hint
    return value


def _count(name: str, text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < len(text) <= 9 and int(text) > 0):
        raise ValueError(f"{name} is a whole number above zero.")
    return int(text)


NUMBERS: dict[str, Callable[[str, str], float]] = {
    "weight": _number,
    "connections": _count,
    "letters_per_connection": _count,
}
LIMITS: dict[str, Callable[[str, str], float]] = {"per_second": _number, "per_hour": _count}
