"""What a conversation used: its tools and how their calls ended, and about how many tokens it has. Pure.

The tokens are an estimate: they are counted with the tokenizer of the local embedding model, Llama 2's, which
is there without a network. Other models cut texts otherwise, and providers add some of their own.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from memdb.embedding import local
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


def tool_use(turns: Sequence[Turn], first: int = 1) -> tuple[ToolUse, ...]:
    """The tools of a conversation, the most called first; `first` is the number of its first turn.

    A result belongs to the call whose id it names; without an id to an open call of its tool, or the last.
    """
    calls: list[str] = []  # names, in order
    # A result may stand before its call, where tools answered while the model went on.
    of_id = {
        part.id: part.name for turn in turns for part in turn.parts if isinstance(part, ToolCall) and part.id
    }
    unanswered: list[str] = []
    ended: dict[str, Counter[bool]] = defaultdict(Counter)
    failed_at: dict[str, list[int]] = defaultdict(list)
    for number, turn in enumerate(turns, first):
        for part in turn.parts:
            if isinstance(part, ToolCall):
                calls.append(part.name)
                unanswered.append(part.name)
            elif isinstance(part, ToolResult):
                name = of_id.get(part.call) or part.name or (unanswered[-1] if unanswered else "")
                if name in unanswered:
                    unanswered.remove(name)
                ended[name][part.failed] += 1
                if part.failed:
                    failed_at[name].append(number)
    counts = Counter(calls)
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
