# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A replay computes what the node computes, however many streams and poses there are."""

from banks import bank, messages
import numpy as np
import pytest

from liquid_ros.checkpoint import build
from liquid_ros.evaluation.replay import replay
from liquid_ros.evaluation.sample import Sample

SHIPPED = build('liquid')
STREAMS, ROUNDS = 24, 30


def samples(together):
    """Return messages of so many poses each, of streams in turn."""
    keys, stamps, rows = messages(4, ROUNDS, 7, STREAMS)
    cut = [slice(i, i + together) for i in range(0, len(keys), together)]
    if together > 1:  # an array has one stamp
        stamps = np.repeat(stamps[::STREAMS], STREAMS).tolist()
    return [Sample('/tags', stamps[one][0], keys[one], stamps[one], rows[one],
                   ['map'] * together, whole=together > 1) for one in cut]


@pytest.mark.parametrize('together', [1, STREAMS], ids=['one pose a message', 'arrays'])
def test_it_is_to_the_bit_what_each_message_by_itself_gives(together):
    """As the node takes them; many streams advanced at once round otherwise."""
    live = bank('liquid')
    live.exchange(SHIPPED)
    for answer in replay(samples(together), SHIPPED):
        sample = answer.sample
        update = live.update(sample.keys, sample.stamps_ns, sample.rows, sample.frames)
        assert np.array_equal(answer.update.estimate.rows, update.estimate.rows)
        assert np.array_equal(answer.update.estimate.variance, update.estimate.variance)
