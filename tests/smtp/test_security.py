"""TLS and AUTH: what is required is not done without, and a secret is never sent in the clear."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from mailservice.smtp import Accepted, NotSent, Security, Trouble, TroubleKind, probe
from tests.faults.mail_server import DROP, HANG, MailServer
from tests.smtp.support import MODES, SHORT, Outbox, assert_ledger_agrees, letter, letters, send, server_for

EVERY_MODE = pytest.mark.parametrize("mode", MODES)
CONFIGURATION = TroubleKind.CONFIGURATION


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with our own certificate authority, made by the openssl command."""
    folder = tmp_path_factory.mktemp("certificates")
    openssl(folder, "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=Test-CA -keyout ca.key -out ca.pem")
    return folder


@pytest.fixture(scope="session")
def certify(authority: Path) -> Callable[[str], tuple[Path, Path]]:
    """Issue a certificate for a subjectAltName, e.g. "IP:127.0.0.1"."""

    def issue(names: str, days: int = 2) -> tuple[Path, Path]:
        stem = "".join(char for char in names if char.isalnum())
        openssl(authority, f"req -newkey rsa:2048 -nodes -subj /CN=x -keyout {stem}.key -out {stem}.csr")
        (authority / f"{stem}.ext").write_text(f"subjectAltName={names}")
        openssl(
            authority,
            f"x509 -req -in {stem}.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days {days} "
            f"-extfile {stem}.ext -out {stem}.pem",
        )
        return authority / f"{stem}.pem", authority / f"{stem}.key"

    return issue


@pytest.fixture(scope="session")
def certificate(certify: Callable[[str], tuple[Path, Path]]) -> tuple[Path, Path]:
    return certify("IP:127.0.0.1")


def openssl(folder: Path, arguments: str) -> None:
    subprocess.run(["openssl", *arguments.split()], cwd=folder, check=True, capture_output=True)


def only_trouble(outbox: Outbox) -> Trouble:
    assert set(outbox.kinds()) == {NotSent}
    (trouble,) = outbox.troubles
    return trouble


@EVERY_MODE
@pytest.mark.parametrize("security", [Security.STARTTLS, Security.TLS])
def test_letters_travel_over_tls(
    security: Security, mode: str, certificate: tuple[Path, Path], authority: Path
) -> None:
    how = {"starttls": certificate} if security is Security.STARTTLS else {"tls": certificate}
    with MailServer(**how, **MODES[mode]) as mail:
        server = server_for(mail, security=security, ca_file=str(authority / "ca.pem"))
        body = b"A line that makes it more than one record.\r\n" * 1000
        outbox = send(Outbox(*letters(40, body)), server, connections=2)
        assert outbox.kinds() == [Accepted] * 40
        assert_ledger_agrees(outbox, mail)
        assert all(taken.content.endswith(body) for taken in mail.accepted)


@pytest.mark.parametrize("security", [Security.STARTTLS, Security.TLS])
def test_a_certificate_of_an_unknown_authority_is_a_matter_of_configuration(
    security: Security, certificate: tuple[Path, Path]
) -> None:
    how = {"starttls": certificate} if security is Security.STARTTLS else {"tls": certificate}
    with MailServer(**how) as mail:
        outbox = send(Outbox(letter("a")), server_for(mail, security=security))
        assert only_trouble(outbox).kind is CONFIGURATION
        assert mail.tries("a@example.org") == 0


def test_a_certificate_for_another_name_is_a_matter_of_configuration(
    certify: Callable[[str], tuple[Path, Path]], authority: Path
) -> None:
    with MailServer(starttls=certify("DNS:other.example")) as mail:
        server = server_for(mail, security=Security.STARTTLS, ca_file=str(authority / "ca.pem"))
        trouble = only_trouble(send(Outbox(letter("a")), server))
        assert trouble.kind is CONFIGURATION
        assert "127.0.0.1" in trouble.reason
        assert mail.tries("a@example.org") == 0


def test_a_server_without_starttls_gets_nothing_in_the_clear(authority: Path) -> None:
    with MailServer(auth={"me": "secret"}) as mail:
        server = server_for(
            mail, security=Security.STARTTLS, username="me", password="secret", ca_file=str(authority / "ca.pem")
        )
        assert only_trouble(send(Outbox(letter("a")), server)).kind is CONFIGURATION
        assert mail.commands[1] == ["EHLO localhost"]


def test_starttls_refused_is_never_a_reason_to_go_on_without(certificate: tuple[Path, Path]) -> None:
    with MailServer(starttls=certificate) as mail:
        server = server_for(mail, security=Security.STARTTLS)
        for reply, kind in (("454 4.7.0 not now", TroubleKind.HOST), ("502 5.5.1 no", CONFIGURATION)):
            mail.on_starttls(reply, times=1)
            assert only_trouble(send(Outbox(letter("a")), server)).kind is kind
        mail.on_starttls(DROP)
        assert only_trouble(send(Outbox(letter("a")), server)).kind is TroubleKind.HOST
        assert mail.tries("a@example.org") == 0


def test_plain_text_behind_starttls_is_not_taken_for_the_servers_words(
    certificate: tuple[Path, Path], authority: Path
) -> None:
    with MailServer(starttls=certificate) as mail:
        server = server_for(mail, security=Security.STARTTLS, ca_file=str(authority / "ca.pem"))
        for injected in (b"220 go\r\n250 mail.test\r\n", b"220 go\r\n250-half"):
            mail.on_starttls(injected, times=1)
            trouble = only_trouble(send(Outbox(letter("a")), server))
            assert trouble.kind is TroubleKind.HOST
            assert "STARTTLS" in trouble.reason


def test_a_handshake_that_hangs_or_breaks_is_host_trouble(certificate: tuple[Path, Path]) -> None:
    with MailServer(starttls=certificate) as mail:
        for behind in (HANG, DROP):
            mail.on_starttls((b"220 go\r\n", behind), times=1)
            server = server_for(mail, security=Security.STARTTLS, deadlines=SHORT)
            assert only_trouble(send(Outbox(letter("a")), server)).kind is TroubleKind.HOST


def test_a_server_that_speaks_plain_text_where_tls_is_expected_is_host_trouble() -> None:
    with MailServer() as mail:
        outbox = send(Outbox(letter("a")), server_for(mail, security=Security.TLS, deadlines=SHORT))
        assert only_trouble(outbox).kind is TroubleKind.HOST


def test_certificates_of_ours_that_cannot_be_read_are_a_matter_of_configuration(tmp_path: Path) -> None:
    with MailServer() as mail:
        server = server_for(mail, security=Security.TLS, ca_file=str(tmp_path / "missing.pem"))
        assert only_trouble(send(Outbox(letter("a")), server)).kind is CONFIGURATION
        assert mail.connections == 0


@pytest.mark.parametrize("methods", ["PLAIN", "LOGIN", "LOGIN PLAIN", "CRAM-MD5 LOGIN"])
def test_a_name_and_password_that_are_right_open_the_door(
    methods: str, certificate: tuple[Path, Path], authority: Path
) -> None:
    with MailServer(starttls=certificate, auth={"я": "тайна"}, auth_methods=methods) as mail:
        server = server_for(
            mail, security=Security.STARTTLS, ca_file=str(authority / "ca.pem"), username="я", password="тайна"
        )
        assert send(Outbox(letter("a")), server).kinds() == [Accepted]
        assert probe(server) is None


@pytest.mark.parametrize("methods", ["PLAIN", "LOGIN"])
def test_a_wrong_password_is_a_matter_of_configuration_and_fails_no_letter(methods: str) -> None:
    with MailServer(auth={"me": "secret"}, auth_methods=methods) as mail:
        server = server_for(mail, username="me", password="wrong")
        trouble = only_trouble(send(Outbox(letter("a")), server))
        assert trouble.kind is CONFIGURATION
        assert trouble.reply is not None
        assert trouble.reply.code == 535
        assert "wrong" not in trouble.reason


def test_a_server_that_cannot_check_passwords_just_now_is_host_trouble() -> None:
    with MailServer(auth={"me": "secret"}) as mail:
        for action in ("454 4.7.0 database is away", DROP, b"garbage\r\n", "250 hm"):
            mail.on_auth(action, times=1)
            trouble = only_trouble(send(Outbox(letter("a")), server_for(mail, username="me", password="secret")))
            assert trouble.kind is TroubleKind.HOST


def test_a_server_without_a_way_to_sign_in_is_a_matter_of_configuration() -> None:
    for mail in (MailServer(), MailServer(auth={}, auth_methods="CRAM-MD5")):
        with mail:
            server = server_for(mail, username="me", password="secret")
            assert only_trouble(send(Outbox(letter("a")), server)).kind is CONFIGURATION


def test_the_password_is_not_in_the_servers_repr() -> None:
    with MailServer() as mail:
        assert "secret" not in repr(server_for(mail, username="me", password="secret"))


def test_what_tls_cannot_hand_over_is_not_taken_for_handed_over(
    certificate: tuple[Path, Path], authority: Path
) -> None:
    body = b"A line of a letter that no socket buffer takes as a whole.\r\n" * 250_000
    for pipelining in (True, False):
        with MailServer(starttls=certificate, chunking=pipelining, pipelining=pipelining) as mail:
            mail.on_content(HANG)
            server = server_for(mail, security=Security.STARTTLS, ca_file=str(authority / "ca.pem"), deadlines=SHORT)
            outbox = send(Outbox(letter("a", body)), server)
            assert only_trouble(outbox).kind is TroubleKind.HOST
