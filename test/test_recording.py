# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Recordings: every number and stamp survives every format; a broken one is told in a line."""

import contextlib
from pathlib import Path
import shutil
import sqlite3
import struct

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
from rosbags.rosbag2 import Reader, StoragePlugin, Writer
from rosbags.typesys import get_types_from_msg, get_typestore, Stores

from liquid_ros.errors import InputError
from liquid_ros.evaluation.bag_messages import KINDS, store
from liquid_ros.evaluation.bag_write import declare, encode, new_bag, write_bag
from liquid_ros.evaluation.recording import open_sink, open_source, refuse_overlap
from liquid_ros.evaluation.salvage_sqlite import rows
from liquid_ros.evaluation.sample import single
from liquid_ros.evaluation.text import open_text, write_text
from liquid_ros.files import replacing
from liquid_ros.smoothers import Estimate
from liquid_ros.timing import Arrival
from liquid_ros.update import Update

POSE = 'geometry_msgs/msg/PoseStamped'
POINT = 'geometry_msgs/msg/PointStamped'
NAMES = ['a.tum', 'a.txt', 'a.csv', 'a.mcap', 'a.db3', 'folder']

finite = st.floats(allow_nan=False, allow_infinity=False)
stamps = st.integers(-2**62, 2**62)


def as_it_came(sample):
    """Return an answer that holds the input's own rows."""
    count, width = sample.rows.shape
    axes = 3 if width == 3 else 6
    ones = np.ones((count, axes))
    return Update(np.ones(count, dtype=bool), [None] * count, [Arrival.STEP] * count,
                  sample.stamps_ns, np.zeros(count, dtype=bool),
                  Estimate(sample.rows, ones, ones, ones[:, ::3], ones[:, ::3]))


def samples_of(path, topics=()):
    """Return them all; InputError where something cannot be read."""
    with open_source(path, topics) as source:
        samples = list(source.samples())
        if source.problems:
            raise InputError('; '.join([str(path), *source.problems]))
        return samples


def write_all(path, samples, width):
    """Write samples as they are, in the format that the path's name says."""

    class Text:
        total = None

    Text.path, Text.width = Path('nowhere.tum'), width
    with open_sink(path, Text(), is_folder=not path.suffix) as write:
        for sample in samples:
            write(sample, as_it_came(sample))


def some_samples(count=5, width=7, key=''):
    rng = np.random.default_rng(7)
    rows = rng.normal(size=(count, width))
    times = 1_700_000_000_123_456_789 + np.arange(count) * 33_333_333
    return [single(key, int(t), row) for t, row in zip(times, rows)]


def bag_with(path, topics, plugin=StoragePlugin.MCAP, samples=None):
    """Write a bag of the same samples on each of {topic: type}."""
    with Writer(path, version=9, storage_plugin=plugin) as writer:
        for topic, msgtype in topics.items():
            connection = writer.add_connection(topic, msgtype, typestore=store())
            for sample in some_samples() if samples is None else samples:
                row = sample.rows[0, :KINDS[msgtype].width]
                writer.write(connection, sample.log_ns, encode(sample.stamps_ns[0], 'map', row))


@given(rows=st.lists(st.tuples(stamps, st.tuples(*[finite] * 7)), min_size=1, max_size=5),
       width=st.sampled_from([3, 7]), is_csv=st.booleans())
@settings(deadline=None, max_examples=60)
def test_text_keeps_every_bit(tmp_path_factory, rows, width, is_csv):
    path = tmp_path_factory.mktemp('text') / 'a'
    with write_text(path, is_csv, width) as write:
        for stamp_ns, row in rows:
            sample = single('', stamp_ns, np.array(row[:width]))
            write(sample, as_it_came(sample))
    with open_text(path, is_csv) as source:
        back = list(source.samples())
    assert [sample.stamps_ns[0] for sample in back] == [stamp_ns for stamp_ns, _ in rows]
    for sample, (_, row) in zip(back, rows):
        expected = list(row[:width])
        if not is_csv and width == 3:
            expected += [0.0, 0.0, 0.0, 1.0]
        assert sample.rows.tobytes() == np.array(expected).tobytes()


@pytest.mark.parametrize('name', NAMES)
@pytest.mark.parametrize('width', [3, 7])
def test_every_format_gives_back_what_went_in(tmp_path, name, width):
    samples = some_samples(width=width)
    write_all(tmp_path / name, samples, width)
    back = samples_of(tmp_path / name)
    assert [sample.stamps_ns[0] for sample in back] == [sample.stamps_ns[0] for sample in samples]
    got = np.concatenate([sample.rows for sample in back])
    assert got[:, :width].tobytes() == np.concatenate([s.rows for s in samples]).tobytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == [name]


@pytest.mark.parametrize('name', NAMES)
def test_an_output_replaces_an_older_one(tmp_path, name):
    for count in (3, 5):
        write_all(tmp_path / name, some_samples(count), 7)
    assert len(samples_of(tmp_path / name)) == 5
    assert [p.name for p in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize('name', NAMES)
def test_what_fails_leaves_the_older_output_alone(tmp_path, name):
    write_all(tmp_path / name, some_samples(3), 7)

    def broken():
        yield some_samples(1)[0]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_all(tmp_path / name, broken(), 7)
    assert len(samples_of(tmp_path / name)) == 3
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_a_folder_that_is_no_bag_is_never_replaced(tmp_path):
    (tmp_path / 'folder').mkdir()
    (tmp_path / 'folder' / 'thesis.tex').write_text('years')
    with pytest.raises(InputError, match='not replaced'), new_bag(tmp_path / 'folder', '.mcap'):
        pass
    assert (tmp_path / 'folder' / 'thesis.tex').read_text() == 'years'


def test_a_bag_is_not_replaced_by_a_file(tmp_path):
    (tmp_path / 'bag').mkdir()
    (tmp_path / 'bag' / 'metadata.yaml').write_text('kept')
    for folders, reason in ((True, 'not replaced by a file'), (False, 'is not replaced')):
        with pytest.raises(InputError, match=reason):
            with replacing(tmp_path / 'bag', folders) as fresh:
                fresh.write_text('a report')
    assert [path.name for path in tmp_path.iterdir()] == ['bag']
    assert (tmp_path / 'bag' / 'metadata.yaml').read_text() == 'kept'


def test_a_suffix_in_capitals_is_told(tmp_path):
    write_all(tmp_path / 'a.mcap', some_samples(), 7)
    (tmp_path / 'a.mcap').rename(tmp_path / 'A.MCAP')
    for opened in (lambda: open_source(tmp_path / 'A.MCAP'),
                   lambda: write_all(tmp_path / 'B.DB3', some_samples(), 7)):
        with pytest.raises(InputError, match=r'got the suffix \.[A-Z3]+, expected \.[a-z3]+$'):
            opened()


def test_a_full_disk_is_told_with_the_file(tmp_path):
    with pytest.raises(OSError) as caught, replacing(tmp_path / 'x'):
        raise OSError(28, 'No space left on device')
    assert caught.value.filename == str(tmp_path / 'x')


def test_an_error_names_the_file_that_was_asked_for(tmp_path):
    with pytest.raises(OSError) as caught, replacing(tmp_path / 'x') as fresh:
        open(fresh / 'y')
    assert caught.value.filename == str(tmp_path / 'x')


@pytest.mark.parametrize('name', ['a.npz', 'a.bag', 'a.JSON'])
def test_a_suffix_of_something_else_is_told(tmp_path, name):
    (tmp_path / name).write_bytes(b'PK')
    for opened in (lambda: open_source(tmp_path / name),
                   lambda: write_all(tmp_path / name, some_samples(), 7)):
        with pytest.raises(InputError, match=f'{name}: got the suffix .*, expected .tum, .csv'):
            opened()
    assert (tmp_path / name).read_bytes() == b'PK'


def test_a_bag_folder_names_its_storage_after_itself(tmp_path):
    write_all(tmp_path / 'folder', some_samples(), 7)
    assert {p.name for p in (tmp_path / 'folder').iterdir()} == {'folder.mcap', 'metadata.yaml'}


def test_tum_comments_blanks_a_mark_of_bytes_and_windows_lines(tmp_path):
    path = tmp_path / 'a.tum'
    path.write_bytes(b'\xef\xbb\xbf# t x y z\r\n\r\n1.5 1 2 3 0 0 0 1\r\n  2.5 4\t5 6 0 0 0 1')
    assert [s.stamps_ns[0] for s in samples_of(path)] == [1_500_000_000, 2_500_000_000]


@pytest.mark.parametrize('header, line, stamp_ns', [
    ('t,x,y,z', '1.000000001,1,2,3', 1_000_000_001),
    ('stamp,x,y,z', '1700000000.123456789,1,2,3', 1_700_000_000_123_456_789),
    ('stamp_ns,x,y,z', '1700000000123456789,1,2,3', 1_700_000_000_123_456_789),
    (' Z, Y ,note,X,T', '3,2,"a, b",1,5', 5_000_000_000),
    ('#timestamp [ns],p_RS_R_x [m],p_RS_R_y [m],p_RS_R_z [m],v_RS_R_x [m s^-1]',
     '1403636580838555648,1,2,3,9', 1_403_636_580_838_555_648),
    ('__time,/pose/header/stamp,/pose/pose/position/x,/pose/pose/position/y,'
     '/pose/pose/position/z', '7.5,2.5,1,2,3', 2_500_000_000),
    ('timeMs,posX,posY,posZ,velX', '1500.000001,1,2,3,9', 1_500_000_001),
    ('#timestamp, p_RS_R_x [m], p_RS_R_y [m], p_RS_R_z [m]', '1403636580838555648,1,2,3',
     1_403_636_580_838_555_648),
    ('stamp.sec,stamp.nanosec,x,y,z', '2,500000000,1,2,3', 2_500_000_000),
    ('/h/stamp/nsecs,/h/stamp/secs,__time,tx,ty,tz', '5,2,9,1,2,3', 2_000_000_005),
    ('# timeMs,z,y,x\nt,x,y,z', '3,1,2,3', 3_000_000_000),
    ('t [s],x [m],y [m],z [m],target_x', '3,1,2,3,9', 3_000_000_000),
    ('t [ms],x,y,z', '1500,1,2,3', 1_500_000_000),
    ('stamp (ns),x,y,z', '1700000000123456789,1,2,3', 1_700_000_000_123_456_789),
    ('t,t,x,y,z', '1,1,1,2,3', None),
    ('time,px,py,pz,target_position_x', '1,1,2,3,9', None)])
def test_csv_columns_go_by_their_names(tmp_path, header, line, stamp_ns):
    path = tmp_path / 'a.csv'
    path.write_text(f'# recorded today\n{header}\n{line}\n')
    if stamp_ns is None:  # two that are as good
        with pytest.raises(InputError, match='got the CSV header'):
            samples_of(path)
        return
    sample, = samples_of(path)
    assert sample.stamps_ns[0] == stamp_ns
    assert sample.rows[0].tolist() == [1.0, 2.0, 3.0]


@pytest.mark.parametrize('header', [
    'pos_x,pos_y,pos_z,q_RS_w [],q_RS_x [],q_RS_y [],q_RS_z []',
    'tx,ty,tz,quat_w,quat_x,quat_y,quat_z', 'x,y,z,q_w,q_x,q_y,q_z',
    'position.x,position.y,position.z,orientation.w,orientation.x,orientation.y,orientation.z',
    'x,y,z,qw,qx,qy,qz'])
def test_a_quaternion_may_begin_with_w(tmp_path, header):
    path = tmp_path / 'a.csv'
    path.write_text(f't,{header}\n1,1,2,3,0.5,0.1,0.7,0.5\n')
    sample, = samples_of(path)
    assert sample.rows[0].tolist() == [1.0, 2.0, 3.0, 0.1, 0.7, 0.5, 0.5]


def test_a_quote_in_a_comment_takes_no_row_with_it(tmp_path):
    path = tmp_path / 'a.csv'
    path.write_text('# by, "me\nt,x,y,z\n1,1,2,3\n# 5, "6\n2,1,2,3\n3,1,2,3\n')
    assert len(samples_of(path)) == 3
    path.write_text(path.read_text() + '4,1,"2,3\n5,1,2,3\n')
    with pytest.raises(InputError, match=r'a\.csv:7: got 3 columns'):
        samples_of(path)


@pytest.mark.parametrize('name, text, match', [
    ('a.tum', '', 'is empty'),
    ('a.tum', '# only a comment\n\n', 'is empty'),
    ('a.tum', '1 2 3\n', r'a\.tum:1: got 3 columns, expected 8'),
    ('a.tum', '1,2,3,4,0,0,0,1\n', r"tum:1: got 1 columns, .* with blanks between them, not ','"),
    ('a.tum', '1 1 2 3 0 0 0 1\n2 1 2 3 0 0 0\n', r'a\.tum:2: got 7 columns'),
    ('a.tum', '# c\n\n1 1 2 x 0 0 0 1\n', r"a\.tum:3: .*'x'"),
    ('a.tum', 'noon 1 2 3 0 0 0 1\n', r"a\.tum:1: .*'noon'"),
    ('a.tum', 'nan 1 2 3 0 0 0 1\n', r'a\.tum:1: '),
    ('a.tum', '1e400 1 2 3 0 0 0 1\n', r'a\.tum:1: '),
    ('a.csv', 't,x,y,z\n', 'is empty'),
    ('a.csv', '', 'is empty, expected a header'),
    ('a.csv', 'x,y,z\n1,2,3\n', "got the CSV header 'x,y,z'"),
    ('a.csv', 't,stamp_ns,x,y,z\n1,2,3,4,5\n', 'got the CSV header'),
    ('a.csv', 't,x,y,z,qx\n1,2,3,4,5\n', 'got the CSV header'),
    ('a.csv', 't,qx,qy,qz\n1,2,3,4\n', 'got the CSV header'),
    ('a.csv', 't,x,y,z\n1403636580838555648,1,2,3\n', 'is it in ms, us or ns'),
    ('a.csv', 'timestamp_ns,x,y,z\nnoon,1,2,3\n', r"a\.csv:2: got 'noon'"),
    ('a.csv', 'stamp_ns,x,y,z\n1.5,1,2,3\n', r"a\.csv:2: .*'1\.5'"),
    ('a.csv', 't,x,y,z\n1,2,3,4,5\n', r'a\.csv:2: got 5 columns, expected 4'),
    ('a.csv', 't,x [mm],y [mm],z [mm]\n1,2,3,4\n', r'csv: got x y z in mm by .*, expected m')])
def test_text_that_cannot_be_read(tmp_path, name, text, match):
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=match):
        samples_of(tmp_path / name)


@pytest.mark.parametrize('name', ['a.tum', 'a.csv', 'a.png'])
def test_a_binary_file_is_no_text(tmp_path, name):
    (tmp_path / name).write_bytes(bytes(range(256)) * 10)
    with pytest.raises(InputError, match='is not a' if name != 'a.png' else ''):
        samples_of(tmp_path / name)


@pytest.mark.parametrize('name, header', [('a.tum', b''), ('a.csv', b't,x,y,z,qx,qy,qz,qw\n')])
def test_a_comment_in_another_encoding_is_one(tmp_path, name, header):
    """Its letters may be no UTF-8; a line with such a number is left out and told."""
    path = tmp_path / name
    rows = [f'{k} 0 0 0 0 0 0 1\n' for k in range(5)]
    text = ''.join(rows).replace(' ', ',' if header else ' ').encode()
    path.write_bytes(b'# t [s], turned by [\xb0]\n' + header + text)
    assert len(samples_of(path)) == 5
    path.write_bytes(header + b'\xb5' + text)
    with pytest.raises(InputError, match='lines left out: 1'):
        samples_of(path)


def test_a_file_of_two_bytes_a_letter_is_no_text(tmp_path):
    (tmp_path / 'a.tum').write_bytes('1 0 0 0 0 0 0 1\n'.encode('utf-16'))
    with pytest.raises(InputError, match='is not a text file'):
        samples_of(tmp_path / 'a.tum')


@pytest.mark.parametrize('name', ['a.tum', 'a.csv', 'a.mcap', 'a.db3'])
def test_a_missing_file(tmp_path, name):
    with pytest.raises(InputError, match='no such file'):
        samples_of(tmp_path / name)


def test_a_folder_without_metadata(tmp_path):
    with pytest.raises(InputError, match='not a readable rosbag2'):
        samples_of(tmp_path)


@pytest.mark.parametrize('name', ['a.mcap', 'a.db3'])
@pytest.mark.parametrize('keep', [0.0, 0.01, 0.3, 0.9, 0.999])
def test_a_truncated_bag(tmp_path, name, keep):
    write_all(tmp_path / name, some_samples(2000), 7)
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[:int(len(whole) * keep)])
    with pytest.raises(InputError, match=name):
        samples_of(tmp_path / name)


@pytest.mark.parametrize('name', ['a.mcap', 'a.db3'])
@given(seed=st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=40)
def test_a_corrupt_bag_is_read_or_refused(tmp_path_factory, name, seed):
    path = tmp_path_factory.mktemp('corrupt') / name
    write_all(path, some_samples(50), 7)
    data = np.frombuffer(path.read_bytes(), np.uint8).copy()
    rng = np.random.default_rng(seed)
    data[rng.integers(0, len(data), 20)] = rng.integers(0, 256, 20)
    path.write_bytes(data.tobytes())
    try:
        samples_of(path)
    except InputError as error:
        assert name in str(error) and '\n' not in str(error)


@pytest.mark.parametrize('yaml', ['', '][', 'a: 1', 'rosbag2_bagfile_information: 3'])
def test_broken_metadata(tmp_path, yaml):
    bag_with(tmp_path / 'bag', {'/a': POSE})
    (tmp_path / 'bag' / 'metadata.yaml').write_text(yaml)
    with pytest.raises(InputError, match='not a readable rosbag2'):
        samples_of(tmp_path / 'bag')


def test_topics_by_name_and_glob(tmp_path):
    bag_with(tmp_path / 'bag', {'/a/pose': POSE, '/b/pose': POSE, '/point': POINT})
    assert {s.topic for s in samples_of(tmp_path / 'bag')} == {'/a/pose', '/b/pose', '/point'}
    assert {s.topic for s in samples_of(tmp_path / 'bag', ['/*/pose'])} == {'/a/pose', '/b/pose'}
    assert {s.topic for s in samples_of(tmp_path / 'bag', ['/point'])} == {'/point'}


def test_a_missing_topic_tells_which_there_are(tmp_path):
    bag_with(tmp_path / 'bag', {'/a': POSE, '/b': POINT})
    with pytest.raises(InputError, match=f"'/c'.*/a .{POSE}., /b .{POINT}."):
        samples_of(tmp_path / 'bag', ['/a', '/c'])
    with pytest.raises(InputError, match='only a bag has topics'):
        open_source(tmp_path / 'a.tum', ['/a'])


def test_a_topic_of_two_types_is_told(tmp_path):
    with Writer(tmp_path / 'in', version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        for topic, msgtype, width in (('/x', POSE, 7), ('/x', POINT, 3), ('/y', POINT, 3)):
            connection = declare(writer, topic, msgtype)
            writer.write(connection, 1, encode(10**18, 'map', np.ones(width)))
    for topics in ((), ['/x'], ['/*']):
        with pytest.raises(InputError, match=f'in: /x is of two types, {POSE} and {POINT}'):
            samples_of(tmp_path / 'in', topics)
    assert len(samples_of(tmp_path / 'in', ['/y'])) == 1


def test_bags_without_anything_to_smooth(tmp_path):
    bag_with(tmp_path / 'silent', {'/a': POSE}, samples=[])
    with pytest.raises(InputError, match='is empty, it has no message on /a'):
        samples_of(tmp_path / 'silent')
    with new_bag(tmp_path / 'void', '.mcap'):
        pass
    with pytest.raises(InputError, match='no topic of the types.*no topics'):
        samples_of(tmp_path / 'void')


@pytest.mark.parametrize('plugin', [StoragePlugin.MCAP, StoragePlugin.SQLITE3])
def test_bag_to_bag_leaves_the_input_topics_untouched(tmp_path, plugin):
    text = 'std_msgs/msg/String'
    custom = 'acme_msgs/msg/Secret'
    types = get_typestore(Stores.ROS2_HUMBLE)
    types.register(get_types_from_msg('int32 number\nstring word\n', custom))
    with Writer(tmp_path / 'in', version=9, storage_plugin=plugin) as writer:
        talk = writer.add_connection('/talk', text, typestore=types)
        secret = writer.add_connection('/secret', custom, typestore=types)
        pose = writer.add_connection('/pose', POSE, typestore=types)
        for sample in some_samples():
            writer.write(talk, sample.log_ns - 2, types.serialize_cdr(
                types.types[text]('hello'), text))
            writer.write(secret, sample.log_ns - 1, types.serialize_cdr(
                types.types[custom](7, 'x'), custom))
            writer.write(pose, sample.log_ns, encode(sample.stamps_ns[0], 'map', sample.rows[0]))
    with open_source(tmp_path / 'in') as source:
        with open_sink(tmp_path / 'out', source) as write:
            for sample in source.samples():
                write(sample, as_it_came(sample))

    def everything(path):
        with Reader(path) as reader:
            kinds = {c.topic: (c.msgtype, c.msgdef, c.digest) for c in reader.connections}
            return kinds, [(c.topic, t, bytes(raw)) for c, t, raw in reader.messages()]

    kinds, messages = everything(tmp_path / 'in')
    new_kinds, new_messages = everything(tmp_path / 'out')
    assert [m for m in new_messages if m[0] != '/pose/smoothed'] == messages
    assert {t: k for t, k in new_kinds.items() if t != '/pose/smoothed'} == kinds
    smoothed = [(t, raw) for topic, t, raw in new_messages if topic == '/pose/smoothed']
    assert smoothed == [(t, raw) for topic, t, raw in messages if topic == '/pose']


def test_a_bag_without_type_descriptions_can_be_copied(tmp_path):
    with Writer(tmp_path / 'in', version=8, storage_plugin=StoragePlugin.SQLITE3) as writer:
        odd = writer.add_connection('/odd', 'acme_msgs/msg/Lost', msgdef='', rihs01='x')
        pose = writer.add_connection('/pose', POSE, msgdef='', rihs01='x')
        for sample in some_samples():
            writer.write(odd, sample.log_ns, b'\0\1\0\0abcd')
            writer.write(pose, sample.log_ns, encode(sample.stamps_ns[0], 'map', sample.rows[0]))
    with open_source(tmp_path / 'in') as source:
        with open_sink(tmp_path / 'out.mcap', source) as write:
            for sample in source.samples():
                write(sample, as_it_came(sample))
    assert len(samples_of(tmp_path / 'out.mcap', ['/pose/smoothed'])) == 5


def test_smoothing_twice_says_that_the_topic_is_taken(tmp_path):
    bag_with(tmp_path / 'in', {'/a': POSE, '/a/smoothed': POSE})
    with open_source(tmp_path / 'in') as source:
        with pytest.raises(InputError, match='/a/smoothed'):
            with open_sink(tmp_path / 'out', source):
                pass
    assert [p.name for p in tmp_path.iterdir()] == ['in']


def test_many_topics_into_one_text_file(tmp_path):
    bag_with(tmp_path / 'in', {'/a': POSE, '/b': POINT})
    with open_source(tmp_path / 'in') as source:
        with pytest.raises(InputError, match=f'--topic.*/a .{POSE}., /b .{POINT}.'):
            open_sink(tmp_path / 'a.tum', source)


def test_a_stamp_that_no_header_holds(tmp_path):
    class Text:
        width = 7

    with pytest.raises(InputError, match='stamp'):
        with write_bag(tmp_path / 'a.mcap', '.mcap', Text()) as write:
            sample = single('', 10**19, np.zeros(7))
            write(sample, as_it_came(sample))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('source, output', [
    ('a.tum', 'a.tum'), ('bag', 'bag'), ('bag', 'bag/x.mcap'), ('bag/x.mcap', 'bag'),
    ('a.tum', 'link.tum'), ('a.tum', 'hard.tum')])
def test_the_input_is_never_overwritten(tmp_path, source, output):
    (tmp_path / 'a.tum').write_text('')
    (tmp_path / 'link.tum').symlink_to(tmp_path / 'a.tum')
    (tmp_path / 'hard.tum').hardlink_to(tmp_path / 'a.tum')
    (tmp_path / 'bag').mkdir()
    with pytest.raises(InputError, match='overwrite the input'):
        refuse_overlap(tmp_path / source, tmp_path / output)
    refuse_overlap(tmp_path / source, tmp_path / 'other.tum')


@pytest.mark.parametrize('name', ['bag', 'a.mcap', 'a.db3'])
def test_a_recording_that_is_no_output_is_never_replaced(tmp_path, name):
    plugin = StoragePlugin.SQLITE3 if name == 'a.db3' else StoragePlugin.MCAP
    bag_with(tmp_path / 'bag', {'/pose': POSE, '/pose/smoothed': POSE}, plugin)
    if name != 'bag':
        next((tmp_path / 'bag').glob('bag*')).rename(tmp_path / name)
    before = len(samples_of(tmp_path / name))
    for _ in range(2):
        with pytest.raises(InputError, match=f'{name}: was not written by smooth or evaluate, '
                           'it is not replaced'):
            write_all(tmp_path / name, some_samples(3), 7)
        assert len(samples_of(tmp_path / name)) == before
    (tmp_path / 'broken.mcap').write_bytes(b'what I have of it')
    with pytest.raises(InputError, match='not replaced'):
        write_all(tmp_path / 'broken.mcap', some_samples(3), 7)


def test_a_folder_of_other_bags_is_never_replaced(tmp_path):
    home = tmp_path / 'bags'
    home.mkdir()
    for name in ('one.mcap', 'two.mcap', 'three.db3'):
        (home / name).write_bytes(b'x')
    with pytest.raises(InputError, match='it is not replaced'), new_bag(home, '.mcap'):
        pass
    assert len(list(home.iterdir())) == 3


def record(kind, *parts):
    """Return a record of an mcap; parts: bytes, or texts."""
    body = b''.join(part if isinstance(part, bytes) else struct.pack('<I', len(part))
                    + part.encode() for part in parts)
    return struct.pack('<BQ', kind, len(body)) + body


def test_two_publishers_of_one_topic(tmp_path):
    """Each has a channel of its own in an mcap; the copy has one for both."""
    magic, count = b'\x89MCAP0\r\n', 60
    definition, _ = get_typestore(Stores.ROS2_HUMBLE).generate_msgdef(POINT)
    topics = record(3, struct.pack('<H', 1), POINT, 'ros2msg', definition) + b''.join(
        record(4, struct.pack('<HH', number, 1), '/p', 'cdr', struct.pack('<I', 0))
        for number in (1, 2))
    body = magic + record(1, 'ros2', 'x') + topics
    for k in range(count):
        stamp_ns = 10**18 + k * 10**7
        body += record(5, struct.pack('<HIQQ', 1 + k % 2, k, stamp_ns, stamp_ns)
                       + encode(stamp_ns, 'map', np.zeros(3)))
    body += record(15, struct.pack('<I', 0))
    counts = struct.pack('<IHQHQ', 20, 1, count // 2, 2, count // 2)
    end = record(11, struct.pack('<QHIIIIQQ', count, 1, 2, 0, 0, 0, 10**18, 10**18 + count * 10**7)
                 + counts) + record(2, struct.pack('<QQI', len(body), 0, 0))
    path = tmp_path / 'in.mcap'
    path.write_bytes(body + topics + end + magic)
    samples = samples_of(path)
    with open_source(path) as source, open_sink(tmp_path / 'out.mcap', source) as sink:
        assert len(source.chosen) == 2
        for sample in source.samples():
            sink(sample, as_it_came(sample))
    assert len(samples) == len(samples_of(tmp_path / 'out.mcap', ['/p'])) == len(samples_of(
        tmp_path / 'out.mcap', ['/p/smoothed'])) == count


def salvaged(path):
    with open_source(path) as source:
        return list(source.samples())


def test_a_split_bag_without_metadata_is_read_in_its_order(tmp_path):
    home = tmp_path / 'in'
    home.mkdir()
    for part in range(12):
        with new_bag(home / f'run_{part}.mcap', '.mcap') as writer:
            topic = declare(writer, '/p', 'geometry_msgs/msg/PointStamped')
            for k in range(10):
                stamp_ns = 10**18 + (10 * part + k) * 10**7
                writer.write(topic, stamp_ns, encode(stamp_ns, 'map', np.zeros(3)))
    stamps = [sample.stamps_ns[0] for sample in salvaged(home)]
    assert stamps == [10**18 + k * 10**7 for k in range(120)]


@pytest.mark.parametrize('names', [
    ('a_0.mcap', 'b_0.mcap'), ('a_0.mcap', 'a_1.db3'), ('a.mcap', 'b.mcap'),
    ('a.mcap', 'a_1.mcap')])
def test_a_folder_of_several_recordings_is_none(tmp_path, names):
    home = tmp_path / 'in'
    home.mkdir()
    for name in names:
        write_all(home / name, some_samples(), 7)
    with pytest.raises(InputError, match='in: holds several recordings: name them one by one'):
        salvaged(home)
    (home / names[1]).unlink()
    assert len(salvaged(home)) == 5


def database_of(path, count, *more):
    """Begin a bag of SQLite's with points and return it open."""
    database = sqlite3.connect(path)
    for text in (*more, 'CREATE TABLE topics(id INTEGER PRIMARY KEY, name TEXT, type TEXT, '
                 'serialization_format TEXT, offered_qos_profiles TEXT)',
                 'CREATE TABLE messages(id INTEGER PRIMARY KEY, topic_id INTEGER, '
                 'timestamp INTEGER, data BLOB)',
                 f"INSERT INTO topics VALUES(1, '/p', '{POINT}', 'cdr', '')"):
        database.execute(text)
    for k in range(count):
        stamp_ns = 10**18 + k * 10**7
        database.execute('INSERT INTO messages VALUES(NULL, 1, ?, ?)',
                         (stamp_ns, encode(stamp_ns, 'map', np.array([0.01 * k, 0.0, 0.0]))))
        if k % 50 == 49:
            database.commit()
    return database


def test_what_a_killed_recorder_had_in_its_log_is_read(tmp_path):
    home = tmp_path / 'in'
    home.mkdir()
    database = database_of(tmp_path / 'live.db3', 300, 'PRAGMA journal_mode=WAL')
    for name in ('live.db3', 'live.db3-wal'):
        shutil.copyfile(tmp_path / name, home / name)
    database.close()
    assert len(salvaged(home)) == 300
    assert sorted(file.name for file in home.iterdir()) == ['live.db3', 'live.db3-wal']


@pytest.mark.parametrize('folder', ['plain', 'a#b', 'a%20b', 'a?b'])
def test_a_cut_database_is_read_wherever_it_lies(tmp_path, folder):
    home = tmp_path / folder
    home.mkdir()
    database_of(home / 'a.db3', 300).close()
    whole = (home / 'a.db3').read_bytes()
    (home / 'a.db3').write_bytes(whole[:-3 * 4096])
    assert 100 < len(salvaged(home / 'a.db3')) < 300


def test_a_row_that_is_not_whole_leaves_the_others_of_its_page(tmp_path):
    path = tmp_path / 'a.db3'
    with contextlib.closing(database_of(path, 40)) as database:
        database.execute('INSERT INTO messages VALUES(NULL, 1, 7, ?)', (b'x' * 300_000,))
        for k in range(3):
            database.execute('INSERT INTO messages VALUES(NULL, 1, ?, ?)', (k, b'y' * 100))
        database.commit()
    path.write_bytes(path.read_bytes()[:-4096 * 2])
    found = [row[2] for row in rows(path)]
    assert b'y' * 100 in found and b'x' * 300_000 not in found


@pytest.mark.parametrize('name', ['a.mcap', 'a.db3'])
def test_a_time_before_1970_is_kept(tmp_path, name):
    samples = [single('', k * 10**8 - 10**9 // 3, row.rows[0]) for k, row in enumerate(
        some_samples(12))]
    write_all(tmp_path / name, samples, 7)
    assert [sample.stamps_ns for sample in samples_of(tmp_path / name)] == [
        sample.stamps_ns for sample in samples]


def test_a_full_disk_is_one_clear_line(tmp_path):
    with pytest.raises(InputError, match='cannot be written: full'), new_bag(
            tmp_path / 'a.db3', '.db3'):
        raise sqlite3.OperationalError('full')
    assert not list(tmp_path.iterdir())
