"""Small SVG pictures as element trees: text is always escaped, equal input gives equal bytes.

Pictures carry classes, not colours. Inside the page the style sheet colours them, light or dark;
`render_alone` adds the same rules and a background for a picture that stands by itself. The eight
colours are those that people with colour-vision deficiencies can tell apart, and every series
has a marker or a dash of its own besides. This module knows no data and no axes' meaning.

Source: Okabe and Ito (2008), Color Universal Design.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

DOWN = "down"  # a triangle that points down; no series has it, so it is free to mean "lower"
MARKERS = ("circle", "square", "triangle", "diamond", "cross", "hollow")
_CHAR_SHARE = 0.58  # mean width of a character of a sans-serif face, as a share of its size
STYLE = """
svg.picture{font-family:system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;font-size:11px;
fill:var(--ink);color:var(--ink)}
.picture .paper{fill:var(--paper)}.picture .title{font-weight:600;font-size:12px}
.picture .soft{fill:var(--soft);font-size:inherit}.picture .grid{stroke:var(--line);stroke-width:1}
.picture .band{fill:var(--band)}
.picture .reference{stroke:var(--soft);stroke-width:1.2;stroke-dasharray:4 3}
.picture .series{fill:var(--own);stroke:var(--own);stroke-width:1.6}
.picture path.series,.picture .hollow{fill:none}.picture .seed{stroke-width:1.2;opacity:.75}
.picture .s0{--own:var(--c0)}.picture .s1{--own:var(--c1)}.picture .s2{--own:var(--c2)}
.picture .s3{--own:var(--c3)}.picture .s4{--own:var(--c4)}.picture .s5{--own:var(--c5)}
.picture .d1{stroke-dasharray:6 3}.picture .d2{stroke-dasharray:2 2}
.picture .d3{stroke-dasharray:8 2 2 2}
.picture .outlined{fill:var(--paper)}.picture .range{fill:var(--line);opacity:.55}
.picture .zero{stroke:var(--ink);stroke-width:1.2}
.picture .faint{fill:none;stroke:var(--soft);stroke-width:1.1}
.picture .front{fill:none;stroke:var(--c1);stroke-width:1.4;stroke-dasharray:5 3}
.picture .small{font-size:10px}
.picture .ring{fill:none;stroke:var(--ink);stroke-width:1.2}
.picture .box{fill:var(--band);stroke:var(--line);stroke-width:1.2}
.picture .arrow{fill:none;stroke:var(--soft);stroke-width:1.3}
.picture .back{stroke-dasharray:4 3}
.picture .tip{fill:var(--soft);stroke:none}
"""
LIGHT = (
    "--paper:#fff;--ink:#1b1f24;--soft:#57606a;--line:#d0d7de;--band:#f3f5f7;"
    "--c0:#0072b2;--c1:#d55e00;--c2:#009e73;--c3:#cc79a7;--c4:#8a6d00;--c5:#3d3d3d"
)
DARK = (
    "--paper:#14171b;--ink:#e6e9ed;--soft:#9aa4b0;--line:#3a424c;--band:#1f242a;"
    "--c0:#56b4e9;--c1:#e69f00;--c2:#2fc49b;--c3:#e3a3c8;--c4:#f0e442;--c5:#d5d5d5"
)


@dataclass(frozen=True)
class Scale:
    """A straight map from values in [low, high] to places in [start, end], in pixels."""

    low: float
    high: float
    start: float
    end: float

    def place(self, value: float) -> float:
        """Return where a value stands; an empty range puts every value in the middle."""
        if self.high <= self.low:
            return (self.start + self.end) / 2
        share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)


def add(parent: Element, tag: str, words: str | None = None, **attributes: str | float) -> Element:
    """Append an element and return it; `_` in a name is `-`, a trailing one is dropped."""
    named = {
        name.rstrip("_").replace("_", "-"): _write_number(value)
        for name, value in attributes.items()
    }
    element = ElementTree.SubElement(parent, tag, named)
    element.text = words
    return element


def start_picture(width: float, height: float, title: str) -> Element:
    """Return an svg element of a size in pixels that scales, with a title for screen readers."""
    root = Element(
        "svg",
        {
            "xmlns": "http://www.w3.org/2000/svg",
            "viewBox": f"0 0 {_write_number(width)} {_write_number(height)}",
            "class": "picture",
            "role": "img",
            "aria-label": title,
        },
    )
    add(root, "title", title)
    return root


def render(picture: Element) -> str:
    """Return a picture's markup for use inside a page that has `STYLE`."""
    return ElementTree.tostring(picture, encoding="unicode")


def render_alone(picture: Element) -> str:
    """Return a picture as a file of its own: with style, size and background, light or dark."""
    _, _, width, height = picture.attrib["viewBox"].split()
    alone = Element(picture.tag, {**picture.attrib, "width": width, "height": height})
    dark = f"@media (prefers-color-scheme:dark){{svg.picture{{{DARK}}}}}"
    add(alone, "style", f"svg.picture{{{LIGHT}}}{dark}{STYLE}")
    add(alone, "rect", width=width, height=height, class_="paper")
    alone.extend(list(picture))
    return ElementTree.tostring(alone, encoding="unicode") + "\n"


def draw_marker(
    parent: Element, shape: str, x: float, y: float, class_: str, *, size: float = 3.6
) -> None:
    """Draw one of `MARKERS` or `DOWN` centred on (x, y), about `size` pixels to each side."""
    r = size
    if shape in ("circle", "hollow"):
        shade = f"{class_} hollow" if shape == "hollow" else class_
        add(parent, "circle", cx=x, cy=y, r=r, class_=shade)
        return
    corners = {
        "square": ((-r, -r), (r, -r), (r, r), (-r, r)),
        "triangle": ((0, -r - 0.8), (r + 0.8, r), (-r - 0.8, r)),
        DOWN: ((0, r + 0.8), (r + 0.8, -r), (-r - 0.8, -r)),
        "diamond": ((0, -r - 1), (r + 1, 0), (0, r + 1), (-r - 1, 0)),
        "cross": ((-r, 0), (r, 0), (0, 0), (0, -r), (0, r), (0, 0)),
    }[shape]
    points = " ".join(f"{_write_number(x + dx)},{_write_number(y + dy)}" for dx, dy in corners)
    add(parent, "polygon", points=points, class_=class_)


def place_legend(names: Sequence[str], left: float, right: float) -> list[tuple[float, int]]:
    """Return each name's x and line in a legend between `left` and `right`; see `draw_legend`."""
    places, x, line = [], left, 0
    for name in names:
        width = 28 + measure_text(name)
        if x > left and x + width > right:
            x, line = left, line + 1
        places.append((x, line))
        x += width
    return places


def draw_legend(parent: Element, names: Sequence[str], left: float, y: float, right: float) -> None:
    """Draw series names with their markers, in lines of 16 pixels from `y` down."""
    for index, (x, line) in enumerate(place_legend(names, left, right)):
        below = y + 16 * line
        draw_marker(parent, MARKERS[index % len(MARKERS)], x + 5, below - 4, f"series s{index % 6}")
        add(parent, "text", names[index], x=x + 14, y=below)


def choose_ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Return at most `most` round numbers (steps of 1, 2 or 5 times a power of ten) inside a range.

    >>> choose_ticks(0.42, 0.71)
    [0.45, 0.5, 0.55, 0.6, 0.65, 0.7]
    >>> choose_ticks(1.0, 1.0)
    [1.0]
    """
    if high <= low:
        return [low]
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    for factor in (1, 2, 5, 10, 20, 50):
        step = factor * power
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first < most:
            break
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    return [round(index * step, digits) for index in range(first, last + 1)]


def write_tick(value: float, ticks: Sequence[float]) -> str:
    """Return a tick's text with as many decimals as its axis needs.

    >>> write_tick(0.5, [0.5, 0.55])
    '0.50'
    """
    decimals = max(len(f"{tick:.6f}".rstrip("0").split(".")[1]) for tick in ticks)
    return f"{value:.{decimals}f}"


def measure_text(text: str, size: float = 11) -> float:
    """Return about how wide a text is, in pixels at a font size."""
    return len(text) * size * _CHAR_SHARE


def shorten_text(text: str, width: float, size: float = 11) -> str:
    """Return the text, or its beginning and an ellipsis where it would be wider than `width`."""
    room = max(1, int(width / (size * _CHAR_SHARE)))
    return text if len(text) <= room else text[: room - 1] + "…"


def _write_number(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.2f}".rstrip("0").rstrip(".")
