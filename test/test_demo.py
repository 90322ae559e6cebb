# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The demo: its recording, its figure, its node as a process, and all of it over real DDS."""

from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
import importlib.util
from io import StringIO
import json
import os
from pathlib import Path
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from liquid_ros.__main__ import main
from liquid_ros.cli.demo import accepted_rows, compare, table_text
from liquid_ros.errors import InputError, LiquidError
from liquid_ros.evaluation.metrics import rmse
from liquid_ros.evaluation.plots import plot
from liquid_ros.evaluation.recording import open_source
from liquid_ros.evaluation.scenario import from_npz, made_up, motion, write

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / 'shared'
needs_ros = pytest.mark.skipif(importlib.util.find_spec('rclpy') is None,
                               reason='rclpy is not installed')
CPU = ['--device', 'cpu', '--smoother', 'kalman']


def save(path, count=60, width=3, meta=None, **changes):
    """Write a recording in the .npz format; changes replace its arrays."""
    rng = np.random.default_rng(3)
    times = np.arange(count) / 30.0
    truth = motion(times)[:, :width]
    arrays = {'t': times, 'z': truth + 0.01 * rng.normal(size=truth.shape), 'gt': truth,
              'meta': json.dumps(meta or {}), **changes}
    np.savez(path, **{key: value for key, value in arrays.items() if value is not None})
    return path


def samples(path, topic):
    with open_source(path, [topic]) as source:
        return [(s.stamps_ns[0], s.rows.tobytes()) for s in source.samples()]


def test_the_made_up_recording_is_what_it_says():
    scenario = made_up(60.0)
    assert np.all(np.diff(scenario.stamps_ns) > 0)
    assert 0.93 * 3000 < len(scenario.rows) < 0.99 * 3000
    assert 0.4 < np.diff(scenario.times_s).max() < 0.6
    error = np.linalg.norm(scenario.rows[:, :3] - scenario.truth[:, :3], axis=1)
    assert 0.005 < np.mean(error > 0.12) < 0.02
    assert rmse(scenario.rows[error < 0.1, :3], scenario.truth[error < 0.1, :3]) == pytest.approx(
        0.015 * np.sqrt(3), rel=0.1)
    for rows in (scenario.rows, scenario.truth):
        np.testing.assert_allclose(np.linalg.norm(rows[:, 3:], axis=1), 1.0, atol=1e-12)


def test_a_seed_is_a_recording():
    one, same, other = made_up(5.0, 1), made_up(5.0, 1), made_up(5.0, 2)
    assert one.stamps_ns == same.stamps_ns and np.array_equal(one.rows, same.rows)
    assert not np.array_equal(one.truth[:50], other.truth[:50])


def test_the_bag_holds_the_recording_and_its_truth(tmp_path):
    scenario = made_up(2.0)
    write(tmp_path / 'bag', scenario)
    for topic, rows in (('/pose', scenario.rows), ('/truth', scenario.truth)):
        assert samples(tmp_path / 'bag', topic) == [
            (stamp, row.tobytes()) for stamp, row in zip(scenario.stamps_ns, rows)]


def test_an_npz_is_a_recording(tmp_path):
    scenario = from_npz(save(tmp_path / 'a.npz', meta={'good_axes': [0, 1]}), 1.0)
    assert (scenario.kind, scenario.topic, scenario.axes) == ('point', '/point', (0, 1))
    assert len(scenario.rows) == 31 and scenario.times_s[-1] == pytest.approx(1.0)
    assert from_npz(save(tmp_path / 'b.npz', width=7, meta=None)).kind == 'pose'


@pytest.mark.parametrize('changes', [
    {'gt': None}, {'t': np.zeros((60, 1))}, {'t': np.full(60, np.nan)}, {'z': np.zeros((60, 4))},
    {'z': np.zeros((59, 3))}, {'meta': 'no json'}, {'meta': '[1]'},
    {'meta': '{"good_axes": [3]}'}, {'meta': '{"good_axes": ["x"]}'},
    {'z': np.array([{}] * 60)}, {'gt': np.full((60, 3), np.nan)}, {'t': np.arange(60)[::-1]}])
def test_an_npz_that_is_no_recording(tmp_path, changes):
    path = save(tmp_path / 'a.npz', **changes)
    with pytest.raises(InputError, match=r'a\.npz: '):
        from_npz(path)


def test_files_that_are_no_npz(tmp_path):
    (tmp_path / 'text.npz').write_text('hello')
    (tmp_path / 'empty.npz').write_text('')
    np.save(tmp_path / 'one.npy', np.zeros(3))
    for name in ('text.npz', 'empty.npz', 'one.npy', 'missing.npz', '.'):
        with pytest.raises(InputError):
            from_npz(tmp_path / name)


def test_what_the_node_will_not_take_is_known_beforehand(tmp_path):
    rows = np.zeros((60, 3))
    rows[4] = np.nan
    times = np.arange(60) / 30.0
    times[9] = times[8]
    scenario = from_npz(save(tmp_path / 'a.npz', t=times, z=rows))
    assert accepted_rows(scenario) == [k for k in range(60) if k not in (4, 9)]


def test_the_table():
    scenario = made_up(4.0)
    rows = np.arange(len(scenario.rows))
    table = compare(scenario, rows, scenario.truth, 'liquid')
    assert list(table) == ['raw', 'One-Euro, best in hindsight', 'Kalman, best in hindsight',
                           'gated Kalman, best in hindsight', 'liquid, the node as it comes']
    assert table['liquid, the node as it comes'].rmse == 0.0
    lines = table_text(table).splitlines()
    assert len({len(line) for line in lines}) == 1 and len(lines) == 7
    assert lines[-1].split()[-4:] == ['0.00', '0.000', '0', '0.000']
    rest = scenario._replace(truth=np.repeat(scenario.truth[:1], len(rows), 0))
    still = table_text(compare(rest, rows, rest.rows, 'liquid'))
    assert still.splitlines()[-1].split()[-2] == '-'  # without motion there is no lag
    points = {name: replace(figures, rotation_deg=None) for name, figures in table.items()}
    assert table_text(points).splitlines()[-1].split()[-3:] == ['0.00', '0.000', '0']


@pytest.mark.parametrize('width', [3, 7])
@pytest.mark.parametrize('seconds', [1.0, 10.0])
def test_the_figure(tmp_path, width, seconds):
    scenario = made_up(seconds)
    smooth = scenario.truth.copy()
    smooth[3] = np.nan
    plot(tmp_path / 'a.png', scenario.times_s, scenario.rows[:, :width], smooth[:, :width],
         scenario.truth[:, :width], (0, 2))
    from matplotlib import image
    pixels = image.imread(tmp_path / 'a.png')
    assert pixels.shape[:2] == (640, 1400)
    red = (pixels[..., 0] > 0.7) & (pixels[..., 1] < 0.2)
    assert 300 < red.sum() < 100_000


def test_a_straight_still_line_has_a_figure(tmp_path):
    truth = np.zeros((90, 3))
    plot(tmp_path / 'a.png', np.arange(90) / 30.0, truth, truth, truth)
    assert (tmp_path / 'a.png').exists()
    plot(tmp_path / 'b', np.arange(90) / 30.0, truth, truth, truth)
    assert sorted(path.name for path in tmp_path.iterdir()) == ['a.png', 'b.png']


@pytest.mark.parametrize('options, text', [
    (['--rate', '0'], '--rate'), (['--rate', 'nan'], '--rate'), (['--seconds', '-1'], '--seconds'),
    (['--seconds', '0.1'], 'usable messages'), (['--data', 'missing.npz'], 'no such file')])
def test_a_wrong_option_is_one_line(tmp_path, capsys, options, text):
    assert main(['demo', '-o', str(tmp_path), *options]) == 1
    err = capsys.readouterr().err
    assert err.startswith('liquid_ros: error: ') and text in err and err.count('\n') == 1


def installed(folder):
    """Make an executable where an installed package has its node."""
    node = folder / 'lib' / 'liquid_ros' / 'smoother_node'
    node.parent.mkdir(parents=True)
    node.write_text('#!/bin/bash\ntrap "echo bye; exit 3" INT; echo "$@"\n'
                    'while true; do sleep 0.05; done\n')
    node.chmod(0o755)
    return node


@needs_ros
def test_the_sourced_node_goes_before_the_built_one(tmp_path, monkeypatch):
    from liquid_ros.ros.process import find_node
    monkeypatch.setenv('AMENT_PREFIX_PATH', '')
    assert find_node(tmp_path) is None
    built = installed(tmp_path / 'install' / 'liquid_ros')
    (tmp_path / 'install' / 'local_setup.bash').write_text('export GREETING=hello\n')
    command = find_node(tmp_path)
    assert command[0] == 'bash' and command[-1] == str(built)
    sourced = installed(tmp_path / 'prefix')
    monkeypatch.setenv('AMENT_PREFIX_PATH', f'{tmp_path}/none:{tmp_path}/prefix')
    assert find_node(tmp_path) == [str(sourced)]


@needs_ros
def test_a_node_is_asked_to_stop_and_then_made_to(tmp_path, monkeypatch):
    from liquid_ros.ros import process
    node = installed(tmp_path)
    with process.NodeProcess([str(node)], ['one', 'two'], tmp_path / 'log') as running:
        limit = time.monotonic() + 10
        while 'one two' not in (tmp_path / 'log').read_text():
            running.check()
            assert time.monotonic() < limit
            time.sleep(0.01)
        assert running.stop() == 3
        assert running.last_words() == f'bye (see {tmp_path / "log"})'
        with pytest.raises(LiquidError, match='status 3: bye'):
            running.check()
    monkeypatch.setattr(process, 'STOP_DEADLINE_S', 0.3)
    deaf = [sys.executable, '-c', 'import signal, time\n'
            'for s in (signal.SIGINT, signal.SIGTERM): signal.signal(s, signal.SIG_IGN)\n'
            'print("[INFO] [1.5] [a.b]: ready", flush=True)\n'
            'while True: time.sleep(1)']
    with process.NodeProcess(deaf, [], tmp_path / 'log') as running:
        limit = time.monotonic() + 10
        while 'ready' not in (tmp_path / 'log').read_text():
            assert time.monotonic() < limit
            time.sleep(0.01)
        assert running.last_words().startswith('ready (see')
        assert running.stop() == -signal.SIGKILL


def check_output(folder, kind):
    """Check that the node answered what smooth writes for the same bag, bit for bit."""
    topic = f'/{kind}'
    assert main(['smooth', str(folder / 'noisy'), '-o', str(folder / 'offline'),
                 '--topic', topic, *CPU]) == 0
    online = samples(folder / 'smoothed', f'{topic}/smoothed')
    assert online == samples(folder / 'offline', f'{topic}/smoothed')
    assert (folder / 'demo.png').read_bytes().startswith(b'\x89PNG')
    return online


@pytest.fixture(scope='module')
def shown(tmp_path_factory):
    """Return the folder of a demo, and what it printed."""
    folder = tmp_path_factory.mktemp('shown') / 'out'
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
        assert main(['demo', '-o', str(folder), '--seconds', '4', '--rate', '2', *CPU]) == 0
    return folder, out.getvalue(), err.getvalue()


@needs_ros
def test_the_demo_runs(shown):
    folder, out, err = shown
    assert ' 0 lost' in out and 'kalman, the node as it comes' in out and err == ''
    assert len(check_output(folder, 'pose')) == len(made_up(4.0).rows)


@needs_ros
def test_the_demo_takes_a_recording_with_flaws(shown, tmp_path, capsys):
    """What an earlier one left is replaced."""
    shutil.copytree(shown[0], tmp_path / 'out', ignore=shutil.ignore_patterns('offline'))
    data = np.load(save(tmp_path / 'a.npz'))
    rows, times = data['z'].copy(), data['t'].copy()
    rows[0], rows[30], times[40] = np.nan, np.inf, times[39]
    path = save(tmp_path / 'flawed.npz', z=rows, t=times, meta={'good_axes': [0, 1]})
    assert main(['demo', '--data', str(path), '-o', str(tmp_path / 'out'), '--rate', '3',
                 *CPU]) == 0
    assert '60 sent, 3 to be dropped' in capsys.readouterr().out
    assert len(check_output(tmp_path / 'out', 'point')) == 57


@needs_ros
def test_a_node_that_cannot_start_says_why(tmp_path, capsys):
    assert main(['demo', '-o', str(tmp_path), '--seconds', '2', '--smoother', 'magic']) == 1
    err = capsys.readouterr().err
    assert "got smoother 'magic'" in err and 'node.log' in err and err.count('\n') == 1


@needs_ros
@pytest.mark.parametrize('sent, status', [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_who_is_ended_takes_the_node_along(tmp_path, sent, status):
    process = subprocess.Popen(
        [sys.executable, '-c',
         'import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n'
         'from liquid_ros.__main__ import main; sys.exit(main(sys.argv[1:]))',
         'demo', '-o', str(tmp_path), *CPU],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    log = tmp_path / 'node.log'
    limit = time.monotonic() + 60
    while not (log.exists() and 'answered' in log.read_text()):
        assert time.monotonic() < limit and process.poll() is None
        time.sleep(0.02)
    process.send_signal(sent)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (status, '')
    mark = f'/demo_{process.pid}'.encode()
    for entry in Path('/proc').glob('[0-9]*/cmdline'):
        try:
            assert mark not in entry.read_bytes()
        except OSError:
            continue
    assert not (tmp_path / 'smoothed').exists()


@needs_ros
@pytest.mark.skipif(not SHARED.is_dir(), reason='the recordings are not there')
def test_a_real_recording_goes_through(tmp_path, capsys):
    data = SHARED / 'data' / 'real_dope_004_0033_Initial.npz'
    assert main(['demo', '--data', str(data), '-o', str(tmp_path), '--rate', '10',
                 '--seconds', '20', *CPU]) == 0
    assert 'rotation (deg)' in capsys.readouterr().out
    check_output(tmp_path, 'pose')


def test_the_demo_without_ros_says_what_it_needs(tmp_path):
    program = ('import sys; sys.modules["rclpy"] = None\n'
               'from liquid_ros.__main__ import main\n'
               f'sys.exit(main(["demo", "--seconds", "2", "-o", {str(tmp_path)!r}]))')
    environment = {k: v for k, v in os.environ.items() if k != 'PYTHONPATH'}
    done = subprocess.run([sys.executable, '-c', program], cwd=ROOT, capture_output=True,
                          text=True, timeout=60, env=environment)
    assert done.returncode == 1 and done.stderr.count('\n') == 1, done.stderr
    assert 'the demo needs ROS 2' in done.stderr
