"""Settings: what they default to, what they refuse, and that `.env.example` tells the truth about them."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from config import LONGEST_SOCKET_PATH, ROOT, Settings, SettingsError, load

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
    "MAIL_SENDER",
    "MAIL_CA_FILE",
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
        ("DATABASE_URL", "mysql://db.example/mail"),
        ("REDIS_URL", "localhost:6379"),
        ("DEFAULT_LANGUAGE", "de"),
        ("DEFAULT_TIME_ZONE", "Moscow"),
        ("DEFAULT_TIME_ZONE", "../../etc/passwd"),
        ("PUBLIC_URL", "mail.shop.example"),
        ("MAIL_CA_FILE", "/no/such/file.pem"),
    ],
)
def test_a_value_that_cannot_be_used_is_named(setting: str, value: str) -> None:
    with_server = {"MAIL_SERVER": "smtp.example", "MAIL_SENDER": "a@b.example"}
    (line,) = refusals(**(with_server | {setting: value}))
    assert line.startswith(f"{setting}: ")


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
