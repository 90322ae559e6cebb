# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The evaluate command: one answer for every recording, one line for every mistake."""

import json
import multiprocessing
import os
from pathlib import Path
import re
import shutil
import socket
import subprocess
import sys
import time

from bags import flawed, header, make, message, START_NS, TYPES, write_bag
import numpy as np
import pytest

from liquid_ros.__main__ import main
from liquid_ros.cli.jobs import results_of
from liquid_ros.evaluation import scenario
from liquid_ros.evaluation.bag_messages import store
from liquid_ros.evaluation.gate import NAMES
from liquid_ros.evaluation.recording import open_source
from liquid_ros.files import replacing

EVO = shutil.which('evo_ape')
FAST = ['--device', 'cpu', '--smoother', 'kalman', '--no-baselines']


@pytest.fixture(scope='module')
def bag(tmp_path_factory):
    path = tmp_path_factory.mktemp('evaluate') / 'bag'
    scenario.write(path, scenario.made_up(8.0))
    return path


def evaluate(*args):
    return main(['evaluate', *map(str, args), *FAST])


def samples_of(path, topic):
    with open_source(path, [topic]) as source:
        return list(source.samples())


def figures(path):
    return json.loads(path.read_text())


def test_a_bag_with_truth_is_told_in_a_table_json_and_a_report(bag, tmp_path, capsys):
    assert evaluate(bag, '--truth', '/truth', '--json', tmp_path / 'a.json',
                    '-r', tmp_path / 'a.html', '-o', tmp_path / 'out') == 0
    out, err = capsys.readouterr()
    assert '/pose (PoseStamped)' in out and 'RMSE (mm)' in out
    assert err.startswith('liquid_ros: written: ') and err.count('\n') == 1
    assert '/truth (' not in out
    found = figures(tmp_path / 'a.json')
    assert found['schema'] == 1 and found['failed'] == []
    stream, = found['recordings'][0]['streams']
    raw, own = stream['rows'][:2]
    assert 0.0 < own['rmse_m'] < raw['rmse_m']
    assert '<html' in (tmp_path / 'a.html').read_text()
    smoothed = samples_of(tmp_path / 'out', '/pose/smoothed')
    stated = samples_of(tmp_path / 'out', '/pose/smoothed_with_covariance')
    assert len(smoothed) == len(samples_of(bag, '/pose')) == len(stated)
    assert all(np.array_equal(a.rows, b.rows) for a, b in zip(smoothed, stated))
    assert np.isfinite(stated[-1].variances).all()


def test_json_to_the_standard_output_is_all_there_is(bag, capsys):
    assert evaluate(bag, '--topic', '/pose', '--json', '-') == 0
    out, err = capsys.readouterr()
    assert json.loads(out)['recordings'][0]['streams'][0]['truth'] is None and err == ''


@pytest.mark.parametrize('condition, status', [
    ('rmse_over_raw>0.99', 0), ('rmse_over_raw<0.99', 3), ('dropped>0', 0), ('messages>=100', 3),
    ('lag_s>0.5', 0), ('offline_ratio>0', 3)])
def test_a_condition_that_holds_or_cannot_be_told_fails(bag, capsys, condition, status):
    assert evaluate(bag, '--truth', '/truth', '--fail-if', condition) == status
    assert ('failed' in capsys.readouterr().err) == bool(status)


@pytest.mark.parametrize('condition', ['rmse>1', 'rmse_ratio', 'rmse_ratio>x', 'rmse_ratio=1'])
def test_a_condition_that_is_none_is_wrong_usage(bag, capsys, condition):
    with pytest.raises(SystemExit) as stop:
        evaluate(bag, '--fail-if', condition)
    err = capsys.readouterr().err
    assert stop.value.code == 2 and err.count('\n') == 1
    assert condition != 'rmse>1' or ', '.join(NAMES) in err


@pytest.mark.parametrize('count, condition, status', [
    (0, 'received<10', 3), (0, 'jitter_m>9', 3), (40, 'received<10', 0), (40, 'accepted<10', 3),
    (40, 'jitter_m>9', 3)])
def test_a_dead_stream_does_not_pass(tmp_path, capsys, count, condition, status):
    rng = np.random.default_rng(0)
    topics = {}
    for topic, n, x in (('/dead', count, np.nan), ('/alive', 100, 1.0)):
        rows = [message('pose', rng, START_NS + k * 20_000_000, 'map', np.array(
            [[x + 0.01 * rng.normal(), 0, 0, 0, 0, 0, 1]])) for k in range(n)]
        topics[topic] = TYPES['pose'], [(START_NS + k * 20_000_000, bytes(store().serialize_cdr(
            one, TYPES['pose']))) for k, one in enumerate(rows)]
    write_bag(tmp_path / 'bag', topics)
    alive = ['--topic', '/alive', '--fail-if', condition]
    assert evaluate(tmp_path / 'bag', *alive) == 0
    assert evaluate(tmp_path / 'bag', '--topic', '/dead', *alive) == status
    err = capsys.readouterr().err
    assert ('/dead: no message can be used' if count else '/dead: no message has a pose') in err


def test_of_a_bag_whose_index_alone_is_whole_all_is_read_up_to_where_it_breaks(tmp_path, capsys):
    scenario.write(tmp_path / 'bag', scenario.made_up(4.0))
    whole, = (tmp_path / 'bag').glob('*.mcap')
    content, at = bytearray(whole.read_bytes()), 8
    while content[at] != 6:  # the first chunk
        at += 9 + int.from_bytes(content[at + 1:at + 9], 'little')
    at += 9 + 28
    at += 4 + int.from_bytes(content[at:at + 4], 'little') + 8
    for _ in range(200):
        at += 9 + int.from_bytes(content[at + 1:at + 9], 'little')
    content[at + 4] ^= 0xff  # of a record's length
    broken = tmp_path / 'broken.mcap'
    broken.write_bytes(content)
    assert evaluate(broken, '--topic', '/pose', '--json', '-') == 0
    out, err = capsys.readouterr()
    count = json.loads(out)['recordings'][0]['streams'][0]['stream']['accepted']
    assert 50 < count < 200 and 'messages were read' in err


@pytest.mark.parametrize('options, text', [
    (['nowhere.mcap'], 'no such file'),
    (['BAG', '--topic', '/nope'], "got topic '/nope'"),
    (['BAG', '--truth', '/nope'], "got topic '/nope'"),
    (['BAG', '--truth', 'gone.tum'], 'gone.tum'),
    (['BAG', '--lag', '-1'], '--lag -1.0'),
    (['BAG', '--jobs', '0'], '--jobs 0'),
    (['BAG', '--keep', '1'], 'keep 1'),
    (['BAG', '--offline'], 'expected -o OUT'),
    (['BAG', '-o', 'BAG'], 'overwrite'),
    (['BAG', 'nowhere.mcap', '-o', __file__], 'expected a folder'),
    (['BAG', 'nowhere.mcap', '-o', 'nowhere.csv'], 'expected a folder'),
    (['BAG', '--gap-reset', '0'], 'gap_reset_s')])
def test_a_mistake_is_one_line_and_1(bag, capsys, options, text):
    assert evaluate(*[str(bag) if option == 'BAG' else option for option in options]) == 1
    out, err = capsys.readouterr()
    assert out == '' and err.count('\n') == 1
    assert err.startswith('liquid_ros: error: ') and text in err


@pytest.mark.parametrize('options', [
    ['-r', '{bag}'], ['--json', '{bag}'], ['-r', '{other}'], ['-r', '{text}'],
    ['--json', '{text}'], ['--truth', '{truth}', '-o', '{truth}'],
    ['--truth', '{truth}', '-r', '{truth}'], ['-r', '/dev/stdout']])
def test_nothing_that_was_recorded_is_written_over(tmp_path, capsys, options):
    places = {name: tmp_path / name for name in ('bag', 'other', 'text', 'truth')}
    for name in ('bag', 'other'):
        scenario.write(places[name], scenario.made_up(2.0))
    for name in ('text', 'truth'):
        places[name].write_text(''.join(f'{0.02 * k} {k} 0 0 0 0 0 1\n' for k in range(90)))
    before = {path: path.read_bytes() for path in tmp_path.rglob('*') if path.is_file()}
    options = [option.format(**places) for option in options]
    assert evaluate(places['bag' if '{bag}' in options else 'text'], *options) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert before == {path: path.read_bytes() for path in tmp_path.rglob('*') if path.is_file()}


@pytest.mark.parametrize('option', ['--json', '-r', '-o'])
def test_another_name_of_what_is_read_is_not_written(tmp_path, capsys, option):
    made = text_of(tmp_path / 'z.csv', 3)
    before = made.read_bytes()
    os.link(made, tmp_path / 'other.csv')
    assert evaluate(made, option, tmp_path / 'other.csv') == 1
    assert 'would overwrite' in capsys.readouterr().err and made.read_bytes() == before


def test_json_on_a_full_disk_leaves_the_older_one(tmp_path):
    made, old = text_of(tmp_path / 'z.csv', 3), tmp_path / 'a.json'
    old.write_text('kept')
    program = ('import resource, sys\n'
               'from liquid_ros.__main__ import main\n'
               'resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))\n'
               f'sys.exit(main(["evaluate", {str(made)!r}, "--json", {str(old)!r}, *{FAST!r}]))')
    done = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True,
                          timeout=120, cwd=Path(__file__).resolve().parents[1])
    assert done.returncode == 1 and 'File too large' in done.stderr
    assert old.read_text() == 'kept' and len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize('json_to', ['a.json', '-'])
def test_who_reads_no_more_costs_no_file(tmp_path, json_to):
    made = [text_of(tmp_path / name, 3) for name in ('y.csv', 'z.csv')]
    reader, writer = os.pipe()
    os.close(reader)
    env = {**os.environ, 'PYTHONPATH': str(Path(__file__).resolve().parents[1])}
    done = subprocess.run(
        [sys.executable, '-m', 'liquid_ros', 'evaluate', *map(str, made), '-r', 'a.html',
         '--json', json_to, *FAST], cwd=tmp_path, stdout=writer, stderr=subprocess.PIPE,
        text=True, timeout=120, env=env)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, '')
    assert '<html' in (tmp_path / 'a.html').read_text()
    assert json_to == '-' or len(figures(tmp_path / 'a.json')['recordings']) == 2


def test_what_is_new_may_lie_beside_the_messages_and_a_pipe_is_not_replaced(tmp_path, capsys):
    scenario.write(tmp_path / 'bag', scenario.made_up(2.0))
    report = tmp_path / 'bag' / 'r.html'
    assert evaluate(tmp_path / 'bag', '-r', report, '--json', tmp_path / 'j') == 0
    assert '<html' in report.read_text()
    os.mkfifo(tmp_path / 'pipe')
    assert evaluate(tmp_path / 'bag', '-r', tmp_path / 'pipe') == 1
    assert (tmp_path / 'pipe').is_fifo() and 'is no regular file' in capsys.readouterr().err


def test_a_truth_that_is_not_there_is_told_in_json_too(bag, tmp_path):
    assert evaluate(bag, '--truth', 'none.tum', '--json', tmp_path / 'j') == 1
    assert 'none.tum' in figures(tmp_path / 'j')['recordings'][0]['error']


def test_messages_ahead_of_the_truth_have_a_report_and_json(tmp_path):
    """All lags are below zero there."""
    t = 0.02 * np.arange(400)

    def write(name, t, ahead_s):
        path = tmp_path / name
        place = np.stack([5.0 * np.sin(t + ahead_s), np.cos(1.3 * (t + ahead_s)), 0.0 * t], 1)
        place += 0.01 * np.random.default_rng(0).standard_normal(place.shape) * (ahead_s > 0.0)
        np.savetxt(path, np.column_stack([t, place, np.tile([0, 0, 0, 1], (len(t), 1))]))
        return path
    assert evaluate(write('messages', t, 0.06), '--truth', write('truth', t, 0.0), '-r',
                    tmp_path / 'r.html', '--json', tmp_path / 'r.json') == 0
    row = figures(tmp_path / 'r.json')['recordings'][0]['streams'][0]['rows'][0]
    assert row['lag_s'] < -0.03 and 'Jitter against lag' in (tmp_path / 'r.html').read_text()


def test_many_outputs_at_once(bag, tmp_path, capsys):
    outputs = [tmp_path / name for name in ('a', 'b.mcap', 'c.db3', 'd.tum', 'e.csv')]
    args = [part for output in outputs for part in ('-o', output)]
    assert evaluate(bag, '--topic', '/pose', *args) == 0
    want = np.concatenate([s.rows for s in samples_of(outputs[0], '/pose/smoothed')])
    for path in outputs:
        is_text = path.suffix in ('.tum', '.csv')
        with open_source(path, [] if is_text else ['/pose/smoothed']) as source:
            assert np.array_equal(np.concatenate([s.rows for s in source.samples()]), want)
        if not is_text:
            assert len(samples_of(path, '/pose')) == len(samples_of(path, '/truth')) == len(want)


def test_many_recordings_at_once(tmp_path, capsys):
    paths = []
    for k in range(3):
        made = scenario.made_up(4.0, seed=k)
        paths.append(tmp_path / f'bag_{k}')
        scenario.write(paths[-1], made)
    (tmp_path / 'broken.mcap').write_bytes(b'nothing')
    args = [*paths, tmp_path / 'broken.mcap', '--truth', '/truth', '-o', tmp_path / 'out']
    for jobs in (1, 3):
        assert evaluate(*args, '--jobs', jobs, '--json', tmp_path / f'{jobs}.json',
                        '-r', tmp_path / 'all.html') == 2
        out, err = capsys.readouterr()
        told = err.splitlines()
        assert len(told) == 2 and 'broken.mcap' in told[0] and 'written' in told[1]
        assert [line for line in out.splitlines() if line.startswith(str(tmp_path))] == [
            str(path) for path in paths]
    assert figures(tmp_path / '1.json') == figures(tmp_path / '3.json')
    assert len(figures(tmp_path / '1.json')['recordings']) == 4
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == [
        'bag_0', 'bag_1', 'bag_2']
    assert 'bag_2 /pose' in (tmp_path / 'all.html').read_text()


def test_a_low_jitter_never_stands_alone(tmp_path, capsys):
    rng = np.random.default_rng(0)
    for count in (2, 5, 12, 200):
        (tmp_path / 'a.tum').write_text(''.join(
            f'{k / 50:.3f} {" ".join(map(str, rng.normal(size=3)))} 0 0 0 1\n'
            for k in range(count)))
        for name in ('ema', 'kalman'):
            assert main(['evaluate', str(tmp_path / 'a.tum'), '--smoother', name,
                         '--device', 'cpu']) == 0
            lines = [re.split(r'\s{2,}', line.strip())
                     for line in capsys.readouterr().out.splitlines()]
            at = next((k for k, cells in enumerate(lines) if 'jitter (mm)' in cells), None)
            assert (at is None) == (count <= 12)
            if at is None:
                continue
            beside = [k + 1 for k, name in enumerate(lines[at])
                      if name.startswith(('RMSE', 'off RTS', 'lag'))]
            rows = [cells for cells in lines[at + 2:] if len(cells) == len(lines[at]) + 1]
            assert len(rows) > 3
            for cells in rows:
                assert cells[-1] == '-' or any(cells[k] != '-' for k in beside)


@pytest.mark.skipif(not EVO, reason='evo is not installed')
def test_evo_reads_the_output(bag, tmp_path):
    assert evaluate(bag, '--truth', '/truth', '-o', tmp_path / 'out',
                    '-o', tmp_path / 'out.tum') == 0
    for topic in ('/pose/smoothed', '/pose/smoothed_with_covariance'):
        done = subprocess.run([EVO, 'bag2', str(tmp_path / 'out'), '/truth', topic],
                              capture_output=True, text=True, timeout=120,
                              env={**os.environ, 'HOME': str(tmp_path), 'MPLBACKEND': 'agg'})
        assert done.returncode == 0, done.stdout + done.stderr
        rmse = float(re.search(r'rmse\s+([0-9.]+)', done.stdout).group(1))
        smoothed = samples_of(tmp_path / 'out', topic)
        truth = samples_of(bag, '/truth')
        off = np.concatenate([a.rows[:, :3] - b.rows[:, :3] for a, b in zip(smoothed, truth)])
        assert rmse == pytest.approx(np.sqrt(np.mean(np.sum(off**2, 1))), abs=2e-6)


def test_without_rosbags_text_is_evaluated_and_a_bag_is_one_line(bag, tmp_path):
    (tmp_path / 'a.tum').write_text(''.join(f'{k / 50} {k} 0 0 0 0 0 1\n' for k in range(90)))
    for path, status in ((tmp_path / 'a.tum', 0), (bag, 1)):
        program = ('import sys\n'
                   'for name in ("rosbags", "rclpy", "torch", "matplotlib", "tqdm"):\n'
                   '    sys.modules[name] = None\n'
                   'from liquid_ros.__main__ import main\n'
                   f'sys.exit(main(["evaluate", {str(path)!r}, *{FAST!r}]))')
        done = subprocess.run([sys.executable, '-c', program], capture_output=True, text=True,
                              timeout=120, cwd=Path(__file__).resolve().parents[1])
        assert done.returncode == status, done.stderr
        assert done.stderr.count('\n') == status and 'Traceback' not in done.stderr


def text_of(path, width, count=200, first_s=0):
    """Write a CSV of a walk and return its path."""
    rows = np.zeros((count, width))
    rows[:, :3] = np.cumsum(np.random.default_rng(0).normal(size=(count, 3)), 0) * 0.01
    names = 't,x,y,z' if width == 3 else 't,x,y,z,qx,qy,qz,qw'
    if width == 7:
        rows[:, 6] = 1.0
    times_s = first_s + 0.02 * np.arange(count)
    np.savetxt(path, np.column_stack([times_s, rows]), delimiter=',', header=names, comments='')
    return path


def test_a_knob_that_is_turned_is_in_the_figures(tmp_path):
    noisy, jitter = text_of(tmp_path / 'a.csv', 3), []
    for smoothing in (0.0, 1.0):
        assert evaluate(noisy, '--json', tmp_path / 'a.json', f'--smoothing={smoothing}') == 0
        own = figures(tmp_path / 'a.json')['recordings'][0]['streams'][0]['rows'][1]
        jitter.append(own['jitter_m'])
    assert jitter[1] < 0.8 * jitter[0]


@pytest.mark.parametrize('width, truth', [(7, 3), (3, 7), (7, 7)])
def test_a_truth_may_be_of_points_or_poses(tmp_path, width, truth, capsys):
    made = [text_of(tmp_path / f'{name}.csv', of) for name, of in (('z', width), ('gt', truth))]
    assert evaluate(made[0], '--truth', made[1], '-r', tmp_path / 'a.html') == 0
    assert 'RMSE' in capsys.readouterr().out and (tmp_path / 'a.html').stat().st_size > 10_000


def test_a_truth_of_few_messages_is_told(tmp_path, capsys):
    measured = text_of(tmp_path / 'z.csv', 3)
    lines = text_of(tmp_path / 'gt.csv', 3).read_text().splitlines()
    for name, kept in (('some.csv', lines[:100]), ('start.csv', lines[:12])):
        (tmp_path / name).write_text('\n'.join(kept))
    assert evaluate(measured, '--truth', tmp_path / 'some.csv') == 0
    assert re.search(r'known at\s+99 of 200\s+messages', capsys.readouterr().out)
    assert evaluate(measured, '--truth', tmp_path / 'start.csv') == 0
    out = ' '.join(capsys.readouterr().out.split())
    assert 'known at 11 of 200 messages' in out and 'no truth of messages that count' in out
    assert evaluate(measured, '--truth', tmp_path / 'gt.csv') == 0
    assert 'known at' not in capsys.readouterr().out


def test_stamps_in_another_unit_are_told(tmp_path, capsys):
    lines = text_of(tmp_path / 'z.csv', 3).read_text().splitlines()
    parts = (line.partition(',') for line in lines[1:])
    (tmp_path / 'ms.csv').write_text('\n'.join([lines[0], *(
        f'{1e3 * float(t)},{rest}' for t, _, rest in parts)]))
    assert evaluate(tmp_path / 'ms.csv') == 0
    out = ' '.join(capsys.readouterr().out.split())
    assert '199 of 200 messages begin the stream anew' in out
    assert 'expected times in seconds' in out


def test_frames_that_alternate_are_told(tmp_path, capsys):
    rng = np.random.default_rng(0)
    messages = [(k, bytes(store().serialize_cdr(message(
        'pose', rng, START_NS + k * 20_000_000, 'ab'[k % 2], np.array(
            [[0.01 * k, 0, 0, 0, 0, 0, 1.0]])), TYPES['pose']))) for k in range(100)]
    write_bag(tmp_path / 'bag', {'/pose': (TYPES['pose'], messages)})
    assert evaluate(tmp_path / 'bag') == 0
    assert main(['smooth', str(tmp_path / 'bag'), '-o', str(tmp_path / 'out')]) == 0
    got = capsys.readouterr()
    for text in (got.out, got.err):
        assert 'anew, as their frame_id changes (a stream has one frame): noth' in ' '.join(
            text.split())


def test_a_sensor_at_rest_is_not_said_to_be_late(tmp_path, capsys):
    """In hindsight its noise moves a little, and that is all there is to be late for."""
    for seed in range(4):
        rows = np.random.default_rng(seed).normal(0.0, 0.01, (900, 3))
        (tmp_path / 'z.csv').write_text('t,x,y,z\n' + ''.join(
            f'{k / 30},{x},{y},{z}\n' for k, (x, y, z) in enumerate(rows.tolist())))
        assert main(['evaluate', str(tmp_path / 'z.csv'), '--no-baselines']) == 0
        out = ' '.join(capsys.readouterr().out.split())
        assert 'Whether it is late cannot be told' in out and 'It is late' not in out


def test_what_a_smoother_made_is_no_sensor(tmp_path, capsys):
    """Nor is what the node sends beside it; a topic that only sounds like it is one."""
    names = ('/pose', '/pose/smoothed', '/pose/smoothed_with_covariance', '/pose/path',
             '/pose/odometry', '/uwb', '/uwb/odometry')
    write_bag(tmp_path / 'bag', {name: (TYPES['pose'], flawed('pose', 60)) for name in names})
    assert evaluate(tmp_path / 'bag', '--no-baselines', '--json', '-') == 0
    told = json.loads(capsys.readouterr().out)['recordings'][0]['streams']
    assert [one['name'] for one in told] == ['/pose', '/uwb', '/uwb/odometry']
    assert evaluate(tmp_path / 'bag', '--no-baselines', '--topic', '/pose/sm*', '--json', '-') == 0
    told = json.loads(capsys.readouterr().out)['recordings'][0]['streams']
    assert [one['name'] for one in told] == list(names[1:3])


def test_a_folder_of_bags_is_told(tmp_path, capsys):
    for name in ('one', 'two'):
        write_bag(tmp_path / name, {'/pose': (TYPES['pose'], flawed('pose', 20))})
    assert evaluate(tmp_path) == 1
    err = capsys.readouterr().err
    assert 'is no rosbag2, but has some in it, such as one: name them' in err


@pytest.mark.parametrize('topic', ['/tf#nope', '/tags#7', '/empty', '/broken', '/no*'])
def test_a_check_does_not_pass_for_what_was_asked_for_and_did_not_come(tmp_path, capsys, topic):
    rng = np.random.default_rng(0)
    stamps = [START_NS + k * 20_000_000 for k in range(60)]

    def raw(kind, stamp_ns, rows):
        return bytes(store().serialize_cdr(message(kind, rng, stamp_ns, 'map', rows), TYPES[kind]))
    moving = [0.1 * rng.normal(size=(2, 7)) + [0, 0, 0, 0, 0, 0, 1] for _ in stamps]
    write_bag(tmp_path / 'bag', {
        '/a': (TYPES['pose'], [(s, raw('pose', s, rows[:1])) for s, rows in zip(stamps, moving)]),
        '/tags': (TYPES['pose_array'], [
            (s, raw('pose_array', s, rows)) for s, rows in zip(stamps, moving)]),
        '/tf': (TYPES['tf'], flawed('tf', 60)),
        '/empty': (TYPES['pose_array'], [
            (s, bytes(store().serialize_cdr(make(TYPES['pose_array'], header(s, 'map'), []),
                                            TYPES['pose_array']))) for s in stamps]),
        '/broken': (TYPES['pose'], [(s, bytes([0, 1, 0, 0])) for s in stamps]),
        '/none': (TYPES['pose'], [])})
    check = ['--topic', '/a', '--fail-if', 'received<1']
    assert evaluate(tmp_path / 'bag', *check) == 0
    assert evaluate(tmp_path / 'bag', '--topic', topic, *check) == 3
    name = '/none' if topic == '/no*' else topic
    assert f'{name}: no message has a pose that was asked for' in capsys.readouterr().err


def test_a_truth_without_a_usable_pose_is_told(bag, tmp_path, capsys):
    (tmp_path / 'gt.tum').write_text(''.join(f'{k} 1 2 3 0 0 0 0\n' for k in range(9)))
    assert evaluate(bag, '--truth', tmp_path / 'gt.tum') == 1
    assert 'got 0 usable poses for the truth, expected 2 or more' in capsys.readouterr().err


def test_one_message_does_not_begin_anew(tmp_path, capsys):
    assert evaluate(text_of(tmp_path / 'z.csv', 3, count=1)) == 0
    out = capsys.readouterr().out
    assert 'anew' not in out and '1 message over 0 ms: too few' in ' '.join(out.split())


def test_absurd_numbers_of_a_truth_are_left_out(tmp_path):
    truth = text_of(tmp_path / 'gt.csv', 3)
    lines = truth.read_text().splitlines()
    truth.write_text('\n'.join([*lines[:50], '0.9901,1e300,0,0', *lines[50:]]))
    assert evaluate(text_of(tmp_path / 'z.csv', 3), '--truth', truth,
                    '--json', tmp_path / 'a.json') == 0
    stream, = figures(tmp_path / 'a.json')['recordings'][0]['streams']
    assert stream['rows'][0]['rmse_m'] < 1e-6


@pytest.mark.parametrize('first, later_s, text', [
    ('nan', 0, 'no message can be used'), ('0', 900, 'does not overlap')])
def test_what_fails_leaves_an_older_output_alone(tmp_path, capsys, first, later_s, text):
    truth, made, out = (tmp_path / name for name in ('gt.tum', 'z.tum', 'out.tum'))
    truth.write_text(''.join(f'{later_s + k / 50} {k} 0 0 0 0 0 1\n' for k in range(90)))
    made.write_text(''.join(f'{k / 50} {first} 0 0 0 0 0 1\n' for k in range(90)))
    out.write_text('kept')
    assert evaluate(made, '--truth', truth, '-o', out) == 1
    assert text in capsys.readouterr().err and out.read_text() == 'kept'


def test_an_output_takes_no_folder_with_the_truth_in_it(bag, tmp_path, capsys):
    home = tmp_path / 'gt'
    home.mkdir()
    for file in bag.iterdir():
        shutil.copyfile(file, home / file.name)
    kept = sorted(file.name for file in home.iterdir())
    storage, = home.glob('*.mcap')
    assert evaluate(bag, '--truth', f'{storage}:/truth', '-o', home) == 1
    assert 'would overwrite what is read' in capsys.readouterr().err
    assert sorted(file.name for file in home.iterdir()) == kept


def test_two_outputs_are_two_files_however_they_are_written(bag, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for options in (['-r', 'a.html', '--json', './a.html'], ['-o', 'b.csv', '--json', 'b.csv'],
                    ['-o', 'c.csv', '-o', f'{tmp_path}/c.csv']):
        assert evaluate(bag, *options) == 1
        assert 'got one file for two outputs' in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_read_does_not_end_the_others(tmp_path, capsys):
    odd = tmp_path / 'socket.tum'
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(odd))
        good = text_of(tmp_path / 'z.csv', 3)
        assert evaluate(odd, good, '--json', tmp_path / 'a.json') == 1
    first, second = figures(tmp_path / 'a.json')['recordings']
    assert str(odd) in first['error'] and second['error'] is None and second['streams']
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 2 and 'written' in told[1]


def test_a_bag_folder_with_a_dot_in_its_name_becomes_one(tmp_path):
    folders = [tmp_path / name for name in ('run.2', 'run')]
    for folder in folders:
        scenario.write(folder, scenario.made_up(4.0))
    assert evaluate(*folders, '--topic', '/pose', '-o', tmp_path / 'out') == 0
    for folder in folders:
        assert (tmp_path / 'out' / folder.name / 'metadata.yaml').exists()


def test_a_report_that_cannot_be_written_does_not_lose_the_figures(bag, tmp_path, capsys,
                                                                   monkeypatch):
    def full(*_):
        raise OSError(28, 'No space left on device', 'r.html')
    monkeypatch.setattr('liquid_ros.cli.evaluate._report', full)
    assert evaluate(bag, '--truth', '/truth', '-r', tmp_path / 'r.html', '--json',
                    tmp_path / 'k.json', '--fail-if', 'jitter_m>0') == 1
    assert len(figures(tmp_path / 'k.json')['failed']) == 1
    told = capsys.readouterr().err
    assert 'r.html: No space left on device' in told and 'failed: ' in told


def test_what_is_tiny_is_told_in_the_table_too(tmp_path, capsys):
    t, (x, y, z) = np.arange(400) / 20.0, np.random.default_rng(0).normal(size=(3, 400)) * 1e-8
    np.savetxt(tmp_path / 'a.csv', np.stack([t, x, y, z], 1), delimiter=',', header='t,x,y,z',
               comments='')
    assert evaluate(tmp_path / 'a.csv') == 0
    raw = next(line for line in capsys.readouterr().out.splitlines() if ' raw ' in f' {line} ')
    assert '0.00' not in raw.split() and 'e-' in raw


def dies(_):
    os._exit(9)


def test_a_process_that_is_killed_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr('liquid_ros.cli.jobs.evaluate', dies)
    paths = [text_of(tmp_path / f'{name}.csv', 3) for name in 'ab']
    assert evaluate(*paths, '--jobs', '2', '--json', tmp_path / 'a.json') == 1
    told = [recording['error'] for recording in figures(tmp_path / 'a.json')['recordings']]
    assert told == [f'{path}: a process was killed' for path in paths]


def takes_long(path):
    time.sleep(0.0 if path == 'quick' else 60.0)
    return path


def test_other_processes_end_with_the_command(monkeypatch):
    monkeypatch.setattr('liquid_ros.cli.jobs.evaluate', takes_long)
    coming = results_of(['quick', *map(str, range(6))], 2)
    assert next(coming) == 'quick'
    begun = time.monotonic()
    coming.close()
    while multiprocessing.active_children() and time.monotonic() < begun + 30.0:
        time.sleep(0.01)
    assert time.monotonic() < begun + 30.0


def held_up(folder):
    """Write as a job does, and tidy up for longer than the next signal takes."""
    if folder:
        with replacing(Path(folder) / 'a.tum') as fresh:
            try:
                fresh.write_text('half')
                time.sleep(60.0)
            finally:
                time.sleep(0.5)


def test_other_processes_leave_nothing_half_written(tmp_path, monkeypatch):
    monkeypatch.setattr('liquid_ros.cli.jobs.evaluate', held_up)
    folders = [tmp_path / name for name in 'ab']
    for folder in folders:
        folder.mkdir()
    coming = results_of(['', *map(str, folders)], 2)
    next(coming)
    while not all(any(folder.iterdir()) for folder in folders):
        time.sleep(0.01)
    processes = multiprocessing.active_children()
    for process in processes:
        process.terminate()
    time.sleep(0.1)
    coming.close()  # and tells them once more
    for process in processes:
        process.join(30.0)
    assert not [file for folder in folders for file in folder.iterdir()]


def test_a_folder_for_outputs_is_no_place_for_a_report(tmp_path, capsys):
    paths = [text_of(tmp_path / f'{name}.csv', 3) for name in 'ab']
    assert evaluate(*paths, '-o', tmp_path / 'out', '-r', tmp_path / 'out') == 1
    assert len(capsys.readouterr().err.splitlines()) == 1
    assert not (tmp_path / 'out').exists()
