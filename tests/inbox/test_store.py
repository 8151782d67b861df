"""What the store keeps, finds and throws away."""

from __future__ import annotations

from collections.abc import Callable

from mailservice.inbox.store import Arrival, Store


def arrive(store: Store, *subjects: str, to: str = "anna@example.org") -> None:
    futures = [
        store.add(Arrival("news@shop.example", [to], f"To: {to}\r\nSubject: {subject}\r\n\r\nHi\r\n".encode()))
        for subject in subjects
    ]
    for future in futures:
        future.result(10)


def subjects(store: Store, query: str = "") -> list[str]:
    return [letter.subject for letter in store.find(query)[1]]


def test_the_newest_letter_comes_first(store: Store) -> None:
    arrive(store, "one", "two", "three")
    assert subjects(store) == ["three", "two", "one"]


def test_a_restart_loses_nothing(make_store: Callable[..., Store]) -> None:
    arrive(make_store(), "one", "two")
    again = make_store()
    assert subjects(again) == ["two", "one"]
    found = again.get(1)
    assert found is not None
    assert found[1] == b"To: anna@example.org\r\nSubject: one\r\n\r\nHi\r\n"


def test_only_the_newest_letters_are_kept(make_store: Callable[..., Store]) -> None:
    store = make_store(keep=3)
    arrive(store, *(str(n) for n in range(10)))
    assert subjects(store) == ["9", "8", "7"]
    assert store.find()[0] == 3
    assert store.get(1) is None


def test_a_letter_is_found_by_the_words_in_it_whatever_their_case(store: Store) -> None:
    arrive(store, "Привет, Анна", "Счёт")
    assert subjects(store, "ПРИВЕТ анна") == ["Привет, Анна"]
    assert subjects(store, "привет счёт") == []


def test_a_letter_is_found_by_its_recipient(store: Store) -> None:
    arrive(store, "for Anna", to="Anna@Example.org")
    arrive(store, "about anna@example.org", to="ivan@example.org")
    assert subjects(store, "to:anna@example.org") == ["for Anna"]


def test_signs_of_the_search_language_are_just_signs(store: Store) -> None:
    arrive(store, "100% off", "100 things", "time: now")
    assert subjects(store, "100%") == ["100% off"]
    assert subjects(store, "time:") == ["time: now"]


def test_clearing_leaves_nothing_and_new_letters_get_new_ids(store: Store) -> None:
    arrive(store, "one", "two")
    store.clear()
    assert store.find() == (0, [])
    arrive(store, "three")
    assert [letter.id for letter in store.find()[1]] == [3]
