"""A drill in words and as one HTML file without any dependency: no script, nothing loaded."""

from __future__ import annotations

from html import escape

import pandas as pd

from memdb.durability.drill import CACHE, DURABLE, OWN, PROMOTED, WORDS, DrillResult, DrillSide, Second

ROWS = {
    "acknowledged": "acknowledged writes",
    "recovered": "recovered",
    "lost": "lost",
    "partial": "half there, or changed",
    "unacknowledged_present": "not acknowledged, and there",
    "downtime_s": "down, s",
    "p50_ms": "write p50, ms",
    "p99_ms": "write p99, ms",
    "recall_before": "recall@10 before",
    "recall_after": "recall@10 after",
}
SHOWN = (
    "Each engine was ended with SIGKILL while it was written to, and started again on what it had on disk.",
    "Every write is a session and a vector together. Its acknowledgement was noted outside the engine, with "
    "a digest of both, and every one was looked for afterwards.",
    "A write that was not acknowledged may be there: the engine died before it could say so.",
)
NOT_SHOWN = (
    "A local log on one disk is not a multi-zone log: the loss of a disk, a machine or a zone was not tried.",
    "The operating system went on: a power cut also tests whether the disk wrote what it said it had.",
    "No service of AWS was measured. MemoryDB promises what the durable engine does here, in several zones, "
    "and so does ElastiCache for Valkey from 9.0 with durability sync; with async it may lose up to the last "
    "10 s, and without durability it is a cache like the one here.",
)


def sentence(result: DrillResult) -> str:
    """What happened, for somebody who reads one line."""
    if (own := result.engines.get(OWN)) is not None:
        silent = "" if own.downtime_s is None else f"; the longest silence was {own.downtime_s:.1f} s"
        return f"Your cluster lost {own.lost:,} of {own.acknowledged:,} acknowledged writes{silent}."
    durable, cache = result.engines[DURABLE], result.engines[CACHE]
    if any(side.recovered + side.lost + side.partial != side.acknowledged for side in (durable, cache)):
        return "Not every engine could be read afterwards: see the notes."
    conclusion = (
        f"The cache without durability lost {cache.lost:,} of {cache.acknowledged:,} acknowledged writes"
    )
    if cache.acknowledged:
        conclusion += f" ({cache.lost / cache.acknowledged:.0%})"
    lost_words = "none" if not durable.lost else f"{durable.lost:,}"
    conclusion += f"; the durable engine lost {lost_words} of {durable.acknowledged:,}"
    if (promoted := result.engines.get(PROMOTED)) is not None:
        conclusion += f"; the promoted replica lacked {promoted.lost:,} of {promoted.acknowledged:,}"
    return conclusion + "."


def frame(result: DrillResult) -> pd.DataFrame:
    """The figures, a row for each, a column for each engine; text, as shown."""
    return pd.DataFrame(
        {
            "": list(ROWS.values()),
            **{name: [figure(getattr(side, key)) for key in ROWS] for name, side in result.engines.items()},
        }
    )


def seconds_frame(result: DrillResult) -> pd.DataFrame:
    """Acknowledged and lost writes of each engine in each second."""
    return pd.DataFrame(
        [
            {"engine": name, "second": s.at_s, "acknowledged": s.acknowledged, "lost": s.lost}
            for name, side in result.engines.items()
            for s in side.seconds
        ],
        columns=["engine", "second", "acknowledged", "lost"],
    )


def figure(value: float | None) -> str:
    """A figure, or that there is none."""
    if value is None:
        return "—"
    return f"{value:,}" if isinstance(value, int) else f"{value:.2f}"


def html(result: DrillResult) -> str:
    """The drill as a page."""
    head = "".join(f"<th>{escape(name)}</th>" for name in result.engines)
    body = "".join(
        f"<tr><td>{escape(words)}</td>"
        + "".join(f"<td class=n>{escape(figure(getattr(s, key)))}</td>" for s in result.engines.values())
        + "</tr>"
        for key, words in ROWS.items()
    )
    request = result.request
    sides = "".join(_side(side) for side in result.engines.values())
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><title>Durability drill</title>"
        f"<style>{_STYLE}</style><h1>Durability drill</h1><p class=big>{escape(sentence(result))}</p>"
        f"<p>{request.seconds:g} s of writing by {request.writers} writers on each engine, "
        f"{'as fast as acknowledged' if not request.rate else f'{request.rate:g} writes a second each'}.</p>"
        f"<table><tr><th></th>{head}</tr>{body}</table>{sides}"
        f"<h2>What was shown</h2>{_list(SHOWN)}<h2>What was not shown</h2>{_list(NOT_SHOWN)}</html>"
    )


_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem;color:#17222d}"
    "table{border-collapse:collapse}"
    "td,th{padding:.3rem .9rem;border-bottom:1px solid #e3e8ed;text-align:left}"
    ".n{text-align:right;font-variant-numeric:tabular-nums}.big{font-size:1.25rem}text{font-size:11px}"
)


def _list(lines: tuple[str, ...]) -> str:
    return "<ul>" + "".join(f"<li>{escape(text)}</li>" for text in lines) + "</ul>"


def _side(side: DrillSide) -> str:
    notes = "".join(f"<p>{escape(note)}</p>" for note in side.notes)
    drawn = _bars(side.seconds) if side.seconds else ""
    return f"<h2>{escape(side.name)}</h2><p>{escape(WORDS[side.name])}</p>{drawn}{notes}"


def _bars(seconds: tuple[Second, ...]) -> str:
    """Bars by second: kept in blue, lost in hatched orange above."""
    most = max(s.acknowledged for s in seconds) or 1
    wide = 640 / len(seconds)
    bars = []
    for i, second in enumerate(seconds):
        safe, lost = (100 * n / most for n in (second.acknowledged - second.lost, second.lost))
        bars.append(
            f"<rect x='{i * wide:.1f}' y='{100 - safe:.1f}' width='{wide * 0.85:.1f}' height='{safe:.1f}' "
            f"fill='#0072b2'/><rect x='{i * wide:.1f}' y='{100 - safe - lost:.1f}' width='{wide * 0.85:.1f}' "
            f"height='{lost:.1f}' fill='url(#lost)' stroke='#d55e00'/>"
        )
    return (
        "<svg viewBox='0 0 640 118' width=640 role=img aria-label='Acknowledged writes by second'>"
        "<defs><pattern id=lost width=6 height=6 patternUnits=userSpaceOnUse>"
        "<path d='M0 6L6 0' stroke='#d55e00' stroke-width=1.5 /></pattern></defs>"
        f"{''.join(bars)}<text x=0 y=114>acknowledged by second, at most {most:,}; hatched: lost</text></svg>"
    )
