"""A re-embedding's plan for people, for pipelines, and as the command that does it. Pure."""

from __future__ import annotations

import shlex

from memdb.display import bytes_text, line
from memdb.reembedding.plan import Plan, ReembedRequest


def sentences(plan: Plan) -> tuple[str, ...]:
    """What it would take, a sentence a line; its notes and refusals are told apart from these."""
    where = f"copies under {line(plan.request.prefix)}" if plan.request.prefix else "the documents themselves"
    fields = ", ".join(line(field.name, 60) for field in plan.texts)
    cost = (
        "not known; name the price of a million tokens"
        if plan.dollars is None
        else f"{'less than $0.01' if plan.dollars < 0.01 else f'about ${plan.dollars:,.2f}'} (estimated)"
    )
    free = "not available" if plan.free_bytes is None else bytes_text(plan.free_bytes)
    return (
        f"{plan.documents:,} documents of {line(plan.base.name)} into {line(plan.request.field)} of {where}.",
        f"New index: {line(plan.spec.name)} with {plan.dimension:,} numbers, by {line(plan.model)}. "
        f"{plan.leaves}",
        f"Reads {bytes_text(plan.bytes_read)} of text ({fields}), calls the model {plan.calls:,} times for "
        f"{plan.characters:,.0f} characters, {plan.tokens:,.0f} tokens: estimated from {plan.sampled:,} "
        "documents.",
        f"Cost: {cost}.",
        f"Memory of each node: about {bytes_text(plan.added_bytes)} more ({bytes_text(plan.low_bytes)} to "
        f"{bytes_text(plan.high_bytes)}, predicted); free: {free}.",
    )


def as_json(plan: Plan) -> dict[str, object]:
    """The plan in the shape that pipelines rely on. Bytes, dollars; estimates but for the documents."""
    return {
        "index": plan.base.name,
        "new_index": plan.spec.name,
        "field": plan.request.field,
        "prefix": plan.request.prefix,
        "texts": [field.name for field in plan.texts],
        "model": plan.model,
        "dimension": plan.dimension,
        "documents": plan.documents,
        "characters": round(plan.characters),
        "tokens": round(plan.tokens),
        "calls": plan.calls,
        "dollars": plan.dollars,
        "bytes_read": round(plan.bytes_read),
        "document_bytes": round(plan.document_bytes),
        "index_bytes": round(plan.index_bytes),
        "added_bytes": round(plan.added_bytes),
        "added_low": round(plan.low_bytes),
        "added_high": round(plan.high_bytes),
        "free_bytes": plan.free_bytes,
        "refusals": list(plan.refusals),
        "notes": list(plan.notes),
    }


def command_line(request: ReembedRequest, embedder: str) -> str:
    """The command that does the same, without its target and the typed name."""
    parts = ["memdb", "reembed", "--index", request.index, "--embedder", embedder, "--field", request.field]
    parts += ["--prefix", request.prefix] if request.prefix else []
    parts += [part for name in request.texts for part in ("--text", name)]
    parts += ["--to", request.name] if request.name else []
    parts += ["--price", f"{request.price:g}"] if request.price is not None else []
    return shlex.join(parts)
