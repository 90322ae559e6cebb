# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The smooth command: the same numbers through every format, one line for every mistake."""

import itertools
import os
from pathlib import Path
import select
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from liquid_ros import __version__
from liquid_ros.__main__ import main
from liquid_ros.checkpoint import build
from liquid_ros.cli.smooth import warnings
from liquid_ros.evaluation.recording import open_source
from liquid_ros.evaluation.replay import replay
from liquid_ros.evaluation.sample import single
from liquid_ros.evaluation.tally import Tally
from liquid_ros.smoothers import SMOOTHERS
from liquid_ros.smoothers.tuning import Tuning
from liquid_ros.streams import StreamBank
from liquid_ros.timing import TimePolicy

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / 'shared'
WEIGHTS = ROOT / 'liquid_ros' / 'weights' / 'liquid.safetensors'
NAMES = ['a.tum', 'a.csv', 'a.mcap', 'a.db3', 'folder']
CPU = ['--device', 'cpu', '--smoother', 'kalman']


def write_tum(path, count=40, seed=1, rate_hz=50.0):
    """Write noisy poses; return stamps (N,) ns and rows (N, 7) as written."""
    rng = np.random.default_rng(seed)
    stamps_ns = 1_700_000_000_000_000_000 + (np.arange(count) * 1e9 / rate_hz).astype(int)
    rows = np.concatenate([np.cumsum(rng.normal(size=(count, 3)), 0),
                           rng.normal(size=(count, 4)) * 0.05 + [0, 0, 0, 1]], 1)
    path.write_text(''.join(
        f'{t // 10**9}.{t % 10**9:09d} {" ".join(map(repr, row.tolist()))}\n'
        for t, row in zip(stamps_ns.tolist(), rows)))
    return stamps_ns, rows


def smooth(source, output, *options):
    return main(['smooth', str(source), '-o', str(output), *CPU, *options])


def read(path, topic=None):
    with open_source(path, [topic] if topic else []) as source:
        samples = list(source.samples())
    return [s.stamps_ns[0] for s in samples], np.concatenate([s.rows for s in samples])


def topic_of(path):
    return None if path.suffix in ('.tum', '.csv') else '/pose/smoothed'


def command(*args, **more):
    return subprocess.run([sys.executable, '-m', 'liquid_ros', *map(str, args)], cwd=ROOT,
                          capture_output=True, text=True, timeout=120, **more)


@pytest.mark.parametrize('name', sorted(SMOOTHERS) if WEIGHTS.exists() else ['ema', 'kalman'])
def test_the_output_is_that_of_one_message_at_a_time(tmp_path, name):
    stamps_ns, rows = write_tum(tmp_path / 'a.tum')
    assert main(['smooth', str(tmp_path / 'a.tum'), '-o', str(tmp_path / 'b.tum'),
                 '--device', 'cpu', '--smoother', name]) == 0
    bank = StreamBank(build(name), 7, TimePolicy())
    expected = np.concatenate([
        bank.update(['x'], [int(t)], row[None]).estimate.rows
        for t, row in zip(stamps_ns, rows)])
    got_stamps, got = read(tmp_path / 'b.tum')
    assert got_stamps == stamps_ns.tolist()
    assert got.tobytes() == expected.tobytes()


@pytest.mark.parametrize('middle, last', list(itertools.product(NAMES, NAMES)))
def test_every_pair_of_formats_gives_the_same_bits(tmp_path, middle, last):
    write_tum(tmp_path / 'in.tum')
    (tmp_path / 'm').mkdir()
    (tmp_path / 'l').mkdir()
    middle, last = tmp_path / 'm' / middle, tmp_path / 'l' / last
    if middle.name == 'folder':
        assert main(['smooth', str(tmp_path / 'in.tum'), '-o', f'{middle}/', *CPU]) == 0
    else:
        assert smooth(tmp_path / 'in.tum', middle) == 0
    assert smooth(middle, f'{last}/' if last.name == 'folder' else last) == 0
    assert smooth(tmp_path / 'in.tum', tmp_path / 'once.tum') == 0
    assert smooth(tmp_path / 'once.tum', tmp_path / 'twice.tum') == 0
    expected = read(tmp_path / 'twice.tum')
    topic = topic_of(last)
    if topic and topic_of(middle):
        topic += '/smoothed'
    stamps_ns, rows = read(last, topic)
    assert stamps_ns == expected[0]
    assert rows.tobytes() == expected[1].tobytes()


def test_a_bag_folder_needs_no_slash_when_a_bag_comes_in(tmp_path):
    write_tum(tmp_path / 'in.tum')
    assert smooth(tmp_path / 'in.tum', tmp_path / 'a.db3') == 0
    assert smooth(tmp_path / 'a.db3', tmp_path / 'out') == 0
    assert {p.name for p in (tmp_path / 'out').iterdir()} == {'metadata.yaml', 'out.db3'}


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    """Return many poses as text, and stamps and rows of what is smoothed once and once more."""
    folder = tmp_path_factory.mktemp('whole')
    write_tum(folder / 'whole.tum', 4000)
    assert smooth(folder / 'whole.tum', folder / 'whole.mcap') == 0
    assert smooth(folder / 'whole.mcap', folder / 'twice.mcap', '--topic', '/pose/smoothed') == 0
    return (folder / 'whole.tum', read(folder / 'whole.mcap', '/pose/smoothed'),
            read(folder / 'twice.mcap', '/pose/smoothed/smoothed'))


@pytest.mark.parametrize('name', ['a.mcap', 'a.db3', 'folder'])
def test_of_a_bag_that_was_cut_what_can_be_read_is_smoothed_and_the_rest_told(
        whole, tmp_path, capsys, name):
    text, (stamps_ns, _), (_, twice) = whole
    bag = tmp_path / name
    assert smooth(text, bag if bag.suffix else f'{bag}/') == 0
    cut = next(bag.glob('folder*')) if bag.is_dir() else bag
    cut.write_bytes(cut.read_bytes()[:cut.stat().st_size * 6 // 10])
    capsys.readouterr()
    assert smooth(bag, tmp_path / 'out.mcap', '--topic', '/pose/smoothed') == 0
    told = capsys.readouterr().err
    assert told.startswith(f'liquid_ros: warning: {bag}: ') and 'messages were read' in told
    kept, rows = read(tmp_path / 'out.mcap', '/pose/smoothed/smoothed')
    assert 1000 < len(kept) < 3500 and kept == stamps_ns[:len(kept)]
    np.testing.assert_array_equal(rows, twice[:len(kept)])


def test_row_k_does_not_know_what_comes_after_it(tmp_path):
    write_tum(tmp_path / 'a.tum')
    lines = (tmp_path / 'a.tum').read_text().splitlines(keepends=True)
    (tmp_path / 'short.tum').write_text(''.join(lines[:17]))
    for name in ('a', 'short'):
        assert smooth(tmp_path / f'{name}.tum', tmp_path / f'{name}.out') == 0
    whole, short = ((tmp_path / f'{n}.out').read_text().splitlines() for n in ('a', 'short'))
    assert whole[:18] == short


def test_drops_are_counted_and_leave_no_trace(tmp_path, capsys):
    write_tum(tmp_path / 'a.tum')
    lines = (tmp_path / 'a.tum').read_text().splitlines()
    tail = ' 1 2 3 0 0 0 1'
    dirty = [*lines[:20], lines[19].split()[0] + tail, lines[10].split()[0] + tail,
             lines[20].split()[0] + ' nan 2 3 0 0 0 1', lines[20].split()[0] + ' 1 2 3 0 0 0 0',
             lines[20].split()[0] + ' 1 -inf 3 0 0 0 1', *lines[20:]]
    (tmp_path / 'dirty.tum').write_text('\n'.join(dirty))
    assert smooth(tmp_path / 'a.tum', tmp_path / 'clean.out') == 0
    capsys.readouterr()
    assert smooth(tmp_path / 'dirty.tum', tmp_path / 'dirty.out') == 0
    assert (tmp_path / 'dirty.out').read_text() == (tmp_path / 'clean.out').read_text()
    out, err = capsys.readouterr()
    assert out == '' and err.count('\n') == 1
    assert '45 in, 40 out, 5 dropped' in err
    for part in ('non_finite 2', 'zero_quaternion 1', 'late 1', 'duplicate 1', 'cpu (numpy)'):
        assert part in err


def test_another_frame_starts_the_stream_anew(tmp_path):
    stamps_ns, rows = write_tum(tmp_path / 'a.tum')
    samples = [single('', int(t), row, 0, 'map' if k < 20 else 'odom')
               for k, (t, row) in enumerate(zip(stamps_ns, rows))]
    stray = samples[20]._replace(rows=np.full((1, 7), np.nan))
    tally = Tally()
    whole = [update.estimate.rows for _, update, *_ in replay(
        [*samples[:10], stray, *samples[10:]], build('kalman'), tally=tally)]
    second = [update.estimate.rows for _, update, *_ in replay(samples[20:], build('kalman'))]
    assert np.array_equal(whole[21:], second)
    assert str(tally) == '41 in, 40 out, 1 dropped (non_finite 1), 1 restarted (frame 1)'


def test_gap_and_jump_resets_are_options(tmp_path, capsys):
    row = ' 1 2 3 0 0 0 1\n'
    (tmp_path / 'a.tum').write_text(''.join(t + row for t in ('10', '13', '10', '20', '20.1')))
    for options, text in (((), '5 in, 5 out, 0 dropped, 2 restarted (jump 1, gap 1)'),
                          (('--gap-reset', '2', '--jump-reset', '4'),
                           '4 out, 1 dropped (late 1), 2 restarted (gap 2)')):
        assert smooth(tmp_path / 'a.tum', tmp_path / 'b.tum', *options) == 0
        assert text in capsys.readouterr().err


@pytest.mark.parametrize('options, text', [
    (['--device', 'tpu'], "got device 'tpu', expected one of auto, fastest, cuda, cpu"),
    (['--smoother', 'magic'], "got smoother 'magic', expected one of"),
    (['--gap-reset', '0'], 'gap_reset_s: got 0.0'),
    (['--gap-reset', 'nan'], 'gap_reset_s: got nan'),
    (['--jump-reset', '-1'], 'jump_reset_s: got -1.0'),
    (['--smoothing', '2'], 'smoothing: got 2.0'),
    (['--smoother', 'ema', '--gate-probability', '0.1'], 'does nothing for the smoother ema'),
    (['--topic', '/pose'], 'only a bag has topics'),
    (['-o', 'nowhere/at/all.tum'], 'folder does not exist')])
def test_a_wrong_option_is_one_line_and_no_output(tmp_path, capsys, options, text):
    write_tum(tmp_path / 'a.tum')
    assert smooth(tmp_path / 'a.tum', tmp_path / 'b.tum', *options) == 1
    out, err = capsys.readouterr()
    assert out == '' and err.count('\n') == 1
    assert err.startswith('liquid_ros: error: ') and text in err
    assert [p.name for p in tmp_path.iterdir()] == ['a.tum']


@pytest.mark.parametrize('options', [[], ['in.tum'], ['in.tum', '-o', 'x', '--gap-reset', 'no'],
                                     ['in.tum', '-o', 'x', '--colour']])
def test_wrong_usage_is_one_line_and_2(capsys, options):
    with pytest.raises(SystemExit) as stop:
        main(['smooth', *options])
    assert stop.value.code == 2
    assert capsys.readouterr().err.count('\n') == 1


def test_mistakes_show_no_traceback(tmp_path):
    (tmp_path / 'bad.tum').write_text('1 2 3\n')
    for args, status in ((['smooth', tmp_path / 'no.tum', '-o', tmp_path / 'x'], 1),
                         (['smooth', tmp_path / 'bad.tum', '-o', tmp_path / 'x', *CPU], 1),
                         (['smooth', tmp_path / 'bad.tum', '-o', tmp_path / 'bad.tum'], 1),
                         (['smoth'], 2), ([], 2)):
        done = command(*args)
        assert done.returncode == status, done
        assert done.stderr.startswith('liquid_ros: error: ') and done.stderr.count('\n') == 1
        assert done.stdout == ''
    assert [p.name for p in tmp_path.iterdir()] == ['bad.tum']


def test_where_nothing_can_be_used_the_older_output_stays(tmp_path, capsys):
    (tmp_path / 'a.tum').write_text('1 nan 0 0 0 0 0 1\n2 nan 0 0 0 0 0 1\n')
    (tmp_path / 'b.tum').write_text('kept')
    assert smooth(tmp_path / 'a.tum', tmp_path / 'b.tum') == 1
    err = capsys.readouterr().err
    assert err.count('\n') == 1 and 'no message can be used: 2 in, 0 out' in err
    assert (tmp_path / 'b.tum').read_text() == 'kept'


@pytest.mark.parametrize('t, told', [
    ('{k}', 'most messages began the stream anew'), ('{k}e-12', 'most messages were dropped')])
def test_times_that_are_no_seconds_are_told(tmp_path, capsys, t, told):
    lines = [f'{t.format(k=33 * k)} 1 2 3 0 0 0 1\n' for k in range(100)]
    (tmp_path / 'a.tum').write_text(''.join(lines))
    assert smooth(tmp_path / 'a.tum', tmp_path / 'b.tum') == 0
    assert f'liquid_ros: warning: {told}' in capsys.readouterr().err


@pytest.mark.parametrize('name, text, told', [
    ('a.csv', 't,x,y,z\n0,1,2,3\n1,1,2,\n2,1,2,3\n', 'lines left out: 1'),
    ('a.csv', 't,x,y,z\n0,1,2,3\n2,1,2,3\n1,1,2,3\n', '1 of 3 lines go back in time'),
    ('a.csv', 't,x,y,z,roll,Yaw\n0,1,2,3,0,0\n', 'roll, Yaw: not read'),
    ('a.csv', 't,x,y,z,rot_x,rot_y\n0,1,2,3,0,0\n', 'rot_x, rot_y: not read')])
def test_what_is_odd_about_a_text_is_told(tmp_path, capsys, name, text, told):
    (tmp_path / name).write_text(text)
    assert smooth(tmp_path / name, tmp_path / 'b.csv') == 0
    assert told in capsys.readouterr().err
    assert (tmp_path / 'b.csv').read_text().startswith('t,x,y,z\n0')


@pytest.mark.parametrize('option, value', [
    ('smoothing', 1.0), ('smoothing', -0.5), ('gate_probability', 0.2)])
def test_the_node_s_knobs_are_options(tmp_path, option, value):
    write_tum(tmp_path / 'a.tum')
    assert smooth(tmp_path / 'a.tum', tmp_path / 'b.tum', '--smoother', 'kalman_gated',
                  f'--{option.replace("_", "-")}={value}') == 0
    stamps, rows = read(tmp_path / 'a.tum')
    bank, untuned = (StreamBank(build('kalman_gated'), 7) for _ in range(2))
    bank.tune(Tuning(**{option: value}))
    keys = ['a'] * len(stamps)
    found = read(tmp_path / 'b.tum')[1]
    assert np.array_equal(found, bank.update(keys, stamps, rows).estimate.rows)
    assert not np.array_equal(found, untuned.update(keys, stamps, rows).estimate.rows)


def test_what_is_not_compiled_is_told():
    tally = Tally(received=2000, accepted=2000)
    assert warnings(tally, False) == []
    assert 'nothing is compiled' in warnings(tally, True)[0]


def test_help_and_version():
    assert command('--version').stdout == f'{__version__}\n'
    for name in ('smooth', 'demo', 'train'):
        assert name in command('--help').stdout
    assert 'TUM' in command('smooth', '--help').stdout


def test_neither_ros_nor_torch_is_needed(tmp_path):
    write_tum(tmp_path / 'a.tum')
    program = (
        'import sys\n'
        'for name in ("rclpy", "torch", "matplotlib", "tqdm"): sys.modules[name] = None\n'
        'from liquid_ros.__main__ import main\n'
        f'a, b, c = {str(tmp_path / "a.tum")!r}, {str(tmp_path / "b.mcap")!r}, '
        f'{str(tmp_path / "c.csv")!r}\n'
        'assert main(["smooth", a, "-o", b, "--smoother", "kalman"]) == 0\n'
        'assert main(["smooth", b, "-o", c, "--smoother", "kalman"]) == 0\n')
    done = subprocess.run([sys.executable, '-c', program], cwd=ROOT, capture_output=True,
                          text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / 'c.csv').exists()


def test_text_in_and_out_does_not_import_rosbags(tmp_path):
    write_tum(tmp_path / 'a.tum')
    program = ('import sys; sys.modules["rosbags"] = None\n'
               'from liquid_ros.__main__ import main\n'
               f'sys.exit(main(["smooth", {str(tmp_path / "a.tum")!r}, "-o", '
               f'{str(tmp_path / "b.csv")!r}, "--smoother", "ema"]))')
    done = subprocess.run([sys.executable, '-c', program], cwd=ROOT, capture_output=True,
                          text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_ctrl_c_leaves_quietly_and_nothing_behind(tmp_path):
    write_tum(tmp_path / 'a.tum', count=100_000)
    process = subprocess.Popen(
        [sys.executable, '-c',
         'import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler)\n'
         'from liquid_ros.__main__ import main; sys.exit(main(sys.argv[1:]))',
         'smooth', str(tmp_path / 'a.tum'), '-o', str(tmp_path / 'b.tum'), *CPU],
        cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while len(list(tmp_path.iterdir())) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (130, '', '')
    assert [p.name for p in tmp_path.iterdir()] == ['a.tum']


def test_a_closed_pipe_is_no_error(tmp_path):
    write_tum(tmp_path / 'a.tum', count=3000)
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.run(
        [sys.executable, '-m', 'liquid_ros', 'smooth', str(tmp_path / 'a.tum'),
         '-o', '/dev/stdout', *CPU], cwd=ROOT, stdout=writer, stderr=subprocess.PIPE,
        text=True, timeout=120)
    os.close(writer)
    assert process.stderr == ''
    assert process.returncode == 141


def test_a_pipe_takes_the_output(tmp_path):
    write_tum(tmp_path / 'a.tum')
    smooth(tmp_path / 'a.tum', tmp_path / 'b.tum')
    done = command('smooth', tmp_path / 'a.tum', '-o', '/dev/stdout', *CPU)
    assert done.stdout == (tmp_path / 'b.tum').read_text()


def test_through_pipes_each_row_is_answered_at_once(tmp_path):
    with subprocess.Popen(
            [sys.executable, '-m', 'liquid_ros', 'smooth', '/dev/stdin', '-o', '/dev/stdout',
             *CPU], bufsize=0, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE) as process:
        got = []
        for line in (b'1 0 0 0 0 0 0 1\n', b'2 0 0 0 0 0 0 1\n'):
            process.stdin.write(line)
            while len(got) < 2 or got[-1][0] != line[0]:
                assert select.select([process.stdout], [], [], 20.0)[0]
                got.append(process.stdout.readline())
        process.stdin.close()
        assert process.wait(30.0) == 0 and len(got) == 3


@pytest.mark.parametrize('name', ['/dev/stdout', '/dev/fd/1', '/proc/self/fd/1'])
def test_what_is_open_is_written_on(tmp_path, name):
    write_tum(tmp_path / 'a.tum')
    smooth(tmp_path / 'a.tum', tmp_path / 'b.tum')
    (tmp_path / 'c').write_text('kept\n')
    with open(tmp_path / 'c', 'a') as out:
        subprocess.run([sys.executable, '-m', 'liquid_ros', 'smooth', str(tmp_path / 'a.tum'),
                        '-o', name, *CPU], cwd=ROOT, stdout=out, timeout=120, check=True)
    assert (tmp_path / 'c').read_text() == 'kept\n' + (tmp_path / 'b.tum').read_text()


def test_what_is_not_open_is_one_line(tmp_path, capsys):
    write_tum(tmp_path / 'a.tum')
    assert smooth(tmp_path / 'a.tum', '/dev/fd/987') == 1
    assert capsys.readouterr().err == 'liquid_ros: error: /dev/fd/987: is not open\n'


@pytest.mark.skipif(not SHARED.is_dir(), reason='the recordings are not there')
def test_real_recordings_are_answered(tmp_path, capsys):
    for path in sorted((SHARED / 'data').glob('real_*.npz'))[:3]:
        data = np.load(path)
        z = data['z'].astype(float)
        quats = z[:, 3:] if z.shape[1] == 7 else np.tile([0.0, 0, 0, 1], (len(z), 1))
        np.savetxt(tmp_path / 'a.tum', np.column_stack([data['t'], z[:, :3], quats]), fmt='%.9f')
        assert smooth(tmp_path / 'a.tum', tmp_path / 'b.tum') == 0
        capsys.readouterr()
        _, rows = read(tmp_path / 'b.tum')
        assert np.isfinite(rows).all() and len(rows) > 0.9 * len(z)


def test_who_is_terminated_leaves_no_unfinished_file(tmp_path):
    """A pipe that nobody writes to keeps the command waiting."""
    os.mkfifo(tmp_path / 'a.tum')
    writer = os.open(tmp_path / 'a.tum', os.O_RDWR)
    with subprocess.Popen([sys.executable, '-m', 'liquid_ros', 'smooth', str(tmp_path / 'a.tum'),
                           '-o', str(tmp_path / 'b.tum')], stderr=subprocess.PIPE) as process:
        os.write(writer, b'1 0 0 0 0 0 0 1\n2 0 0 0 0 0 0 1\n')
        limit = time.monotonic() + 30.0
        while not list(tmp_path.glob('.b.tum.*')):
            assert time.monotonic() < limit
            time.sleep(0.02)
        process.terminate()
        assert process.wait(10.0) == 128 + signal.SIGTERM and process.stderr.read() == b''
    os.close(writer)
    assert [entry.name for entry in tmp_path.iterdir()] == ['a.tum']


@pytest.mark.parametrize('options, begun', [
    ([], False), (['--preset', 'apriltag'], True), (['--preset', 'uwb'], False),
    (['--preset', 'apriltag', '--gap-reset', '5'], False),
    (['--preset', 'uwb', '--preset', 'apriltag'], True),
    (['--preset', 'apriltag', '--preset', 'default'], False),
    (['--gap-reset', '5.0', '--preset', 'apriltag'], False)])
def test_a_preset_is_the_node_s_and_comes_behind_what_is_given(tmp_path, capsys, options, begun):
    """A tag that was lost for longer than a second begins anew."""
    rows = [(k / 30 + 2.0 * (k > 50), 0.01 * k, 0.0, 0.0) for k in range(100)]
    (tmp_path / 'a.csv').write_text('t,x,y,z\n' + ''.join(
        ','.join(map(str, row)) + '\n' for row in rows))
    assert main(['smooth', str(tmp_path / 'a.csv'), '-o', str(tmp_path / 'b.csv'), *options]) == 0
    assert ('1 restarted (gap 1)' in capsys.readouterr().err) == begun


def test_a_preset_turns_the_knob(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / 'a.csv').write_text('t,x,y,z\n' + ''.join(
        f'{k / 30},{x},{y},{z}\n' for k, (x, y, z) in enumerate(rng.normal(size=(90, 3)))))
    texts = []
    for options in (['--preset', 'hand_tracking'], ['--smoothing', '-0.3'], []):
        out = tmp_path / f'{len(texts)}.csv'
        assert main(['smooth', str(tmp_path / 'a.csv'), '-o', str(out), *options]) == 0
        texts.append(out.read_text())
    assert texts[0] == texts[1] != texts[2]
