"""`memdb sessions`: list by cursor, show one, search by meaning, change or export many, tell the formats."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime

import pandas as pd

from memdb import export
from memdb.cli.arguments import OnWritableServer, amount, count, say_what_leaves
from memdb.cli.options import option
from memdb.cli.output import print_json, print_table, say, write
from memdb.cluster.client import Client, open_for_work
from memdb.display import bytes_text, counted, duration, line, plain
from memdb.errors import BadInput, NoEmbedder, NotFound
from memdb.sessions import bulk, indexed, known, listing, stored_vectors, times
from memdb.sessions.bulk import Action
from memdb.sessions.detect import Detected, detect
from memdb.sessions.filters import SessionFilter
from memdb.sessions.format_file import own_formats
from memdb.sessions.formats import TURNS, Session, to_object
from memdb.sessions.known import ARTICLE
from memdb.sessions.mapping import Format
from memdb.sessions.meaning import Memory, NearTurn, alike, near_turns
from memdb.sessions.redact import hidden_session, hidden_summary, hidden_turn
from memdb.sessions.statements import READINGS, WORDS
from memdb.sessions.stored_vectors import NearStored
from memdb.sessions.strategy import PAGE, SessionPage
from memdb.sessions.summaries import SessionSummary
from memdb.sessions.turns import Text, Turn, part_line, turn_object, turn_rows
from memdb.sessions.usage import KEPT, TOKENS_FROM, together, token_use, tool_use, trimmed_bytes
from memdb.settings import Settings


def moment(text: str) -> datetime:
    """A time of ISO 8601; without a zone it is UTC."""
    time = times.moment(text)
    if time is None:
        raise argparse.ArgumentTypeError(f"'{text}' is no time, e.g. 2026-07-14 or 2026-07-14T10:30Z")
    return time


@dataclass(frozen=True, kw_only=True)
class Sessions(OnWritableServer):
    """`memdb sessions`."""

    action: str = option(
        "action",
        default="list",
        metavar="ACTION",
        choices=(
            *("list", "show", "formats", "usage", "near", "alike"),
            *("export", "delete", "expire", "persist"),
        ),
        help="list (the default), show, formats, usage, near, alike; `export` prints a line of JSON a "
        "session; `delete`, `expire`, `persist` change all that pass",
    )
    id: str = option(
        "id",
        default="",
        metavar="ID",
        help="of the session; for `near` what is looked for, in quotes",
    )
    format: str = option(
        "--format",
        default=ARTICLE.name,
        metavar="NAME",
        help="how they are stored; `formats --json` names them",
    )
    prefix: str | None = option(
        "--prefix", type=str, metavar="P", help="their keys begin so (default: the format's); '' is none"
    )
    tail: str | None = option(
        "--tail", type=str, metavar="T", help="what follows the id in their keys (default: the format's)"
    )
    user: str = option("--user", default="", metavar="ID", help="only of this user")
    context: str = option("--context", default="", metavar="C", help="only with this context")
    partial: bool = option(
        "--partial", default=False, help="user and context need only contain it, in any case"
    )
    words: str = option("--words", default="", metavar="W", help="only with these words in the history")
    id_part: str = option("--id-part", default="", metavar="T", help="only with this in the id")
    ttl_from: float = option(
        "--ttl-from", default=0.0, type=amount, metavar="S", help="seconds left at least"
    )
    ttl_to: float | None = option("--ttl-to", type=amount, metavar="S", help="seconds left at most")
    never_expires: bool = option("--never-expires", default=False, help="only without a time to live")
    since: datetime | None = option("--since", type=moment, metavar="T", help="only created from then on")
    until: datetime | None = option("--until", type=moment, metavar="T", help="only created until then")
    limit: int = option("--limit", default=PAGE, type=count(1), metavar="N", help="at most")
    cursor: str = option("--cursor", default="", metavar="C", help="go on where an earlier list ended")
    turns: int | None = option(
        "--turns",
        type=count(1),
        metavar="N",
        help="newest turns of a list that are read (default: 500; with --json or --csv 10,000)",
    )
    within: float = option(
        "--in", default=1_800.0, type=amount, metavar="S", help="`expire`: seconds to live from now"
    )
    confirm: str = option(
        "--confirm",
        default="",
        metavar="W",
        help="the words that a dry run tells, e.g. 'delete 12'; without them nothing is written",
    )
    vectors: str = option(
        "--vectors",
        default="auto",
        choices=("auto", "stored", "here"),
        help="`near` asks the vectors stored beside the turns, or embeds the turns listed here; auto: the "
        "former where there are some and their model is known",
    )
    embedder: str = option(
        "--embedder", default="", metavar="E", help="the model of the stored vectors, as of `memdb search`"
    )
    like: str = option(
        "--like", default="", metavar="KEY", help="`near`: like the turn in this key, by its stored vector"
    )
    hide: bool = option(
        "--hide",
        default=False,
        help="hide e-mail addresses, card numbers and other personal data",
    )
    csv: bool = option("--csv", default=False, help="`show` prints a line a turn")
    json: bool = option("--json", default=False, help="print JSON")

    def run(self) -> int:
        """List, show, tell the formats, sum up tools and tokens, find by meaning, change or export many.

        Raises:
            BadInput: `show` without the id of a session, `near` without what is looked for.
            MemDBError: the server does not answer, or there is no such session.
        """
        if self.action == "show" and not self.id:
            raise BadInput("`memdb sessions show` needs the id of a session.", "`memdb sessions` lists them.")
        if self.action == "near" and not (self.id or self.like):
            raise BadInput("`memdb sessions near` needs what to look for.", 'memdb sessions near "a refund"')
        settings = Settings.from_env()
        own = own_formats(settings)
        layout, wanted = known.named(self.format, own, self.prefix, self.tail), self.filter()
        with open_for_work(self.find(settings)) as client:
            if self.action == "formats":
                return _formats(detect(client, own), as_json=self.json)
            if self.action in ("export", "delete", "expire", "persist"):
                return self._many(client, layout, wanted)
            if self.action == "show":
                session = self._opened(client, layout, self.id.removeprefix(layout.prefix))
                if self.csv:
                    rows = turn_rows(session.turns, session.earlier + 1)
                    write(export.to_csv(pd.DataFrame(rows)).decode().rstrip("\n"))
                elif self.json:
                    print_json(to_object(session))
                else:
                    _show(session)
                return 0
            if self.action == "usage" and self.id:
                return _usage(
                    [self._opened(client, layout, self.id.removeprefix(layout.prefix))], as_json=self.json
                )
            if self.action == "near" and (near := self._near_stored(client, layout, settings)) is not None:
                return _near(near.turns, near.how, as_json=self.json)
            index = indexed.find(client, layout) if wanted.user or wanted.context else None
            page = listing.search(client, layout, wanted, limit=self.limit, cursor=self.cursor, index=index)
            if self.action in ("usage", "near", "alike"):
                sessions = list(self._each(client, layout, page))
                if self.action == "usage":
                    return _usage(sessions, as_json=self.json)
                if self.action == "alike":
                    return _alike(sessions, as_json=self.json)
                turns = near_turns(((s.id, s.turns, s.earlier + 1) for s in sessions), self.id)
                how = f"Of {counted(len(sessions), 'session')}, embedded here by the local model."
                return _near(turns, how, as_json=self.json)
        if self.hide:
            page = replace(page, sessions=tuple(map(hidden_summary, page.sessions)))
        return _listed(layout, page, as_json=self.json)

    def _opened(self, client: Client, layout: Format, id_: str) -> Session:
        whole = self.action == "show" and (self.json or self.csv)
        entries = self.turns or (TURNS if whole else listing.OPEN_BUDGET.entries)
        budget = replace(listing.OPEN_BUDGET, entries=entries)
        session = listing.open_session(client, layout, id_, budget=budget).session
        return hidden_session(session) if self.hide else session

    def _each(self, client: Client, layout: Format, page: SessionPage) -> Iterator[Session]:
        for row in page.sessions:
            try:
                yield self._opened(client, layout, row.id)
            except NotFound:
                continue  # it expired since it was listed

    def _near_stored(self, client: Client, layout: Format, settings: Settings) -> NearStored | None:
        """By the vectors stored beside the turns; None where the turns are to be embedded here."""
        if self.vectors == "here" and not self.like:
            return None
        wanted = bool(self.like or self.embedder or self.vectors == "stored")
        stored = stored_vectors.find(client, layout)
        if stored is None:
            if wanted:
                raise BadInput(
                    f"No vectors were seen beside the turns under '{line(layout.keys, 80)}'.",
                    "--vectors here embeds the turns of the sessions listed.",
                )
            return None
        if self.like:
            vector = stored_vectors.turn_vector(client, layout, stored, self.like)
        else:
            try:
                vector, _ = stored_vectors.question_vector(
                    client, stored, self.id, settings, model=self.embedder, tell=say_what_leaves
                )
            except NoEmbedder:
                if wanted:
                    raise
                return None
        near = stored_vectors.near_stored(client, layout, stored, vector, min(self.limit, 100))
        if self.hide:
            near = replace(near, turns=tuple(replace(n, turn=hidden_turn(n.turn)) for n in near.turns))
        return near

    def _many(self, client: Client, layout: Format, wanted: SessionFilter) -> int:
        """Export or change the sessions that pass; a change only with the words that the dry run tells."""
        action = Action(self.action, self.within if self.action == "expire" else 0.0)  # type: ignore[arg-type]
        planned = bulk.plan(client, wanted, action, layout)
        if self.action == "export":
            for text in bulk.exported(client, planned, hide=self.hide):
                write(text)
            return 0
        if self.confirm.strip().lower() != planned.phrase:
            if self.json:
                print_json(
                    {
                        "sessions": len(planned.sessions),
                        "keys": list(planned.keys),
                        "bytes": planned.bytes,
                        "left_alone": planned.undecided,
                        "complete": planned.complete,
                        "confirm": planned.phrase,
                        "changed": 0,
                    }
                )
            else:
                say(f"{planned.words} Nothing is written yet.")
                if planned.sessions:
                    say(f"To do it: --confirm '{planned.phrase}'")
            return 1 if self.confirm else 0
        outcome = bulk.apply(client, planned)
        if self.json:
            print_json(
                {"planned": outcome.planned, "changed": outcome.changed, "left_alone": outcome.skipped}
            )
        else:
            say(outcome.words)
        return 0

    def filter(self) -> SessionFilter:
        """The filter that the options say."""
        return SessionFilter(
            user=self.user,
            context=self.context,
            partial=self.partial,
            words=tuple(self.words.split()),
            ttl_from_s=self.ttl_from,
            ttl_to_s=math.inf if self.ttl_to is None else self.ttl_to,
            expires=False if self.never_expires else None,
            created_from=self.since,
            created_to=self.until,
            id_part=self.id_part,
        )


def _listed(layout: Format, page: SessionPage, *, as_json: bool) -> int:
    if as_json:
        print_json(
            {
                "format": layout.name,
                "prefix": layout.prefix,
                "sessions": [_summary(s) for s in page.sessions],
                "next_cursor": page.next_cursor,
                "complete": page.complete,
                "scanned": page.scanned,
                "keys": page.keys,
                "index": page.index,
                "took_ms": round(page.took_ms, 3),
            }
        )
        return 0
    if page.sessions:
        rows = [
            (
                s.id,
                s.user_id,
                s.context,
                duration(s.ttl_s) if s.ttl_s is not None else "never expires",
                "–" if s.turns is None else str(s.turns),
                s.opening,
            )
            for s in page.sessions
        ]
        head = ("session", "user", "context", "TTL", "turns", "began with")
        print_table("", head, rows, right=(4,), whole=(0,))
    if page.index:
        say(f"{len(page.sessions)} sessions of {page.keys:,} that match in index {line(page.index)}")
    else:
        say(f"{counted(len(page.sessions), 'session')}; {page.scanned:,} of {page.keys:,} keys looked at")
    if not page.complete:
        say(f"More: --cursor {page.next_cursor}")
    return 0


def _usage(sessions: list[Session], *, as_json: bool) -> int:
    """Tools and tokens of some sessions."""
    uses = together(tool_use(session.turns, session.earlier + 1) for session in sessions)
    counts = [token_use(session.turns) for session in sessions]
    tokens = [use.tokens for use in counts]
    freed = [trimmed_bytes(session) for session in sessions]
    freed_bytes = None if None in freed else sum(filter(None, freed))
    size = sum(session.size_bytes or 0 for session in sessions)
    if as_json:
        print_json(
            {
                "sessions": len(sessions),
                "tools": [
                    {"tool": u.name, "calls": u.calls, "answered": u.answered, "failed": u.failed}
                    for u in uses
                ],
                "tokens_about": sum(tokens),
                "tokens_from": TOKENS_FROM,
                "size_bytes": size,
                "of_last_turns": {
                    "turns": KEPT,
                    "tokens_about": sum(use.kept_tokens for use in counts),
                    "freed_bytes_about": freed_bytes,
                },
                "by_session": [
                    {"id": s.id, "turns": s.total, "tokens_about": count, "freed_bytes_about": free}
                    for s, count, free in zip(sessions, tokens, freed, strict=True)
                ],
            }
        )
        return 0
    if uses:
        rows = [
            (line(u.name, 60) or "not named", str(u.calls), str(u.answered), str(u.failed), str(u.open))
            for u in uses
        ]
        print_table("", ("tool", "calls", "answered", "failed", "no result"), rows, right=(1, 2, 3, 4))
    say(
        f"{counted(len(sessions), 'session')}, {bytes_text(size)} in memory, about {sum(tokens):,} tokens "
        f"({TOKENS_FROM})"
    )
    if any(session.total > KEPT for session in sessions):
        free = (
            "" if freed_bytes is None else f", and free about {bytes_text(freed_bytes)} in memory, estimated"
        )
        say(
            f"Histories of the last {KEPT} turns would have about "
            f"{sum(use.kept_tokens for use in counts):,} tokens{free}"
        )
    return 0


def _near(near: Sequence[NearTurn], how: str, *, as_json: bool) -> int:
    """Turns by meaning."""
    if as_json:
        print_json(
            {
                "how": how,
                "turns": [
                    {
                        "session": n.session,
                        "turn": n.number,
                        "key": n.key or None,
                        "cosine": n.cosine,
                        **turn_object(n.turn),
                    }
                    for n in near
                ],
            }
        )
        return 0
    rows = [
        (
            f"{n.cosine:.3f}",
            n.session,
            "–" if n.number is None else str(n.number),
            line(n.turn.role, 40),
            line(n.turn.line, 120),
        )
        for n in near
    ]
    print_table("", ("cosine", "session", "turn", "role", "text"), rows, right=(0, 2), whole=(1,))
    say(how)
    return 0


def _alike(sessions: Sequence[Session], *, as_json: bool) -> int:
    """Memories of one user that say nearly the same, or one against the other."""
    pairs = alike([Memory(s.id, s.user_id, s.turns[0].content, s.created) for s in sessions if s.turns])
    if as_json:
        print_json([asdict(pair) for pair in pairs])
        return 0
    rows = [
        (
            p.reading,
            f"{p.cosine:.3f}",
            line(p.earlier.user, 40),
            line(p.earlier.text, 100),
            line(p.later.text, 100),
            line(f"{p.only_earlier or '–'} / {p.only_later or '–'}", 80),
        )
        for p in pairs
    ]
    print_table("", ("reading", "cosine", "user", "earlier", "later", "differ in"), rows, right=(1,))
    readings = {p.reading for p in pairs}
    say(
        " ".join(
            (
                f"Of {counted(len(sessions), 'session')}, told by their words.",
                *(f"{name}: {WORDS[name]}." for name in READINGS if name in readings),
            )
        )
    )
    return 0


def _formats(detected: Detected, *, as_json: bool) -> int:
    if as_json:
        print_json(
            {
                "formats": [
                    {
                        "name": f.format.name,
                        "title": f.format.title,
                        "prefix": f.format.prefix,
                        "tail": f.format.tail,
                        "stored": f.format.stored,
                        "holds": f.format.holds,
                        "sampled": f.sampled,
                        "keys": f.keys,
                    }
                    for f in detected.formats
                ],
                "other": detected.other,
                "unknown": detected.unknown,
                "other_types": dict(detected.types),
                "sampled": detected.sampled,
                "keys": detected.total,
            }
        )
        return 0
    if detected.formats:
        rows = [
            (line(f.format.title, 60), line(f.format.keys, 60), f"one {f.format.holds}", f"{f.keys:,}")
            for f in detected.formats
        ]
        print_table("", ("format", "keys begin", "a key holds", "keys"), rows, right=(3,))
    say(f"{detected.words} {detected.rest}")
    return 0


def _summary(session: SessionSummary) -> dict[str, object]:
    return {
        "key": session.key,
        "id": session.id,
        "user_id": session.user_id,
        "context": session.context,
        "created_at": session.created_at,
        "ttl_s": session.ttl_s,
        "turns": session.turns,
        "history_bytes": session.history_bytes,
        "size_bytes": session.size_bytes,
        "opening": session.opening,
        "problems": list(session.problems),
    }


def _show(session: Session) -> None:
    ttl = duration(session.ttl_s) if session.ttl_s is not None else "never expires"
    say(line(session.key))
    say(f"user {line(session.user_id)}, context {line(session.context)}, created {line(session.created_at)}")
    say(f"TTL {ttl}, {bytes_text(session.size_bytes)} in memory, {session.total:,} turns")
    for problem in session.problems:
        say(f"! {line(problem)}")
    if session.earlier:
        say(f"The newest {len(session.turns):,} follow; --turns reads more.")
    for turn in session.turns:
        who = line(turn.role) or "?"
        say(f"\n{f'{who} ({line(turn.name, 60)})' if turn.name else who}: {_text(turn)}")


def _text(turn: Turn) -> str:
    """What a turn says and does: texts as they are, every other part on a line of its own."""
    texts = [plain(p.text) if isinstance(p, Text) else part_line(p) for p in turn.parts]
    return "\n".join(texts) or "(empty)"
