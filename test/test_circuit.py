# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The wiring that is drawn is the cell's, and a neuron that answers to an event is found."""

import subprocess
import sys
import xml.etree.ElementTree as xml

import bags
from cells import HIDDEN, needs, smoother
import numpy as np
import pytest

from liquid_ros.backend import NumpyBackend
from liquid_ros.checkpoint import load, save, SHIPPED
from liquid_ros.errors import InputError
from liquid_ros.evaluation.circuit import circuit_of, features, READERS, WORD_NAMES
from liquid_ros.evaluation.circuit_activity import (
    Activity,
    answers,
    events,
    FEWEST,
    watch,
    Watched,
)
from liquid_ros.evaluation.sample import Sample, single
from liquid_ros.smoothers.cells import CELLS, wiring
from liquid_ros.smoothers.liquid import OUTPUTS
from liquid_ros.smoothers.sight import FEATURES
from liquid_ros.streams import StreamBank

MS = 10**6


def test_every_feature_and_every_word_has_a_name_of_its_own():
    assert len(features()) == len(set(features())) == FEATURES
    assert len(set(WORD_NAMES)) == OUTPUTS


@pytest.mark.parametrize('cell', READERS)
def test_a_circuit_has_the_cell_s_neurons_once_each(cell):
    circuit = circuit_of(smoother(cell))
    assert circuit.layers[0].labels == features() and circuit.layers[-1].labels == WORD_NAMES
    own = circuit.layers[1:-1]
    assert sorted(place for layer in own for place in layer.places) == list(range(HIDDEN))
    assert len(circuit.neurons()) == HIDDEN
    sizes = {layer.name: len(layer.labels) for layer in circuit.layers}
    for one in circuit.synapses:
        assert one.weights.shape == (sizes[one.source], sizes[one.target])
        assert (one.weights != 0.0).any()
    if cell.startswith('ncp'):
        assert tuple(sizes[n] for n in ('inter', 'command', 'motor')) == wiring.layers(HIDDEN)


@pytest.mark.parametrize('cell', [cell for cell in CELLS if cell not in READERS])
def test_a_cell_without_neurons_is_told(cell):
    with pytest.raises(InputError, match='expected one of neurons'):
        circuit_of(smoother(cell))


def test_a_circuit_policy_is_drawn_as_the_library_drew_it():
    needs('ncp')
    from liquid_ros.training import circuits
    from liquid_ros.training.config import TrainConfig
    drawn = circuits.wiring(TrainConfig(cell='ncp', hidden=HIDDEN, seed=1), FEATURES)
    found = {(one.source, one.target): one.weights for one in circuit_of(smoother('ncp')).synapses}
    inter, command, motor = (drawn.get_neurons_of_layer(k) for k in range(3))
    own = drawn.adjacency_matrix
    for pair, matrix in ((('sensory', 'inter'), drawn.sensory_adjacency_matrix[:, inter]),
                         (('inter', 'command'), own[np.ix_(inter, command)]),
                         (('command', 'command'), own[np.ix_(command, command)]),
                         (('command', 'motor'), own[np.ix_(command, motor)])):
        np.testing.assert_array_equal(np.sign(found.pop(pair)), matrix)  # as at its start
    assert list(found) == [('motor', 'words')]


@pytest.mark.parametrize('cell', ['ncp', 'gru'])
def test_the_drawing_names_each_neuron_and_has_both_colours(cell, tmp_path):
    pytest.importorskip('matplotlib', reason='drawing')
    from liquid_ros.evaluation import circuit_plots
    circuit = circuit_of(smoother(cell))
    circuit_plots.draw(tmp_path / 'x.svg', circuit)
    tree = xml.parse(tmp_path / 'x.svg').getroot()
    texts = [''.join(node.itertext()) for node in tree.iter('{http://www.w3.org/2000/svg}text')]
    for layer in circuit.layers:
        assert f'{layer.name} ({len(layer.labels)})' in texts
        assert set(layer.labels) <= set(texts)
    content = (tmp_path / 'x.svg').read_text()
    drawn = sum(min(int((one.weights != 0.0).sum()), circuit_plots.MOST)
                for one in circuit.synapses)
    strokes = [content.count(f'stroke: {colour}') for colour in (circuit_plots.EXCITES,
                                                                 circuit_plots.INHIBITS)]
    assert min(strokes) > 5 and sum(strokes) >= drawn


# -- events and answers


def path_of(steps):
    """Return t_s and positions at 50 Hz of (velocity, seconds) one after the other."""
    moves = np.concatenate([np.tile(np.array(v, float) / 50.0, (round(50 * s), 1))
                            for v, s in steps])
    return np.arange(len(moves)) / 50.0, np.cumsum(moves, 0)


def test_events_are_where_they_happen():
    t_s, path = path_of([((1, 0, 0), 3), ((0, 0, 0), 2), ((1, 0, 0), 3), ((0, 1, 0), 3)])
    weight = np.ones(len(t_s))
    weight[100] = 0.2
    found = events(t_s, path, np.full(len(t_s), 1e-3), weight)
    assert np.flatnonzero(found['outlier']).tolist() == [100]
    stood = t_s[found['stop']]
    assert 3.3 < stood.min() < 3.6 and 4.9 < stood.max() < 5.2
    turning = t_s[found['turn']]
    assert 8.0 < turning.min() < 8.4 and 8.7 < turning.max() < 9.1
    # a path within its own uncertainty turns nowhere
    assert not events(t_s, path, np.full(len(t_s), 1.0), weight)['turn'].any()


def test_the_neuron_that_answers_is_found_and_too_few_events_are_told():
    rng = np.random.default_rng(0)
    neurons = rng.standard_normal((400, 6))
    when = rng.random(400) < 0.1
    neurons[:, 4] -= 3.0 * when
    rare = np.zeros(400, bool)
    rare[:FEWEST - 1] = True
    found = answers(Activity(np.arange(400.0), neurons[:, :3], neurons, None,
                             {'outlier': when, 'stop': rare, 'turn': ~rare}))
    assert found['outlier'][0].neuron == 4 and found['outlier'][0].r < -0.5
    assert found['outlier'][0].r == pytest.approx(np.corrcoef(neurons[:, 4], when)[0, 1])
    assert found['stop'] == found['turn'] == []


@pytest.mark.parametrize('cell', READERS)
def test_watching_changes_nothing_and_tells_what_the_cell_became(cell):
    plain = smoother(cell)
    rng = np.random.default_rng(3)
    rows = np.cumsum(0.05 * rng.standard_normal((60, 3)), 0)
    stamps = [10**9 + 20 * MS * k + (7 * 10**9 if k > 30 else 0) for k in range(60)]  # a gap
    seen = watch([single('', stamp, row) for stamp, row in zip(stamps, rows)], plain)
    expected = StreamBank(plain, 3).update(['a'] * 60, stamps, rows).estimate.rows
    after = [k for k in range(60) if k not in (0, 31)]  # there the stream begins
    np.testing.assert_array_equal(seen.rows, expected[after])
    assert seen.neurons.shape == (58, HIDDEN) and np.ptp(seen.neurons, axis=0).max() > 0.0
    assert seen.tau_s.shape == (58, HIDDEN) and (seen.tau_s > 0.0).all()
    if cell == 'liquid':
        np.testing.assert_allclose(seen.tau_s[5], 0.02 / plain.weights['alpha'])


def test_a_recording_that_loops_and_another_stream_beside_it_change_no_time_constant():
    plain = load('liquid', SHIPPED, NumpyBackend())
    rng = np.random.default_rng(0)
    rows = np.column_stack([rng.normal(size=(60, 3)), np.tile([0.0, 0, 0, 1], (60, 1))])

    def messages(start_ns, count=1):
        return [Sample('', start_ns + k * 20 * MS, range(count), (start_ns + k * 20 * MS,) * count,
                       np.stack([row, *[rows[-1] + k] * (count - 1)]), ('map',) * count,
                       whole=count > 1) for k, row in enumerate(rows)]
    once = watch(messages(10**12), plain)
    twice = watch([*messages(10**12), *messages(10**12)], plain)
    beside = watch(messages(10**12, 2), plain)
    assert (np.diff(twice.t_s) > 0.0).all() and len(twice.t_s) == 2 * len(once.t_s)
    np.testing.assert_allclose(twice.tau_s[:59], once.tau_s, rtol=1e-9)
    np.testing.assert_allclose(twice.neurons[59:], once.neurons, rtol=1e-9)
    np.testing.assert_allclose(beside.neurons, once.neurons, atol=1e-12)


def test_a_stream_that_is_too_short_is_told():
    with pytest.raises(InputError, match='got 3 messages'):
        watch([single('', 10**9 + 20 * MS * k, np.zeros(3)) for k in range(4)],
              load('liquid', SHIPPED, NumpyBackend()))
    assert Watched(load('liquid', SHIPPED, NumpyBackend())).seen == []


# -- the command


def command(*arguments):
    return subprocess.run([sys.executable, '-m', 'liquid_ros', 'circuit', *map(str, arguments)],
                          capture_output=True, text=True, timeout=120)


def test_the_command_draws_a_checkpoint_and_a_bag(tmp_path):
    pytest.importorskip('matplotlib', reason='drawing')
    needs('ncp')
    path = tmp_path / 'w.safetensors'
    model = smoother('ncp')
    save('liquid', str(path), model.config, model.weights, {})
    rng = np.random.default_rng(1)
    rows = np.cumsum(0.05 * rng.standard_normal((80, 7)), 0)
    rows[:, 3:] = [0.0, 0.0, 0.0, 1.0]
    bags.write_bag(tmp_path / 'bag', {'/pose': (bags.TYPES['pose'], [
        (bags.START_NS + 20 * MS * k, bytes(bags.store().serialize_cdr(bags.message(
            'pose', rng, bags.START_NS + 20 * MS * k, 'map', row[None]), bags.TYPES['pose'])))
        for k, row in enumerate(rows)])})
    done = command(path, tmp_path / 'bag', '--topic', '/pose', '-o', tmp_path / 'c.png')
    assert done.returncode == 0, done.stderr
    for name in ('c.png', 'c_activity.png'):
        assert (tmp_path / name).read_bytes()[:4] == b'\x89PNG'
    assert [line.split(':')[0] for line in done.stdout.splitlines()] == [
        'outlier', 'stop', 'turn']
    assert f'{FEATURES} sensory' in done.stderr and 'inter' in done.stderr


@pytest.mark.parametrize('arguments, words', [
    (('shipped', '-o', 'x.jpeg'), 'expected one of .svg'),
    (('shipped', '--topic', '/pose', '-o', '{tmp}/x.svg'), 'expected RECORDING, too'),
    (('package://nowhere/x.safetensors', '-o', '{tmp}/x.svg'), "no package 'nowhere'"),
    (('/nowhere.safetensors',), 'No such file'),
    (('shipped', '/nowhere.tum', '-o', '{tmp}/x.svg'), 'nowhere.tum')])
def test_a_mistake_is_one_line(arguments, words, tmp_path):
    done = command(*(a.replace('{tmp}', str(tmp_path)) for a in arguments))
    assert list(tmp_path.iterdir()) == []
    assert done.returncode == 1 and words in done.stderr and 'Traceback' not in done.stderr
