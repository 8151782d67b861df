"""Settings: read once from the environment and `.env`, checked, and given to `create_app` as plain values.

Every setting is listed, with its default and meaning, in `.env.example`; a test holds the two together.
"""

from __future__ import annotations

import contextlib
import hashlib
import math
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote, urlsplit
from zoneinfo import ZoneInfo

from dotenv import dotenv_values

from mailservice import mail_servers, urls
from mailservice.mail_servers import PORTS, Limits, MailServer
from mailservice.smtp.server import is_local_name

ROOT = Path(__file__).resolve().parent
LANGUAGES = ("ru", "en")
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
UNSAFE_KEYS = frozenset({"", "secret", "changeme", "change-me", "dev", "development", "test", "password"})
SHORTEST_KEY = 32
STAY_SIGNED_IN = timedelta(days=14)  # without a visit
LONGEST_SOCKET_PATH = 103  # octets; what both Linux (107) and macOS (103) take


class SettingsError(Exception):
    """One or more settings are missing or unsafe; `lines` has one clear line for each."""

    def __init__(self, lines: list[str]):
        super().__init__("\n".join(lines))
        self.lines = lines


@dataclass(frozen=True)
class Settings:
    """All settings, as typed values. The environment's name of each is its name in capitals."""

    environment: str = "local"  # local | production
    instance_path: Path = ROOT / "instance"
    secret_key: str = field(default="", repr=False)
    public_url: str = ""
    web_host: str = "127.0.0.1"
    web_port: int = 8000
    web_workers: int = 2
    workers: int = 2
    database_url: str = field(default="", repr=False)
    redis_url: str = field(default="", repr=False)
    mail_server: str = ""
    mail_port: int = 0
    mail_security: str = ""  # none | starttls | tls
    mail_username: str = ""
    mail_password: str = field(default="", repr=False)
    mail_servers: str = field(default="", repr=False)
    mail_sender: str = ""
    mail_ca_file: str = ""
    mail_local_name: str = "localhost"
    mail_connections: int = 10
    mail_letters_per_connection: int = 0
    mail_per_second: float = 0.0
    mail_per_hour: int = 0
    mail_groups: str = ""
    mail_timeout: float = 30.0
    mail_final_timeout: float = 600.0
    inbox_host: str = "127.0.0.1"
    inbox_smtp_port: int = 1025
    inbox_web_port: int = 8025
    inbox_keep: int = 20000
    default_language: str = "ru"
    default_time_zone: str = "Europe/Moscow"
    trusted_hosts: str = ""
    proxy_count: int = 0
    log_level: str = "INFO"
    tick_seconds: int = 3
    lease_seconds: int = 30
    import_megabytes: int = 100

    @property
    def production(self) -> bool:
        return self.environment == "production"

    @property
    def embedded_database(self) -> bool:
        return not self.database_url

    @property
    def embedded_redis(self) -> bool:
        return not self.redis_url

    @property
    def embedded_inbox(self) -> bool:
        return not (self.mail_server or self.mail_servers)

    @property
    def servers(self) -> tuple[MailServer, ...]:
        """The mail servers that letters go to, at least one; the local inbox where none is set."""
        if self.mail_servers:
            return tuple(mail_servers.parse(self.mail_servers, self._server)[0])
        return (self._server,)

    @property
    def _server(self) -> MailServer:
        """The one of MAIL_SERVER; also what those of MAIL_SERVERS have that do not say otherwise."""
        groups, _ = mail_servers.parse_groups(self.mail_groups)
        return MailServer(
            self.mail_server or self.inbox_host,
            self.mail_port,
            self.mail_security,
            self.mail_username,
            self.mail_password,
            connections=self.mail_connections,
            letters_per_connection=self.mail_letters_per_connection,
            limits=Limits(self.mail_per_second, self.mail_per_hour, groups),
        )

    @property
    def redis_socket(self) -> Path:
        """The embedded server's unix socket; elsewhere where its natural path is too long for a socket."""
        path = self.instance_path / "redis" / "redis.sock"
        if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
            return path
        name = hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
        # A folder of this user's own; `flask redis` makes it and checks that nobody else did.
        return Path("/tmp") / f"mailservice-{os.getuid()}-{name}" / "redis.sock"  # nosec B108

    @property
    def journal_path(self) -> Path:
        """Where senders keep their journals (one file each)."""
        return self.instance_path / "journal"

    @property
    def images_path(self) -> Path:
        """Where the pictures of posts are."""
        return self.instance_path / "images"

    @property
    def imports_path(self) -> Path:
        """Where files of clients are kept for some days."""
        return self.instance_path / "imports"

    def flask(self) -> dict[str, object]:
        """The mapping that Flask and its extensions read."""
        return {
            "SETTINGS": self,
            "SECRET_KEY": self.secret_key,
            "SQLALCHEMY_DATABASE_URI": self.database_url or f"sqlite:///{self.instance_path}/mailservice.db",
            "REDIS_URL": self.redis_url or f"unix://{quote(str(self.redis_socket))}",
            "SESSION_COOKIE_HTTPONLY": True,
            "SESSION_COOKIE_SAMESITE": "Lax",
            "SESSION_COOKIE_SECURE": self.https,
            "SESSION_COOKIE_NAME": "__Host-session" if self.https else "session",
            "PERMANENT_SESSION_LIFETIME": STAY_SIGNED_IN,
            "SESSION_REFRESH_EACH_REQUEST": False,  # web.security does it, once a minute
            "WTF_CSRF_TIME_LIMIT": None,  # as long as the session: a form left open overnight loses nothing
            "TRUSTED_HOSTS": self.hosts,
            "MAX_CONTENT_LENGTH": 16 * 1024 * 1024,
            "MAX_FORM_MEMORY_SIZE": 4 * 1024 * 1024,
            "BOOTSTRAP_SERVE_LOCAL": True,
            "BABEL_DEFAULT_LOCALE": self.default_language,
            "BABEL_DEFAULT_TIMEZONE": self.default_time_zone,
            "BABEL_TRANSLATION_DIRECTORIES": "translations",
        }

    @property
    def hosts(self) -> list[str]:
        """The names that a request may call this service by; it calls itself by PUBLIC_URL's and the loopback's."""
        named = [name.strip() for name in self.trusted_hosts.split(",")]
        own = [urlsplit(self.public_url).hostname or "", self.web_host, "localhost", "127.0.0.1", "::1"]
        names = {name.strip("[]") for name in [*named, *own] if name}
        return sorted(urls.bracketed(name) for name in names)

    @property
    def bind_host(self) -> str:
        """WEB_HOST as it stands before a port."""
        return urls.bracketed(self.web_host)

    @property
    def https(self) -> bool:
        return self.public_url.lower().startswith("https:")


def load(environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from `environ` (by default the process environment over `.env`).

    Raises SettingsError with a line for each value that is missing, malformed or unsafe.
    """
    if environ is None:
        environ = {k: v for k, v in dotenv_values(ROOT / ".env").items() if v is not None} | dict(os.environ)
    problems: list[str] = []
    values = _parse(environ, problems)
    settings = _with_defaults(Settings(**values))  # type: ignore[arg-type]
    problems += _problems(settings)
    if problems:
        raise SettingsError(problems)
    return settings if settings.secret_key else _with_local_key(settings)


def _parse(environ: Mapping[str, str], problems: list[str]) -> dict[str, object]:
    """The given settings turned into the types of their fields; what is empty counts as not given."""
    values: dict[str, object] = {}
    for f in fields(Settings):
        text = environ.get(f.name.upper(), "").strip()
        if not text:
            continue
        try:
            values[f.name] = _PARSERS[str(f.type)](text)
        except ValueError:
            problems.append(f"{f.name.upper()}: “{text}” is not {_KINDS[str(f.type)]}.")
    return values


_PARSERS: dict[str, Callable[[str], object]] = {
    "str": str,
    "int": int,
    "float": float,
    "Path": lambda text: Path(text).expanduser().resolve(),
}
_KINDS = {"int": "a whole number", "float": "a number", "Path": "a path", "str": "a text"}


def _with_defaults(s: Settings) -> Settings:
    """Values that follow from others: the inbox as mail server, ports by security, the driver of a URL."""
    s = replace(s, web_host=s.web_host.strip("[]"))
    sender = s.mail_sender or ("Mailservice <mailservice@example.org>" if s.embedded_inbox else "")
    changes: dict[str, object] = {
        "database_url": normalise_database_url(s.database_url),
        "public_url": s.public_url or _own_address(s),
        "mail_sender": mail_servers.with_ascii_domain(sender),
    }
    with contextlib.suppress(ValueError):  # _problems() has a line for it
        changes["public_url"] = urls.web_address(str(changes["public_url"]))
    if s.mail_server:
        changes["mail_security"] = s.mail_security or "starttls"
        changes["mail_port"] = s.mail_port or PORTS.get(str(changes["mail_security"]), 587)
    elif s.embedded_inbox:
        changes |= {"mail_security": "none", "mail_port": s.inbox_smtp_port}
    return replace(s, **changes)  # type: ignore[arg-type]


def _own_address(s: Settings) -> str:
    """Where pages are without a PUBLIC_URL."""
    return f"http://{s.bind_host}:{s.web_port}"


def normalise_database_url(url: str) -> str:
    """`postgres://` and `postgresql://` mean psycopg 3 here, whatever SQLAlchemy's default is."""
    for prefix in ("postgres://", "postgresql://"):
        if url.startswith(prefix):
            return "postgresql+psycopg://" + url[len(prefix) :]
    return url


def _problems(s: Settings) -> list[str]:
    """One line for each value that cannot be used."""
    lines = []
    if s.environment not in {"local", "production"}:
        lines.append(f"ENVIRONMENT: “{s.environment}” is neither “local” nor “production”.")
    if s.database_url and not s.database_url.startswith(("sqlite:", "postgresql+psycopg:")):
        lines.append("DATABASE_URL: only sqlite:// and postgresql:// are supported.")
    elif s.database_url and not urls.is_database(s.database_url):
        lines.append("DATABASE_URL: is not like postgresql://user:password@host:5432/name; write an “@” as %40.")
    if s.redis_url and not s.redis_url.startswith(("redis://", "rediss://", "unix://")):
        lines.append("REDIS_URL: must start with redis://, rediss:// or unix://.")
    elif s.redis_url and not urls.is_redis(s.redis_url):
        lines.append("REDIS_URL: is not like redis://:password@host:6379/0; write what is special in it as %XX.")
    lines += _mail_problems(s)
    if s.default_language not in LANGUAGES:
        lines.append(f"DEFAULT_LANGUAGE: “{s.default_language}” is not one of {', '.join(LANGUAGES)}.")
    try:
        if s.public_url != _own_address(s):  # what a wrong WEB_PORT makes of that has a line of its own
            urls.web_address(s.public_url)
    except ValueError:
        lines.append("PUBLIC_URL: must be an http:// or https:// address, for example https://mail.shop.example.")
    if s.log_level not in LOG_LEVELS:
        lines.append(f"LOG_LEVEL: “{s.log_level}” is not one of {', '.join(LOG_LEVELS)}.")
    try:
        ZoneInfo(s.default_time_zone)
    except (KeyError, ValueError, OSError):
        lines.append(f"DEFAULT_TIME_ZONE: “{s.default_time_zone}” is not an IANA zone.")
    for name in ("web_port", "inbox_smtp_port", "inbox_web_port", *(() if s.mail_servers else ("mail_port",))):
        if not 0 < getattr(s, name) < 65536:
            lines.append(f"{name.upper()}: must be between 1 and 65535.")
    counts = ("web_workers", "workers", "inbox_keep", "tick_seconds", "lease_seconds", "mail_connections")
    for name in (*counts, "mail_timeout", "mail_final_timeout", "import_megabytes"):
        if not getattr(s, name) > 0:
            lines.append(f"{name.upper()}: must be above zero.")
    for name in ("mail_letters_per_connection", "mail_per_second", "mail_per_hour"):
        if not 0 <= getattr(s, name) < math.inf:
            lines.append(f"{name.upper()}: must be above zero, or zero for no limit.")
    return lines + (_production_problems(s) if s.production else [])


def _mail_problems(s: Settings) -> list[str]:
    lines = []
    if s.mail_servers and (s.mail_server or s.mail_port or s.mail_security or s.mail_username or s.mail_password):
        lines.append("MAIL_SERVERS: leave out MAIL_SERVER, _PORT, _SECURITY, _USERNAME and _PASSWORD with it.")
    elif not s.mail_servers and s.mail_security not in PORTS:
        lines.append(f"MAIL_SECURITY: “{s.mail_security}” is not one of none, starttls, tls.")
    lines += [f"MAIL_GROUPS: {problem}" for problem in mail_servers.parse_groups(s.mail_groups)[1]]
    lines += [f"MAIL_SERVERS: {problem}" for problem in mail_servers.parse(s.mail_servers, s._server)[1]]
    if not s.embedded_inbox and not s.mail_sender:
        lines.append("MAIL_SENDER: is required with a mail server, for example: Shop <news@shop.example>.")
    if s.mail_sender and not mail_servers.is_mailbox(s.mail_sender):
        lines.append(f"MAIL_SENDER: “{s.mail_sender}” is not one mailbox in ASCII; a name with a comma needs quotes.")
    if not is_local_name(s.mail_local_name):
        lines.append("MAIL_LOCAL_NAME: must be a name in ASCII without spaces, for example mail.shop.example.")
    if s.mail_ca_file and not Path(s.mail_ca_file).is_file():
        lines.append(f"MAIL_CA_FILE: there is no file “{s.mail_ca_file}”.")
    return lines


def _production_problems(s: Settings) -> list[str]:
    """What is tolerable on one's own machine and not before customers."""
    lines = []
    if not s.secret_key:
        lines.append("SECRET_KEY: is required in production; make one: openssl rand -hex 32")
    elif s.secret_key.lower() in UNSAFE_KEYS or len(s.secret_key) < SHORTEST_KEY:
        lines.append(f"SECRET_KEY: is too easy to guess; take {SHORTEST_KEY} characters: openssl rand -hex 32")
    if s.embedded_inbox:
        lines.append("MAIL_SERVER: is required in production; the local inbox delivers to nobody.")
    for server in s.servers:
        if server.security == "none" and server.username:
            name = "MAIL_SERVERS" if s.mail_servers else "MAIL_SECURITY"
            lines.append(f"{name}: “none” would send the password for {server.name} in the clear.")
    if not s.https:
        lines.append("PUBLIC_URL: must be an https:// address in production.")
    return lines


def _with_local_key(s: Settings) -> Settings:
    """A key of this installation's own, made once and kept in the instance folder."""
    path = s.instance_path / "secret_key"
    s.instance_path.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        _write_once(path, secrets.token_hex(32))
    return replace(s, secret_key=path.read_text().strip())


def _write_once(path: Path, text: str) -> None:
    """Several processes start at once: the file appears whole, and the first one's stays."""
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.touch(mode=0o600)
    draft.write_text(text)
    with contextlib.suppress(FileExistsError):
        os.link(draft, path)
    draft.unlink()
