"""Names of line breaks as they are: RediSearch's FT.INFO tells a line break as the two signs `\\n` or `\\r`.

Which of the two a name holds, FT.INFO does not say. Names of fields are asked about, and prefixes and fields
of hashes are held against documents. In an index without documents they stay as they are told.
"""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING

from memdb.cluster import replies
from memdb.cluster.client import Client
from memdb.errors import EngineError

if TYPE_CHECKING:
    from memdb.vectors.index import Field, IndexInfo

_TOLD = re.compile(r"\\[nr]")
_OF_EXPRESSION = re.compile(r"""\"(?:[^"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|\\[nr]""")
_LOOKED_AT = 10  # documents


def broken(name: str) -> str:
    """The name with line breaks for what RediSearch tells of them."""
    return name.replace("\\r", "\r").replace("\\n", "\n")


def in_expression(told: str) -> str:
    """An expression with the line breaks between its parts; in a text the two signs may be its own."""
    return _OF_EXPRESSION.sub(lambda part: part[0] if part[0][0] in "'\"" else broken(part[0]), told)


def restored(client: Client, info: IndexInfo) -> IndexInfo:
    """The index with the names that its server knows; asks it where one may hold a line break."""
    names = (*info.prefixes, *(name for field in info.fields for name in (field.name, field.identifier)))
    if not client.server.dialect.escaped_breaks or not any(map(_TOLD.search, names)):
        return info
    rows = replies.items(client.execute("FT.SEARCH", info.name, "*", "LIMIT", 0, _LOOKED_AT))[1:]
    keys = [replies.key(key) for key in rows[::2]]
    present = {replies.key(name) for fields in rows[1::2] for name in replies.items(fields)[::2]}

    def prefix(listed: str) -> str:
        with_breaks = any(key.startswith(broken(listed)) for key in keys)
        return broken(listed) if with_breaks and not any(key.startswith(listed) for key in keys) else listed

    def field(listed: Field) -> Field:
        real = broken(listed.identifier)
        # A path of JSON cannot be said with a backslash before n or r.
        path = info.on == "JSON" or (real in present and listed.identifier not in present)
        name = listed.name if _knows(client, info.name, listed.name) else broken(listed.name)
        return dataclasses.replace(listed, name=name, identifier=real if path else listed.identifier)

    return dataclasses.replace(
        info, prefixes=tuple(map(prefix, info.prefixes)), fields=tuple(map(field, info.fields))
    )


def _knows(client: Client, index: str, name: str) -> bool:
    """Whether the schema has a field of this name, where one may hold a line break."""
    if not _TOLD.search(name):
        return True
    try:
        client.execute("FT.SEARCH", index, "*", "SORTBY", name, "NOCONTENT", "LIMIT", 0, 1)
    except EngineError:
        return False
    return True
