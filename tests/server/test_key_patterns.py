"""A pattern finds the keys that begin with a text, and no others, whatever the text holds."""

from __future__ import annotations

import pytest

from memdb.cluster import replies
from memdb.cluster.client import Client
from memdb.cluster.keys import beginning, literal

pytestmark = pytest.mark.any_engine


@pytest.mark.parametrize(
    "odd", ["*", "?", "[ab]", "[^a]", "a-c", "\\", "\\*", "]", "^", "{tag}:", "ü🙂", "\udcff\x00"]
)
def test_scan_takes_a_prefix_for_itself(client: Client, prefix: str, odd: str) -> None:
    start = f"{prefix}{odd}"
    mine = {f"{start}1", f"{start}2", start}
    others = {f"{prefix}a", f"{prefix}b1", f"{prefix}ab", f"{prefix}[", f"{prefix}x{odd}"} - mine
    for key in mine | others:
        client.execute("SET", key, "v")

    def scanned(pattern: str) -> set[str]:
        cursor, names = b"0", set[str]()
        while True:
            cursor, page = client.execute("SCAN", cursor, "MATCH", pattern, "COUNT", 10_000)
            names |= {replies.key(name) for name in page}
            if cursor in (b"0", "0"):
                return names

    assert scanned(beginning(start)) == mine
    assert scanned(f"{prefix}?{literal(odd)}") == {f"{prefix}x{odd}"}
