"""See and tune what an Amazon MemoryDB cluster, or a server that speaks its commands, holds."""
