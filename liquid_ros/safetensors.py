# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""
The .safetensors format, read and written with NumPy alone.

Eight bytes of header length, a JSON header, the raw little-endian arrays. A robot then needs
no package that rosdep does not know; tests compare both directions with the safetensors library.
Source: the format's specification, safetensors 0.4.
"""

import json
from pathlib import Path
from typing import Dict, Tuple

import numpy as np

from liquid_ros.errors import CheckpointError, InputError
from liquid_ros.files import replacing

DTYPES = {'F64': '<f8', 'F32': '<f4', 'I64': '<i8', 'I32': '<i4'}
MAX_HEADER = 100_000_000  # as the library of that name has it


def load(path: str) -> Tuple[Dict[str, np.ndarray], Dict[str, str]]:
    """
    Return the arrays and the metadata of a file.

    Errors: CheckpointError where it cannot be read or is not of this format.
    """
    try:
        if Path(path).exists() and not Path(path).is_file():  # a pipe would be waited for
            raise CheckpointError(f'cannot read {path!r}: it is no regular file')
        data = Path(path).read_bytes()
    except OSError as error:
        raise CheckpointError(f'cannot read {path!r}: {error.strerror}') from error
    size = int.from_bytes(data[:8], 'little')
    if len(data) < 8 or not 2 <= size <= min(MAX_HEADER, len(data) - 8):
        raise CheckpointError(f'{path!r} is no .safetensors file (its header is cut or too long)')
    try:
        header = json.loads(data[8:8 + size].decode('utf-8'))
        meta = header.pop('__metadata__', {})
        if not isinstance(meta, dict) or not all(isinstance(v, str) for v in meta.values()):
            raise ValueError('its __metadata__ is not made of texts')
        arrays = {}
        for name, entry in header.items():
            begin, end = entry['data_offsets']
            if min(begin, *entry['shape'], 0) < 0:
                raise ValueError(f'{name} has a negative size or place')
            body = data[8 + size + begin:8 + size + end]
            if len(body) != end - begin:
                raise ValueError(f'{name} is cut short')
            arrays[name] = np.frombuffer(body, DTYPES[entry['dtype']]).reshape(entry['shape'])
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CheckpointError(f'{path!r} is no .safetensors file this package can read: '
                              f'{type(error).__name__} {error}') from error
    return arrays, meta


def save(path: str, arrays: Dict[str, np.ndarray], meta: Dict[str, str]) -> None:
    """
    Write arrays and metadata, all or nothing (a temporary file, then a rename).

    A symbolic link stays one, to the new file.

    Errors: CheckpointError where the file cannot be written, and then there is none, or the
    one before.
    """
    codes = {np.dtype(code): name for name, code in DTYPES.items()}
    header: Dict[str, object] = {'__metadata__': meta}
    at = 0
    for name, array in arrays.items():
        header[name] = {'dtype': codes[array.dtype], 'shape': list(array.shape),
                        'data_offsets': [at, at + array.nbytes]}
        at += array.nbytes
    text = json.dumps(header, sort_keys=True).encode('utf-8')
    text += b' ' * (-len(text) % 8)
    if len(text) > MAX_HEADER:
        raise CheckpointError(f'cannot write {path!r}: got {len(text)} bytes of names, '
                              f'expected at most {MAX_HEADER}')
    try:
        with replacing(Path(path)) as fresh, fresh.open('wb') as file:
            file.write(len(text).to_bytes(8, 'little') + text)
            for array in arrays.values():
                file.write(np.ascontiguousarray(array).tobytes())
    except OSError as error:
        raise CheckpointError(f'cannot write {path!r}: {error.strerror}') from error
    except InputError as error:
        raise CheckpointError(f'cannot write {error}') from error
