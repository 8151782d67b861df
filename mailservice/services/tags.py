"""Tags: an owner's words for his clients; a name is the same in any case."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from flask_babel import gettext as _
from flask_babel import ngettext
from sqlalchemy import delete as delete_rows
from sqlalchemy import func, insert, literal, select

from mailservice.database import db
from mailservice.errors import Invalid, NotFound, Refused
from mailservice.models import Client, SavedFilter, Tag, User, client_tags
from mailservice.sending import conditions
from mailservice.services import ids, texts

LONGEST_NAME = 60
LONGEST_FOLDED = 180
MOST = conditions.MOST_TAGS  # in one field
OFFERED = 300  # to choose from
NAMED = 5


@dataclass(frozen=True)
class Line:
    """A tag and how many clients carry it."""

    id: int
    name: str
    clients: int


def own(owner: User, tag_id: int) -> Tag:
    """The owner's tag, or NotFound."""
    query = select(Tag).where(Tag.id == tag_id, Tag.owner_id == owner.id)
    tag = db.session.scalars(query).one_or_none() if ids.possible(tag_id) else None
    if tag is None:
        raise NotFound(_("There is no such tag."))
    return tag


def listed(owner: User) -> list[Line]:
    """All tags of the owner with their counts, by name."""
    carried = (
        select(client_tags.c.tag_id, func.count().label("clients"))
        .where(client_tags.c.owner_id == owner.id)
        .group_by(client_tags.c.tag_id)
        .subquery()
    )
    query = select(Tag.id, Tag.name, func.coalesce(carried.c.clients, 0))
    query = query.outerjoin(carried, carried.c.tag_id == Tag.id).where(Tag.owner_id == owner.id)
    return [Line(*row) for row in db.session.execute(query.order_by(Tag.name_folded))]


def names(owner: User, tag_ids: Collection[int] | None = None) -> list[str]:
    """Names by alphabet: of these tags, or of the first that there are to choose from."""
    query = select(Tag.name).where(Tag.owner_id == owner.id).order_by(Tag.name_folded)
    query = query.limit(OFFERED) if tag_ids is None else query.where(Tag.id.in_(tag_ids))
    return list(db.session.scalars(query))


def of_clients(client_ids: Collection[int]) -> dict[int, list[str]]:
    """Names by client id."""
    query = (
        select(client_tags.c.client_id, Tag.name)
        .join(Tag, Tag.id == client_tags.c.tag_id)
        .where(client_tags.c.client_id.in_(client_ids))
        .order_by(Tag.name_folded)
    )
    found: dict[int, list[str]] = {}
    for client_id, name in db.session.execute(query):
        found.setdefault(client_id, []).append(name)
    return found


def parse(text: str, *, field: str = "tags") -> list[str]:
    """Names out of “VIP, Moscow”, each once; Invalid beside `field`."""
    found: dict[str, str] = {}
    for part in text.replace("\n", ",").replace("\r", ",").split(","):
        if name := " ".join(texts.one_line(part, field=field, longest=LONGEST_NAME).split()):
            found.setdefault(folded(name, field=field), name)
    if len(found) > MOST:
        raise Invalid(ngettext("At most %(num)d tag here.", "At most %(num)d tags here.", MOST), field=field)
    return list(found.values())


def known(owner: User, text: str, *, field: str) -> tuple[int, ...]:
    """Ids of the tags named in `text`; Invalid names those that the owner has not."""
    wanted = {folded(name): name for name in parse(text, field=field)}
    found = _ids_by_name(owner, wanted)
    if unknown := [name for key, name in wanted.items() if key not in found]:
        named = ", ".join(f"“{name}”" for name in unknown[:NAMED])
        raise Invalid(_("You have no such tag: %(named)s.", named=named), field=field)
    return tuple(sorted(found.values()))


def ensure(owner: User, wanted: Iterable[str]) -> dict[str, int]:
    """Ids by folded name; tags that are not there yet are made."""
    by_key = {folded(name): name for name in wanted}
    lock(owner)
    found = _ids_by_name(owner, by_key)
    for key in by_key.keys() - found.keys():
        tag = Tag(owner_id=owner.id, name=by_key[key], name_folded=key)
        db.session.add(tag)
        db.session.flush()
        found[key] = tag.id
    return found


def assign(owner: User, client: Client, text: str) -> None:
    """Makes the tags named in `text` the client's; no others stay."""
    wanted = set(ensure(owner, parse(text)).values())
    of_client = client_tags.c.client_id == client.id
    has = set(db.session.scalars(select(client_tags.c.tag_id).where(of_client)))
    db.session.execute(delete_rows(client_tags).where(of_client, client_tags.c.tag_id.in_(has - wanted)))
    rows = [{"client_id": client.id, "tag_id": tag_id, "owner_id": owner.id} for tag_id in sorted(wanted - has)]
    if rows:
        db.session.execute(insert(client_tags), rows)


def rename(owner: User, tag: Tag, *, name: str) -> Tag:
    """Invalid beside “name” when another tag has it: those two can be merged."""
    found = parse(name, field="name")
    if len(found) != 1:
        raise Invalid(_("Enter one name, without a comma."), field="name")
    lock(owner)
    key = folded(found[0])
    if _ids_by_name(owner, [key]).get(key, tag.id) != tag.id:
        raise Invalid(_("There is a tag with this name. You can merge the two."), field="name")
    tag.name, tag.name_folded = found[0], key
    return tag


def merge(owner: User, tag: Tag, *, into: Tag) -> None:
    """Who carries `tag` carries `into`; saved filters that ask for the one ask for the other; `tag` is gone."""
    if tag.id == into.id:
        raise Invalid(_("Choose another tag."), field="into")
    lock(owner)
    has_both = select(client_tags.c.client_id).where(client_tags.c.tag_id == into.id)
    moved = select(client_tags.c.client_id, literal(into.id), client_tags.c.owner_id)
    moved = moved.where(client_tags.c.tag_id == tag.id, client_tags.c.client_id.not_in(has_both))
    db.session.execute(insert(client_tags).from_select(["client_id", "tag_id", "owner_id"], moved))
    for row, wanted in _asking(owner, tag.id):
        row.conditions = conditions.as_json(conditions.replace_tag(wanted, tag.id, into.id))
    db.session.flush()
    db.session.execute(delete_rows(Tag).where(Tag.id == tag.id))


def delete(owner: User, tag: Tag) -> str:
    """Clients lose it. Refused while a saved filter asks for it. Returns its name."""
    lock(owner)
    if rows := _asking(owner, tag.id):
        named = ", ".join(f"“{row.name}”" for row, _wanted in rows[:NAMED])
        raise Refused(_("“%(tag)s” stands in saved filters: %(named)s. Change them first.", tag=tag.name, named=named))
    name = tag.name
    db.session.execute(delete_rows(Tag).where(Tag.id == tag.id))
    return name


def lock(owner: User) -> None:
    """One change of the owner's tags and filters after the other."""
    db.session.execute(select(User.id).where(User.id == owner.id).with_for_update(key_share=True))


def folded(name: str, *, field: str = "name", longest: int = LONGEST_FOLDED) -> str:
    """What uniqueness compares; Invalid when it grows too long."""
    key = " ".join(unicodedata.normalize("NFKC", name).casefold().split())
    if len(key) > longest:
        raise Invalid(_("This name is too long."), field=field)
    return key


def _ids_by_name(owner: User, keys: Iterable[str]) -> dict[str, int]:
    query = select(Tag.name_folded, Tag.id).where(Tag.owner_id == owner.id, Tag.name_folded.in_(list(keys)))
    return {row[0]: row[1] for row in db.session.execute(query)}


def _asking(owner: User, tag_id: int) -> Sequence[tuple[SavedFilter, conditions.Conditions]]:
    rows = db.session.scalars(select(SavedFilter).where(SavedFilter.owner_id == owner.id).order_by(SavedFilter.name))
    read = ((row, conditions.read(row.conditions)) for row in rows)
    return [(row, wanted) for row, wanted in read if tag_id in wanted.tags]
