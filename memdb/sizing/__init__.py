"""Memory, nodes and money: what vectors and sessions need, on which service, and what that costs.

    estimate = model.predict(Shape(vectors=1_000_000, dim=1536), profiles.builtin("redisearch"))
    choice = choose.choose(estimate.total_bytes, Wishes(), catalogue.load())

Pure but for `calibrate`, `samples` and `prices`. docs/sizing.md works an example of each by hand.
"""
