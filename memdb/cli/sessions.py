"""`memdb sessions`: list by cursor, show one, or tell which formats there are."""

from __future__ import annotations

from dataclasses import dataclass

from memdb.cli.arguments import OnServer, count
from memdb.cli.options import option
from memdb.cli.output import print_json, print_table, say
from memdb.cluster.client import open_for_work
from memdb.display import bytes_text, duration, line, plain
from memdb.errors import BadInput
from memdb.sessions import formats, store
from memdb.sessions.detect import Detected, detect
from memdb.sessions.filters import SessionFilter
from memdb.sessions.format_file import own_formats
from memdb.sessions.formats import Session
from memdb.sessions.summaries import SessionSummary
from memdb.settings import Settings


@dataclass(frozen=True, kw_only=True)
class Sessions(OnServer):
    """`memdb sessions`."""

    action: str = option("action", default="list", choices=("list", "show", "formats"))
    id: str = option("id", default="", metavar="ID", help="of the session to show")
    user: str = option("--user", default="", metavar="ID", help="only of this user")
    context: str = option("--context", default="", metavar="C", help="only with this context")
    words: str = option("--words", default="", metavar="W", help="only with these words in the history")
    limit: int = option("--limit", default=store.PAGE, type=count(1), metavar="N", help="at most")
    cursor: str = option("--cursor", default="", metavar="C", help="go on where an earlier list ended")
    json: bool = option("--json", default=False, help="print JSON")

    def run(self) -> int:
        """List, show, or tell the formats.

        Raises:
            BadInput: `show` without the id of a session.
            MemDBError: the server does not answer, or there is no such session.
        """
        if self.action == "show" and not self.id:
            raise BadInput("`memdb sessions show` needs the id of a session.", "`memdb sessions` lists them.")
        target = self.find(Settings.from_env())
        with open_for_work(target) as client:
            if self.action == "formats":
                return _formats(detect(client, own_formats(Settings.from_env())), as_json=self.json)
            if self.action == "show":
                named = (
                    self.id if self.id.startswith(formats.SESSION_PREFIX) else formats.session_key(self.id)
                )
                session = store.read(client, named)
                if self.json:
                    print_json(_session(session))
                else:
                    _show(session)
                return 0
            wanted = SessionFilter(user=self.user, context=self.context, words=tuple(self.words.split()))
            page = store.search(client, wanted, limit=self.limit, cursor=self.cursor)
        if self.json:
            print_json(
                {
                    "sessions": [_summary(s) for s in page.sessions],
                    "next_cursor": page.next_cursor,
                    "complete": page.complete,
                    "scanned": page.scanned,
                    "keys": page.keys,
                    "took_ms": round(page.took_ms, 3),
                }
            )
            return 0
        if page.sessions:
            rows = [
                (
                    formats.session_id(s.key),
                    s.user_id,
                    s.context,
                    duration(s.ttl_s) if s.ttl_s is not None else "never expires",
                    "–" if s.turns is None else str(s.turns),
                    s.opening,
                )
                for s in page.sessions
            ]
            print_table("", ("session", "user", "context", "TTL", "turns", "began with"), rows, right=(4,))
        say(f"{len(page.sessions)} sessions; {page.scanned:,} of {page.keys:,} keys looked at")
        if not page.complete:
            say(f"More: --cursor {page.next_cursor}")
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
                        "stored": f.format.stored,
                        "holds": f.format.holds,
                        "sampled": f.sampled,
                        "keys": f.keys,
                    }
                    for f in detected.formats
                ],
                "other": detected.other,
                "sampled": detected.sampled,
                "keys": detected.total,
            }
        )
        return 0
    if detected.formats:
        rows = [
            (line(f.format.title, 60), line(f.format.prefix, 60), f"one {f.format.holds}", f"{f.keys:,}")
            for f in detected.formats
        ]
        print_table("", ("format", "keys begin with", "a key holds", "keys"), rows, right=(3,))
    say(f"{detected.words} {detected.other:,} of them are no sessions.")
    return 0


def _summary(session: SessionSummary) -> dict[str, object]:
    return {
        "key": session.key,
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


def _session(session: Session) -> dict[str, object]:
    return {
        "key": session.key,
        "user_id": session.user_id,
        "context": session.context,
        "created_at": session.created_at,
        "ttl_s": session.ttl_s,
        "size_bytes": session.size_bytes,
        "history": [{"role": turn.role, "content": turn.content} for turn in session.turns],
        "problems": list(session.problems),
    }


def _show(session: Session) -> None:
    ttl = duration(session.ttl_s) if session.ttl_s is not None else "never expires"
    say(line(session.key))
    say(f"user {line(session.user_id)}, context {line(session.context)}, created {line(session.created_at)}")
    say(f"TTL {ttl}, {bytes_text(session.size_bytes)} in memory, {len(session.turns)} turns")
    for problem in session.problems:
        say(f"! {line(problem)}")
    for turn in session.turns:
        say(f"\n{line(turn.role) or '?'}: {plain(turn.content)}")
