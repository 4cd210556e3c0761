"""Sessions through a search index: a user's sessions in one call, however many keys the server has."""

from __future__ import annotations

import time
from dataclasses import dataclass

from memdb.cluster import replies
from memdb.cluster.client import Arg, Client
from memdb.errors import BadInput, EngineError, UnsupportedFeature
from memdb.numerals import whole_number
from memdb.sessions import formats
from memdb.sessions.filters import SessionFilter
from memdb.sessions.known import ARTICLE
from memdb.sessions.mapping import Format
from memdb.sessions.store import count
from memdb.sessions.strategy import PAGE, SessionPage
from memdb.sessions.summaries import summaries
from memdb.vectors import index
from memdb.vectors.filters import And, Condition, Tag, render
from memdb.vectors.index import IndexInfo, IndexSpec
from memdb.vectors.query import Command
from memdb.vectors.schema import TagField
from memdb.vectors.search import read_hits

NAME = "idx:sessions"
SEPARATOR = "|"  # a comma may stand in a name
# Bytes of index a session, as RediSearch 2.10 told after 1,000,000 small sessions of 5,000 users and 12
# contexts (benchmarks/sessions.py prints it): names of keys are the most of it.
BYTES_A_SESSION = 118
_CURSOR = "row-"
DEEPEST = 100_000  # rows that MemoryDB fetches for a query without vectors


@dataclass(frozen=True, slots=True)
class IndexCost:
    """What an index over sessions would take."""

    sessions: int
    bytes: int  # of server memory, estimated
    how: str


def spec(prefix: str = formats.SESSION_PREFIX) -> IndexSpec:
    """The index that is offered: user and context as tags. The history is not in it."""
    return IndexSpec(
        NAME,
        (
            TagField(formats.USER_ID, SEPARATOR, case_sensitive=True),
            TagField(formats.CONTEXT, SEPARATOR, case_sensitive=True),
        ),
        (prefix,),
    )


def cost(client: Client) -> IndexCost:
    """What `spec` would cost on this server."""
    counted = count(client)
    size = counted.value * BYTES_A_SESSION
    return IndexCost(
        counted.value,
        size,
        f"{counted.how} At about {BYTES_A_SESSION} bytes a session, as measured over a million small ones. "
        "Each write to a session's user or context updates the index.",
    )


def create(client: Client) -> None:
    """Create the index; sessions that are there are indexed in the background.

    Raises:
        ReadOnlyTarget: the target takes no writes.
        UnsupportedFeature: the server has no search.
        EngineError: there is an index of this name already.
    """
    index.create(client, spec())


def find(client: Client, format_: Format = ARTICLE) -> IndexInfo | None:
    """An index over a format's sessions with their user as a tag; None where there is none."""
    if format_.strategy != ARTICLE.strategy or not client.server.dialect.searches:
        return None
    for name in index.index_names(client):
        try:
            info = index.index_info(client, name)
        except EngineError:  # dropped meanwhile
            continue
        if (
            info.on.upper() == "HASH"
            and info.prefixes == (format_.prefix,)
            and any(f.name == formats.USER_ID for f in info.of_kind("TAG"))
        ):
            return info
    return None


def serves(info: IndexInfo, wanted: SessionFilter, format_: Format = ARTICLE) -> bool:
    """Whether this filter is answered by the index alone: whole user and context, nothing else."""
    conditions = _asked(wanted)
    tags = {f.name for f in info.of_kind("TAG")}
    return (
        info.build.ready
        # Pages merged of several shards overlap: each brings its first rows in an order of its own.
        and not info.shards
        and bool(conditions)
        and not (wanted.partial or wanted.words or wanted.by_ttl or wanted.id_part)
        and not wanted.by_created
        and info.prefixes == (format_.prefix,)
        and tags >= set(conditions)
    )


def cursor_at(row: int) -> str:
    """The cursor of a listing that goes on at a row; no cursor of SCAN looks so."""
    return f"{_CURSOR}{row}"


def is_cursor(text: str) -> bool:
    """Whether a cursor is of a listing through an index."""
    return text.startswith(_CURSOR)


def page(
    client: Client,
    info: IndexInfo,
    wanted: SessionFilter,
    cursor: str = "",
    *,
    size: int = PAGE,
    format_: Format = ARTICLE,
) -> SessionPage:
    """The next sessions that pass a filter which the index serves.

    What the index brings is compared with what is stored: a session that expired or changed meanwhile is
    left out, so a page may be short.

    Raises:
        BadInput: the cursor is none, or beyond what the engine fetches.
        BadFilter: a value cannot be said in this engine's queries; list by cursor instead.
        UnsupportedFeature: the index does not serve the filter.
    """
    began = time.perf_counter()
    if not serves(info, wanted, format_):
        raise UnsupportedFeature("This filter", f"index '{info.name}' does not answer it", "Scan instead.")
    row = cursor.removeprefix(_CURSOR)
    start = whole_number(row) if cursor else 0
    if start is None or start > DEEPEST or (cursor and not is_cursor(cursor)):
        raise BadInput(f"'{cursor[:40]}' is no cursor of this listing.", "Begin again without a cursor.")
    conditions: list[Condition] = [Tag(name, (value,)) for name, value in _asked(wanted).items()]
    query = render(And(tuple(conditions)), client.server.dialect, info)
    params: list[Arg] = [part for pair in query.params for part in pair]
    reply = client.execute(
        "FT.SEARCH",
        info.name,
        query.query,
        "RETURN",
        1,
        formats.USER_ID,
        "LIMIT",
        start,
        size,
        *(("PARAMS", len(params), *params) if params else ()),
        "DIALECT",
        2,
    )
    total = replies.integer(
        replies.pairs(reply).get("total_results") if isinstance(reply, dict) else replies.items(reply)[0]
    )
    keys, _ = read_hits(reply)
    listed = [
        s
        for s in summaries(client, keys, format_.prefix)
        if (not wanted.user or s.user_id == wanted.user)
        and (not wanted.context or s.context == wanted.context)
    ]
    after = start + size
    ended = after >= min(total, DEEPEST) or not keys
    return SessionPage(
        tuple(listed),
        "" if ended else cursor_at(after),
        ended,
        len(keys),
        total,
        (time.perf_counter() - began) * 1000,
        info.name,
    )


def _asked(wanted: SessionFilter) -> dict[str, str]:
    values = {formats.USER_ID: wanted.user, formats.CONTEXT: wanted.context}
    return {name: value for name, value in values.items() if value}


CODE = """import os

from memdb.cluster.client import connect
from memdb.cluster.target import Target
from memdb.sessions import indexed

target = Target.parse("HOST", password=os.environ.get("MEMDB_PASSWORD", ""), writable=True)
with connect(target) as client:
    indexed.create(client)
"""


def create_command() -> Command:
    """The FT.CREATE, to show or repeat."""
    return Command(spec().create_args())
