"""The token in a letter's unsubscribe link: whose mail to whom, signed. Standard library only.

It never expires (old letters must keep working) and can do nothing else: its key is derived for this
purpose alone. It names the address itself, so it outlives the client, the mailing and the attempt.
BLAKE2b with a key is a MAC by design and costs a fifth of an HMAC: a token is made for every letter.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64decode
from binascii import Error as NotBase64
from binascii import b2a_base64

TAG_BYTES = 16
OWNER_BYTES = 8
URL_SAFE = bytes.maketrans(b"+/", b"-_")
LONGEST = 600  # characters; an address has at most 320


def key(secret_key: str) -> bytes:
    """The signing key of these tokens, derived from the installation's SECRET_KEY."""
    return hmac.digest(secret_key.encode(), b"mailservice.unsubscribe", "sha256")


class Signer:
    """Makes one owner's tokens; what they have in common is computed once."""

    def __init__(self, key: bytes, owner_id: int):
        self._owner = owner_id.to_bytes(OWNER_BYTES, "big")
        self._begun = hashlib.blake2b(self._owner, key=key, digest_size=TAG_BYTES)

    def __call__(self, email_normalised: str) -> bytes:
        """The token for an address, URL-safe."""
        address = email_normalised.encode()
        tag = self._begun.copy()
        tag.update(address)
        return b2a_base64(tag.digest() + self._owner + address, newline=False).translate(URL_SAFE, b"=")


def token(key: bytes, owner_id: int, email_normalised: str) -> str:
    """A URL-safe text."""
    return Signer(key, owner_id)(email_normalised).decode()


def read(key: bytes, text: str) -> tuple[int, str] | None:
    """(owner_id, email_normalised) of a token that this key signed; None for anything else."""
    if len(text) > LONGEST or not text.isascii():
        return None
    try:
        raw = urlsafe_b64decode(text + "=" * (-len(text) % 4))
        tag, payload = raw[:TAG_BYTES], raw[TAG_BYTES:]
        if not hmac.compare_digest(tag, _tag(key, payload)):
            return None
        return int.from_bytes(payload[:OWNER_BYTES], "big"), payload[OWNER_BYTES:].decode()
    except (NotBase64, ValueError):
        return None


def _tag(key: bytes, payload: bytes) -> bytes:
    return hashlib.blake2b(payload, key=key, digest_size=TAG_BYTES).digest()
