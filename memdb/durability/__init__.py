"""The proof of durability: writes, a ledger of what was acknowledged, a killed server, and the comparison."""
