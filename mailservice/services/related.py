"""Which texts speak of the same things: those that share their rare words."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping

LOOKED_AT = 300  # the latest texts that are compared
SHOWN = 3
STEM = 6  # letters; what is left of a word is the same in most of its forms
SHORTEST = 4


def nearest(text: str, others: Mapping[int, str]) -> list[int]:
    """Keys of the texts nearest to `text`, by the cosine of their words' weights; those that share nothing are last."""
    counts = {key: _words(other) for key, other in others.items()}
    mine = _words(text)
    known_in = Counter(word for words in (*counts.values(), mine) for word in words)
    weight = {word: math.log((len(counts) + 2) / known) for word, known in known_in.items()}
    scored = [(_cosine(mine, words, weight), key) for key, words in counts.items()]
    return [key for _, key in sorted(scored, key=lambda pair: -pair[0])[:SHOWN]]


def _words(text: str) -> Counter[str]:
    return Counter(word[:STEM] for word in re.findall(r"[^\W\d_]+", text.lower()) if len(word) >= SHORTEST)


def _cosine(a: Counter[str], b: Counter[str], weight: Mapping[str, float]) -> float:
    shared = sum(a[word] * b[word] * weight[word] ** 2 for word in a.keys() & b.keys())
    return shared / (_length(a, weight) * _length(b, weight) or 1.0)


def _length(words: Counter[str], weight: Mapping[str, float]) -> float:
    return math.sqrt(sum((number * weight[word]) ** 2 for word, number in words.items()))
