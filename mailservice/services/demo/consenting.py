"""How the demo clients came, why some of them left, and their owners' sign-up forms."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import cycle
from typing import Any, NamedTuple

from mailservice.models import ClientSource, Consent, LeavingReason, SignUpForm, SuppressionReason, Turn, User

BY_FORM = 3  # the last clients of each owner
BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"


class Words(NamedTuple):
    file: str
    title: str
    text: str
    consent_text: str
    said: tuple[tuple[LeavingReason, str], ...]


WORDS = {
    "ru": Words(
        "клиенты.xlsx",
        "Новости кофейни",
        "Пишем раз в неделю: что нового в меню и когда скидки.",
        "Хочу получать письма на этот адрес. Отписаться можно одним нажатием в каждом письме.",
        ((LeavingReason.TOO_OFTEN, "Каждую неделю для меня много."), (LeavingReason.NOT_RELEVANT, "")),
    ),
    "en": Words(
        "clients.csv",
        "News of the bookshop",
        "Once a week: new books, and what we read ourselves.",
        "I agree to get letters at this address. I can unsubscribe with one click in every letter.",
        ((LeavingReason.NOT_RELEVANT, "I have moved to another city."), (LeavingReason.TOO_OFTEN, "")),
    ),
}


def source(owner: User, *, left: int) -> dict[str, Any]:
    """Of a client who has `left` others behind him."""
    words = WORDS[owner.language]
    if left < BY_FORM:
        return {"source": ClientSource.FORM, "source_detail": words.title}
    return {"source": ClientSource.IMPORT, "source_detail": words.file}


def form(owner: User) -> SignUpForm:
    words = WORDS[owner.language]
    values = {"title": words.title, "text": words.text, "consent_text": words.consent_text}
    return SignUpForm(owner_id=owner.id, is_open=True, language=owner.language, **values)


def proofs(owner: User, clients: Iterable[dict[str, Any]]) -> Iterator[Consent]:
    """What those agreed to who came by the form."""
    words = WORDS[owner.language]
    for number, client in enumerate(clients, 11):
        if client["source"] is ClientSource.FORM:
            at, address = client["created_at"], f"192.0.2.{number % 250}"
            asked_at = (at - timedelta(minutes=3)).isoformat(timespec="seconds")
            detail = {"text": words.consent_text, "form": words.title, "asked_at": asked_at, "asked_from": address}
            yield _consent(
                owner, client["email_normalised"], Turn.CONFIRMED, at, address, detail | {"browser": BROWSER}
            )


def leavings(owner: User, suppressions: Iterable[dict[str, Any]]) -> Iterator[Consent]:
    """The turns of those who unsubscribed; what they said is written into their rows of the stop list, too."""
    said = cycle(WORDS[owner.language].said)
    for row in suppressions:
        row |= {"leaving": None, "said": ""}
        if row["reason"] is SuppressionReason.UNSUBSCRIBED:
            leaving, text = next(said)
            row |= {"leaving": leaving, "said": text}
            at, email, told = row["created_at"], row["email_normalised"], {"leaving": leaving.value, "said": text}
            yield _consent(owner, email, Turn.UNSUBSCRIBED, at, "192.0.2.8", {})
            yield _consent(owner, email, Turn.SAID_WHY, at + timedelta(minutes=1), "192.0.2.8", told)


def _consent(owner: User, email: str, turn: Turn, at: Any, address: str, detail: dict[str, Any]) -> Consent:
    told = {name: value for name, value in detail.items() if value}
    return Consent(owner_id=owner.id, email_normalised=email, turn=turn, at=at, address=address, detail=told)
