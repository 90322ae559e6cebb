# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Files and folders that come into being all at once or not at all."""

from contextlib import contextmanager
import os
from pathlib import Path
import secrets
import shutil
from typing import Iterator

from liquid_ros.errors import InputError


@contextmanager
def replacing(path: Path, folders: bool = False) -> Iterator[Path]:
    """
    Yield a fresh path beside this one; move it into place when the block ends well.

    A file is replaced by a file, and a folder by a folder where folders are; a symbolic link stays
    one. When the block raises, the fresh path is removed and the old one stays as it was.
    Errors: InputError where the place cannot be taken.
    """
    path = Path(os.path.realpath(path))
    if not path.parent.is_dir():
        raise InputError(f'{path}: its folder does not exist')
    if path.is_dir() and not folders:
        raise InputError(f'{path}: is a folder, it is not replaced')
    if path.exists() and not (path.is_dir() or path.is_file()):
        raise InputError(f'{path}: is no regular file, it is not replaced')
    fresh = path.with_name(f'.{path.name}.{secrets.token_hex(4)}.part')
    try:
        yield fresh
        if path.is_dir() and not fresh.is_dir():
            raise InputError(f'{path}: is a folder, it is not replaced by a file')
        if path.is_dir():
            old = fresh.with_suffix('.old')
            path.rename(old)
            fresh.rename(path)
            shutil.rmtree(old)
        else:
            os.replace(fresh, path)
    except OSError as error:
        if error.filename is None or fresh.name in str(error.filename):
            error.filename = str(path)  # what was asked for, not what it is called on the way
        raise
    finally:
        if fresh.is_dir():
            shutil.rmtree(fresh, ignore_errors=True)
        elif fresh.exists():
            fresh.unlink()
