# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Bags of recorders that were killed, and bags with a damaged place: nothing else is lost."""

import shutil
import sqlite3

from bags import flawed, TYPES, write_bag
import pytest
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer

from liquid_ros.evaluation.bag_messages import store
from liquid_ros.evaluation.recording import open_source

POSE = TYPES['pose']
MESSAGES = [(k, raw) for k, (_, raw) in enumerate(flawed('pose', 1000))]


def read(path):
    """Return the bytes of a recording's messages, and what is said of it."""
    with open_source(path) as source:
        return [sample.raw for sample in source.samples()], source.problems


def packed(path, messages):
    """Write a bag that is compressed as a file."""
    writer = Writer(path, version=9, storage_plugin=StoragePlugin.MCAP)
    writer.set_compression(CompressionMode.FILE, CompressionFormat.ZSTD)
    with writer:
        connection = writer.add_connection('/pose', POSE, typestore=store())
        for log_ns, raw in messages:
            writer.write(connection, log_ns, raw)
    return path / f'{path.name}.mcap.zstd'


def test_pieces_that_were_packed_by_then_are_read(tmp_path):
    """The last piece is packed when it is closed, and metadata.yaml is written behind that."""
    first = packed(tmp_path / 'a', MESSAGES[:700])
    write_bag(tmp_path / 'b', {'/pose': (POSE, MESSAGES[700:])})
    bag = tmp_path / 'bag'
    bag.mkdir()
    shutil.copy(first, bag / 'bag_0.mcap.zstd')
    shutil.copy(tmp_path / 'b' / 'b.mcap', bag / 'bag_1.mcap')
    got, problems = read(bag)
    assert got == [raw for _, raw in MESSAGES]
    assert len(problems) == 1 and problems[0].endswith('1000 messages were read')
    # killed while it was packing the last one: what is whole counts, once
    (bag / 'bag_1.mcap.zstd').write_bytes(b'half')
    assert read(bag)[0] == got
    (bag / 'bag_0.mcap.zstd').write_bytes(first.read_bytes()[:5000])
    got, problems = read(bag)
    assert got == [raw for _, raw in MESSAGES[700:]]
    assert any('bag_0.mcap.zstd: is damaged' in text for text in problems)


@pytest.mark.parametrize('metadata', [True, False])
@pytest.mark.parametrize('whole', [True, False])
def test_what_is_in_sqlite_s_log_is_read(tmp_path, metadata, whole):
    write_bag(tmp_path / 'a', {'/pose': (POSE, MESSAGES[:600])}, StoragePlugin.SQLITE3)
    database = sqlite3.connect(tmp_path / 'a' / 'a.db3')
    database.execute('PRAGMA journal_mode=WAL')
    database.execute('PRAGMA wal_autocheckpoint=0')
    database.executemany('INSERT INTO messages (topic_id, timestamp, data) VALUES (1, ?, ?)',
                         MESSAGES[600:])
    database.commit()
    bag = tmp_path / 'killed'
    shutil.copytree(tmp_path / 'a', bag)  # as long as it is open, the log is there
    database.close()
    assert (bag / 'a.db3-wal').stat().st_size
    if not metadata:
        (bag / 'metadata.yaml').unlink()
    got, problems = read(bag if whole else bag / 'a.db3')
    assert got == [raw for _, raw in MESSAGES]
    assert 'was not closed, a.db3-wal is left' in problems[0]


@pytest.mark.parametrize('metadata', [True, False])
def test_a_damaged_chunk_costs_what_is_in_it(tmp_path, metadata):
    messages = [(k, raw) for k, (_, raw) in enumerate(flawed('odometry', 6000))]
    writer = Writer(tmp_path / 'bag', version=9, storage_plugin=StoragePlugin.MCAP)
    writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
    with writer:
        connection = writer.add_connection('/odom', TYPES['odometry'], typestore=store())
        for log_ns, raw in messages:
            writer.write(connection, log_ns, raw)
    path = tmp_path / 'bag' / 'bag.mcap'
    data = bytearray(path.read_bytes())
    data[len(data) // 2:len(data) // 2 + 64] = bytes(64)
    path.write_bytes(data)
    if not metadata:
        (tmp_path / 'bag' / 'metadata.yaml').unlink()
    got, problems = read(tmp_path / 'bag')
    # those before it and those behind it, in their order
    lost = len(messages) - len(got)
    begin = next(k for k, (_, raw) in enumerate(messages) if k == len(got) or raw != got[k])
    assert 0 < begin < len(got) and 0 < lost < 3000
    assert got[begin:] == [raw for _, raw in messages[begin + lost:]]
    assert any(f'{len(got)} of 6000 messages were read' in text for text in problems) == metadata
    assert any('a chunk is damaged' in text for text in problems)
