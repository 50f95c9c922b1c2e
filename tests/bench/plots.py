"""Plots as SVG, by hand: bars and lines that can be read on light and dark ground."""

import html
import math

WIDTH, LEFT, RIGHT, ROW = 720, 190, 90, 34
COLOURS = ("#2f7ed8", "#e07b00", "#2e9e5b", "#b0489a", "#8a8a00", "#c0392b", "#5f6fb0", "#777777")
STYLE = """<style>
text { font: 14px sans-serif; fill: #6e7781 }
.title { font-size: 17px; font-weight: bold }
.small { font-size: 12px }
.spread { stroke: #d29922; stroke-width: 2; fill: none }
.grid { stroke: #8c959f; stroke-opacity: .4 }
@media (prefers-color-scheme: dark) { text { fill: #e6edf3 } }
</style>
"""


def _document(title, height, parts):
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" role="img">\n<title>{html.escape(title)}</title>\n{STYLE}'
    )
    return head + _text(12, 26, title, "title") + "".join(parts) + "</svg>\n"


def _text(x, y, text, kind="", anchor="start"):
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">'
        f"{html.escape(str(text))}</text>\n"
    )


def _line(x1, y1, x2, y2):
    return f'<line class="grid" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>\n'


def _whisker(low, high, y):
    return f'<path d="M{low:.1f} {y - 5}v10m0 -5H{high:.1f}m0 -5v10" class="spread"/>\n'


def _round_up(value):
    """The next of 1, 2, 4, 6, 8 times a power of ten, which four steps divide into plain numbers."""
    power = 10 ** math.floor(math.log10(value))
    return next(factor * power for factor in (1, 2, 4, 6, 8, 10) if factor * power >= value)


def number(value):
    """Three digits that count."""
    if value >= 100:
        return f"{value:,.0f}".replace(",", " ")
    return f"{value:.3g}"


def bars(title, values, unit):
    """`values`: name → (value, lowest, highest). One bar each, with its spread as a whisker."""
    most = max(high for _, _, high in values.values()) or 1
    scale = (WIDTH - LEFT - RIGHT) / most
    parts = [_text(WIDTH - 12, 26, unit, "small", "end")]
    for index, (name, (value, low, high)) in enumerate(values.items()):
        y = 46 + index * ROW
        colour = COLOURS[0] if name.startswith("forkechod") else COLOURS[-1]
        parts.append(_text(LEFT - 10, y + 17, name, "", "end"))
        parts.append(
            f'<rect x="{LEFT}" y="{y}" width="{value * scale:.1f}" height="24" rx="2" fill="{colour}"/>\n'
        )
        parts.append(_whisker(LEFT + low * scale, LEFT + high * scale, y + 12))
        parts.append(_text(LEFT + max(value, high) * scale + 8, y + 17, number(value)))
    return _document(title, 56 + len(values) * ROW, parts)


def _decades(low, high):
    return [10**power for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]


def lines(title, series, x_name, y_name, most=None):
    """`series`: name → [(x, y)]; x is drawn by its logarithm, y from 0."""
    height, top, bottom, left, right = 400, 70, 350, 70, WIDTH - 150
    every = [point for points in series.values() for point in points]
    decades = _decades(min(x for x, _ in every), max(x for x, _ in every) * 1.001)
    first, last = math.log10(decades[0]), math.log10(decades[-1])
    most = most or _round_up(max(y for _, y in every))

    def place(x, y):
        return (
            left + (math.log10(x) - first) / ((last - first) or 1) * (right - left),
            bottom - y / most * (bottom - top),
        )

    parts = [_text(left, 54, y_name, "small"), _text(right, 390, x_name, "small", "end")]
    for decade in decades:
        x, _ = place(decade, 0)
        parts += [_line(x, top, x, bottom), _text(x, 368, number(decade), "small", "middle")]
    for step in range(5):
        _, y = place(decades[0], most * step / 4)
        parts += [_line(left, y, right, y), _text(left - 8, y + 4, number(most * step / 4), "small", "end")]
    for index, (name, points) in enumerate(series.items()):
        colour = COLOURS[index % len(COLOURS)]
        path = " ".join("{:.1f},{:.1f}".format(*place(*point)) for point in points)
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2.5" '
            'stroke-linejoin="round"/>\n'
        )
        y = top + 12 + index * 22
        parts.append(f'<rect x="{right + 14}" y="{y - 10}" width="12" height="12" fill="{colour}"/>\n')
        parts.append(_text(right + 32, y, name, "small"))
    return _document(title, height, parts)
