"""The article's sizing table, worked out from its own rule, and where measurement departs from it."""

from __future__ import annotations

from dataclasses import dataclass

RAW_KB = 6  # 1,536 dimensions × 4 bytes = 6,144 bytes, which the article calls 6 KB
METADATA_KB = 1
# In its table the "30–50 %" for the graph are a third to a half: 2–3 GB on 6 GB, 20–30 GB on 60 GB.
OVERHEAD = (1 / 3, 1 / 2)
PRINTED_GB = ((1, 10), (10, 95), (50, 450))  # million vectors, its total

DEPARTS = (
    "Each row's total takes another point of the range: the first its high end, the second the middle, the "
    "third the low end (whose overhead, printed as 100 GB, could be 150 GB).",
    "It counts each vector once. A HASH keeps it twice: as a field of the document and in the index.",
    "It leaves out the allocator: a vector of 1,536 float32 with its header takes 7,168 bytes, not 6,144, "
    "both times.",
    "The graph itself takes less than its 30–50 %: about 330 bytes a vector at M 16, 5 % of 6 KB; for small "
    "vectors it takes more than half of everything.",
)


@dataclass(frozen=True, slots=True)
class Row:
    """One row, in GB as the article counts them: KB a vector × million vectors."""

    million: int
    raw_gb: float
    overhead_low_gb: float
    overhead_high_gb: float
    metadata_gb: float
    printed_gb: float

    @property
    def total_low_gb(self) -> float:
        """With the least overhead."""
        return self.raw_gb + self.overhead_low_gb + self.metadata_gb

    @property
    def total_high_gb(self) -> float:
        """With the most."""
        return self.raw_gb + self.overhead_high_gb + self.metadata_gb


def table() -> tuple[Row, ...]:
    """The three rows."""
    return tuple(
        Row(
            million,
            RAW_KB * million,
            RAW_KB * million * OVERHEAD[0],
            RAW_KB * million * OVERHEAD[1],
            METADATA_KB * million,
            printed,
        )
        for million, printed in PRINTED_GB
    )
