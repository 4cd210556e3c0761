"""What a conversation used: its tools and how their calls ended, and about how many tokens it has. Pure.

The tokens are an estimate: they are counted with the tokenizer of the local embedding model, Llama 2's, which
is there without a network. Other models cut texts otherwise, and providers add some of their own.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from memdb.embedding import local
from memdb.sessions.formats import HISTORY, Session
from memdb.sessions.turns import ToolCall, ToolResult, Turn

KEPT = 20  # turns of a trimmed history
TOKENS_FROM = "estimated with Llama 2's tokenizer; images and files are not counted"


@dataclass(frozen=True, slots=True)
class ToolUse:
    """One tool in one conversation or several."""

    name: str  # empty where only results are there, which name no tool
    calls: int
    answered: int  # calls with a result that is no error
    failed: int  # results that are errors
    failed_at: tuple[int, ...] = ()  # numbers of the turns of a conversation with such a result

    @property
    def open(self) -> int:
        """Calls without a result."""
        return max(0, self.calls - self.answered - self.failed)


@dataclass(frozen=True, slots=True)
class TokenUse:
    """About how many tokens a conversation has."""

    tokens: int
    by_role: tuple[tuple[str, int, int], ...]  # (role, turns, tokens), most tokens first
    kept_tokens: int  # of the last KEPT turns
    dropped_bytes: int  # of the texts before those, in UTF-8


@dataclass(slots=True)
class _Call:
    """A call that is open until a result takes it."""

    name: str
    turn: int
    open: bool = True


class _Open:
    """Calls that have no result yet: those of the latest turn go first, in their order."""

    def __init__(self) -> None:
        self._turns: list[tuple[int, deque[_Call]]] = []
        self.last = ""  # name of the call that came last, open or not

    def add(self, call: _Call) -> None:
        if not self._turns or self._turns[-1][0] != call.turn:
            self._turns.append((call.turn, deque()))
        self._turns[-1][1].append(call)
        self.last = call.name

    def take(self) -> _Call | None:
        while self._turns:
            calls = self._turns[-1][1]
            while calls:
                call = calls.popleft()
                if call.open:
                    call.open = False
                    return call
            self._turns.pop()
        return None


def tool_use(turns: Sequence[Turn], first: int = 1) -> tuple[ToolUse, ...]:
    """The tools of a conversation, the most called first; `first` is the number of its first turn.

    A result belongs to the call whose id it names, the latest before it where an id is used again, and in
    their order where calls of one turn have the same; without an id to an open call of its tool, or of the
    last turn with one.
    """
    counts: Counter[str] = Counter()
    # Open calls by id, by name where they have none, and all of those.
    of_id: dict[str, _Open] = defaultdict(_Open)
    of_name: dict[str, _Open] = defaultdict(_Open)
    nameless = _Open()
    results: list[tuple[int, ToolResult, str | None]] = []
    for number, turn in enumerate(turns, first):
        for part in turn.parts:
            if isinstance(part, ToolCall):
                counts[part.name] += 1
                call = _Call(part.name, number)
                for several in (of_id[part.id],) if part.id else (of_name[part.name], nameless):
                    several.add(call)
            elif isinstance(part, ToolResult):
                taken = of_id[part.call].take() if part.call in of_id else None
                if taken is None and part.call not in of_id:
                    taken = of_name[part.name].take() if part.name else nameless.take()
                results.append((number, part, taken.name if taken is not None else None))
    ended: dict[str, Counter[bool]] = defaultdict(Counter)
    failed_at: dict[str, list[int]] = defaultdict(list)
    for number, part, tool_name in results:
        name = tool_name
        if name is None:  # it may stand before its call, where tools answered while the model went on
            later = of_id[part.call].take() if part.call in of_id else None
            name = later.name if later is not None else part.name or of_id[part.call].last
        ended[name][part.failed] += 1
        if part.failed:
            failed_at[name].append(number)
    return tuple(
        ToolUse(name, counts[name], ended[name][False], ended[name][True], tuple(failed_at[name]))
        for name in sorted({*counts, *ended}, key=lambda n: (-counts[n], n))
    )


def together(several: Iterable[Sequence[ToolUse]]) -> tuple[ToolUse, ...]:
    """Tools of several conversations summed up, the most called first; turns are not told."""
    sums: dict[str, tuple[int, int, int]] = {}
    for uses in several:
        for use in uses:
            calls, answered, failed = sums.get(use.name, (0, 0, 0))
            sums[use.name] = (calls + use.calls, answered + use.answered, failed + use.failed)
    ranked = sorted(sums.items(), key=lambda item: (-item[1][0], item[0]))
    return tuple(ToolUse(name, *counts) for name, counts in ranked)


def token_use(turns: Sequence[Turn], kept: int = KEPT) -> TokenUse:
    """About how many tokens a conversation has, by role, and what a history of `kept` turns would leave."""
    tokens = local.tokens([turn.words for turn in turns])
    roles: dict[str, list[int]] = defaultdict(list)
    for turn, count in zip(turns, tokens, strict=True):
        roles[turn.role].append(count)
    by_role = sorted(((role, len(n), sum(n)) for role, n in roles.items()), key=lambda row: -row[2])
    dropped = turns[: max(0, len(turns) - kept)]
    return TokenUse(
        sum(tokens),
        tuple(by_role),
        sum(tokens[len(dropped) :]),
        sum(len(turn.words.encode("utf-8", "surrogatepass")) for turn in dropped),
    )


def trimmed_bytes(session: Session, kept: int = KEPT) -> int | None:
    """About how many bytes of the server's memory a history of the last `kept` turns would free.

    Estimated: what the key takes is shared among the turns by what was read of them, each with an equal part
    of what stands around their texts. Turns that were not read are taken for as large as the others. None
    where the size is not known.
    """
    if session.size_bytes is None:
        return None
    dropped = max(0, session.total - kept)
    if not dropped or not session.turns:
        return 0
    texts = [len(turn.words.encode("utf-8", "surrogatepass")) for turn in session.turns]
    history = [field for field in session.fields if field.name == HISTORY] or session.fields
    read = sum(field.size_bytes for field in history)
    around = max(0.0, (read - sum(texts)) / len(texts))
    unread = session.earlier * (sum(texts) / len(texts) + around)
    part = unread + sum(size + around for size in texts[: max(0, dropped - session.earlier)])
    beside = sum(field.size_bytes + len(field.name) for field in session.fields) - read
    whole = unread + sum(texts) + around * len(texts) + max(0, beside)
    return round(session.size_bytes * part / whole)
