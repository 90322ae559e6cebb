# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The report: what stands in it, what is drawn, and how a real browser takes it."""

from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
import json
import re
import shutil
import subprocess
import time

from banks import bank
import numpy as np
import pytest

from liquid_ros.evaluation import report_curves, report_scene, report_tables
from liquid_ros.evaluation.judge import judge
from liquid_ros.evaluation.report import page, write_report
from liquid_ros.evaluation.report_svg import Axis, extremes, number, Panel, path_text, short
from liquid_ros.evaluation.runs import Judged, Row, Run
from liquid_ros.evaluation.scenario import made_up
from liquid_ros.evaluation.tally import Tally

VOID = {'meta', 'input', 'br', 'link', 'img'}
HOSTILE = '/<script>document.title="owned"</script>"\'&#<img src=x onerror=alert(1)>'
CHROMIUM = next(filter(None, map(shutil.which, (
    'chromium', 'chromium-browser', 'google-chrome', 'chrome'))), None)
FLAGS = ('--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
         '--disable-background-networking', '--disable-component-update', '--disable-sync',
         '--hide-scrollbars', '--enable-logging=stderr', '--v=0')
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason='Chromium is not installed')


def a_run(seconds=20.0, width=7, truth=True, **changes):
    """Return the made-up recording, smoothed; its estimate in hindsight is another pass."""
    scenario = made_up(seconds)
    rows = scenario.rows[:, :width]
    update = bank(width=width).update(['a'] * len(rows), scenario.stamps_ns, rows)
    estimate, starts = update.estimate, np.arange(len(rows)) == 0
    tally = Tally(len(rows) + 3, len(rows), Counter(late=2, non_finite=1), Counter(gap=1))
    run = Run('/tag/pose', 'geometry_msgs/msg/PoseStamped', 'map', 'liquid',
              np.array(scenario.stamps_ns), rows, estimate.rows, estimate.variance,
              estimate.twist, estimate.nis, estimate.weight, starts, tally,
              offline=estimate.rows + 1e-3 * np.eye(width)[0], offline_variance=estimate.variance,
              truth=scenario.truth[:, :width] if truth else None,
              truth_name='/truth' if truth else '')
    return replace(run, **changes)


def judgement(run, **changes):
    """Return what might be said of a run."""
    rng = np.random.default_rng(0)
    lag = np.geomspace(1e-3, 0.5, 60)
    known = {'rmse_m': 0.0547, 'lag_s': 0.0, 'jitter_m': 0.02} if run.truth is not None else {
        'rmse_to_offline_m': 0.0547, 'lag_to_offline_s': 0.0, 'jitter_m': 0.02}
    better = {key: value / 4.0 for key, value in known.items()}
    rows = (Row('raw', 'raw', **known), Row('liquid', 'liquid', **better, log_likelihood=2.5),
            Row('liquid_offline', 'liquid, in hindsight', causal=False, **better),
            Row('ema', 'EMA', in_hindsight=True, settings={'cutoff_hz': 2.0}, **{
                key: 1e-3 if key == 'jitter_m' else 0.05 for key in known}),
            Row('one_euro', 'One-Euro', in_hindsight=True, jitter_m=1e-9))
    sweep = {'lag_s': lag, 'jitter_m': 1e-2 / (1.0 + 50.0 * lag), 'rmse_m': lag}
    hertz = np.linspace(0.0, 25.0, 200)
    return replace(Judged(
        run, rows, {'rmse_ratio': 0.5},
        {'rate_hz': 48.9, 'dt_median_s': 0.0201, 'axes': 'xyz', 'gaps': 1, 'gap_longest_s': 0.4},
        {'ema': sweep, 'kalman': sweep, 'strange': sweep, 'one_euro': {
            key: np.repeat(value, 4) * rng.uniform(0.8, 1.2, 240)
            for key, value in sweep.items()}},
        {'spectrum_hz': hertz, 'spectrum_raw': 1e-4 / (1.0 + hertz) + 1e-5,
         'spectrum_smooth': 1e-4 / (1.0 + hertz**2),
         'acf': np.r_[1.0, 0.05 * rng.normal(size=29)], 'acf_lags': np.arange(30)},
        ('Smoothing helped.', 'The output is on time.')), **changes)


def bare(run):
    """Return a judgement without any figure."""
    return Judged(run, (Row('raw', 'raw'), Row('liquid', 'liquid')), {}, {}, {}, {}, ())


class Checked(HTMLParser):
    """Check that every tag is closed in order and every id is the only one."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.ids, self.words, self.tags = [], [], [], Counter()

    def handle_starttag(self, tag, attrs):
        """Note a tag that opens."""
        self.tags[tag] += 1
        self.ids += [value for name, value in attrs if name == 'id']
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        """Check that the newest open tag closes."""
        assert self.open.pop() == tag

    def handle_startendtag(self, tag, attrs):
        """Note a tag that is whole."""
        self.tags[tag] += 1

    def handle_data(self, data):
        """Keep what a reader sees."""
        if 'script' not in self.open and 'style' not in self.open:
            self.words.append(data)


def parsed(text):
    parser = Checked()
    parser.feed(text)
    parser.close()
    assert not parser.open and len(parser.ids) == len(set(parser.ids))
    return parser


def cut(run, count, **changes):
    """Return a run's first messages."""
    parts = {name: getattr(run, name)[:count] for name in (
        'stamps_ns', 'raw', 'smooth', 'variance', 'twist', 'nis', 'weight', 'starts', 'offline',
        'offline_variance', 'truth') if getattr(run, name) is not None}
    return replace(run, **{**parts, **changes})


def test_all_is_in_one_file_that_asks_for_nothing():
    text = page([judgement(a_run())], 'my_bag')
    parsed(text)
    links = re.findall(r'(?:src|href|url)\s*[=(]\s*["\']?([^"\')\s>]+)', text)
    assert all(link.startswith('#') for link in links)
    assert "default-src 'none'" in text and '@import' not in text
    assert set(re.findall(r'https?://[^\s"\'<]+', text)) == {'http://www.w3.org/2000/svg'}


def test_the_same_run_gives_the_same_page():
    judged = judgement(a_run(5.0))
    assert page([judged], 'a') == page([judged], 'a')


def test_verdict_facts_and_every_kind_of_plot_are_there():
    words = ' '.join(parsed(page([judgement(a_run())], 'my_bag')).words)
    for text in ('my_bag', '/tag/pose', 'Smoothing helped.', '3 (late 2, non finite 1)',
                 '1 (gap 1)', '48.9 Hz', '20.1 ms', '1, longest 400 ms',
                 'Top view', 'Side view', 'x, worst second',
                 'rotation z, off truth', 'stated ±2σ', 'Distance from truth', 'Angle off truth',
                 'Jitter against lag', 'Spectrum', 'Time between messages', 'NIS', 'time (s)',
                 'Autocorrelation', 'tuned in hindsight', 'knows the future', 'One-Euro'):
        assert text in words, text


@pytest.mark.parametrize('changes', [{}, {'width': 3, 'truth': False},
                                     {'truth': False, 'offline': None}])
def test_what_is_judged_is_drawn(changes):
    judged = judge(a_run(12.0, **changes))
    words = ' '.join(parsed(page([judged], '')).words)
    for sentence in judged.verdict:
        assert sentence in words
    for row in judged.rows:
        assert row.label.partition(', ')[0] in words
    for text in ('Jitter against lag', 'gated Kalman', 'Spectrum', 'Autocorrelation',
                 'Distance from', 'NIS, position', 'expected'):
        assert text in words, text


def test_without_truth_the_estimate_in_hindsight_stands_in():
    words = ' '.join(parsed(page([judgement(a_run(truth=False))], '')).words)
    assert 'x, off hindsight' in words and 'in hindsight (RTS)' in words
    assert 'off truth' not in words
    words = ' '.join(parsed(page([judgement(a_run(truth=False, offline=None))], '')).words)
    assert 'x, most changed second' in words and ', off ' not in words


def test_points_have_no_rotation():
    words = ' '.join(parsed(page([judgement(a_run(width=3))], '')).words)
    assert 'z, off truth' in words and 'rotation' not in words.lower()


def test_what_could_not_be_used_is_told():
    words = ' '.join(parsed(page([judgement(a_run(3.0))], '', ['a.mcap: is truncated'])).words)
    assert 'a.mcap: is truncated' in words
    assert 'Problems' not in page([judgement(a_run(3.0))], '')


def test_names_cannot_write_into_the_page():
    run = a_run(3.0, name=HOSTILE, frame_id=HOSTILE, truth_name=HOSTILE, smoother=HOSTILE,
                msgtype=HOSTILE)
    judged = judgement(run)
    judged = replace(judged, verdict=(HOSTILE, HOSTILE), stream={'axes': HOSTILE},
                     sweeps={HOSTILE: judged.sweeps['ema']},
                     rows=tuple(replace(row, label=HOSTILE, settings={HOSTILE: 1.0})
                                for row in judged.rows))
    for many in ([judged], [judged, judged]):
        parser = parsed(page(many, HOSTILE, [HOSTILE]))
        assert parser.tags['script'] == 1 and parser.tags['img'] == 0
        assert ''.join(parser.words).count(HOSTILE) > 10


@pytest.mark.filterwarnings('error')
def test_odd_runs_have_a_page():
    run = a_run(8.0)
    still = np.repeat(run.raw[:1], len(run.raw), axis=0)
    part = run.truth.copy()
    part[:, 2:] = np.nan
    part[50:90] = np.nan
    twice = run.stamps_ns.copy()
    twice[200:] = twice[:len(twice) - 200]
    far, huge = run.smooth + 4.2e6 * np.eye(7)[0], run.smooth.copy()
    huge[50, 0] = 1e200
    odd = [cut(run, count, truth=truth, offline=None) for count in (0, 1, 2, 3, 5)
           for truth in (None, run.truth[:count])]
    odd += [replace(run, raw=still, smooth=still, truth=still, offline=still,
                    variance=0.0 * run.variance),
            replace(run, truth=run.truth * np.nan), replace(run, truth=part),
            replace(run, smooth=run.smooth * np.nan, nis=run.nis * np.nan,
                    variance=run.variance * np.nan),
            replace(run, stamps_ns=twice, starts=np.arange(len(twice)) % 200 == 0),
            replace(run, starts=np.ones(len(twice), dtype=bool)),
            replace(run, raw=far, smooth=far, truth=far), replace(run, smooth=huge)]
    for one in odd:
        for many in ([bare(one)], [judgement(one), bare(one)]):
            text = page(many, 'odd')
            parsed(text)
            assert not re.search(r'\b(nan|inf)\b', ''.join(parsed(text).words))
            assert not re.search(r'd="[^"]*(nan|inf|e\+)', text)


@pytest.mark.parametrize('count', [1, 2, 3, 12])
def test_short_runs_are_judged_and_drawn(count):
    run = a_run(8.0)
    for truth in (run.truth[:count], run.truth[:count] * np.nan, None):
        judged = judge(cut(run, count, truth=truth))
        words = ' '.join(parsed(page([judged, judged], '')).words)
        assert ('Top view' in words) == (count > 1)
        assert judged.verdict and judged.verdict[0] in words


def test_the_best_is_marked_of_what_knew_no_later_message():
    text = report_tables.smoothers_table(judgement(a_run(3.0)))
    rows = text.split('<tr class')[1:]
    raw, own, offline, ema, _ = (re.findall('class="best">([^<]*)', row) for row in rows)
    assert own == ['13.7', '0'] and ema == ['1.00']  # RMSE and lag; jitter
    assert raw == offline == []
    assert ['tuned in hindsight' in row for row in rows] == [False, False, False, True, True]
    assert ['knows the future' in row for row in rows] == [False, False, True, False, False]
    assert 'title="cutoff_hz 2"' in text


def test_jitter_is_never_alone():
    judged = judgement(a_run(3.0))
    assert report_tables.smoothers_table(judged).split('One-Euro')[1].count('<td') \
        == report_tables.smoothers_table(judged).split('One-Euro')[1].count('–')
    alone = replace(judged, rows=(Row('raw', 'raw', jitter_m=1.0), Row('ema', 'E', jitter_m=0.5)))
    assert 'Jitter' not in report_tables.smoothers_table(alone)


def test_units_suit_the_values():
    column = report_tables.COLUMNS[0]
    assert report_tables.texts([0.0547, 0.0136, None], column) == ('mm', ['54.7', '13.6', '–'])
    assert report_tables.texts([32.9, 31.1], column) == ('m', ['32.9', '31.1'])
    assert report_tables.texts([], column)[1] == []
    assert number(-0.0001, 2) == '0.00' and number(-12345.6, 1) == '−12\u202f345.6'
    assert [short(v) for v in (0.01, 1.0, 200.0, 1000.0, 1e-5, 2e7)] == [
        '0.01', '1', '200', '1\u202f000', '10⁻⁵', '2·10⁷']


@pytest.mark.parametrize('axis', [
    Axis(0.0, 1.0, ''), Axis(-3.7e-5, 9.1e-4, ''), Axis(1e6, 1e6 + 3.0, ''),
    Axis(0.3, 2e5, '', log=True), Axis(1.1, 1.9, '', log=True), Axis(1e-9, 1e9, '', log=True)])
@pytest.mark.parametrize('most', [4, 6])
def test_ticks_are_few_and_inside(axis, most):
    ticks = axis.ticks(most)
    assert 2 <= len(ticks) <= most + 2
    assert all(-1e-6 <= at <= 1.0 + 1e-6 for at, _ in ticks)
    assert len({text for _, text in ticks}) == len(ticks)


def test_thinning_keeps_every_spike():
    rng = np.random.default_rng(1)
    values = rng.normal(size=(100_003, 2))
    spikes = rng.choice(len(values), 40, replace=False)
    values[spikes, 1] = rng.choice([-50.0, 50.0], 40) + rng.uniform(size=40)
    at = extremes(values, 400)
    assert len(at) < 2000 and np.all(np.diff(at) > 0) and {0, len(values) - 1} <= set(at.tolist())
    size = -(-len(values) // 400)
    for first in range(0, len(values), size):
        inside = values[first:first + size]
        kept = values[at[(at >= first) & (at < first + size)]]
        np.testing.assert_array_equal(kept.min(0), inside.min(0))
        np.testing.assert_array_equal(kept.max(0), inside.max(0))
    assert len(extremes(values[:800, :1], 400)) == 800


def test_a_path_is_where_it_should_be():
    x, y = np.array([0, 10, 10, 40, 50]), np.array([5, 5, 5, 3, 900])
    begins = np.array([True, False, False, True, False])
    assert path_text(x, y, begins) == 'M0 5l10 0M40 3l10 897'
    assert path_text(x[:1], y[:1], begins[:1]) == 'M0 5h0'
    panel = Panel('t', Axis(0.0, 10.0, 'x'), Axis(-1.0, 1.0, 'y'))
    panel.line('raw', 'raw', np.array([0.0, 5.0, np.nan, 10.0]), np.array([-1.0, 1.0, 0.0, 0.0]))
    assert 'd="M0 1000l500-1000M1000 500h0"' in panel.html('a')
    panel.dots('smooth', '', np.array([2.0, 4.0]), np.array([0.0, 9.0]))
    assert 'class="edge s-smooth" d="M400 0v40"' in panel.html('a')


def test_the_worst_second_is_found():
    run = a_run(20.0)
    shown = report_scene.scene(run)
    error = np.where((run.times_s > 7.0) & (run.times_s < 7.9), 1.0, 0.1)
    low, high = report_scene.worst(shown, error)
    assert high - low == pytest.approx(1.0) and low < 7.1 and high > 7.8


def test_points_and_lines_of_the_trade_off_are_measured_alike():
    run = a_run(12.0, width=3)
    judged = judge(run)
    shown = report_scene.scene(run)
    lags = report_curves.own_lags(shown)
    stiff = replace(run, smooth=run.raw, offline=None)
    assert report_curves.own_lags(report_scene.scene(stiff))['smooth'] == lags['raw']
    assert abs(lags['smooth'] - judged.rows[1].lag_s) < 0.004
    text = report_curves.tradeoff_panel(judged, shown).html('a')
    tuned = [row for row in judged.rows if row.in_hindsight and row.name in judged.sweeps]
    assert text.count('<path class="point') == 3 + len(tuned) == 7


def test_a_rotation_drawn_goes_the_short_way():
    run = a_run(20.0)
    half = np.tile([0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 1e-3], (len(run.raw), 1))
    half[::2, 6] *= -1.0  # to and fro across half a turn
    facing = np.tile([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0], (len(run.raw), 1))
    turn = report_scene.nearest(report_scene.turned(half, facing[0, 3:]),
                                report_scene.turned(np.abs(half), facing[0, 3:]))
    assert np.ptp(turn[:, 2]) < 1.0


def test_an_offset_is_said_in_the_label():
    run = a_run(5.0)
    far = np.array([453_400.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
    shown = report_scene.scene(replace(run, raw=run.raw + far, smooth=run.smooth + far,
                                       truth=run.truth + far, offline=None))
    x, y = report_scene.coordinates(shown)[:2]
    assert x.label == 'x − 453\u202f400 m (m)' and y.label == 'y (m)'
    np.testing.assert_allclose(x.truth, run.truth[:, 0], atol=1e-6)


def test_the_file_appears_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / 'report.html'
    write_report(path, [judgement(a_run(3.0))], 'one', ['odd'])
    first = path.read_bytes()
    assert b'<li>odd</li>' in first
    with pytest.raises(AttributeError):
        write_report(path, [None], 'two')
    assert path.read_bytes() == first and list(tmp_path.iterdir()) == [path]


def test_a_loop_lasts_as_long_as_it_was_played():
    run = a_run(3.0)
    count = len(run.stamps_ns)
    looped = replace(run, **{name: np.tile(part, (2,) + (1,) * (part.ndim - 1)) for name in (
        'stamps_ns', 'raw', 'smooth', 'variance', 'twist', 'nis', 'weight', 'truth', 'offline',
        'offline_variance') for part in [getattr(run, name)]},
        starts=np.arange(2 * count) % count == 0)
    assert looped.duration_s == pytest.approx(2.0 * run.duration_s) and run.duration_s > 2.5
    assert f'{looped.duration_s:.3g} s' in page([judgement(looped)], '')


@pytest.mark.parametrize('many', [32, pytest.param(64, marks=pytest.mark.long)])
def test_it_is_fast_and_small(many):
    run = a_run(61.0)  # 60 s at 100 Hz has 6000
    twice = {name: np.repeat(getattr(run, name), 2, axis=0) for name in (
        'raw', 'smooth', 'variance', 'twist', 'nis', 'weight', 'truth', 'offline',
        'offline_variance')}
    count = len(twice['raw'])
    judged = judgement(replace(run, **twice, starts=np.arange(count) == 0,
                               stamps_ns=np.arange(count) * 10_000_000))
    start = time.process_time()
    text = page([judged], '')
    one_s = time.process_time() - start
    assert one_s < 3.0 and len(text) < 1_000_000
    start = time.process_time()
    assert len(page([judged] * many, '').encode()) < many * 200_000
    assert time.process_time() - start < 2 * many * one_s  # nothing grows faster than the streams


PROBE = """
<script>
addEventListener('load', () => {
  const out = {wide: document.documentElement.scrollWidth, inner: innerWidth, lost: [], blank: []};
  for (const figure of document.querySelectorAll('details[open] figure')) {
    const box = figure.getBoundingClientRect();
    const title = figure.querySelector('b').textContent;
    for (const text of figure.querySelectorAll('text, .xlabel, .ylabel, .key')) {
      const at = text.getBoundingClientRect();
      if (at.left < box.left - 1 || at.right > box.right + 9 || at.bottom > box.bottom + 1) {
        out.lost.push(title + ': ' + text.textContent);
      }
    }
    const drawn = [...figure.querySelectorAll('.marks path')].filter(
      (one) => getComputedStyle(one).getPropertyValue('--c') && one.getTotalLength() >= 0);
    const area = figure.querySelector('.frame').getBoundingClientRect();
    if (!drawn.length || area.width < 120 || area.height < 80) out.blank.push(title);
  }
  const area = document.querySelector('.area[data-sync]'), box = area.getBoundingClientRect();
  const at = (kind, x) => area.dispatchEvent(new PointerEvent(kind, {
    bubbles: true, clientX: box.left + x * box.width, clientY: box.top + 20, pointerType: 'mouse',
    button: 0}));
  at('pointermove', 0.4);
  out.readout = area.querySelector('.readout').textContent;
  out.cursors = document.querySelectorAll('.cursor').length;
  const marks = area.querySelector('.marks'), whole = marks.getAttribute('viewBox');
  at('pointerdown', 0.25); at('pointermove', 0.75); at('pointerup', 0.75);
  out.zoomed = marks.getAttribute('viewBox');
  const key = (name) => area.dispatchEvent(
    new KeyboardEvent('keydown', {key: name, bubbles: true}));
  key('Escape');
  out.reset = marks.getAttribute('viewBox') === whole;
  area.focus();
  out.focus = document.activeElement === area;
  key('ArrowRight');
  out.stepped = area.querySelector('.readout').textContent;
  key('+');
  out.nearer = marks.getAttribute('viewBox');
  const page = () => getComputedStyle(document.body).backgroundColor;
  out.colours = ['light', 'dark'].map((id) => {
    document.getElementById(id).click();
    return page();
  });
  out.title = document.title;
  document.body.innerHTML = '<pre id="probe"></pre>';
  document.getElementById('probe').textContent = JSON.stringify(out);
});
</script>
"""


def browser(tmp_path, path, *options):
    done = subprocess.run(
        [CHROMIUM, *FLAGS, f'--user-data-dir={tmp_path / "profile"}', *options, path.as_uri()],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120)
    assert 'CONSOLE' not in done.stderr, done.stderr
    return done.stdout


@needs_chromium
@pytest.mark.parametrize('width, truth', [(1280, True), (390, False)])
def test_a_browser_draws_it(tmp_path, width, truth):
    many = [judge(a_run(8.0, truth=truth)), judgement(a_run(8.0, 3, truth, name=HOSTILE))]
    text = page(many, HOSTILE)
    policy = re.search('<meta http-equiv="Content-Security-Policy"[^>]*>', text).group()
    path = tmp_path / 'probe.html'
    path.write_text(text.replace(policy, '').replace('</body>', PROBE + '</body>'))
    dom = browser(tmp_path, path, f'--window-size={width},900', '--dump-dom')
    found = re.search('<pre id="probe">(.*?)</pre>', dom, re.S).group(1)
    out = json.loads(found.replace('&lt;', '<').replace('&gt;', '>').replace('&amp;', '&'))
    assert out['wide'] <= out['inner'] and abs(out['inner'] - width) <= 120
    assert out['lost'] == [] and out['blank'] == []
    assert 'liquid' in out['readout'] and out['cursors'] > 5
    low, _, size, _ = map(float, out['zoomed'].split())
    assert low == pytest.approx(250.0, abs=2.0) and size == pytest.approx(500.0, abs=3.0)
    assert out['focus'] and float(out['stepped'].split()[0]) == pytest.approx(4.04, abs=0.1)
    assert float(out['nearer'].split()[2]) == pytest.approx(500.0)
    assert out['reset'] and out['title'].startswith(HOSTILE)
    light, dark = ([int(c) for c in re.findall(r'\d+', one)[:3]] for one in out['colours'])
    assert min(light) > 240 and max(dark) < 40


@needs_chromium
@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_its_picture_has_the_curves(tmp_path, scheme):
    image = pytest.importorskip('matplotlib.image')
    path, picture = tmp_path / 'report.html', tmp_path / 'report.png'
    write_report(path, [judgement(a_run(8.0))], 'my_bag')
    scheme_flag = f'--blink-settings=preferredColorScheme={int(scheme == "light")}'
    browser(tmp_path, path, '--window-size=1280,3400', f'--screenshot={picture}', scheme_flag)
    pixels = image.imread(picture)[..., :3]
    assert pixels.shape[:2] == (3400, 1280)
    blue = (pixels[..., 2] - pixels[..., 0] > 0.35)
    assert 8_000 < blue.sum() < 400_000
    assert (pixels[-1, -1].mean() > 0.9) == (scheme == 'light')


@needs_chromium
def test_it_prints_with_every_section_open(tmp_path):
    path, pdf = tmp_path / 'report.html', tmp_path / 'report.pdf'
    write_report(path, [judgement(a_run(4.0, 3, name=f'/s{i}')) for i in range(5)], 'my_bag')
    browser(tmp_path, path, '--no-pdf-header-footer', f'--print-to-pdf={pdf}')
    pages = len(re.findall(rb'/Type\s*/Page\b', pdf.read_bytes()))
    assert 10 <= pages <= 25
