# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Truth between its own stamps: on a line, on the shortest arc, and nowhere else."""

from bags import flawed, make, transform, TYPES, write_bag
import numpy as np
import pytest
from sensors import write_tum

from liquid_ros.cdr import path_of, Poses
from liquid_ros.checkpoint import build
from liquid_ros.errors import InputError
from liquid_ros.evaluation import scenario
from liquid_ros.evaluation.accepted import accepted
from liquid_ros.evaluation.bag_messages import store
from liquid_ros.evaluation.collect import collect
from liquid_ros.evaluation.truth import clean, read_truth, Truth
from liquid_ros.manifold import quat_exp

S = 1_000_000_000


def turn(*angles):
    return np.stack([quat_exp(np.array([0.0, 0.0, angle])) for angle in angles])


def test_between_two_it_is_a_line_and_an_arc():
    quats = turn(0.0, 0.8)
    rows = np.concatenate([[[0, 0, 0], [1, 2, 4]], [quats[0], -quats[1]]], axis=1)
    truth = Truth('t', np.array([10 * S, 10 * S + 400_000_000]), rows)
    at = truth.at(10 * S + np.array([0, 100_000_000, 400_000_000]))
    assert np.allclose(at[:, :3], [[0, 0, 0], [0.25, 0.5, 1], [1, 2, 4]])
    dots = np.abs(np.sum(at[:, 3:] * turn(0.0, 0.2, 0.8), axis=1))
    assert np.allclose(dots, 1.0)


def test_there_is_none_across_gaps_and_beyond_the_ends():
    truth = Truth('t', np.array([0, 400, 1000, 1300]) * 1_000_000, np.arange(12.0).reshape(4, 3))
    at = truth.at(np.array([-1, 0, 1, 400, 401, 700, 1000, 1001, 1300, 1301]) * 1_000_000)
    known = [False, True, True, True, False, False, True, True, True, False]
    assert np.isfinite(at).all(1).tolist() == known


def test_stamps_of_this_century_lose_no_nanosecond():
    start = 1_700_000_000_000_000_001
    truth = Truth('t', start + np.array([0, 4]), np.array([[0.0, 0, 0], [4.0, 4, 4]]))
    assert truth.at(start + np.arange(5))[:, 0].tolist() == [0, 1, 2, 3, 4]


def test_it_comes_from_a_topic_a_text_file_or_another_bag(tmp_path):
    made = scenario.made_up(4.0)
    scenario.write(tmp_path / 'bag', made)
    order = np.random.default_rng(0).permutation(len(made.stamps_ns))  # stamps in any order
    write_tum(tmp_path / 'gt.tum', np.array(made.stamps_ns)[order], made.truth[order])
    names = ['/truth', str(tmp_path / 'gt.tum'), f'{tmp_path / "bag"}:/truth']
    for name in names:
        run, = collect(tmp_path / 'bag', 'ema', build('ema'), truth=name, topics=['/pose']).runs
        assert run.truth_name == name
        assert np.allclose(run.truth[:, :3], made.truth[:, :3], atol=1e-6)
    assert {run.name for run in collect(
        tmp_path / 'bag', 'ema', build('ema'), truth='/truth').runs} == {'/pose'}


def test_points_are_judged_by_the_position_of_poses(tmp_path):
    made = scenario.made_up(3.0)
    scenario.write(tmp_path / 'bag', made)
    (tmp_path / 'points.csv').write_text('stamp_ns,x,y,z\n' + ''.join(
        f'{t},{x},{y},{z}\n' for t, (x, y, z) in zip(made.stamps_ns, made.rows[:, :3])))
    run, = collect(tmp_path / 'points.csv', 'ema', build('ema'),
                   truth=f'{tmp_path / "bag"}:/truth').runs
    assert run.truth.shape == run.raw.shape == (len(made.stamps_ns), 3)
    run, = collect(tmp_path / 'bag', 'ema', build('ema'), topics=['/pose'],
                   truth=str(tmp_path / 'points.csv')).runs
    assert run.truth.shape == (len(made.stamps_ns), 3)


def test_no_overlap_tells_both_spans(tmp_path):
    made = scenario.made_up(3.0)
    scenario.write(tmp_path / 'bag', made)
    write_tum(tmp_path / 'gt.tum', np.arange(30) * S // 10, made.truth[:30])
    with pytest.raises(InputError, match=r'0\.0+ to 2\.9.* messages 17000000\d\d\.\d+ to 17'):
        collect(tmp_path / 'bag', 'ema', build('ema'), truth=str(tmp_path / 'gt.tum'))


def test_a_truth_with_gaps_wherever_a_message_is_does_overlap(tmp_path):
    rows = np.eye(7)[[6] * 3]
    write_tum(tmp_path / 'gt.tum', np.array([0, 2, 4]) * S, rows)
    write_tum(tmp_path / 'z.tum', np.array([1, 3]) * S, rows[:2])
    with pytest.raises(InputError, match=r'is known at no message of [^ ]*z\.tum, as it is not '
                                         r'across gaps of more than 0\.5 s: it spans 0'):
        collect(tmp_path / 'z.tum', 'ema', build('ema'), truth=str(tmp_path / 'gt.tum'))


def test_an_axis_that_never_moves_is_not_held_against_the_truth(tmp_path):
    made = scenario.made_up(8.0)
    write_tum(tmp_path / 'z.tum', made.stamps_ns, made.rows * [1, 1, 0, 1, 1, 1, 1])
    write_tum(tmp_path / 'gt.tum', made.stamps_ns, made.truth + 0.25 * np.eye(7)[2])
    (stream,), _ = accepted(tmp_path / 'z.tum', truth=str(tmp_path / 'gt.tum'))
    known = np.isfinite(stream.truth).all(1)
    assert known.mean() > 0.9 and (stream.truth[known, 2] == 0.0).all()


def test_training_learns_no_rotations_that_positions_do_not_turn(tmp_path):
    made = scenario.made_up(8.0)
    still = made.truth * [0, 0, 0, 1, 1, 1, 1]
    for name, truth, told in (('moves', made.truth, True), ('rests', still, False)):
        write_tum(tmp_path / 'z.tum', made.stamps_ns, made.rows - made.truth * [
            1, 1, 1, 0, 0, 0, 0] + truth * [1, 1, 1, 0, 0, 0, 0])
        for offset in (0.0, 5.0):
            write_tum(tmp_path / 'gt.tum', made.stamps_ns, truth + np.eye(7)[0] * offset)
            (stream,), problems = accepted(tmp_path / 'z.tum', truth=str(tmp_path / 'gt.tum'))
            assert np.isfinite(stream.truth[:, :3]).all()
            assert np.isfinite(stream.truth[:, 3:]).all() == (told or not offset), name
            assert ('its rotations are left out' in ''.join(problems)) != (told or not offset)


@pytest.mark.parametrize('topics, names', [
    ((), {'/tf#map:a', '/tf#map:b', '/pose'}), (('/tf',), {'/tf#map:a', '/tf#map:b'}),
    (('/*',), {'/tf#map:a', '/tf#map:b', '/pose'}), (('/tf#*', '/tf#gt'), {
        '/tf#map:a', '/tf#map:b'}), (('/tf#map:gt',), {'/tf#map:gt'})])
def test_a_stream_of_a_topic_is_the_truth_of_the_others(tmp_path, topics, names):
    made = scenario.made_up(2.0)
    messages = [(int(t), bytes(store().serialize_cdr(make(TYPES['tf'], [
        transform(t, 'map', child, row) for child, row in (
            ('a', z), ('gt', g), ('b', z))]), TYPES['tf'])))
        for t, z, g in zip(made.stamps_ns, made.rows, made.truth)]
    write_bag(tmp_path / 'bag', {'/tf': (TYPES['tf'], messages),
                                 '/pose': (TYPES['pose'], flawed('pose', 20))})
    found = collect(tmp_path / 'bag', 'ema', build('ema'), truth='/tf#map:gt', topics=topics).runs
    assert {run.name for run in found} == names
    streams, _ = accepted(tmp_path / 'bag', topics, '/tf#map:gt')
    assert {stream.name.removesuffix('#') for stream in streams} >= names - {'/pose'}
    assert '/tf#map:gt' in topics or all('#map:gt' not in stream.name for stream in streams)


def test_a_recording_of_its_truth_alone_is_told(tmp_path):
    write_bag(tmp_path / 'bag', {'/gt': (TYPES['pose'], flawed('pose', 20))})
    with pytest.raises(InputError, match='no topic of the types .* beside /gt; the bag has /gt'):
        collect(tmp_path / 'bag', 'ema', build('ema'), truth='/gt')


def test_what_of_a_truth_cannot_be_read_is_told(tmp_path):
    made = scenario.made_up(3.0)
    write_tum(tmp_path / 'z.tum', made.stamps_ns, made.rows)
    write_tum(tmp_path / 'gt.tum', made.stamps_ns, made.truth)
    lines = (tmp_path / 'gt.tum').read_text().splitlines()
    (tmp_path / 'gt.tum').write_text('\n'.join([*lines[:40], 'what is this', *lines[40:]]))
    told = [f'the truth: {tmp_path / "gt.tum"}:41: got 3 columns, expected 8; lines left out: 1']
    truth = str(tmp_path / 'gt.tum')
    assert collect(tmp_path / 'z.tum', 'ema', build('ema'), truth=truth).problems == told
    assert accepted(tmp_path / 'z.tum', truth=truth)[1] == told
    # of a topic of the recording, and once
    messages = flawed('pose', 40)
    write_bag(tmp_path / 'bag', {'/gt': (TYPES['pose'], messages[:5] + [
        (t, raw[:30]) for t, raw in messages[5:8]]), '/pose': (TYPES['pose'], messages)})
    told = ['the truth: /gt: 3 messages are damaged']
    assert collect(tmp_path / 'bag', 'ema', build('ema'), truth='/gt').problems == told
    file, = (tmp_path / 'bag').glob('*.mcap')
    (tmp_path / 'cut.mcap').write_bytes(file.read_bytes()[:-300])
    problems = collect(tmp_path / 'cut.mcap', 'ema', build('ema'), truth='/gt').problems
    assert problems[1:] == told and 'may be truncated' in problems[0]
    write_bag(tmp_path / 'none', {'/gt': (TYPES['pose'], [(t, b'?') for t, _ in messages])})
    with pytest.raises(InputError, match='got 0 usable poses for the truth.*40 messages are dam'):
        read_truth(f'{tmp_path / "none"}:/gt', tmp_path / 'bag')


def test_a_truth_of_messages_that_are_not_kept_tells_so(tmp_path):
    made = scenario.made_up(3.0)
    for name, first_s in (('z', 0), ('late', 2), ('later', 9)):
        count = len(made.stamps_ns) if name == 'z' else 20
        write_tum(tmp_path / f'{name}.tum', first_s * S + np.arange(count) * S // 50,
                  made.rows[:count])
    spans = r': it spans 2\.0+ to 2\.38.* s, the messages 0\.0+ to 0\.78.* s$'
    with pytest.raises(InputError, match=r'with the first 40 messages .*\(--keep\)' + spans):
        collect(tmp_path / 'z.tum', 'ema', build('ema'), truth=str(tmp_path / 'late.tum'), keep=40)
    with pytest.raises(InputError, match=r'overlap with [^,]*z.tum: .* the messages 0\.0+ to 2\.'):
        collect(tmp_path / 'z.tum', 'ema', build('ema'), truth=str(tmp_path / 'later.tum'),
                keep=40)


@pytest.mark.parametrize('text, match', [
    ('/nowhere', '/nowhere'), ('gone.tum', 'no file and no topic'), ('BAG', 'more than one'),
    ('/array', 'more than one')])
def test_what_is_no_truth_is_told(tmp_path, text, match):
    write_bag(tmp_path / 'bag', {'/array': (TYPES['pose_array'], flawed('pose_array', 20)),
                                 '/pose': (TYPES['pose'], flawed('pose', 20))})
    with pytest.raises(InputError, match=match):
        read_truth(text.replace('BAG', str(tmp_path / 'bag')), tmp_path / 'bag')


def test_one_truth_for_many_streams_of_a_topic_is_told(tmp_path):
    """And none of streams that were chosen, nor of one on each of two topics."""
    write_bag(tmp_path / 'bag', {
        '/array': (TYPES['pose_array'], flawed('pose_array', 40)),
        '/pose': (TYPES['pose'], flawed('pose', 40)), '/gt': (TYPES['pose'], flawed('pose', 40))})

    def told(*topics):
        return [text for text in collect(
            tmp_path / 'bag', 'ema', build('ema'), truth='/gt', topics=topics).problems
            if 'one truth' in text]

    text, = told()
    assert text == ("/array: all of 3 streams are judged by the one truth; --topic '/array#NAME' "
                    'chooses that which it is of')
    assert not told('/array#1', '/pose')


def test_of_a_path_each_pose_is_kept_once(tmp_path, monkeypatch):
    """Each message has all poses so far, of which the last version counts."""
    monkeypatch.setattr('liquid_ros.evaluation.truth.MANY', 50)
    kept = []
    monkeypatch.setattr('liquid_ros.evaluation.truth.clean', lambda stamps_ns, rows: (
        kept.append(len(stamps_ns)) or clean(stamps_ns, rows)))
    stamps = [10**18 + k * 10**8 for k in range(100)]
    rows = np.tile([1.0, 2.0, 3.0, 0, 0, 0, 1], (100, 1))
    messages = []
    for k in range(1, 101):
        moved = rows[:k] + np.eye(7)[0] * k
        messages.append((stamps[k - 1], path_of(stamps[k - 1], 'map', Poses(
            stamps[:k], ['map'] * k, moved))))
    write_bag(tmp_path / 'bag', {'/path': (TYPES['path'], messages)})
    found = read_truth('/path', tmp_path / 'bag')
    assert found.stamps_ns.tolist() == stamps
    assert (found.rows[:, 0] == 101.0).all() and (found.rows[:, 1:] == rows[:, 1:]).all()
    assert max(kept) < 400 and len(kept) > 5
