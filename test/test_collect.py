# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Runs of a recording: batches change no bit, what is kept is bounded, broken bags are read."""

from pathlib import Path

from bags import CHILDREN, flawed, header, make, pose, transform, TYPES, write_bag
import numpy as np
import pytest
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import get_types_from_msg, get_typestore, Stores

from liquid_ros.checkpoint import build
from liquid_ros.errors import InputError, UnreadableError
from liquid_ros.evaluation.bag_messages import store
from liquid_ros.evaluation.collect import collect, Output
from liquid_ros.evaluation.recording import open_source
from liquid_ros.evaluation.replay import replay
from liquid_ros.frames import fits
from liquid_ros.fused import Fused
from liquid_ros.smoothers import SMOOTHERS

POSE = TYPES['pose']


def samples_of(path, topics=()):
    with open_source(path, topics) as source:
        return list(source.samples())


def runs_of(path, **more):
    more.setdefault('topics', ())
    return {run.name: run for run in collect(path, 'kalman', build('kalman'), **more).runs}


@pytest.fixture(scope='module')
def everything(tmp_path_factory):
    """Return a bag with every type at once."""
    path = tmp_path_factory.mktemp('collect') / 'bag'
    topics = {f'/{kind}': (TYPES[kind], flawed(kind, 60, seed=k))
              for k, kind in enumerate(TYPES)}
    topics['/pose_2'] = POSE, flawed('pose', 25, seed=9)
    write_bag(path, topics)
    return path


@pytest.mark.parametrize('name', SMOOTHERS)
def test_batches_are_one_message_at_a_time_to_the_bit(everything, name):
    samples = samples_of(everything)
    batched = list(replay(samples, build(name)))
    singly = list(replay(samples, build(name), most=1))
    assert len(batched) == len(singly) > 400
    # without a compiler: NumPy's products round by how many rows they have
    exact = name != 'liquid' or isinstance(build(name), Fused)
    for one, other in zip(batched, singly):
        assert one.sample.log_ns == other.sample.log_ns and one.withheld == other.withheld
        for a, b in zip(one.update[:5], other.update[:5]):
            assert list(a) == list(b)
        for a, b in zip(one.update.estimate, other.update.estimate):
            assert a.tobytes() == b.tobytes() or not exact
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


def test_every_stream_has_a_run(everything):
    runs = runs_of(everything)
    pairs = {f'/tf#{frame}:{child}' for frame in ('map', 'odom') for child in CHILDREN}
    expected = {'/pose', '/pose_2', '/point', '/pose_with_covariance', '/odometry', '/path',
                *(f'/transform#{child}' for child in CHILDREN),
                *(f'/pose_array#{k}' for k in range(3))}
    assert expected <= set(runs) <= expected | pairs
    for run in runs.values():
        count = len(run.stamps_ns)
        assert run.tally.accepted == count and run.left_out == 0 and run.starts[0]
        assert run.raw.shape == run.smooth.shape == run.offline.shape == run.expected.shape
        assert (np.diff(run.stamps_ns)[~run.starts[1:]] > 0).all()
        assert np.isfinite(run.smooth).all() and np.isfinite(run.offline).all()


def test_streams_are_chosen_by_name(everything):
    assert set(runs_of(everything, topics=['/transform#tag*', '/point'])) == {
        '/point', '/transform#tag', '/transform#tag_22'}
    assert set(runs_of(everything, topics=['/tf#tag', '/pose_array#1'])) <= {
        '/tf#map:tag', '/tf#odom:tag', '/pose_array#1'}
    with pytest.raises(InputError, match='no message has a pose that was asked for'):
        runs_of(everything, topics=['/tf#nobody'])
    for topic in ('/point#0', '/pose#*'):
        with pytest.raises(InputError, match=f'got .{topic[:6]}.*, expected no # behind it'):
            runs_of(everything, topics=[topic])


@pytest.mark.parametrize('topic', ['/tags#2', '/tags#[02]', '/tags'])
def test_a_place_of_an_array_is_written_where_it_stands(tmp_path, topic):
    rows = np.zeros((4, 7))
    rows[:, 0], rows[:, 6] = 100.0 * np.arange(4), 1.0
    messages = [(10**9 + k * 10**7, bytes(store().serialize_cdr(make(
        TYPES['pose_array'], header(10**9 + k * 10**7, 'map'),
        [pose(row + [0.01 * (k % 2), 0, 0, 0, 0, 0, 0]) for row in rows]), TYPES['pose_array'])))
        for k in range(20)]
    path, out = tmp_path / 'bag', str(tmp_path / 'out.mcap')
    write_bag(path, {'/tags': (TYPES['pose_array'], messages)})
    runs_of(path, topics=[topic], output=Output([out]))
    got = samples_of(Path(out), ['/tags/smoothed'])[-1].rows
    assert np.abs(got[:, 0] - rows[:, 0]).max() < 0.02
    chosen = np.isin(np.arange(4), [2] if topic.endswith('#2') else [0, 2]) | (topic == '/tags')
    assert ((got[:, 0] != rows[:, 0] + 0.01) == chosen).all()


@pytest.mark.parametrize('more', [{}, {'offline': True}, {'lag_s': 0.05}])
def test_an_array_without_poses_is_written_as_one(tmp_path, more):
    """In the order of time; not where its stamp is zero or not newer than the last."""
    seen = [(k, k % 5 < 3) for k in range(20)] + [(2, False), (None, False)]
    messages = [(10**9 + i * 10**7, bytes(store().serialize_cdr(make(
        TYPES['pose_array'], header(0 if k is None else 10**9 + k * 10**7, 'map'),
        [pose([0.01 * i, 0, 0, 0, 0, 0, 1])] * there), TYPES['pose_array'])))
        for i, (k, there) in enumerate(seen)]
    path, out = tmp_path / 'bag', str(tmp_path / 'out.mcap')
    write_bag(path, {'/tags': (TYPES['pose_array'], messages)})
    runs = runs_of(path, output=Output([out], **more))
    assert len(runs['/tags#0'].stamps_ns) == 12
    got = samples_of(Path(out), ['/tags/smoothed'])
    assert [len(sample.keys) for sample in got] == [int(there) for _, there in seen[:20]]
    assert [sample.log_ns for sample in got] == [log_ns for log_ns, _ in messages[:20]]


def test_two_streams_whose_names_are_one_word_have_a_topic_each(tmp_path):
    messages = [(10**9 + k * 10**7, bytes(store().serialize_cdr(make(TYPES['tf'], [
        transform(10**9 + k * 10**7, 'odom', child, [x + 0.01 * (k % 2), 0, 0, 0, 0, 0, 1])
        for x, child in enumerate(('r1/base', 'r1_base', 'r1-base'))]), TYPES['tf'])))
        for k in range(20)]
    path, out = tmp_path / 'bag', str(tmp_path / 'out.mcap')
    write_bag(path, {'/tf': (TYPES['tf'], messages)})
    runs_of(path, output=Output([out]))
    names = ['/tf/smoothed_with_covariance/odom_r1_base' + more for more in ('', '_2', '_3')]
    for x, name in enumerate(names):
        assert abs(samples_of(Path(out), [name])[-1].rows[0, 0] - x) < 0.02


def test_a_clock_that_is_set_after_the_start_leaves_dt_its_digits(tmp_path):
    stamps = [10**10 + k * 10**6 for k in range(30)]
    stamps += [1_700_000_000 * 10**9 + k * 10**6 for k in range(200)]
    path = tmp_path / 'clock.csv'
    path.write_text('stamp_ns,x,y,z\n' + ''.join(
        f'{stamp},{k % 7},{k % 5},0\n' for k, stamp in enumerate(stamps)))
    run, = runs_of(path).values()
    dt_s = np.diff(run.times_s)[~run.starts[1:]]
    np.testing.assert_allclose(dt_s, 1e-3, rtol=1e-7)
    assert run.starts.sum() == 2 and 1e4 < run.times_s[-1] < 1e6


def moving(tmp_path, *children):
    """Write and return a bag of transforms that move."""
    rng = np.random.default_rng(0)
    messages = []
    for k in range(30):
        stamp_ns = 10**18 + k * 20_000_000
        message = make(TYPES['tf'], [transform(stamp_ns, 'camera', child, np.append(
            rng.normal(size=3), [0, 0, 0, 1.0])) for child in children])
        messages.append((stamp_ns, bytes(store().serialize_cdr(message, TYPES['tf']))))
    write_bag(tmp_path / 'bag', {'/tf': (TYPES['tf'], messages)})
    return tmp_path / 'bag'


@pytest.mark.parametrize('pattern, chosen', [
    ('tag36h11:1', '1'), ('camera:tag36h11:1', '1'), ('tag*', '12'), ('*:1', '1'), ('1', '')])
def test_a_child_with_a_colon_is_chosen_as_the_node_chooses(tmp_path, pattern, chosen):
    bag = moving(tmp_path, 'tag36h11:1', 'tag36h11:2')
    names = {key for sample in samples_of(bag, [f'/tf#{pattern}']) for key in sample.keys}
    assert names == {f'camera:tag36h11:{number}' for number in chosen}
    assert {name for name in ('camera:tag36h11:1', 'camera:tag36h11:2')
            if fits(name, [pattern])} == names


def test_what_is_smooth_already_is_asked_for_by_name_alone(tmp_path):
    bag, out = moving(tmp_path, 'tag', 'tag_smoothed'), tmp_path / 'out'
    for topics in ((), ['/tf'], ['/tf#tag*'], ['/tf#*']):
        assert set(runs_of(bag, topics=topics)) == {'/tf#camera:tag'}
    assert set(runs_of(bag, topics=['/tf#*_smoothed'])) == {'/tf#camera:tag_smoothed'}
    collect(bag, 'ema', build('ema'), output=Output((str(out),)))
    assert {key for sample in samples_of(out, ['/tf/smoothed']) for key in sample.keys} == {
        'camera:tag'}
    run, = collect(bag, 'ema', build('ema'), truth='/tf#camera:tag_smoothed').runs
    assert run.name == '/tf#camera:tag' and np.isfinite(run.truth).all()


def test_a_transform_that_never_changes_is_no_run(tmp_path):
    rng = np.random.default_rng(0)
    messages = []
    for k in range(30):
        stamp_ns = 10**18 + k * 20_000_000
        message = make(TYPES['tf'], [
            transform(stamp_ns, 'map', 'still', np.array([1, 2, 3, 0, 0, 0, 1.0])),
            transform(stamp_ns, 'map', 'moves', np.append(rng.normal(size=3), [0, 0, 0, 1.0]))])
        messages.append((stamp_ns, bytes(store().serialize_cdr(message, TYPES['tf']))))
    write_bag(tmp_path / 'a', {'/tf': (TYPES['tf'], messages),
                               '/tf_static': (TYPES['tf'], messages)})
    assert set(runs_of(tmp_path / 'a')) == {'/tf#map:moves'}
    with pytest.raises(InputError, match='no transform ever changes'):
        runs_of(tmp_path / 'a', topics=['/tf#still'])
    collect(tmp_path / 'a', 'kalman', build('kalman'), output=Output((str(tmp_path / 'b'),)))
    out = samples_of(tmp_path / 'b', ['/tf/smoothed'])
    assert [set(s.keys) for s in out] == [{'map:still', 'map:moves'}] * 30
    assert len(samples_of(tmp_path / 'b', ['/tf/smoothed_with_covariance/map_moves'])) == 30


def test_only_the_first_messages_are_kept_and_all_are_written(everything, tmp_path):
    whole = runs_of(everything)
    out = str(tmp_path / 'out.mcap')
    runs = runs_of(everything, keep=7, output=Output((out,)))
    for name, run in runs.items():
        assert len(run.stamps_ns) == min(7, len(whole[name].stamps_ns)) == len(run.offline)
        assert run.tally == whole[name].tally
        assert run.left_out == len(whole[name].stamps_ns) - len(run.stamps_ns)
        assert np.array_equal(run.smooth, whole[name].smooth[:7])
    written = samples_of(Path(out), ['/pose/smoothed'])
    assert len(written) == len(whole['/pose'].stamps_ns)


def test_covariance_goes_out_with_every_stream(everything, tmp_path):
    runs_of(everything, output=Output((str(tmp_path / 'out'),)))
    for topic in ('/pose/smoothed_with_covariance', '/point/smoothed_with_covariance',
                  '/pose_array/smoothed_with_covariance/stream_1', '/odometry/smoothed',
                  '/transform/smoothed_with_covariance/gripper_left',
                  '/pose_with_covariance/smoothed', '/path/smoothed_with_covariance'):
        samples = samples_of(tmp_path / 'out', [topic])
        assert samples and all((s.variances > 0.0).all() for s in samples)


@pytest.mark.parametrize('plugin', [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
@pytest.mark.parametrize('mode', [CompressionMode.FILE, CompressionMode.MESSAGE,
                                  CompressionMode.STORAGE])
def test_compressed_bags(tmp_path, plugin, mode):
    if plugin is StoragePlugin.SQLITE3 and mode is CompressionMode.STORAGE:
        pytest.skip('sqlite3 has none')
    messages = flawed('pose', 30)
    writer = Writer(tmp_path / 'bag', version=9, storage_plugin=plugin)
    writer.set_compression(mode, CompressionFormat.ZSTD)
    with writer:
        connection = writer.add_connection('/pose', POSE, typestore=store())
        for log_ns, raw in messages:
            writer.write(connection, log_ns, raw)
    write_bag(tmp_path / 'plain', {'/pose': (POSE, messages)}, plugin)
    assert np.array_equal(runs_of(tmp_path / 'bag')['/pose'].smooth,
                          runs_of(tmp_path / 'plain')['/pose'].smooth)


@pytest.mark.parametrize('plugin', [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
def test_compressed_messages_are_read_without_metadata_and_damaged_ones_counted(tmp_path, plugin):
    messages = flawed('pose', 30)
    writer = Writer(tmp_path / 'bag', version=9, storage_plugin=plugin)
    writer.set_compression(CompressionMode.MESSAGE, CompressionFormat.ZSTD)
    with writer:
        connection = writer.add_connection('/pose', POSE, typestore=store())
        for log_ns, raw in messages:
            writer.write(connection, log_ns, raw)
        writer.compression_mode = CompressionMode.NONE
        writer.write(connection, messages[-1][0] + 1, b'\x28\xb5\x2f\xfd' + bytes(40))
    file, = (tmp_path / 'bag').glob('bag.*')
    out = str(tmp_path / 'out.mcap')
    recording = collect(file, 'ema', build('ema'), output=Output((out,)))
    assert recording.problems == ['/pose: 1 messages are damaged']
    raw = [sample.raw for sample in samples_of(Path(out), ['/pose'])]
    assert raw == [raw for _, raw in messages]


def test_custom_types_do_not_disturb(tmp_path):
    custom = 'acme_msgs/msg/Secret'
    types = get_typestore(Stores.ROS2_HUMBLE)
    types.register(get_types_from_msg('int32 number\nstring word\n', custom))

    def more(writer):
        secret = writer.add_connection('/secret', custom, typestore=types)
        for k in range(5):
            writer.write(secret, k, types.serialize_cdr(types.types[custom](7, 'x'), custom))
        lost = writer.add_connection('/lost', 'acme/msg/Lost', msgdef='', rihs01='x')
        writer.write(lost, 9, b'\0\1\0\0what')

    write_bag(tmp_path / 'bag', {'/pose': (POSE, flawed('pose', 20))}, more=more)
    out = str(tmp_path / 'out')
    assert set(runs_of(tmp_path / 'bag', output=Output((out,)))) == {'/pose'}
    assert len(samples_of(Path(out), ['/pose'])) == 20


def test_a_big_endian_message_is_read(tmp_path):
    message = make(TYPES['point'], header(10**18, 'map'), make(
        'geometry_msgs/msg/Point', 1.0, 2.0, 3.0))
    raw = bytes(store().serialize_cdr(message, TYPES['point'], little_endian=False))
    write_bag(tmp_path / 'a', {'/p': (TYPES['point'], [(1, raw)])})
    sample, = samples_of(tmp_path / 'a')
    assert sample.rows.tolist() == [[1, 2, 3]] and sample.stamps_ns[0] == 10**18


# Broken bags.


@pytest.mark.parametrize('name', ['a.mcap', 'a.db3'])
@pytest.mark.parametrize('keep', [0.5, 0.8, 0.999])
def test_what_can_be_read_of_a_truncated_bag_is_read(tmp_path, name, keep):
    messages = [(k, raw) for k, (_, raw) in enumerate(flawed('pose', 500) * 40)]
    write_bag(tmp_path / 'bag', {'/pose': (POSE, messages)},
              StoragePlugin.MCAP if name.endswith('mcap') else StoragePlugin.SQLITE3)
    whole = (tmp_path / 'bag' / ('bag' + name[1:])).read_bytes()
    (tmp_path / name).write_bytes(whole[:int(len(whole) * keep)])
    with open_source(tmp_path / name) as source:
        read = [sample.raw for sample in source.samples()]
        assert 'messages were read' in source.problems[0]
    assert 0.7 * keep * len(messages) < len(read) <= len(messages)
    assert read == [raw for _, raw in messages[:len(read)]]


def test_a_text_file_that_was_cut_off(tmp_path):
    lines = [f'{k / 50:.3f} {k} 2 3 0 0 0 1\n' for k in range(50)]
    (tmp_path / 'a.tum').write_text(''.join(lines)[:-7])
    recording = collect(tmp_path / 'a.tum', 'ema', build('ema'))
    assert recording.runs[0].tally.received == 49
    assert recording.problems == [f'{tmp_path / "a.tum"}:50: got 5 columns, expected 8; '
                                  'lines left out: 1']
    (tmp_path / 'b.tum').write_text('what is this\n' * 9)
    with pytest.raises(UnreadableError, match='b.tum:1'):
        collect(tmp_path / 'b.tum', 'ema', build('ema'))


def test_a_recorder_that_was_killed_leaves_no_metadata(tmp_path):
    write_bag(tmp_path / 'bag', {'/pose': (POSE, flawed('pose', 50))})
    (tmp_path / 'bag' / 'metadata.yaml').unlink()
    assert collect(tmp_path / 'bag', 'ema', build('ema')).runs[0].tally.received == 50


def test_a_damaged_length_behind_all_messages_costs_nothing(tmp_path):
    """That of DATA_END says half a terabyte."""
    path = tmp_path / 'bag'
    write_bag(path, {'/pose': (POSE, flawed('pose', 40))})
    file, = path.glob('*.mcap')
    data, at = bytearray(file.read_bytes()), 8
    while data[at] != 15:
        at += 9 + int.from_bytes(data[at + 1:at + 9], 'little')
    data[at + 5] = 0x80
    file.write_bytes(data[:at + 40])
    assert len(samples_of(file)) == 40


@pytest.mark.parametrize('content', [b'', b'nothing', b'\x89MCAP0\r\n', b'SQLite format 3\0'])
@pytest.mark.parametrize('name', ['a.mcap', 'a.db3'])
def test_where_nothing_can_be_read(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UnreadableError, match=name) as caught:
        collect(tmp_path / name, 'ema', build('ema'))
    assert '\n' not in str(caught.value)


def test_damaged_messages_are_counted(tmp_path):
    messages = flawed('pose', 20)
    messages[5] = messages[5][0], messages[5][1][:30]
    write_bag(tmp_path / 'bag', {'/pose': (POSE, messages)})
    recording = collect(tmp_path / 'bag', 'ema', build('ema'))
    assert recording.problems == ['/pose: 1 messages are damaged']


def test_what_cannot_be_used_at_all_is_told(tmp_path):
    nowhere = [(k, bytes(store().serialize_cdr(make(TYPES['point'], header(0, ''), make(
        'geometry_msgs/msg/Point', 1.0, 2.0, float(k))), TYPES['point']))) for k in range(9)]
    write_bag(tmp_path / 'a', {'/p': (TYPES['point'], nowhere), '/pose': (
        POSE, flawed('pose', 20))})
    recording = collect(tmp_path / 'a', 'ema', build('ema'))
    assert [run.name for run in recording.runs] == ['/pose']
    assert recording.problems == ['/p: no message can be used: 9 in, 0 out, 9 dropped '
                                  '(zero_stamp 9)']
    with pytest.raises(InputError, match='zero_stamp 9'):
        collect(tmp_path / 'a', 'ema', build('ema'), topics=['/p'])
