"""The report's drawing and dress: SVG with a logarithmic EF axis, and a style sheet for light and dark."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from memdb.display import line

STYLE = """
:root{--text:#17222d;--quiet:#5b6875;--back:#fff;--line:#d9e0e7;--soft:#f3f6f9;
--main:#0072b2;--second:#e69f00;--bad:#d55e00;--good:#009e73}
@media(prefers-color-scheme:dark){:root{--text:#e4eaf0;--quiet:#93a1ae;--back:#0f161d;--line:#2c3945;
--soft:#1a242e;--main:#56b4e9;--second:#e69f00;--bad:#f0804a;--good:#2fbf94}}
body{font:15px/1.5 system-ui,sans-serif;color:var(--text);background:var(--back);max-width:60rem;
margin:2rem auto;padding:0 1.25rem}
h1{font-size:1.7rem;margin:0 0 .2rem}
h2{font-size:1.15rem;margin:2rem 0 .5rem}
.quiet{color:var(--quiet)}
.verdict{font-size:1.15rem;font-weight:600;padding:.8rem 1rem;background:var(--soft);
border-left:4px solid var(--bad)}
.verdict.met{border-color:var(--good)}
.note{padding:.5rem 1rem;background:var(--soft);border-left:4px solid var(--second)}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{padding:.3rem .6rem;text-align:right;border-bottom:1px solid var(--line)}
th{color:var(--quiet);font-weight:600}
th:first-child,td:first-child{text-align:left}
table.facts td:last-child{text-align:left;width:75%}
tr.best td{font-weight:700;background:var(--soft)}
td{overflow-wrap:anywhere}
pre{background:var(--soft);padding:.8rem 1rem;white-space:pre-wrap;overflow-wrap:anywhere}
svg{width:100%;height:auto}
svg text{fill:var(--quiet);font:12px system-ui,sans-serif}
svg text.strong{fill:var(--text);font-weight:600}
.grid{stroke:var(--line)}
.band{fill:var(--main);opacity:.18}
.p50,.p95,.p99{fill:none;stroke-width:2}
.p50{stroke:var(--main)}
.p95{stroke:var(--second);stroke-dasharray:7 4}
.p99{stroke:var(--bad);stroke-dasharray:2 3}
.dot50{fill:var(--main)}
.dot95{fill:var(--second)}
.dot99{fill:var(--bad)}
.target{stroke:var(--text);stroke-dasharray:6 4;stroke-width:1.2}
.best{stroke:var(--quiet);stroke-dasharray:2 3}
"""
WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 900, 300, 58, 20, 20, 42
_TICK_APART = 34  # px between two numbers of the axis


def escaped(text: object, limit: int = 4_000) -> str:
    """A text that a browser shows as it is, on one line."""
    return escape(line(str(text), limit))


class Plot:
    """A drawing over EF_RUNTIME. What is drawn later lies on top."""

    def __init__(self, efs: Sequence[int], low: float, high: float) -> None:
        self._efs = sorted({max(1, ef) for ef in efs})
        self._low, self._high = low, high if high > low else low + 1.0
        self.parts: list[str] = []
        self._axes()

    def x(self, ef: int) -> float:
        """Place of an EF_RUNTIME, px."""
        a, b = math.log(self._efs[0]), math.log(self._efs[-1])
        share = 0.5 if a == b else (math.log(max(1, ef)) - a) / (b - a)
        return LEFT + share * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        """Place of a value, px; values beyond the axis lie on its end."""
        share = (min(max(value, self._low), self._high) - self._low) / (self._high - self._low)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    def line(self, points: Sequence[tuple[int, float]], name: str) -> None:
        """A line with dots, in the dress of percentile `name`; NaN are left out."""
        places = [(self.x(ef), self.y(v)) for ef, v in points if math.isfinite(v)]
        where = " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
        self.parts.append(f'<polyline class="p{name}" points="{where}"/>')
        self.parts += [f'<circle class="dot{name}" cx="{x:.1f}" cy="{y:.1f}" r="4"/>' for x, y in places]

    def band(self, points: Sequence[tuple[int, float, float]]) -> None:
        """An area between (EF, low, high)."""
        there = [f"{self.x(ef):.1f},{self.y(high):.1f}" for ef, _, high in points]
        back = [f"{self.x(ef):.1f},{self.y(low):.1f}" for ef, low, _ in reversed(points)]
        self.parts.append(f'<polygon class="band" points="{" ".join(there + back)}"/>')

    def target(self, value: float, text: str) -> None:
        """A level with its name."""
        y = self.y(value)
        self._rule("target", LEFT, y, WIDTH - RIGHT, y)
        # Below the line where there is no room above it.
        self.text(LEFT + 4, y - 5 if y - TOP > 24 else y + 15, text, strong=True)

    def best(self, ef: int) -> None:
        """The recommended setting."""
        x = self.x(ef)
        self._rule("best", x, TOP, x, HEIGHT - BOTTOM)
        anchor = "start" if x < WIDTH / 4 else "end" if x > WIDTH * 3 / 4 else "middle"
        self.text(x, TOP - 6, f"EF {ef}, recommended", anchor, strong=True)

    def text(self, x: float, y: float, text: str, anchor: str = "start", *, strong: bool = False) -> None:
        """Words at a place."""
        look = ' class="strong"' if strong else ""
        self.parts.append(
            f'<text{look} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escaped(text)}</text>'
        )

    def svg(self, alt: str) -> str:
        """The drawing as an element."""
        start = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escaped(alt)}">'
        return f"{start}{''.join(self.parts)}</svg>"

    def _axes(self) -> None:
        for i in range(5):
            value = self._low + i * (self._high - self._low) / 4
            self._rule("grid", LEFT, self.y(value), WIDTH - RIGHT, self.y(value))
            self.text(LEFT - 8, self.y(value) + 4, f"{value:.4g}", "end")
        last = -math.inf
        for ef in self._efs:
            if self.x(ef) - last >= _TICK_APART:
                last = self.x(ef)
                self.text(last, HEIGHT - 22, f"{ef:,}", "middle")
        self.text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 5, "EF_RUNTIME", "middle")

    def _rule(self, look: str, x1: float, y1: float, x2: float, y2: float) -> None:
        self.parts.append(f'<line class="{look}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>')
