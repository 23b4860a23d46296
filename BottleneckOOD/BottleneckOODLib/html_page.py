"""A page that stands on its own: its frame, its look, and how text, tables and data get into it unharmed."""

from __future__ import annotations

import base64
import hashlib
import html
import json
from collections.abc import Sequence
from typing import Any

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem; color: #1b1b1b;
  background: #fff; }
p, li { overflow-wrap: anywhere; }
.wide { overflow-x: auto; margin: .5rem 0 1.5rem; } table { border-collapse: collapse; }
th, td { border-bottom: 1px solid #ccc; padding: .2rem .6rem; text-align: right; vertical-align: bottom; }
td { white-space: nowrap; font-variant-numeric: tabular-nums; }
tbody th { font-weight: 400; min-width: 16rem; vertical-align: top; }
tbody td { vertical-align: top; }
th:first-child { text-align: left; } .range { color: #555; font-size: .85em; }
.note { border-left: 4px solid #b36b00; padding: .3rem .8rem; background: #fff7e8; margin: .5rem 0; }
.note ul { margin: .2rem 0; padding-left: 1.2rem; } details { margin: 1rem 0; } summary { cursor: pointer; }
svg { max-width: 100%; height: auto; }
@media (max-width: 40rem) { body { margin: 1rem auto; } h1 { font-size: 1.5rem; } h2 { font-size: 1.2rem; }
  tbody th { min-width: 8rem; } }
@media print {
  @page { size: A4 landscape; margin: 12mm; }
  body { font-size: 10px; margin: 0; max-width: none; padding: 0; } .wide { overflow: visible; }
  tr, svg, .note { break-inside: avoid; } h2 { break-after: avoid; } th, td { padding: .1rem .35rem; }
}
"""
"""The look that every page of this program shares; a page may add rules of its own."""


def escaped(value: object) -> str:
    """Any text as text of a page, also between the quotes of an attribute.

    >>> escaped('<b title="x">&')
    '&lt;b title=&quot;x&quot;&gt;&amp;'
    """
    return html.escape(str(value))


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table that scrolls by itself where the screen is too narrow.

    Args:
        head: Names of the columns, as text.
        lines: Cells of each line, markup already; the first names the line.
    """
    names = "".join(f'<th scope="col">{escaped(name)}</th>' for name in head)
    body = "".join(
        f'<tr><th scope="row">{line[0]}</th>{"".join(f"<td>{cell}</td>" for cell in line[1:])}</tr>\n' for line in lines
    )
    return f'<div class="wide"><table><thead><tr>{names}</tr></thead>\n<tbody>{body}</tbody></table></div>'


def data_block(name: str, data: Any) -> str:
    """Data for the page's scripts, which no text inside can end: ``JSON.parse`` of the element's text gives it back.

    Args:
        name: Identifier of the element.
        data: What JSON can hold, without NaN.

    >>> data_block("d", ["</script>"])
    '<script id="d" type="application/json">["\\\\u003c/script\\\\u003e"]</script>'
    """
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return f'<script id="{escaped(name)}" type="application/json">{text}</script>'


def page(title: str, body: str, *, style: str = STYLE, scripts: Sequence[str] = ()) -> str:
    """The whole page.

    It tells the browser to load nothing from anywhere, and to run these scripts and no other: a script that came in
    with somebody's text would not run even if it were not escaped.

    Args:
        title: Title of the window, as text.
        body: Markup.
        style: CSS.
        scripts: JavaScript, each a script of its own, run after the body was read.

    Source:
        Content Security Policy Level 3, https://www.w3.org/TR/CSP3/, hashes of inline scripts.
    """
    sources = [script.replace("\r\n", "\n").replace("</script", "<\\/script") for script in scripts]
    digests = [base64.b64encode(hashlib.sha256(source.encode()).digest()).decode() for source in sources]
    rules = ["default-src 'none'", "style-src 'unsafe-inline'", "base-uri 'none'", "form-action 'none'"]
    if sources:
        allowed = " ".join(f"'sha256-{digest}'" for digest in digests)
        rules += [f"script-src {allowed}", "img-src data: blob:"]
    programs = "".join(f"<script>{source}</script>\n" for source in sources)
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{"; ".join(rules)}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escaped(title)}</title><style>{style}</style></head>\n<body>\n{body}\n{programs}</body></html>\n"
    )
