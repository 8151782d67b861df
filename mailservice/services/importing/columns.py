"""Which column is what: guessed from the titles in English and Russian, or else from what stands in them."""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass

from mailservice.services.importing.sniffing import is_address

MOST = 100  # columns
LOOKED_AT = 200  # records


class Role(enum.StrEnum):
    """What a column holds. Several of one name or comment are put together."""

    NONE = ""
    EMAIL = "email"
    FULL_NAME = "full_name"
    FIRST_NAME = "first_name"
    LAST_NAME = "last_name"
    COMMENT = "comment"


TITLES = {
    Role.EMAIL: (
        "email, e mail, mail, emailaddress, email address, e mail address, mail address, address, "
        "почта, эл почта, электронная почта, электронный адрес, адрес электронной почты, адрес почты, адрес, "
        "эл адрес, емейл, имейл, мейл, мыло, e mail адрес, email адрес, email клиента"
    ),
    Role.FULL_NAME: (
        "name, full name, fullname, client, customer, contact, contact name, client name, customer name, recipient, "
        "person, фио, ф и о, полное имя, имя и фамилия, фамилия и имя, фамилия имя, имя фамилия, "
        "фамилия имя отчество, клиент, контакт, контактное лицо, получатель, имя клиента, фио клиента, наименование"
    ),
    Role.FIRST_NAME: "first name, firstname, given name, forename, имя",
    Role.LAST_NAME: "last name, lastname, surname, family name, second name, фамилия",
    Role.COMMENT: (
        "comment, comments, note, notes, remark, remarks, description, комментарий, комментарии, примечание, "
        "примечания, заметка, заметки, описание"
    ),
}
ROLE_OF = {title: role for role, titles in TITLES.items() for title in titles.split(", ")}
NAME = re.compile(r"[^\W\d_]+(?:[ .'’-]+[^\W\d_]+){0,4}\.?")


@dataclass(frozen=True)
class Layout:
    """Whether the first record holds titles; the role of each column."""

    has_header: bool
    roles: tuple[Role, ...]


def guess(records: Sequence[Sequence[str]]) -> Layout:
    """From the first records of a file, none of which is empty."""
    records = records[:LOOKED_AT]
    width = min(MOST, max(map(len, records), default=0))
    head = [*(cell.strip() for cell in records[0]), *[""] * width][:width] if records else []
    titles = [ROLE_OF.get(_plain(cell), Role.NONE) for cell in head]
    has_header = bool(head) and not any(map(is_address, head)) and (any(titles) or len(records) > 1)
    body = records[1:] if has_header else records
    columns = [[cells[n].strip() if n < len(cells) else "" for cells in body] for n in range(width)]
    roles = titles if has_header and any(titles) else [Role.NONE] * width
    return Layout(has_header, tuple(_completed(roles, columns)))


def _plain(title: str) -> str:
    return " ".join(re.sub(r"[\W_]+", " ", title.lower().replace("ё", "е")).split())


def _completed(roles: list[Role], columns: list[list[str]]) -> list[Role]:
    """One column of addresses, and a name where no title tells of one."""
    roles = list(roles)
    has_titles = any(roles)
    addresses = [sum(map(is_address, cells)) for cells in columns]
    titled = [n for n, role in enumerate(roles) if role is Role.EMAIL]
    best = max(titled or range(len(roles)), key=lambda n: addresses[n], default=None)
    if titled and best is not None and not addresses[best] and max(addresses):
        best = addresses.index(max(addresses))  # “Address” was where they live
    for n in titled:
        roles[n] = Role.NONE
    if best is not None and (addresses[best] or titled):
        roles[best] = Role.EMAIL
    if not has_titles:
        names = [_share_of_names(cells) if not role else 0.0 for role, cells in zip(roles, columns, strict=True)]
        if names and max(names) > 0.5:
            roles[names.index(max(names))] = Role.FULL_NAME
        _only_other_text_is_a_comment(roles, columns)
    elif Role.FIRST_NAME in roles and Role.LAST_NAME not in roles and Role.FULL_NAME not in roles:
        roles[roles.index(Role.FIRST_NAME)] = Role.FULL_NAME
    return roles


def _only_other_text_is_a_comment(roles: list[Role], columns: list[list[str]]) -> None:
    others = [n for n, cells in enumerate(columns) if not roles[n] and any(cells)]
    if Role.EMAIL in roles and Role.FULL_NAME in roles and len(others) == 1:
        roles[others[0]] = Role.COMMENT


def _share_of_names(cells: list[str]) -> float:
    filled = [cell for cell in cells if cell]
    return sum(NAME.fullmatch(cell) is not None for cell in filled) / len(filled) if filled else 0.0
