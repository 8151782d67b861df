"""Passwords: Argon2id, what is acceptable, and a check that takes as long for nobody as for somebody."""

from __future__ import annotations

import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from flask_babel import gettext as _
from flask_babel import ngettext

from mailservice.errors import Invalid

SHORTEST, LONGEST = 8, 1024  # characters
COMMONEST = """
12345678 123456789 1234567890 0123456789 987654321 87654321 11111111 00000000 88888888 12341234 11223344
123123123 123456abc 1q2w3e4r 1q2w3e4r5t 1qaz2wsx qwertyuiop qwerty12 qwerty123 qwerty1234 qwertyui asdfghjk
asdfghjkl zxcvbnm1 zxcvbnm123 password passw0rd password1 password12 password123 p@ssw0rd p@ssword iloveyou
sunshine princess football baseball superman trustno1 welcome1 welcome123 letmein1 whatever starwars
abcd1234 abc12345 abcdefgh a1b2c3d4 admin123 admin1234 administrator changeme computer internet samsung1
michelle jennifer q1w2e3r4 q1w2e3r4t5 qazwsxedc qwe123qwe 1234qwer qwer1234 asdf1234 zaq12wsx monkey123
йцукенгш йцукенгшщ пароль123 парольпароль приветпривет
"""

HASHER = PasswordHasher()  # argon2-cffi's defaults: RFC 9106, low memory

_commonest = frozenset(COMMONEST.split())


def acceptable(password: str, *, email: str, field: str = "password") -> str:
    """`password`, unless it is too short, too long or the first that anybody would guess: then Invalid."""
    if len(password) < SHORTEST:
        message = ngettext("Use at least %(num)d character.", "Use at least %(num)d characters.", SHORTEST)
        raise Invalid(message, field=field)
    if len(password) > LONGEST:
        message = ngettext("Use at most %(num)d character.", "Use at most %(num)d characters.", LONGEST)
        raise Invalid(message, field=field)
    plain = password.strip().lower()
    if plain in _commonest or len(set(plain)) < 3:
        raise Invalid(_("This password is among the first that anybody would guess."), field=field)
    if plain in {email.strip().lower(), email.strip().lower().partition("@")[0]}:
        raise Invalid(_("The password must differ from your address."), field=field)
    return password


def hashed(password: str) -> str:
    """Slow on purpose (tens of milliseconds): call it outside a transaction."""
    return HASHER.hash(_canonical(password))


def fits(password: str, password_hash: str | None) -> bool:
    """Is this the password? Without a hash (nobody has that address) it takes as long and says no."""
    canonical = _canonical(password[: LONGEST + 1])
    if password_hash is None:
        HASHER.hash(canonical)  # which costs what verifying costs
        return False
    try:
        return HASHER.verify(password_hash, canonical)
    except (VerificationError, InvalidHashError):
        return False


def better_hash(password: str, password_hash: str) -> str | None:
    """A new hash where this one was made with other parameters than ours of today, else None."""
    return hashed(password) if HASHER.check_needs_rehash(password_hash) else None


def _canonical(password: str) -> str:
    """The same characters from every keyboard: “é” may be typed as one code point or two."""
    return unicodedata.normalize("NFC", password)
