"""What a load did, as a sentence."""

from __future__ import annotations

from memdb.demo.loader import LoadReport
from memdb.display import duration


def in_words(report: LoadReport) -> str:
    """E.g. "Loaded 20,420 documents, 200 users and 1,000 sessions in 38 s."."""
    written = (
        (report.documents_written, "documents"),
        (report.users_written, "users"),
        (report.sessions_written, "sessions"),
        (report.services_written, "services as JSON"),
    )
    there = report.documents_there + report.users_there + report.sessions_there + report.services_there
    parts = [f"{count:,} {what}" for count, what in written if count]
    if not parts:
        return f"All {there:,} documents, users and sessions of the demo were there."
    listed = " and ".join(", ".join(parts).rsplit(", ", 1))
    rest = f"; {there:,} were there" if there else ""
    return f"Loaded {listed} in {duration(report.took_s)}{rest}."
