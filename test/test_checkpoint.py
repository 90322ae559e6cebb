# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Weights in a file: the format beside the library's, and files that cannot be used."""

import json
import os

import numpy as np
import pytest

from liquid_ros import checkpoint, safetensors
from liquid_ros.backend import NumpyBackend
from liquid_ros.errors import CheckpointError, ParameterError

ARRAYS = {'a': np.arange(6, dtype=np.float32).reshape(2, 3), 'b': np.array([1.5, -2.0]),
          'none': np.zeros((0, 4), np.float32)}


def test_round_trip(tmp_path):
    path = str(tmp_path / 'x.safetensors')
    safetensors.save(path, ARRAYS, {'config': '{}'})
    arrays, meta = safetensors.load(path)
    assert meta == {'config': '{}'}
    for name, array in ARRAYS.items():
        assert arrays[name].dtype == array.dtype
        np.testing.assert_array_equal(arrays[name], array)


def test_the_library_reads_ours_and_we_read_the_library_s(tmp_path):
    library = pytest.importorskip('safetensors.numpy', reason='the safetensors library')
    ours, theirs = str(tmp_path / 'ours'), str(tmp_path / 'theirs')
    safetensors.save(ours, ARRAYS, {'k': 'v'})
    for name, array in library.load_file(ours).items():
        np.testing.assert_array_equal(array, ARRAYS[name])
    library.save_file(ARRAYS, theirs, {'k': 'v'})
    arrays, meta = safetensors.load(theirs)
    assert meta == {'k': 'v'} and set(arrays) == set(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(arrays[name], array)


def test_shipped_weights_carry_their_configuration_and_their_recipe():
    arrays, meta = safetensors.load(checkpoint.SHIPPED)
    config = json.loads(meta['config'])
    assert arrays['alpha'].shape == (config['hidden'],)
    assert json.loads(meta['provenance'])['training']['hidden'] == config['hidden']


def broken(tmp_path, change):
    """Return the path of the shipped weights with a change to arrays and metadata."""
    arrays, meta = safetensors.load(checkpoint.SHIPPED)
    arrays = {name: array.copy() for name, array in arrays.items()}
    change(arrays, meta)
    path = str(tmp_path / 'broken.safetensors')
    safetensors.save(path, arrays, meta)
    return path


@pytest.mark.parametrize('change, words', [
    (lambda a, m: a.pop('alpha'), 'nothing for alpha'),
    (lambda a, m: a.update(bias_out=a['bias_out'][:3]), 'for bias_out'),
    (lambda a, m: a['weight_in'].fill(np.nan), 'not finite'),
    (lambda a, m: a['alpha'].fill(-1.0), 'above zero'),
    (lambda a, m: m.pop('config'), 'no usable configuration'),
    (lambda a, m: m.update(config='{"hidden": "many"}'), 'configuration'),
    (lambda a, m: m.update(config='not json'), 'configuration'),
    (lambda a, m: m.update(config='[' * 100_000), 'configuration'),
    (lambda a, m: m.update(config=m['config'].replace('"give_up_after": 30',
                                                      '"give_up_after": [30]')), 'give_up_after'),
])
def test_unusable_weights_are_one_clear_line(tmp_path, change, words):
    with pytest.raises(CheckpointError, match=words) as caught:
        checkpoint.load('liquid', broken(tmp_path, change), NumpyBackend())
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('data', [b'', b'1234567', b'\xff' * 64, b'\x04' + b'\0' * 7 + b'[1]',
                                  (10).to_bytes(8, 'little') + b'{"a":{}}  '])
def test_a_file_of_another_kind_is_one_clear_line(tmp_path, data):
    path = tmp_path / 'x'
    path.write_bytes(data)
    with pytest.raises(CheckpointError) as caught:
        safetensors.load(str(path))
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('header', [
    '{"__metadata__": []}', '{"__metadata__": {"a": 1}}', '{"__metadata__": null}',
    '{"a": {"dtype": "F64", "shape": [-1], "data_offsets": [0, 8]}}',
    '{"a": {"dtype": "F64", "shape": [1], "data_offsets": [-8, 0]}}', '[' * 200_000])
def test_a_header_of_another_kind_is_one_clear_line(tmp_path, header):
    path = tmp_path / 'x'
    path.write_bytes(len(header).to_bytes(8, 'little') + header.encode() + b'12345678')
    with pytest.raises(CheckpointError, match='no .safetensors file this package can') as caught:
        safetensors.load(str(path))
    assert '\n' not in str(caught.value)


def test_a_truncated_file_is_told(tmp_path):
    data = open(checkpoint.SHIPPED, 'rb').read()
    for size in (len(data) - 1, len(data) // 2, 100, 9):
        path = tmp_path / 'x'
        path.write_bytes(data[:size])
        with pytest.raises(CheckpointError):
            checkpoint.load('liquid', str(path), NumpyBackend())


def test_missing_file_unknown_name_and_unwritable_place(tmp_path):
    with pytest.raises(CheckpointError, match='No such file'):
        checkpoint.build('liquid', str(tmp_path / 'none'))
    with pytest.raises(ParameterError, match='expected one of liquid'):
        checkpoint.build('luquid')
    with pytest.raises(CheckpointError, match='cannot write'):
        safetensors.save(str(tmp_path / 'no' / 'x'), ARRAYS, {})
    assert list(tmp_path.iterdir()) == []
    (tmp_path / 'folder').mkdir()
    with pytest.raises(CheckpointError, match='cannot write'):
        safetensors.save(str(tmp_path / 'folder'), ARRAYS, {})  # the rename fails
    with pytest.raises(CheckpointError, match='bytes of names, expected at most'):
        safetensors.save(str(tmp_path / 'x'), ARRAYS, {'long': 'x' * safetensors.MAX_HEADER})
    assert [path.name for path in tmp_path.iterdir()] == ['folder']


def test_a_save_that_is_interrupted_leaves_nothing(tmp_path, monkeypatch):
    safetensors.save(str(tmp_path / 'x'), ARRAYS, {'run': 'first'})

    def interrupted(array):
        raise SystemExit(143)

    monkeypatch.setattr(safetensors.np, 'ascontiguousarray', interrupted)
    with pytest.raises(SystemExit):
        safetensors.save(str(tmp_path / 'x'), ARRAYS, {})
    assert [path.name for path in tmp_path.iterdir()] == ['x']
    assert safetensors.load(str(tmp_path / 'x'))[1] == {'run': 'first'}


def test_a_file_has_the_rights_that_the_user_gives_his_files(tmp_path):
    before = os.umask(0o077)
    try:
        safetensors.save(str(tmp_path / 'x'), ARRAYS, {})
    finally:
        os.umask(before)
    assert (tmp_path / 'x').stat().st_mode & 0o777 == 0o600


def test_what_is_written_over_is_a_file_and_a_link_stays_one(tmp_path):
    target, link, pipe = (tmp_path / name for name in ('target', 'link', 'pipe'))
    link.symlink_to(target)
    safetensors.save(str(link), ARRAYS, {})
    assert link.is_symlink() and safetensors.load(str(target))[0].keys() == ARRAYS.keys()
    os.mkfifo(pipe)
    with pytest.raises(CheckpointError, match='no regular file'):
        safetensors.save(str(pipe), ARRAYS, {})
    with pytest.raises(CheckpointError, match='no regular file'):  # nor is it waited for
        safetensors.load(str(pipe))
    assert pipe.is_fifo()
