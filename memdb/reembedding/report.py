"""A re-embedding's plan for people, for pipelines, and as the command that does it. Pure."""

from __future__ import annotations

import shlex

from memdb.display import bytes_text, line
from memdb.reembedding.plan import Plan, ReembedRequest


def sentences(made: Plan) -> tuple[str, ...]:
    """What it would take, a sentence a line; its notes and refusals are told apart from these."""
    where = f"copies under {line(made.request.prefix)}" if made.request.prefix else "the documents themselves"
    fields = ", ".join(line(field.name, 60) for field in made.texts)
    cost = (
        "not known; name the price of a million tokens"
        if made.dollars is None
        else f"{'less than $0.01' if made.dollars < 0.01 else f'about ${made.dollars:,.2f}'} (estimated)"
    )
    free = "not available" if made.free_bytes is None else bytes_text(made.free_bytes)
    return (
        f"{made.documents:,} documents of {line(made.base.name)} into {line(made.request.field)} of {where}.",
        f"New index: {line(made.spec.name)} with {made.dimension:,} numbers, by {line(made.model)}. "
        f"{made.leaves}",
        f"Reads {bytes_text(made.bytes_read)} of text ({fields}), calls the model {made.calls:,} times for "
        f"{made.characters:,.0f} characters, {made.tokens:,.0f} tokens: estimated from {made.sampled:,} "
        "documents.",
        f"Cost: {cost}.",
        f"Memory of each node: about {bytes_text(made.added_bytes)} more ({bytes_text(made.low_bytes)} to "
        f"{bytes_text(made.high_bytes)}, predicted); free: {free}.",
    )


def as_json(made: Plan) -> dict[str, object]:
    """The plan in the shape that pipelines rely on. Bytes, dollars; estimates but for the documents."""
    return {
        "index": made.base.name,
        "new_index": made.spec.name,
        "field": made.request.field,
        "prefix": made.request.prefix,
        "texts": [field.name for field in made.texts],
        "model": made.model,
        "dimension": made.dimension,
        "documents": made.documents,
        "characters": round(made.characters),
        "tokens": round(made.tokens),
        "calls": made.calls,
        "dollars": made.dollars,
        "bytes_read": round(made.bytes_read),
        "document_bytes": round(made.document_bytes),
        "index_bytes": round(made.index_bytes),
        "added_bytes": round(made.added_bytes),
        "added_low": round(made.low_bytes),
        "added_high": round(made.high_bytes),
        "free_bytes": made.free_bytes,
        "refusals": list(made.refusals),
        "notes": list(made.notes),
    }


def command_line(request: ReembedRequest, embedder: str) -> str:
    """The command that does the same, without its target and the typed name."""
    parts = ["memdb", "reembed", "--index", request.index, "--embedder", embedder, "--field", request.field]
    parts += ["--prefix", request.prefix] if request.prefix else []
    parts += [part for name in request.texts for part in ("--text", name)]
    parts += ["--to", request.name] if request.name else []
    parts += ["--price", f"{request.price:g}"] if request.price is not None else []
    return shlex.join(parts)
