# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""One self-contained HTML file that says whether smoothing helped."""

from base64 import b64encode
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import List, Sequence

from liquid_ros import __version__
from liquid_ros.evaluation import report_tables as tables
from liquid_ros.evaluation.report_plots import panels
from liquid_ros.evaluation.report_scene import scene
from liquid_ros.evaluation.runs import Judged
from liquid_ros.files import replacing

HERE = Path(__file__).parent
OPEN_MOST = 3  # streams that begin unfolded
DETAIL, DETAIL_LEAST, DETAIL_TOTAL = 400, 120, 4000  # pieces a line is drawn from
LAYOUTS = {'Axes': 'axes', 'Error': 'two-of', 'Rough or late': 'two-of',
           'Innovations and timing': 'three'}
THEMES = (('auto', 'Auto'), ('light', 'Light'), ('dark', 'Dark'))


def write_report(path: Path, judged: Sequence[Judged], source: str,
                 problems: Sequence[str] = ()) -> None:
    """
    Write the report of a recording, a section a stream; it needs no network and no other file.

    source: what was evaluated, as the reader knows it. problems: what of it could not be used.
    Errors: InputError where the file cannot be written; whatever stood there stays.
    """
    text = page(judged, source, problems)
    with replacing(path) as fresh:
        fresh.write_text(text, encoding='utf-8', errors='replace')  # of odd file names


def page(judged: Sequence[Judged], source: str, problems: Sequence[str] = ()) -> str:
    """Return the report as HTML."""
    style, script = ((HERE / name).read_text(encoding='utf-8')
                     for name in ('report.css', 'report.js'))
    allowed = b64encode(sha256(script.encode()).digest()).decode()
    # whatever a recording's names may hold, nothing is loaded and no other script runs
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{allowed}'"
    detail = max(DETAIL_LEAST, min(DETAIL, DETAIL_TOTAL // max(len(judged), 1)))
    sections = [section(one, i, len(judged), detail) for i, one in enumerate(judged)]
    count = f'{len(judged)} streams, ' if len(judged) > 1 else ''
    used = tables.messages(sum(one.run.tally.accepted for one in judged))
    themes = ''.join(f'<label><input type="radio" name="theme" id="{name}"'
                     f'{" checked" if name == "auto" else ""}>{title}</label>'
                     for name, title in THEMES)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="liquid_ros {__version__}">
<title>{escape(source)} · did smoothing help?</title>
<style>
{style}</style>
</head>
<body>
<header><div><h1>Did smoothing help?</h1>
<p>{escape(source)}</p><p>{count}{used} · liquid_ros {__version__}</p></div>
<fieldset class="theme"><legend>Colours</legend>{themes}</fieldset></header>
<main>
{told(problems)}{tables.overview(judged) if len(judged) > 1 else ''}
{''.join(sections)}
</main>
{footer(judged)}
<script>{script}</script>
</body>
</html>
"""


def section(judged: Judged, i: int, streams: int, detail: int) -> str:
    """Return the section of the i-th stream."""
    run = judged.run
    name = escape(run.name or 'stream')
    lasted = tables.duration(run.duration_s)
    about = f'{tables.messages(len(run.stamps_ns))} over {lasted} · ' \
            f'{escape(run.msgtype)} · smoother {escape(run.smoother)}'
    parts: List[str] = [verdict(judged.verdict)]
    if table := tables.smoothers_table(judged):
        parts.append(f'<h3>Smoothers</h3>{table}')
    if len(run.stamps_ns):
        told = ''.join(f'<div><dt>{escape(key)}</dt><dd>{escape(text)}</dd></div>'
                       for key, text in tables.facts(judged))
        parts.append(f'<h3>Stream</h3><dl class="facts">{told}</dl>')
    if len(run.stamps_ns) > 1:
        for g, group in enumerate(panels(judged, scene(run), detail)):
            drawn = ''.join(panel.html(f'p{i}-{g}-{k}') for k, panel in enumerate(group.panels))
            layout = LAYOUTS.get(group.title, '') + ' lone' * ('dense' not in drawn)
            note = f'<p class="note">{group.note}</p>' if group.note else ''
            parts.append(f'<h3>{group.title}</h3><div class="plots {layout}">{drawn}</div>{note}')
    state = ' open' if streams <= OPEN_MOST or i == 0 else ''
    only = ' only' if streams == 1 else ''
    return (f'<details class="stream{only}" id="stream-{i}"{state}><summary><h2>{name}</h2>'
            f'<p class="about">{about}</p></summary><div>{"".join(parts)}</div></details>\n')


def told(problems: Sequence[str]) -> str:
    """Return what could not be used, as a box."""
    items = ''.join(f'<li>{escape(problem)}</li>' for problem in problems)
    return (f'<section class="verdict problems" aria-label="Problems"><ul>{items}</ul></section>'
            if items else '')


def verdict(sentences: Sequence[str]) -> str:
    """Return the verdict, its first sentence foremost."""
    if not sentences:
        return ''
    rest = ''.join(f'<li>{escape(sentence)}</li>' for sentence in sentences[1:])
    return (f'<div class="verdict"><p>{escape(sentences[0])}</p>'
            + (f'<ul>{rest}</ul>' if rest else '') + '</div>')


def footer(judged: Sequence[Judged]) -> str:
    """Return what the figures that appear mean."""
    used = {c.field: c for one in judged for c in tables.columns_of(one.rows)}
    said = ''.join(f'<dt>{c.title}</dt><dd>{c.meaning}</dd>' for c in used.values())
    return ('<footer><p><span class="hint">Plots of time: point at them for values, drag to zoom, '
            'double-click or Esc to see all again; or Tab to one and use arrows, + and −. </span>'
            'Long lines are thinned for drawing so '
            'that every spike stays; ticks at a frame’s edge are messages beyond it.</p>'
            f'<dl>{said}</dl></footer>')
