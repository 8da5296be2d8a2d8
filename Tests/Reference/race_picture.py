"""The picture of race.py: validation loss over seconds of training, as SVG, without a plotting library."""

import html
import math

import numpy as np

WIDTH, HEIGHT = 720, 420
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 58, 44
FONT = "system-ui, -apple-system, 'Segoe UI', Helvetica, Arial, sans-serif"
# A colour and a pattern of dashes for each contestant, in the order that race.py has them.
LINES = [("#c2410c", ""), ("#7c93b2", ""), ("#1d4ed8", ""), ("#1d4ed8", "5 4")]
INK, FAINT = "#1f2937", "#e5e7eb"


def over_seeds(curves):
    """Median seconds, and least, median and greatest loss, at the same shares of each run: seeds differ in length."""
    counts = [len(curve) for curve in curves]
    shares = np.linspace(1 / min(counts), 1, min(counts))
    runs = [np.array(curve).T for curve in curves]
    seconds = np.median([np.interp(shares, s / s[-1], s) for s, _ in runs], axis=0)
    losses = np.array([np.interp(shares, s / s[-1], loss) for s, loss in runs])
    return seconds, losses.min(axis=0), np.median(losses, axis=0), losses.max(axis=0)


def ticks(low, high):
    """Round numbers between the two, four to nine of them."""
    rough = (high - low) / 5
    power = 10 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    return [step * k for k in range(math.ceil(low / step), math.floor(high / step) + 1)]


def picture(curves, subtitle, ratios):
    """The SVG's text.

    curves: for each title the runs of its seeds, each a list of (seconds, loss); a title without runs is left out.
    ratios: of seconds to the peer's loss, for the caption; may be empty.
    """
    styles = dict(zip(curves, LINES))
    found = {title: over_seeds(runs) for title, runs in curves.items() if runs}
    latest = max(seconds[-1] for seconds, *_ in found.values()) * 1.02
    lowest = min(low.min() for _, low, _, _ in found.values())
    highest = max(high.max() for *_, high in found.values())
    margin = 0.05 * (highest - lowest) or 1
    lowest, highest = lowest - margin, highest + margin

    def x(seconds):
        return LEFT + seconds / latest * (WIDTH - LEFT - RIGHT)

    def y(loss):
        return TOP + (highest - loss) / (highest - lowest) * (HEIGHT - TOP - BOTTOM)

    def points(seconds, losses):
        return " ".join(f"{x(s):.1f},{y(loss):.1f}" for s, loss in zip(seconds, losses))

    def text(across, down, words, more=""):
        return f'<text x="{across:.1f}" y="{down:.1f}" {more}>{html.escape(words)}</text>'

    svg = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="{FONT}" '
           f'font-size="12" fill="{INK}">', f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
           text(16, 24, "Validation loss over seconds of training", 'font-size="16" font-weight="600"'),
           text(16, 42, subtitle, 'fill="#6b7280"')]
    for loss in ticks(lowest, highest):
        svg += [f'<path d="M{LEFT} {y(loss):.1f}H{WIDTH - RIGHT}" stroke="{FAINT}"/>',
                text(LEFT - 8, y(loss) + 4, f"{loss:g}", 'text-anchor="end"')]
    for seconds in ticks(0, latest):
        svg.append(text(x(seconds), HEIGHT - BOTTOM + 18, f"{seconds:g}", 'text-anchor="middle"'))
    svg.append(text(WIDTH - RIGHT, HEIGHT - 8, "seconds of training", 'text-anchor="end" fill="#6b7280"'))

    peer = next(iter(found.values()))
    level = y(peer[2][-1])
    svg.append(f'<path d="M{LEFT} {level:.1f}H{WIDTH - RIGHT}" stroke="{LINES[0][0]}" stroke-dasharray="2 3"/>')
    for row, (title, (seconds, low, median, high)) in enumerate(found.items()):
        colour, dashes = styles[title]
        line = f'fill="none" stroke="{colour}" stroke-width="2"' + (f' stroke-dasharray="{dashes}"' if dashes else "")
        band = points(seconds, low) + " " + points(seconds[::-1], high[::-1])
        down = TOP + 16 + 18 * row
        svg += [f'<polygon points="{band}" fill="{colour}" opacity=".18"/>',
                f'<polyline points="{points(seconds, median)}" {line}/>',
                f'<circle cx="{x(seconds[-1]):.1f}" cy="{y(median[-1]):.1f}" r="3.5" fill="{colour}"/>',
                f'<path d="M{WIDTH - 330} {down - 4}h24" {line}/>',
                text(WIDTH - 298, down, f"{title}: {median[-1]:.2f} in {seconds[-1]:.3g} s")]
    if ratios:
        words = f"seconds to PyTorch's loss: {np.median(ratios):.2f} × PyTorch's"
        svg.append(text(WIDTH - 330, TOP + 16 + 18 * len(found), words, 'font-weight="600"'))
    return "\n".join(svg + ["</svg>"]) + "\n"
