# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The family's benchmark: budgets are as stated, runs go on where they stopped, a whole page."""

import json
from pathlib import Path
import sys

import pytest

pytest.importorskip('torch', reason='training needs torch')
yaml = pytest.importorskip('yaml', reason='the configuration is YAML')
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / 'benchmarks'))
import family  # noqa: E402
import family_claims  # noqa: E402
import family_motion  # noqa: E402
import family_recordings  # noqa: E402
import family_runs  # noqa: E402
import family_times  # noqa: E402

from liquid_ros.smoothers.cells import CELLS  # noqa: E402
from liquid_ros.training.fit import Trainer  # noqa: E402

TINY = {'training': {'iterations': 6, 'batch': 8, 'shares': 2, 'stretch': 12,
                     'stretches': [1, 3], 'compile': False},
        'seeds': [1, 2], 'parameters': {'liquid': 6, 'gru': 4},
        'step_time': {'liquid': 6, 'gru': 3}, 'tenfold': {'transformer': 5}}


def test_the_first_budget_is_of_equal_numbers_and_the_last_of_ten_times_as_many():
    pytest.importorskip('ncps', reason='the ncps library draws the wiring')
    found = family_runs.settings()
    count = {(run.cell, run.hidden): Trainer(family_runs.config_of(run, found)).parameters()
             for run in family_runs.runs(found) if run.seed == 1}
    least = count['liquid', found['parameters']['liquid']]
    for cell, hidden in found['parameters'].items():
        assert 0.9 < count[cell, hidden] / least < 1.1
    (cell, hidden), = found['tenfold'].items()
    assert 9.0 < count[cell, hidden] / least < 11.0
    wanted = {'liquid', 'liquid_euler', 'ltc', 'cfc', 'ncp', 'mixed', 'gru', 'transformer'}
    assert wanted <= set(found['parameters']) == set(found['step_time']) <= set(CELLS)


def test_every_run_is_there_once():
    listed = family_runs.runs(TINY)
    assert [run.name for run in listed] == [
        'liquid_6_1', 'gru_4_1', 'liquid_6_2', 'gru_4_2', 'gru_3_1', 'gru_3_2',
        'transformer_5_1', 'transformer_5_2']
    assert listed[0].budgets == ['parameters', 'step_time'] and listed[1].budgets == ['parameters']


def test_a_run_that_was_stopped_goes_on_to_the_same_weights(tmp_path, monkeypatch):
    monkeypatch.setattr(family_runs, 'EVERY', 2)
    run = family_runs.runs(TINY)[1]
    weights, plain = {}, Trainer.advance

    def until(trainer):
        if trainer.iteration == 5:
            raise KeyboardInterrupt
        return plain(trainer)
    for name in ('whole', 'stopped'):
        folder = tmp_path / name
        folder.mkdir()
        if name == 'stopped':
            with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
                patch.setattr(Trainer, 'advance', until)
                family_runs.fit(run, TINY, folder)
            assert (folder / f'{run.name}.pt').exists()
            assert not (folder / f'{run.name}.json').exists()
        family_runs.fit(run, TINY, folder)
        weights[name] = (folder / f'{run.name}.safetensors').read_bytes()
        assert sorted(path.suffix for path in folder.iterdir()) == ['.json', '.safetensors']
        before = (folder / f'{run.name}.json').stat().st_mtime_ns
        family_runs.fit(run, TINY, folder)  # what is done is not done again
        assert (folder / f'{run.name}.json').stat().st_mtime_ns == before
    # the figures of the way may differ by rounding of times, the weights may not
    assert weights['whole'] == weights['stopped']


@pytest.mark.long
def test_the_command_writes_a_whole_page(tmp_path, monkeypatch):
    """With fewer streams and no recordings, so that it takes seconds."""
    (tmp_path / 'tiny.yaml').write_text(json.dumps({**TINY, 'seeds': [1]}))
    page = tmp_path / 'family.md'
    for name, value in (('STREAMS', 6), ('STEPS', 60), ('WAVES', 3), ('FASTER', 2),
                        ('GAP_AT_S', 3.0), ('GAPS_S', (0.1, 1.0))):
        monkeypatch.setattr(family_motion, name, value)
    monkeypatch.setattr(family_recordings, 'SHARED', tmp_path)
    monkeypatch.setattr(family_times, 'ROUNDS', 12)
    monkeypatch.setattr(sys, 'argv', ['family.py', '--config', str(tmp_path / 'tiny.yaml'),
                                      '--folder', str(tmp_path), '-o', str(page)])
    for cache in (family_motion.poses, family_motion.rates):
        cache.cache_clear()
    try:
        family.main()
    finally:
        for cache in (family_motion.poses, family_motion.rates):
            cache.cache_clear()
    text = page.read_text()
    for words in ('| `liquid` | 6 |', '| `gru` | 4 |', '| `gru` | 3 |', '| `transformer` | 5 |',
                  '99 % jitter reduction', '4 ms a trajectory', "a tenth of a Transformer's size",
                  'to gain from NCPs', '## The default cell'):
        assert words in text
    assert 'Missing' not in text and '{' not in text and 'nan' not in text


class Given:
    """A table of figures that were made up."""

    def __init__(self, **cells):
        self.cells = cells

    def values(self, key, where, name):
        """Return seed -> figure."""
        return self.cells.get(key, {})


def test_a_difference_is_judged_by_the_noise_between_seeds():
    table = Given(a={1: 1.0, 2: 1.1, 3: 1.2}, b={1: 0.9, 2: 0.98, 3: 1.09}, c={1: 1.1, 2: 1.0},
                  one={1: 0.5})
    sure = family_claims.difference(table, 'b', 'a', 'simulated', 'position')
    assert family_claims.verdict(sure) == -1 and sure[2] == 3
    assert family_claims.verdict(family_claims.difference(
        table, 'a', 'b', 'simulated', 'position')) == 1
    assert family_claims.verdict(family_claims.difference(
        table, 'c', 'a', 'simulated', 'position')) == 0
    assert family_claims.verdict(family_claims.difference(
        table, 'one', 'a', 'simulated', 'position')) == 0  # one seed says nothing
    assert family_claims.difference(table, 'none', 'a', 'simulated', 'position') is None
