"""Settings: what they default to, what they refuse, and that `.env.example` tells the truth about them."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest
from redis.connection import parse_url
from sqlalchemy import make_url

from config import LONGEST_SOCKET_PATH, ROOT, Settings, SettingsError, load
from mailservice.cli.up import _environment
from mailservice.mail_servers import Limits

SAFE = {
    "ENVIRONMENT": "production",
    "SECRET_KEY": "0123456789abcdef0123456789abcdef",
    "PUBLIC_URL": "https://mail.shop.example",
    "DATABASE_URL": "postgresql://user@db.example/mail",
    "REDIS_URL": "redis://redis.example",
    "MAIL_SERVER": "smtp.example",
    "MAIL_SENDER": "Shop <news@shop.example>",
}
# Written in words there, since they follow from other settings.
DESCRIBED = {
    "INSTANCE_PATH",
    "SECRET_KEY",
    "PUBLIC_URL",
    "DATABASE_URL",
    "REDIS_URL",
    "MAIL_SERVER",
    "MAIL_PORT",
    "MAIL_SECURITY",
    "MAIL_USERNAME",
    "MAIL_PASSWORD",
    "MAIL_SERVERS",
    "MAIL_SENDER",
    "MAIL_CA_FILE",
    "MAIL_GROUPS",
}


def refusals(**environ: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(environ)
    return caught.value.lines


def example() -> dict[str, str]:
    text = (ROOT / ".env.example").read_text()
    return dict(re.findall(r"^([A-Z_]+)=(.*)$", text, re.MULTILINE))


def test_the_example_lists_every_setting_and_no_other() -> None:
    assert list(example()) == [f.name.upper() for f in fields(Settings)]


def test_the_example_shows_the_defaults() -> None:
    shown = {name: value for name, value in example().items() if name not in DESCRIBED}
    assert shown == {f.name.upper(): str(f.default) for f in fields(Settings) if f.name.upper() in shown}
    assert all(example()[name] == "" for name in DESCRIBED)


def test_the_example_as_it_stands_is_the_same_as_nothing(tmp_path: Path) -> None:
    path = {"INSTANCE_PATH": str(tmp_path)}
    assert load(example() | path) == load(path)


def test_production_starts_on_safe_settings() -> None:
    settings = load(SAFE)
    assert settings.production
    assert settings.https


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("SECRET_KEY", ""),
        ("SECRET_KEY", "changeme"),
        ("SECRET_KEY", "too short to be safe"),
        ("MAIL_SERVER", ""),
        ("MAIL_SENDER", ""),
        ("PUBLIC_URL", ""),
        ("PUBLIC_URL", "http://mail.shop.example"),
    ],
)
def test_production_refuses_what_is_missing_or_unsafe_with_one_line(setting: str, value: str) -> None:
    (line,) = refusals(**(SAFE | {setting: value}))
    assert line.startswith(f"{setting}: ")


def test_production_never_sends_a_password_in_the_clear() -> None:
    (line,) = refusals(**SAFE, MAIL_SECURITY="none", MAIL_USERNAME="shop", MAIL_PASSWORD="secret")
    assert line.startswith("MAIL_SECURITY: ")


def test_a_bare_production_names_all_that_is_missing_at_once() -> None:
    assert [line.split(":")[0] for line in refusals(ENVIRONMENT="production")] == [
        "SECRET_KEY",
        "MAIL_SERVER",
        "PUBLIC_URL",
    ]


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("ENVIRONMENT", "staging"),
        ("WEB_PORT", "eighty"),
        ("WEB_PORT", "70000"),
        ("WORKERS", "0"),
        ("INBOX_KEEP", "-1"),
        ("MAIL_TIMEOUT", "soon"),
        ("MAIL_SECURITY", "ssl"),
        ("MAIL_PER_SECOND", "-1"),
        ("MAIL_PER_SECOND", "nan"),
        ("MAIL_PER_HOUR", "1.5"),
        ("MAIL_LETTERS_PER_CONNECTION", "-1"),
        ("MAIL_GROUPS", "gmail"),
        ("MAIL_GROUPS", "hotmail=3"),
        ("MAIL_GROUPS", "gmail=0"),
        ("DATABASE_URL", "mysql://db.example/mail"),
        ("REDIS_URL", "localhost:6379"),
        ("DEFAULT_LANGUAGE", "de"),
        ("DEFAULT_TIME_ZONE", "Moscow"),
        ("DEFAULT_TIME_ZONE", "../../etc/passwd"),
        ("PUBLIC_URL", "mail.shop.example"),
        ("PUBLIC_URL", "https://[::1"),
        ("PUBLIC_URL", "https://mail.shop.example:port"),
        ("PUBLIC_URL", "https://mail shop.example"),
        ("PUBLIC_URL", "https://-я-.example"),
        ("MAIL_LOCAL_NAME", "our mail"),
        ("MAIL_LOCAL_NAME", "почта.магазин.рф"),
        ("MAIL_SENDER", "Магазин <новости@магазин.рф>"),
        ("MAIL_SENDER", "Магазин <news@-я-.рф>"),
        ("LOG_LEVEL", "VERBOSE"),
        ("LOG_LEVEL", "info"),
        ("MAIL_CA_FILE", "/no/such/file.pem"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(setting: str, value: str) -> None:
    with_server = {"MAIL_SERVER": "smtp.example", "MAIL_SENDER": "a@b.example"}
    (line,) = refusals(**(with_server | {setting: value}))
    assert line.startswith(f"{setting}: ")


def test_names_of_hosts_are_written_in_ascii() -> None:
    settings = load(
        SAFE | {"PUBLIC_URL": "https://Рассылка.рф:8443/почта/", "MAIL_SENDER": "Магазин <news@магазин.рф>"}
    )
    assert settings.public_url == "https://xn--80aa3adxha4f.xn--p1ai:8443/%D0%BF%D0%BE%D1%87%D1%82%D0%B0"
    assert "xn--80aa3adxha4f.xn--p1ai" in settings.hosts
    assert settings.mail_sender == "Магазин <news@xn--80aairftm.xn--p1ai>"


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("REDIS_URL", "redis://:hun#ter2@localhost:6379/0"),
        ("REDIS_URL", "redis://:12#ter2@localhost:6379/0"),
        ("REDIS_URL", "redis://:12/ter2@localhost:6379/0"),
        ("REDIS_URL", "redis://:12?ter2@localhost:6379/0"),
        ("REDIS_URL", "rediss://:hunter2@[::1/0"),
        ("DATABASE_URL", "postgresql://user:hunter2@db.example:54x/mail"),
        ("DATABASE_URL", "postgresql://user:hun@ter2@db.example/mail"),
        ("DATABASE_URL", "postgresql:user:hunter2"),
        ("DATABASE_URL", "sqlite:ter2"),
    ],
)
def test_an_address_that_cannot_be_read_is_named_and_no_secret_is_told(setting: str, value: str) -> None:
    (line,) = refusals(**(SAFE | {setting: value}))
    assert line.startswith(f"{setting}: ")
    assert not any(part in line for part in ("ter2", "hun", "54x", "db.example"))


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("REDIS_URL", "redis://"),
        ("REDIS_URL", "rediss://user:p%23ss@[::1]:6380/1?ssl_cert_reqs=required"),
        ("REDIS_URL", "unix:///run/redis/redis.sock?db=1"),
        ("DATABASE_URL", "postgresql+psycopg:///mail?host=/run/postgresql"),
        ("DATABASE_URL", "postgresql+psycopg://user:p#/?ss@[::1]:5432/mail?options=-c%20x@y"),
        ("DATABASE_URL", "postgresql+psycopg://mail@shop:hunter2@db.example:5432/mail"),
        ("DATABASE_URL", "sqlite:////srv/m@il/mail.db"),
        ("DATABASE_URL", "sqlite://"),
    ],
)
def test_an_address_that_can_be_read_is_taken(setting: str, value: str) -> None:
    settings = load(SAFE | {setting: value})
    assert getattr(settings, setting.lower()) == value
    make_url(settings.database_url)
    parse_url(settings.redis_url)


@pytest.mark.parametrize("host", ["::1", "[::1]"])
def test_an_ipv6_address_has_brackets_before_a_port_and_nowhere_else(tmp_path: Path, host: str) -> None:
    settings = load({"INSTANCE_PATH": str(tmp_path), "WEB_HOST": host})
    assert (settings.web_host, settings.public_url) == ("::1", "http://[::1]:8000")
    assert "[::1]" in settings.hosts
    assert _environment(settings)["WEB_HOST"] == "[::1]"  # the Procfile puts the port behind it


def test_the_local_key_is_made_once_and_kept_from_others(tmp_path: Path) -> None:
    first, second = load({"INSTANCE_PATH": str(tmp_path)}), load({"INSTANCE_PATH": str(tmp_path)})
    assert first.secret_key == second.secret_key
    assert len(first.secret_key) >= 32
    assert (tmp_path / "secret_key").stat().st_mode & 0o077 == 0


def test_secrets_do_not_show_when_settings_are_printed() -> None:
    settings = load(SAFE | {"MAIL_USERNAME": "shop", "MAIL_PASSWORD": "hunter2"})
    for secret in (settings.secret_key, settings.mail_password, settings.database_url):
        assert secret not in repr(settings)


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_every_spelling_of_postgresql_means_the_same_driver(scheme: str) -> None:
    settings = load(SAFE | {"DATABASE_URL": f"{scheme}://user@db.example/mail"})
    assert settings.database_url == "postgresql+psycopg://user@db.example/mail"


@pytest.mark.parametrize(("security", "port"), [("", 587), ("starttls", 587), ("tls", 465), ("none", 25)])
def test_the_mail_port_follows_from_the_security(security: str, port: int) -> None:
    assert load(SAFE | {"MAIL_SECURITY": security}).mail_port == port


def test_the_socket_is_in_the_instance_folder_where_its_path_is_short_enough(tmp_path: Path) -> None:
    settings = Settings(instance_path=Path("/srv/mail/instance"))
    assert settings.redis_socket == Path("/srv/mail/instance/redis/redis.sock")


def test_a_path_too_long_for_a_socket_gets_a_short_one_that_stays_the_same() -> None:
    long = Settings(instance_path=Path("/srv") / ("я" * 60) / "instance")
    assert len(str(long.redis_socket)) <= LONGEST_SOCKET_PATH
    assert long.redis_socket == Settings(instance_path=long.instance_path).redis_socket
    other = Settings(instance_path=Path("/srv") / ("ю" * 60) / "instance")
    assert long.redis_socket != other.redis_socket


@pytest.mark.parametrize(
    "sender", ["Shop, Inc <a@b.example>", "nobody", "<>", "a@b.example, c@d.example", "a@b\x07.example"]
)
def test_a_sender_that_is_not_one_mailbox_is_refused(tmp_path, sender):
    with pytest.raises(SettingsError, match="MAIL_SENDER"):
        load({"INSTANCE_PATH": str(tmp_path), "MAIL_SERVER": "mail.example.org", "MAIL_SENDER": sender})


@pytest.mark.parametrize(
    "sender", ["a@b.example", "Shop <a@b.example>", '"Shop, Inc" <a@b.example>', "Магазин <a@b.example>"]
)
def test_a_sender_with_or_without_a_name_is_taken(tmp_path, sender):
    settings = load({"INSTANCE_PATH": str(tmp_path), "MAIL_SERVER": "mail.example.org", "MAIL_SENDER": sender})
    assert settings.mail_sender == sender


# Several mail servers

TWO = "smtp://shop:p%40ss%2Cword@one.example?weight=3&per_second=50&gmail=20, smtps://two.example:4650?per_hour=1000"
SEVERAL = {name: value for name, value in SAFE.items() if name != "MAIL_SERVER"}


def test_one_mail_server_has_all_that_the_settings_say() -> None:
    more = {"MAIL_PER_SECOND": "2.5", "MAIL_GROUPS": "gmail=1, mail.ru=0.5", "MAIL_LETTERS_PER_CONNECTION": "100"}
    (server,) = load(SAFE | more | {"MAIL_USERNAME": "shop", "MAIL_PASSWORD": "hunter2"}).servers
    assert (server.name, server.security, server.username, server.password) == (
        *("smtp.example:587", "starttls", "shop", "hunter2"),
    )
    assert server.letters_per_connection == 100
    assert server.limits == Limits(2.5, 0, {"gmail": 1, "mail.ru": 0.5})


def test_without_any_the_local_inbox_is_the_mail_server(tmp_path: Path) -> None:
    settings = load({"INSTANCE_PATH": str(tmp_path), "INBOX_SMTP_PORT": "2525"})
    assert [server.name for server in settings.servers] == ["127.0.0.1:2525"]
    assert settings.embedded_inbox


def test_each_of_several_says_what_differs_and_has_the_rest_from_the_settings() -> None:
    settings = load(SEVERAL | {"MAIL_SERVERS": TWO, "MAIL_CONNECTIONS": "7", "MAIL_PER_SECOND": "5"})
    first, second = settings.servers
    assert not settings.embedded_inbox
    assert (first.name, first.security, first.weight) == ("one.example:587", "starttls", 3)
    assert (first.username, first.password) == ("shop", "p@ss,word")
    assert first.limits == Limits(50, 0, {"gmail": 20})
    assert (second.name, second.security, second.weight, second.username) == ("two.example:4650", "tls", 1, "")
    assert second.limits == Limits(5, 1000, {})
    assert first.connections == second.connections == 7


@pytest.mark.parametrize("name", ["MAIL_SERVER", "MAIL_PORT", "MAIL_SECURITY", "MAIL_USERNAME", "MAIL_PASSWORD"])
def test_one_mail_server_and_several_are_not_named_at_once(name: str) -> None:
    value = {"MAIL_PORT": "25", "MAIL_SECURITY": "tls"}.get(name, "something")
    (line,) = refusals(**(SEVERAL | {"MAIL_SERVERS": TWO, name: value}))
    assert line.startswith("MAIL_SERVERS: ")


@pytest.mark.parametrize(
    "url",
    [
        "one.example:25",
        "http://user:hunter2@one.example",
        "smtp://user:hunter2@",
        "smtp://user@one.example",
        "smtp://user:hunter2@one.example:port",
        "smtp://user:hunter2@one.example:0",
        "smtp://user:hunter2@one.example:99999",
        "smtp://user:hun/ter2@one.example",
        "smtp://user:12?hunter2@one.example",
        "smtp://user:12#hunter2@one.example",
        "smtp://user:hunter2@one.example/path",
        "smtp://user:hunter2@one.example?hunter2",
        "smtp://user:hunter2@one.example?secret=hunter2",
        "smtp://user:hunter2@one.example?weight=0",
        "smtp://user:hunter2@one.example?weight=3&weight=hunter2",
        "smtp://user:hunter2@one.example?per_second=inf",
        "smtp://user:hunter2@one.example?connections=2.5",
        "smtp://user:hunter2@one.example?per_hour=many",
        "smtp://user:hunter2@one.example?gmail=-1",
        "smtp://user:hunter2@one.example?security=ssl",
    ],
)
def test_a_server_that_cannot_be_read_is_named_by_its_place_and_no_secret_is_told(url: str) -> None:
    (line,) = refusals(**(SEVERAL | {"MAIL_SERVERS": f"smtp://fine.example {url}"}))
    assert line.startswith("MAIL_SERVERS: server 2: ")
    assert "ter2" not in line


def test_no_server_is_named_twice_and_none_is_not_several() -> None:
    assert "twice" in refusals(**(SEVERAL | {"MAIL_SERVERS": "smtp://one.example smtp://ONE.example:587"}))[0]
    assert refusals(**(SEVERAL | {"MAIL_SERVERS": ","})) == ["MAIL_SERVERS: names no server."]


def test_several_need_a_sender_too() -> None:
    (line,) = refusals(**(SEVERAL | {"MAIL_SERVERS": TWO, "MAIL_SENDER": ""}))
    assert line.startswith("MAIL_SENDER: ")


def test_production_sends_none_of_several_a_password_in_the_clear() -> None:
    (line,) = refusals(**SEVERAL, MAIL_SERVERS="smtp://shop:hunter2@one.example?security=none")
    assert line.startswith("MAIL_SERVERS: ")
    assert "hunter2" not in line


def test_no_password_of_several_shows_when_settings_are_printed() -> None:
    settings = load(SEVERAL | {"MAIL_SERVERS": TWO})
    for text in (repr(settings), repr(settings.servers)):
        assert "ss%2C" not in text
        assert "p@ss" not in text
