"""`memdb memory`: where the memory of each node goes, what expires soon, what each index should hold."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from memdb.cli.arguments import OnServer
from memdb.cli.options import option
from memdb.cli.output import ProgressBar, print_json, print_table, say
from memdb.cluster.client import Client, open_for_work
from memdb.cluster.topology import Node
from memdb.display import bytes_text
from memdb.errors import Cancelled, MemDBError
from memdb.operations.keyspace import Coverage, count_exactly
from memdb.operations.memory import TITLES, InAll, MemorySplit, in_all, split
from memdb.operations.samples import Sample, sample
from memdb.settings import Settings
from memdb.vectors.index import silent_words

UNREACHED = 1


@dataclass(frozen=True, kw_only=True)
class Memory(OnServer):
    """`memdb memory`."""

    exact: bool = option(
        "--exact", default=False, help="count the keys of each index instead of estimating: SCAN of all"
    )
    json: bool = option("--json", default=False, help="print JSON")

    def run(self) -> int:
        """Split every node's memory; 1 where a node told nothing."""
        target = self.find(Settings.from_env())
        nodes: list[dict[str, Any]] = []
        status = 0
        primaries: list[MemorySplit] = []
        silent: list[str] = []
        with open_for_work(target) as client:
            for node in client.nodes():
                memory, unfinished = _look(client, node, exactly=self.exact)
                if isinstance(memory, str):
                    status = UNREACHED
                    silent += [node.address] if node.role == "primary" else []
                    nodes.append({"address": node.address, "problem": memory})
                    if not self.json:
                        print_table(f"{target.name}, {node.role} {node.address}", ("problem",), [(memory,)])
                    continue
                primaries += [memory] if node.role == "primary" else []
                about = {"role": node.role, **memory.facts()}
                nodes.append(about | {"notes": list(unfinished)} if unfinished else about)
                if not self.json:
                    show(f"{target.name}, {node.role} {node.address}", memory)
                    for sentence in unfinished:
                        say(f"Note: {sentence}")
        whole = in_all(primaries, silent) if len(primaries) + len(silent) > 1 else None
        if self.json:
            document: dict[str, Any] = {"nodes": nodes}
            print_json(document | ({"in_all": asdict(whole)} if whole is not None else {}))
        elif whole is not None:
            _show_in_all(f"{target.name}, {whole.words}", whole)
        return status


def _show_in_all(title: str, whole: InAll) -> None:
    rows = [
        (TITLES[name], "–" if size is None else bytes_text(size), _share(size, whole.used))
        for name, size in whole.parts.items()
    ]
    rows.append(("Used", "–" if whole.used is None else bytes_text(whole.used), ""))
    print_table(title, ("part", "bytes", "of used"), rows, right=(1, 2))
    if whole.silent:
        say(f"Note: {silent_words(whole.silent)}: nothing of it is in these sums.")


def _look(client: Client, node: Node, *, exactly: bool) -> tuple[MemorySplit | str, tuple[str, ...]]:
    """The split of a node, or why there is none; and a sentence for each index that is not complete."""
    try:
        node_sample = sample(client, node)
        if node_sample.problem:
            return node_sample.problem, ()
        memory = split(client, node, node_sample)
        if exactly:
            memory = replace(memory, coverage=_counted(client, node, node_sample, memory))
        return memory, tuple(filter(None, (info.unfinished for info in node_sample.indexes)))
    except Cancelled:
        raise
    except MemDBError as exc:
        return str(exc), ()


def _counted(client: Client, node: Node, node_sample: Sample, memory: MemorySplit) -> tuple[Coverage, ...]:
    with ProgressBar() as bar:
        exact = {coverage.index for coverage in memory.coverage if coverage.exact}
        counted = {
            info.name: count_exactly(client, node, info, bar.report)
            for info in node_sample.indexes
            if info.name not in exact
        }
    coverage_of = {coverage.index: coverage for coverage in memory.coverage} | counted
    return tuple(coverage_of[info.name] for info in node_sample.indexes if info.name in coverage_of)


def show(title: str, memory: MemorySplit) -> None:
    """Print one node's split, its times to live and its indexes."""
    rows = []
    for part in memory.parts:
        within = f"± {bytes_text(part.within_bytes)}" if part.within_bytes else ""
        note = "; ".join(text for text in (part.source, part.absent) if text)
        size = "–" if part.bytes is None else bytes_text(part.bytes)
        rows.append((TITLES[part.name], size, within, _share(part.bytes, memory.used), note))
    if memory.rest is not None and memory.used is not None:
        rows.append(
            ("Rest", bytes_text(memory.rest), "", _share(memory.rest, memory.used), "used less all above")
        )
        rows.append(("Used", bytes_text(memory.used), "", "100.0 %", "INFO used_memory"))
    else:
        rows.append(("Used", "–", "", "", memory.absent.get("used", "")))
    print_table(title, ("part", "bytes", "95 %", "of used", "source"), rows, right=(1, 2, 3))
    _show_expiring(memory)
    _show_coverage(memory)


def _show_expiring(memory: MemorySplit) -> None:
    share = "–" if memory.ttl_share is None else f"{memory.ttl_share:.1%} of {memory.keys or 0:,} keys"
    rows = [("Keys with a time to live", share, memory.absent.get("ttl_share", ""))]
    for freed in memory.ttl_freed:
        words = "Free within the hour" if freed.seconds == 3_600 else "Free within a day"
        within = f"± {bytes_text(freed.within_bytes)}" if freed.within_bytes else ""
        rows.append((words, bytes_text(freed.bytes), within))
    if not memory.ttl_freed:
        rows.append(("Free within the hour, a day", "–", memory.absent.get("ttl_freed", "")))
    print_table("", ("times to live", "how much", "95 %"), rows, right=(1, 2))


def _show_coverage(memory: MemorySplit) -> None:
    rows = []
    for coverage in memory.coverage:
        within = "counted" if coverage.exact else f"{coverage.low:,.0f} to {coverage.high:,.0f}"
        documents = "not available" if coverage.documents is None else f"{coverage.documents:,}"
        rows.append((coverage.index, documents, f"{coverage.keys:,.0f}", within))
    for name, why in memory.absent.items():
        if name.startswith("coverage "):
            rows.append((name.removeprefix("coverage "), "–", "–", why))
    if rows:
        print_table("", ("index", "documents", "keys", "95 %"), rows, right=(1, 2))


def _share(part: float | None, used: float | None) -> str:
    return f"{part / used:.1%}".replace("%", " %") if part is not None and used else ""
