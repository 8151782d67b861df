"""The mail server that we hand letters to, and how long we wait for it."""

from dataclasses import dataclass, field
from enum import Enum


class Security(Enum):
    """How the connection is protected. What is asked for is required: there is no falling back to plain text."""

    NONE = "none"
    STARTTLS = "starttls"
    TLS = "tls"


@dataclass(frozen=True, slots=True)
class Deadlines:
    """Seconds, each for a whole step however slowly it drips. Impatient before the final dot, patient after it."""

    connect: float = 10  # name resolution and all addresses together
    greeting: float = 30  # also a TLS handshake
    command: float = 30  # each of EHLO, STARTTLS, AUTH, RSET, MAIL, RCPT
    data: float = 60  # 354 after DATA
    write: float = 60  # the server takes no octet of the content
    final: float = 600  # the answer to the content (RFC 5321 §4.5.3.2.6)
    quit: float = 2


@dataclass(frozen=True, slots=True)
class Server:
    """Where to connect and how. `letters_per_connection`: QUIT and reconnect after so many; None means never."""

    host: str
    port: int = 25
    security: Security = Security.NONE
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    local_name: str = "localhost"
    ca_file: str | None = None  # PEM of the authorities to trust instead of the system's
    deadlines: Deadlines = Deadlines()
    pipelining: bool = True  # use it where offered
    chunking: bool = True  # use it where offered
    letters_per_connection: int | None = None

    def __post_init__(self) -> None:
        if not self.host or self.host.startswith("."):
            raise ValueError("host is a name or an address")
        if not is_local_name(self.local_name):
            raise ValueError("local_name goes into EHLO: printable ASCII without spaces")
        if self.letters_per_connection is not None and self.letters_per_connection < 1:
            raise ValueError("letters_per_connection must be at least 1")


def is_local_name(text: str) -> bool:
    """Whether a client may greet with it (RFC 5321 4.1.1.1): printable ASCII without spaces."""
    return text.isascii() and text.isprintable() and " " not in text
