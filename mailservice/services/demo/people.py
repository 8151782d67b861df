"""The people of the demonstration: names in two languages and the addresses that follow from them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

RUSSIAN_MEN = """
Александр Алексей Андрей Антон Артём Борис Василий Виктор Глеб Григорий Даниил Дмитрий Егор Иван Игорь Кирилл
Лев Максим Михаил Никита Олег Павел Роман Сергей Тимур Фёдор Юрий Ярослав
"""
RUSSIAN_WOMEN = """
Александра Алина Анастасия Валентина Вера Дарья Екатерина Елена Жанна Зоя Инна Ирина Ксения Лидия Любовь
Марина Мария Надежда Наталья Нина Ольга Полина Светлана София Татьяна Ульяна Юлия Яна
"""
RUSSIAN_SURNAMES = """
Андреев Белов Васильев Виноградов Воробьёв Голубев Громов Денисов Ершов Жуков Зайцев Ильин Калинин Комаров
Королёв Крылов Лебедев Макаров Медведев Морозов Никитин Орлов Петров Поляков Романов Сидоров Тарасов Филатов
Хохлов Цветков Чернов Шубин Щербаков Яковлев Белинский Вишневский Островский Чайковский
"""
PATRONYMICS = {
    "Андреевич": "Андреевна",
    "Борисович": "Борисовна",
    "Ильич": "Ильинична",
    "Олегович": "Олеговна",
    "Петрович": "Петровна",
}
ENGLISH_FIRST = """
Abigail Alan Alice Arthur Beth Brian Charlotte Daniel Diana Edward Eleanor Emma Felix Fiona George Grace
Harriet Henry Imogen Jack James Julia Keith Laura Liam Lucy Martin Megan Nigel Nora Oliver Paula Peter Rachel
Robert Ruth Samuel Sarah Thomas Victoria Walter Zoe
"""
ENGLISH_SURNAMES = """
Abbott Baker Barnes Bennett Carter Chapman Clarke Collins Cooper Dawson Ellis Fisher Fletcher Gibson Harper
Hughes Hunter Jenkins Knight Lawson Marsh Mason Murray Newton O'Brien Palmer Parker Reid Russell Shaw Spencer
Turner Walsh Watson Webb Wells Whitmore Young
"""
RUSSIAN_COMMENTS = (
    "оптовый покупатель, договор № 114",
    "просит писать только по делу",
    "любит светлую обжарку",
    "познакомились на выставке",
    "кофейня на углу, 20 кг в месяц",
    "перезвонить в сентябре",
)
ENGLISH_COMMENTS = (
    "collects sea charts",
    "wholesale, net 30",
    "prefers hardbacks",
    "met at the book fair",
    "order by phone only",
    "reading group, 12 people",
)
DOMAINS = ("example.org", "example.com", "example.net")
LATIN = {
    letter: latin
    for letters, latins in (
        ("абвгдеёзийклмнопрстуфыэ", "abvgdeeziyklmnoprstufye"),
        ("жхцчшщюя", ("zh", "kh", "ts", "ch", "sh", "shch", "yu", "ya")),
        ("ъь'", ("", "", "")),
    )
    for letter, latin in zip(letters, latins, strict=True)
}


class Person(NamedTuple):
    email: str
    full_name: str
    comment: str


def people(*groups: tuple[int, int]) -> list[list[Person]]:
    """For each group so many Russian and English people, mixed; no two share an address. Always the same ones."""
    names = {True: _russians(), False: _english()}
    taken: set[str] = set()
    return [_group(russian, english, names, taken) for russian, english in groups]


def _group(russian: int, english: int, names: dict[bool, Iterator[tuple[str, str]]], taken: set[str]) -> list[Person]:
    made: list[Person] = []
    for number, is_russian in enumerate(_order(russian, english)):
        full_name, short_name = next(names[is_russian])
        email = _address(short_name, number, taken)
        # Some gave no name: that is what the defaults of merge fields are for.
        made.append(Person(email, "" if number % 37 == 36 else full_name, _comment(is_russian, number)))
    return made


def _order(russian: int, english: int) -> Iterator[bool]:
    """Spreads the smaller group evenly through the larger one."""
    total = russian + english
    return ((n + 1) * russian // total > n * russian // total for n in range(total))


def _russians() -> Iterator[tuple[str, str]]:
    """(full name, first name and surname)."""
    men, women, surnames = RUSSIAN_MEN.split(), RUSSIAN_WOMEN.split(), RUSSIAN_SURNAMES.split()
    patronymics = list(PATRONYMICS.items())
    for n in itertools.count():
        surname = surnames[(n * 7 + n // 38) % len(surnames)]
        his, hers = patronymics[n // 5 % len(patronymics)]
        if n % 2:
            first, patronymic, surname = women[n // 2 % len(women)], hers, _of_a_woman(surname)
        else:
            first, patronymic = men[n // 2 % len(men)], his
        full = f"{surname} {first} {patronymic}" if n % 5 == 0 else f"{first} {surname}"
        yield full, f"{first} {surname}"


def _english() -> Iterator[tuple[str, str]]:
    firsts, surnames = ENGLISH_FIRST.split(), ENGLISH_SURNAMES.split()
    for n in itertools.count():
        name = f"{firsts[n * 5 % len(firsts)]} {surnames[(n * 3 + n // 38) % len(surnames)]}"
        yield name, name


def _of_a_woman(surname: str) -> str:
    return surname[:-2] + "ая" if surname.endswith("ий") else surname + "а"


def _address(name: str, number: int, taken: set[str]) -> str:
    local = latin(name).replace(" ", ".")
    email = next(
        candidate
        for suffix in itertools.chain([""], map(str, itertools.count(2)))
        if (candidate := f"{local}{suffix}@{DOMAINS[number % len(DOMAINS)]}") not in taken
    )
    taken.add(email)
    return email


def _comment(is_russian: bool, number: int) -> str:
    comments = RUSSIAN_COMMENTS if is_russian else ENGLISH_COMMENTS
    return comments[number // 4 % len(comments)] if number % 4 == 1 else ""


def latin(text: str) -> str:
    """Russian text in Latin letters, all in lower case."""
    return "".join(LATIN.get(letter, letter) for letter in text.lower())
