# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Stream banks and messages to fill them with."""

import numpy as np
from problems import make, recording

from liquid_ros.streams import StreamBank
from liquid_ros.timing import NS_PER_S


def bank(name='kalman', width=7, **options):
    """Return an empty bank of one of the registry's smoothers."""
    return StreamBank(make(name, backend=options.get('backend')), width, **options)


def messages(seed, count, width=7, keys=1):
    """Return keys, stamps and rows of a recording, key by key in turn."""
    rows, dt_s = recording(np.random.default_rng(seed), count, keys, width)
    stamps = np.round(np.cumsum(dt_s, 0)[..., 0] * NS_PER_S).astype(np.int64)
    return ([f'k{i}' for i in range(keys)] * count, stamps.reshape(-1).tolist(),
            rows.reshape(-1, width))


def assert_same(update, other, rows=slice(None), other_rows=slice(None), atol=0.0):
    """Compare two answers, to the bit by default."""
    for part, other_part in zip(update.estimate, other.estimate):
        np.testing.assert_allclose(part[rows], other_part[other_rows], rtol=0.0, atol=atol)


def one_at_a_time(a_bank, keys, stamps, rows):
    """Return one update a message."""
    return [a_bank.update([key], [stamp], row[None])
            for key, stamp, row in zip(keys, stamps, rows)]
