"""The "?" beside each page's title: what the page answers, its keys, the command beside it, the guide."""

from __future__ import annotations

from dataclasses import dataclass

from memdb.display import Markdown


@dataclass(frozen=True, slots=True)
class Help:
    """Of one page."""

    answers: Markdown
    command: str  # of `memdb`; "" where none does the same
    guide: str  # in docs/
    keys: Markdown = ""  # besides those of every page

    def as_markdown(self) -> Markdown:
        """As the tooltip shows it."""
        keys = f"{self.keys} Enter applies a field, Tab leads on, R draws the page again.".strip()
        command = f"\n\n**Command:** `memdb {self.command} --help`" if self.command else ""
        return f"{self.answers}\n\n**Keys:** {keys}{command}\n\n**Guide:** docs/{self.guide}"


HELP = {
    "Home": Help(
        "Is this target well, what does it hold, and where is what I came for?", "doctor", "tour.md"
    ),
    "Search": Help(
        "Which documents are nearest to a question, a document or a vector, and what does the index miss?",
        "search",
        "engines.md",
    ),
    "Map": Help(
        "What is in the index, which documents are near each other, and what does the index miss there?",
        "map",
        "map.md",
        "On the map, the lasso of its toolbar selects documents.",
    ),
    "Sessions": Help(
        "Which conversations are there, what was said in them, and how long do they live?",
        "sessions",
        "sessions.md",
    ),
    "Assistant": Help(
        "What does one round trip bring, where does the time go, and what does a preference change?",
        "",
        "assistant.md",
    ),
    "Recall": Help(
        "Which EF_RUNTIME is the cheapest that meets my recall, and how sure is that?", "recall", "recall.md"
    ),
    "Relevance": Help(
        "Are the answers right by my labels, and which index, model or way to search is better?",
        "evaluate",
        "relevance.md",
    ),
    "Indexes": Help(
        "Would other M, EF_CONSTRUCTION or FLAT be better, and what would it cost?", "recall", "indexes.md"
    ),
    "Metrics": Help(
        "How is each node now and over time: load, latency, memory, builds, alerts?", "check", "metrics.md"
    ),
    "Connect": Help("Which targets can be opened, and where does a connection fail?", "doctor", "connect.md"),
    "AWS": Help(
        "Is the cluster set up for production: checklist, alarms, snapshots, CloudWatch?",
        "aws card",
        "aws.md",
    ),
    "Durability": Help(
        "What is lost when an engine is killed while it is written to?", "drill", "durability.md"
    ),
    "Sizing": Help(
        "How much memory, which nodes and how many dollars a month does my plan take?", "size", "sizing.md"
    ),
    "Compare": Help(
        "What do four services cost for the same, and how do they differ?", "compare", "compare.md"
    ),
}
