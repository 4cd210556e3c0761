"""Servers over the real local engine that speak another engine's language, to the letter of its recordings.

They share nothing with the product: a stand-in that rendered or parsed with the product's own code would
agree with every mistake in it.
"""

from tests.standins.memorydb import memorydb
from tests.standins.server import Standin
from tests.standins.shards import Shard, valkey_cluster
from tests.standins.valkey import valkey_search

__all__ = ["Shard", "Standin", "memorydb", "valkey_cluster", "valkey_search"]
