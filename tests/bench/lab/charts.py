"""Line charts as small SVG files: axes with units, a legend, colours that show on light and on dark ground."""
import math
from xml.sax.saxutils import escape

WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 720, 360, 74, 170, 38, 52
COLOURS = ("#2f7ed8", "#d9822b", "#2fa36b", "#b452cd", "#8a8a00")
STYLE = ("text{font:12px sans-serif;fill:#57606a}.t{font-size:14px;font-weight:bold}line,path.g{stroke:#8b949e;"
         "stroke-opacity:.35}@media(prefers-color-scheme:dark){text{fill:#b6bec8}}")


class Axis:
    """Numbers to pixels, linear or logarithmic."""

    def __init__(self, values, log, from_pixel, to_pixel):
        values = [v for v in values if v > 0 or not log] or [1]
        self.log = log
        self.pixels = from_pixel, to_pixel
        if log:
            self.low = math.floor(math.log10(min(values)))
            self.high = max(math.log10(max(values)), self.low + 1)
            self.ticks = [10 ** e for e in range(self.low, math.floor(self.high) + 1)]
        else:
            step = nice(max(values) or 1)
            self.low, self.high = 0, step * math.ceil((max(values) or 1) / step)
            self.ticks = [step * i for i in range(int(self.high / step + 1.5))]

    def at(self, value):
        value = math.log10(max(value, 10 ** self.low)) if self.log else value
        share = (value - self.low) / (self.high - self.low)
        return self.pixels[0] + share * (self.pixels[1] - self.pixels[0])


def nice(highest):
    raw = highest / 5
    power = 10 ** math.floor(math.log10(raw))
    return next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= raw)


def number(value):
    if value >= 10000:
        return "%g k" % round(value / 1000, 1)
    return "%g" % round(value, 3)


def lines(title, x_label, y_label, series, log_x=False, log_y=False):
    """SVG text. series: [(name, [(x, y), ...]), ...]"""
    points = [p for _, row in series for p in row]
    x = Axis([p[0] for p in points], log_x, LEFT, WIDTH - RIGHT)
    y = Axis([p[1] for p in points], log_y, HEIGHT - BOTTOM, TOP)
    label = escape(title, {'"': "&quot;"})
    head = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" role="img" aria-label="%s"><style>%s</style>'
    out = [head % (WIDTH, HEIGHT, label, STYLE), '<text class="t" x="%d" y="20">%s</text>' % (LEFT, escape(title))]
    for tick in y.ticks:
        out.append('<line x1="%d" x2="%d" y1="%.1f" y2="%.1f"/><text x="%d" y="%.1f" text-anchor="end">%s</text>' % (
            LEFT, WIDTH - RIGHT, y.at(tick), y.at(tick), LEFT - 6, y.at(tick) + 4, number(tick)))
    for tick in x.ticks:
        out.append('<line x1="%.1f" x2="%.1f" y1="%d" y2="%d"/><text x="%.1f" y="%d" text-anchor="middle">%s</text>' % (
            x.at(tick), x.at(tick), HEIGHT - BOTTOM, HEIGHT - BOTTOM + 4, x.at(tick), HEIGHT - BOTTOM + 18,
            number(tick)))
    out.append('<text x="%d" y="%d" text-anchor="middle">%s</text>' % (
        (LEFT + WIDTH - RIGHT) // 2, HEIGHT - 12, escape(x_label)))
    out.append('<text transform="translate(16 %d) rotate(-90)" text-anchor="middle">%s</text>' % (
        (TOP + HEIGHT - BOTTOM) // 2, escape(y_label)))
    for i, (name, row) in enumerate(series):
        colour = COLOURS[i % len(COLOURS)]
        places = " ".join("%.1f,%.1f" % (x.at(a), y.at(b)) for a, b in row)
        out.append('<polyline points="%s" fill="none" stroke="%s" stroke-width="2"/>' % (places, colour))
        out += ['<circle cx="%.1f" cy="%.1f" r="3" fill="%s"/>' % (x.at(a), y.at(b), colour) for a, b in row]
        row_y = TOP + 14 + 20 * i
        out.append('<rect x="%d" y="%d" width="14" height="3" fill="%s"/><text x="%d" y="%d">%s</text>' % (
            WIDTH - RIGHT + 14, row_y - 5, colour, WIDTH - RIGHT + 34, row_y, escape(name)))
    return "\n".join(out) + "\n</svg>\n"
