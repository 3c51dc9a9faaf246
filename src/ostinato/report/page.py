"""One self-contained HTML page: no scripts, nothing loaded, readable on a phone, in the dark and on paper."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from html import escape
from pathlib import Path

_CSS = """
:root{color-scheme:light dark;--paper:#fbfaf8;--ink:#1d2327;--soft:#5b6670;--line:#dcdfe2;--card:#fff;--mark:#e8f1f8;
--accent:#00598c}
@media (prefers-color-scheme:dark){:root{--paper:#14181b;--ink:#e4e7e9;--soft:#9ca7af;--line:#343c42;--card:#1c2226;
--mark:#163247;--accent:#7cc0ec}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);
font:16px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;
-webkit-text-size-adjust:100%}
main{max-width:62rem;margin:0 auto;padding:1.5rem 1rem 4rem;overflow-wrap:anywhere}
h1{font-size:1.7rem;line-height:1.25;margin:.4rem 0 .2rem}
h2{font-size:1.2rem;margin:2.6rem 0 .6rem;padding-top:.6rem;border-top:1px solid var(--line)}
h3{font-size:1rem;margin:0 0 .3rem}
p{margin:.4rem 0 .8rem;max-width:46rem}
a{color:var(--accent)}
.soft,figcaption,.note{color:var(--soft);font-size:.875rem}
nav{font-size:.875rem;margin:.6rem 0 0}
nav a{display:inline-block;margin:0 1rem .2rem 0}
.verdict{background:var(--mark);border-left:4px solid var(--accent);padding:.8rem 1rem;margin:1.2rem 0;
font-size:1.12rem;max-width:none;border-radius:0 6px 6px 0}
.scroll{overflow-x:auto;margin:.6rem 0}
table{border-collapse:collapse;font-size:.925rem;min-width:min(100%,22rem)}
th,td{padding:.32rem .75rem;text-align:left;vertical-align:top;border-bottom:1px solid var(--line);
overflow-wrap:break-word}
th{font-weight:600;color:var(--soft);vertical-align:bottom}
th.number,td.number{text-align:right;font-variant-numeric:tabular-nums}
td.number{white-space:nowrap}
td.wide{min-width:13rem}
tr.own td{background:var(--mark)}
td b{font-weight:700}
.plots{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,25rem),1fr));gap:1rem;margin:.8rem 0}
figure{margin:0;padding:.8rem .9rem;background:#fff;color:#1d2327;border:1px solid var(--line);border-radius:8px;
min-width:0}
figure figcaption{color:#5b6670;margin-top:.3rem}
figure svg{display:block;width:100%;height:auto}
figure svg text{font-family:system-ui,-apple-system,"Segoe UI",Roboto,sans-serif!important}
figure .narrow{display:none}
.axis{color:#5b6670;font-size:.8rem}
.axis.x{text-align:center}
.legend{list-style:none;display:flex;flex-wrap:wrap;gap:.1rem 1rem;margin:0 0 .4rem;padding:0;font-size:.85rem}
.legend svg{display:inline-block;width:26px;height:12px;margin-right:.4rem;vertical-align:-1px}
pre{background:var(--card);border:1px solid var(--line);border-radius:6px;padding:.7rem .9rem;overflow:auto;
max-height:30rem;font-size:.85rem;white-space:pre-wrap}
.key span{display:inline-block;padding:0 .3em}
ul.plain{padding-left:1.2rem;margin:.4rem 0}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.2rem 1.2rem;margin:.5rem 0}
dt{color:var(--soft)}dd{margin:0}
@media (max-width:40rem){main{padding:.8rem .8rem 3rem}h1{font-size:1.4rem}figure{padding:.6rem .5rem}
figure .wide{display:none}figure .narrow{display:block}th,td{padding:.3rem .27rem}
table{font-size:.82rem}}
@media print{:root{--paper:#fff;--ink:#000;--soft:#444;--line:#bbb;--card:#fff;--mark:#f0f4f7;--accent:#00456e}
body{font-size:11pt}nav{display:none}main{max-width:none;padding:0}h2,h3{break-after:avoid}
figure,tr,.verdict{break-inside:avoid}.scroll{overflow:visible}pre{max-height:none}}
"""

_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


@dataclass(frozen=True)
class Section:
    """One headed part of a page.

    Args:
        key: The anchor: lower-case letters and hyphens, unique on the page.
        heading: Plain text; escaped here.
        body: HTML, already escaped by whoever made it (`tables`, `figures`, `html.escape`).
    """

    key: str
    heading: str
    body: str


@dataclass(frozen=True)
class Page:
    """What a report says, in order.

    Args:
        title: Plain text; escaped here.
        verdict: One plain sentence set off at the top; escaped here.
        sections: The parts, in order.
        footer: Plain text at the end; escaped here.
    """

    title: str
    verdict: str
    sections: tuple[Section, ...]
    footer: str = ""


def render(page: Page) -> str:
    """The page as one HTML document. The same page gives the same text, byte for byte.

    Args:
        page: What to show.
    """
    links = "".join(f'<a href="#{escape(part.key)}">{escape(part.heading)}</a>' for part in page.sections)
    parts = "\n".join(
        f'<section id="{escape(part.key)}">\n<h2>{escape(part.heading)}</h2>\n{part.body}\n</section>'
        for part in page.sections
    )
    footer = f'\n<footer class="soft">{escape(page.footer)}</footer>' if page.footer else ""
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="referrer" content="no-referrer">
<title>{escape(page.title)}</title>
<style>{_CSS}</style>
</head>
<body>
<main>
<header>
<h1>{escape(page.title)}</h1>
<nav>{links}</nav>
<p class="verdict">{escape(page.verdict)}</p>
</header>
{parts}{footer}
</main>
</body>
</html>
"""


def write(path: str | os.PathLike[str], html: str) -> Path:
    """Write `html` to `path` so that a crash leaves the old file or the new one, never half of one.

    Args:
        path: The file; its folder must exist. An existing file is replaced and keeps its permissions.
        html: The document.

    Returns:
        The path written.

    Raises:
        OSError: The folder is missing, full or read-only; the old file is untouched.
    """
    target = Path(path).resolve()
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(html.encode("utf-8", errors="replace"))
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(temporary, target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_umask())
        os.replace(temporary, target)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    return Path(path)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
