"""Curves as SVG: logarithmic axes, few colours, text that a browser sets. Knows nothing of what it shows."""

import math
from dataclasses import dataclass
from html import escape
from pathlib import Path

WIDTH, HEIGHT = 640, 360
LEFT, RIGHT, TOP, BOTTOM = 70, 20, 40, 50
COLOURS = ["#1f6fb4", "#d1602f", "#3c8c4a", "#8455a3"]


@dataclass
class Curve:
    name: str
    points: list[tuple[float, float]]


def short(value: float) -> str:
    for size, unit in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"


def decades(values: list[float]) -> tuple[int, int]:
    """The powers of ten around all values."""
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    return low, max(high, low + 1)


def write(path: Path, title: str, x_label: str, y_label: str, curves: list[Curve]) -> None:
    """Curves without a positive point are left out; without any curve nothing is written."""
    curves = [Curve(c.name, [(x, y) for x, y in c.points if x > 0 and y > 0]) for c in curves]
    curves = [curve for curve in curves if curve.points]
    if not curves:
        return
    points = [point for curve in curves for point in curve.points]
    (x_low, x_high), (y_low, y_high) = decades([x for x, _ in points]), decades([y for _, y in points])

    def at(x: float, y: float) -> tuple[float, float]:
        across = (math.log10(x) - x_low) / (x_high - x_low) * (WIDTH - LEFT - RIGHT)
        up = (math.log10(y) - y_low) / (y_high - y_low) * (HEIGHT - TOP - BOTTOM)
        return round(LEFT + across, 1), round(HEIGHT - BOTTOM - up, 1)

    def text(x: float, y: float, words: str, more: str = "") -> str:
        return f'<text x="{x}" y="{y}" {more}>{escape(words)}</text>'

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"',
        'font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        text(LEFT, 20, title, 'font-size="14" font-weight="bold"'),
        text(WIDTH / 2, HEIGHT - 10, x_label, 'text-anchor="middle"'),
        text(16, HEIGHT / 2, y_label, f'text-anchor="middle" transform="rotate(-90 16 {HEIGHT / 2})"'),
    ]
    for power in range(x_low, x_high + 1):
        x, bottom = at(10**power, 10**y_low)
        parts.append(f'<line x1="{x}" y1="{TOP}" x2="{x}" y2="{bottom}" stroke="#ddd"/>')
        parts.append(text(x, bottom + 16, short(10**power), 'text-anchor="middle"'))
    for power in range(y_low, y_high + 1):
        left, y = at(10**x_low, 10**power)
        parts.append(f'<line x1="{left}" y1="{y}" x2="{WIDTH - RIGHT}" y2="{y}" stroke="#ddd"/>')
        parts.append(text(left - 6, y + 4, short(10**power), 'text-anchor="end"'))
    for number, (curve, colour) in enumerate(zip(curves, COLOURS)):
        places = [at(x, y) for x, y in curve.points]
        line = " ".join(f"{x},{y}" for x, y in places)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        parts += [f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>' for x, y in places]
        parts.append(text(LEFT + 10 + 140 * number, TOP - 6, curve.name, f'fill="{colour}"'))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*parts, "</svg>", ""]))
