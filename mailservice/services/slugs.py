"""Slugs: the words of a title as they stand in an address, in Latin letters."""

from __future__ import annotations

import re
import unicodedata

LONGEST = 80  # leaves room for a number in the column's 220
# A letter, and what stands for it.
LETTERS = (
    "аa бb вv гg дd еe ёe жzh зz иi йy кk лl мm нn оo пp рr сs тt уu фf хkh цts чch шsh щshch ъ ыy ь эe юyu яya "
    "іi їyi єye ґg ўu ßss æae øo œoe łl đd þth ðd ıi"
)
TABLE = str.maketrans({pair[0]: pair[1:] for pair in LETTERS.split()})


def make(text: str) -> str:
    """“Чистый список!” → “chistyy-spisok”; “post” where there is nothing that an address could say."""
    latin = unicodedata.normalize("NFKC", text).lower().translate(TABLE)
    plain = "".join(c for c in unicodedata.normalize("NFKD", latin) if not unicodedata.combining(c))
    slug = re.sub(r"[^a-z0-9]+", "-", re.sub(r"['’`]", "", plain)).strip("-")
    return _cut(slug) or "post"


def _cut(slug: str) -> str:
    """At a word's end where there is one."""
    if len(slug) <= LONGEST:
        return slug
    cut = slug[: LONGEST + 1]
    return (cut.rpartition("-")[0] if "-" in cut[LONGEST // 2 :] else cut[:LONGEST]).strip("-")
