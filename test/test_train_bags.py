# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""liquid_ros train --bag as it is called: real bags, real processes, nothing half written."""

import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import bags
from commands import command, process, ROOT
import numpy as np
import pytest
from sensors import pose_messages, sensor, write, write_tum

from liquid_ros import safetensors
from liquid_ros.backend import NumpyBackend
from liquid_ros.checkpoint import load, SHIPPED
from liquid_ros.cli.train_plot import plot
from liquid_ros.errors import CheckpointError

torch = pytest.importorskip('torch', reason='training needs torch')
pytest.importorskip('yaml', reason='PyYAML')

QUICK = ['iterations=4', 'every=2', 'rows=2', 'batch=2', 'shares=2', 'stretch=12', 'calm=5',
         'stretches=[1,3]']
NONE = [*QUICK, 'learning_rate=1e-9', 'iterations=2']  # nothing is learned: nothing is better
STRONG = ['simulated_weight=0.0', 'batch=2', 'shares=1', 'rows=6', 'stretch=24', 'every=4',
          'iterations=12', 'learning_rate=0.3', 'anchor=0.0']


@pytest.fixture(scope='module')
def bag(tmp_path_factory):
    return write(tmp_path_factory.mktemp('bag') / 'recorded', count=200)


def test_weights_from_a_bag_carry_where_they_are_from(tmp_path):
    out, drawn = tmp_path / 'own.safetensors', tmp_path / 'curves.png'
    bag = write(tmp_path / 'recorded', count=600, memory=0.0)
    arrays, meta = safetensors.load(SHIPPED)
    arrays = {name: array.copy() for name, array in arrays.items()}
    arrays['bias_out'][0] -= 4.0  # far from good: there is something to gain
    safetensors.save(str(tmp_path / 'far.safetensors'), arrays, meta)
    done = command('--bag', bag, '--topic', '/pose', '--truth', '/gt', '-o', out, '--plot', drawn,
                   '--start', tmp_path / 'far.safetensors', settings=STRONG)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert 'their errors are' in lines[0] and '% smaller' in lines[0] and 'written' in lines[-1]
    assert any('by the truth given' in line for line in lines)
    assert '12/12, 0 s left' in done.stderr
    assert drawn.read_bytes()[:4] == b'\x89PNG'
    load('liquid', str(out), NumpyBackend())
    told = json.loads(safetensors.load(str(out))[1]['provenance'])
    whole = hashlib.sha256(b''.join(path.read_bytes() for path in sorted(bag.glob('*.mcap'))))
    assert told['recordings'] == [{'name': 'recorded', 'sha256': whole.hexdigest()}]
    assert told['training']['trainable'] == 'bias' and told['topics'] == ['/pose']
    assert told['held_out']['gain_nats'] > told['held_out']['error'] > 0.0
    assert len(told['begun_with']) == 16 and not told['held_out']['forced']
    assert [look[0] for look in told['looks']] == [4, 8, 12]


@pytest.mark.parametrize('figures, label, count', [
    ({'foreseen': 7.0}, 'nats a message', 2),
    ({'foreseen': 7.0, 'log_rmse': -2.0}, 'log of the error', 1)])
def test_the_curve_is_of_what_is_fitted(tmp_path, figures, label, count):
    pytest.importorskip('matplotlib', reason='drawing')
    tuner = SimpleNamespace(looks=[], curve=[figures] * 3)
    plot(tmp_path / 'a.svg', tuner, SimpleNamespace(words=lambda: ['better (a)']))
    drawn = (tmp_path / 'a.svg').read_text()
    assert f'>{label}<' in drawn and drawn.count('>nats a message<') == count
    assert ('>7.0' in drawn) == ('log_rmse' not in figures)


def test_the_same_seed_gives_the_same_weights_with_readers_or_without(tmp_path):
    many = tmp_path / 'many'
    many.mkdir()
    for seed in range(3):
        write(many / f'{seed}', count=150, seed=seed)
    (many / 'notes.txt').write_text('not a bag')
    made = []
    for name, workers, seed in (('a', 0, 1), ('b', 2, 1), ('c', 0, 2)):
        out = tmp_path / f'{name}.safetensors'
        done = command('--bag', many, '--topic', '/pose', '-o', out, '--force', '--workers',
                       workers, settings=[*QUICK, f'seed={seed}', 'forgotten=9.0'])
        assert done.returncode == 0, done.stderr
        made.append(torch.load(out.with_suffix('.pt'), weights_only=False))
    for name in made[0]['cell']:
        assert torch.equal(made[0]['cell'][name], made[1]['cell'][name])
    assert not torch.equal(made[0]['cell']['bias_out'], made[2]['cell']['bias_out'])
    assert len(made[0]['digests']) == 3 and made[0]['digests'] == made[1]['digests']


def test_what_is_no_better_is_not_written_unless_forced(bag, tmp_path):
    out = tmp_path / 'own.safetensors'
    out.write_bytes(b'before')
    done = command('--bag', bag, '--topic', '/pose', '-o', out, settings=NONE)
    assert done.returncode == 3 and out.read_bytes() == b'before'
    assert 'not written: no weights on the way were better' in done.stderr
    assert 'the held-out messages are not expected better than by chance' in done.stderr
    done = command('--bag', bag, '--topic', '/pose', '-o', out, '--force', settings=NONE)
    assert done.returncode == 0
    assert json.loads(safetensors.load(str(out))[1]['provenance'])['held_out']['forced']
    for name, array in safetensors.load(SHIPPED)[0].items():
        np.testing.assert_array_equal(safetensors.load(str(out))[0][name], array)


def test_an_earlier_state_is_kept(bag, tmp_path):
    out = tmp_path / 'own.safetensors'
    out.with_suffix('.pt').write_bytes(b'a detector')
    done = command('--bag', bag, '--topic', '/pose', '-o', out, settings=NONE)
    assert done.returncode == 3 and 'an earlier one is kept' in done.stderr
    assert (tmp_path / 'own.pt.old').read_bytes() == b'a detector'
    done = command('--bag', bag, '--topic', '/pose', '-o', tmp_path / 'x', '--resume',
                   settings=NONE)
    assert done.returncode == 3 and 'x.pt: is not there: beginning anew' in done.stderr


def test_how_much_truth_there_is_is_told(tmp_path):
    stamps_ns, rows, truth = sensor(400)
    write_tum(tmp_path / 'z.tum', stamps_ns, rows)
    write_tum(tmp_path / 'gt.tum', stamps_ns[:200], truth[:200])
    args = ['--bag', tmp_path / 'z.tum', '-o', tmp_path / 'x', '--truth']
    done = command(*args, tmp_path / 'gt.tum', settings=NONE)
    assert 'is known at 200 of the 240 messages to learn from, and at 0 of the 160 held out' \
        in done.stderr
    done = command(*args, tmp_path / 'z.tum', settings=NONE)
    assert done.returncode == 1 and 'got the recording itself for the truth' in done.stderr


def test_ctrl_c_saves_and_going_on_gives_what_an_uninterrupted_run_gives(bag, tmp_path):
    settings = [*QUICK, 'iterations=10', 'patience=99']
    args = ['--bag', str(bag), '--topic', '/pose', '--force', '-o']
    whole, part = tmp_path / 'whole.safetensors', tmp_path / 'part.safetensors'
    done = command(*args, whole, settings=settings)
    assert done.returncode == 0, done.stderr
    running = subprocess.Popen(
        [sys.executable, '-m', 'liquid_ros', 'train', *args, str(part), '--set', *settings],
        cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    saved = part.with_suffix('.pt')
    limit = time.monotonic() + 120.0
    while not saved.exists():
        assert time.monotonic() < limit and running.poll() is None
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    _, told = running.communicate(timeout=60)
    assert running.returncode == 130 and 'Traceback' not in told and not part.exists()
    at = torch.load(saved, weights_only=False)['iteration']
    assert 2 <= at < 10 and f'stopped at iteration {at}; --resume goes on' in told
    done = command(*args, part, '--resume', settings=settings)
    assert done.returncode == 0 and f'resuming at iteration {at}' in done.stderr
    assert part.read_bytes() == whole.read_bytes()


def lost(kind, tmp_path):
    """Return a recording that cannot be learned from."""
    stamps_ns, rows, _ = sensor(3 if kind == 'short' else 120)
    if kind == 'nan':
        rows[:] = np.nan
    if kind == 'still':
        rows[:] = rows[0]
    path = tmp_path / kind
    bags.write_bag(path, {'/pose': (bags.TYPES['pose'], pose_messages(stamps_ns, rows))})
    return path


@pytest.mark.parametrize('kind, words', [
    ('topic', "got topic '/pos', but none has that name (did you mean /pose?)"),
    ('short', 'got 3 messages in 1 stretch without'),
    ('still', 'are the same: there is nothing to learn from'),
    ('nan', 'no message can be used: 120 in, 0 out'), ('none', 'no such file'),
    ('folder', 'is no rosbag2 and has none in it'), ('truth', "got topic '/none'")])
def test_bad_input_is_one_clear_line_and_no_file(kind, words, tmp_path):
    out = tmp_path / 'out' / 'own.safetensors'
    out.parent.mkdir()
    more = []
    if kind == 'none':
        path = tmp_path / 'none'
    elif kind == 'folder':
        path = out.parent
    elif kind in ('topic', 'truth'):
        path = write(tmp_path / kind, count=100)
        more = ['--topic', '/pos'] if kind == 'topic' else ['--topic', '/pose', '--truth', '/none']
    else:
        path = lost(kind, tmp_path)
    done = command('--bag', path, *more, '-o', out, settings=QUICK)
    assert done.returncode == 1 and words in done.stderr
    assert len(done.stderr.splitlines()) == 1 and done.stderr.startswith('liquid_ros: error: ')
    assert list(out.parent.iterdir()) == []


def test_weights_that_do_not_fit_on_the_disk_leave_those_before(tmp_path):
    arrays, meta = safetensors.load(SHIPPED)
    path = tmp_path / 'own.safetensors'
    path.write_bytes(b'before')
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limits[1]))
        with pytest.raises(CheckpointError, match='cannot write .*own.safetensors'):
            safetensors.save(str(path), arrays, meta)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert [entry.name for entry in tmp_path.iterdir()] == ['own.safetensors']
    assert path.read_bytes() == b'before'


def test_a_full_disk_is_one_line_and_nothing_half_written(bag, tmp_path):
    def full():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))
    out = tmp_path / 'own.safetensors'
    done = process('--bag', bag, '--topic', '/pose', '-o', out, '--force', settings=NONE,
                   preexec_fn=full, env={**os.environ, 'PYTHONDONTWRITEBYTECODE': '1'})
    errors = [line for line in done.stderr.splitlines() if 'error' in line]
    assert done.returncode == 1 and len(errors) == 1 and 'cannot write' in errors[0]
    assert 'Traceback' not in done.stderr and list(tmp_path.iterdir()) == []


def test_wrong_usage_is_told(bag, tmp_path):
    done = command('--topic', '/pose', '-o', tmp_path / 'x')
    assert done.returncode == 2 and 'expected --bag' in done.stderr
    done = command('--gap-reset', '3')
    assert done.returncode == 2 and 'got --gap-reset, expected --bag' in done.stderr
    done = command('--bag', bag, '-o', tmp_path / 'x', '--device', 'fastest')
    assert done.returncode == 1 and 'got device' in done.stderr
    done = command('--bag', bag, '-o', tmp_path / 'x', '--set', 'hidden=3', settings=['rows=4'])
    assert done.returncode == 1 and 'got hidden: 3' in done.stderr
    done = command('--bag', bag, '-o', tmp_path / 'no' / 'x')
    assert done.returncode == 1 and 'its folder does not exist' in done.stderr
    done = command('--bag', bag, '-o', tmp_path / 'x', settings=['hidden=3'])
    assert done.returncode == 1 and 'got hidden: 3' in done.stderr
    done = command('--bag', bag, '-o', tmp_path / 'x', '--start', tmp_path / 'none')
    assert done.returncode == 1 and 'cannot read' in done.stderr


@pytest.mark.parametrize('more, status, words', [
    (['-o', '{here}/x', '--plot', '{here}/none/c.png'], 1, 'its folder does not exist'),
    (['-o', '{here}/x', '--plot', '{here}/c.xyz'], 1, "got the suffix '.xyz', expected one of"),
    (['-o', '{here}'], 1, 'is no regular file'),
    (['-o', '{here}/x.csv'], 2, 'expected .safetensors or no suffix'),
    (['-o', '{here}/x', '--workers', '-1'], 2, 'got --workers -1'),
    (['-o', '{here}/x', '--every', '3'], 2, 'expected --set every=N'),
    (['-o', '{bag}/metadata.yaml'], 2, 'expected .safetensors or no suffix'),
    (['-o', '{here}/x', '--truth', '{truth}', '--plot', '{truth}'], 1, 'would overwrite')])
def test_what_cannot_be_written_is_told_before_anything_is_learned(
        bag, tmp_path, more, status, words):
    truth = tmp_path.parent / 'truth.svg'
    truth.write_text('0 0 0 0 0 0 0 1\n')
    done = command('--bag', bag, *(one.format(here=tmp_path, bag=bag, truth=truth)
                                   for one in more), settings=QUICK)
    assert done.returncode == status and words in done.stderr and 'left' not in done.stderr
    assert len(done.stderr.splitlines()) == 1 and list(tmp_path.iterdir()) == []


def test_settings_that_are_no_yaml_are_one_line(bag, tmp_path):
    done = command('--bag', bag, '-o', tmp_path / 'x', settings=['iterations=['])
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1
    assert "got --set 'iterations=['" in done.stderr


def test_only_the_same_run_is_gone_on_with(bag, tmp_path):
    out = tmp_path / 'own.safetensors'
    assert command('--bag', bag, '-o', out, '--force', settings=NONE).returncode == 0
    written = out.read_bytes()
    other = write(tmp_path / 'other', count=150, seed=5)
    done = command('--bag', other, '-o', out, '--force', '--resume', settings=NONE)
    assert done.returncode == 1 and 'other recordings' in done.stderr
    done = command('--bag', bag, '--bag', other, '-o', out, '--force', '--resume', settings=NONE)
    assert done.returncode == 1 and 'other recordings' in done.stderr
    for more in (['--truth', '/gt'], ['--topic', '/pose'], ['--gap-reset', '1']):
        done = command('--bag', bag, '-o', out, '--force', '--resume', *more, settings=NONE)
        assert done.returncode == 1 and 'other recordings, topics, truth' in done.stderr
    done = command('-o', out, '--resume', settings=['iterations=1', 'batch=4', 'shares=2'])
    assert done.returncode == 1 and 'other settings' in done.stderr
    saved = torch.load(out.with_suffix('.pt'), weights_only=False)
    torch.save({**saved, 'processes': 2}, out.with_suffix('.pt'))
    done = command('--bag', bag, '-o', out, '--resume', settings=NONE)
    assert done.returncode == 1 and 'to a run of 2 processes, got 1' in done.stderr
    torch.save([1, 2], out.with_suffix('.pt'))
    done = command('--bag', bag, '-o', out, '--resume', settings=NONE)
    assert done.returncode == 1 and 'other settings' in done.stderr
    assert out.read_bytes() == written


def test_from_scratch_all_weights_are_new(bag, tmp_path):
    out = tmp_path / 'own.safetensors'
    done = command('--bag', bag, '--topic', '/pose', '-o', out, '--start', 'scratch', '--force',
                   settings=QUICK)
    assert done.returncode == 0, done.stderr
    arrays, meta = safetensors.load(str(out))
    assert json.loads(meta['provenance'])['begun_with'] == 'scratch'
    shipped = safetensors.load(SHIPPED)[0]
    assert (arrays['weight_in'] != shipped['weight_in']).all()


@pytest.mark.long
@pytest.mark.parametrize('kind', ['bag', 'simulated'])
def test_two_processes_are_one_with_twice_the_batch(kind, bag, tmp_path):
    """torchrun on the CPU: the same loss curve to 1e-4, and the same weights."""
    one, two = tmp_path / 'one.safetensors', tmp_path / 'two.safetensors'
    given = ['--bag', str(bag), '--topic', '/pose', '--force'] if kind == 'bag' else []
    common = ['iterations=5', 'stretch=12', 'stretches=[1,3]', 'compile=false',
              'learning_rate=0.01', *(['every=5', 'calm=5', 'trainable=all'] if given
                                      else ['hidden=6', 'turning=0', 'calibrate=0'])]
    double = ['batch=8', 'shares=4', *(['rows=4'] if given else [])]
    half = ['batch=4', 'shares=2', *(['rows=2'] if given else [])]
    done = command(*given, '-o', one, settings=[*common, *double])
    assert done.returncode == 0, done.stderr
    done = process(*given, '-o', two, settings=[*common, *half], launch=(
        '-m', 'torch.distributed.run', '--standalone', '--nproc-per-node', '2', '-m',
        'liquid_ros'))
    assert done.returncode == 0, done.stderr
    curves = [torch.load(path.with_suffix('.pt'), weights_only=False) for path in (one, two)]
    if kind == 'bag':
        losses = [[figures['loss'] for figures in curve['curve']] for curve in curves]
        assert len(losses[0]) == 5 and len(set(losses[0])) == 5
    else:
        losses = [[curve['figures']['loss']] for curve in curves]
    np.testing.assert_allclose(losses[0], losses[1], atol=1e-4)
    for name, array in curves[0]['cell'].items():
        # Adam makes a step of the rounding of a gradient of nothing: five of 0.01 at most
        off = (curves[1]['cell'][name] - array).abs()
        assert off.max() < 0.05 and (off < 1e-4 + 1e-3 * array.abs()).float().mean() > 0.95
    assert curves[1]['iteration'] == 5
