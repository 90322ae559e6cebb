# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The evaluate command: one answer for every recording, one line for every mistake."""

import json

import numpy as np
import pytest

from liquid_ros.__main__ import main
from liquid_ros.evaluation import scenario
from liquid_ros.evaluation.gate import NAMES
from liquid_ros.evaluation.recording import open_source

FAST = ['--device', 'cpu', '--smoother', 'kalman', '--no-baselines']


@pytest.fixture(scope='module')
def bag(tmp_path_factory):
    path = tmp_path_factory.mktemp('evaluate') / 'bag'
    scenario.write(path, scenario.made_up(8.0))
    return path


def evaluate(*args):
    return main(['evaluate', *map(str, args), *FAST])


def samples_of(path, topic):
    with open_source(path, [topic]) as source:
        return list(source.samples())


def figures(path):
    return json.loads(path.read_text())


def test_a_bag_with_truth_is_told_in_a_table_json_and_a_report(bag, tmp_path, capsys):
    assert evaluate(bag, '--truth', '/truth', '--json', tmp_path / 'a.json',
                    '-r', tmp_path / 'a.html', '-o', tmp_path / 'out') == 0
    out, err = capsys.readouterr()
    assert '/pose (PoseStamped)' in out and 'RMSE (mm)' in out and err == ''
    assert '/truth (' not in out
    found = figures(tmp_path / 'a.json')
    assert found['schema'] == 1 and found['failed'] == []
    stream, = found['recordings'][0]['streams']
    raw, own = stream['rows'][:2]
    assert 0.0 < own['rmse_m'] < raw['rmse_m']
    assert '<html' in (tmp_path / 'a.html').read_text()
    smoothed = samples_of(tmp_path / 'out', '/pose/smoothed')
    stated = samples_of(tmp_path / 'out', '/pose/smoothed_with_covariance')
    assert len(smoothed) == len(samples_of(bag, '/pose')) == len(stated)
    assert all(np.array_equal(a.rows, b.rows) for a, b in zip(smoothed, stated))
    assert np.isfinite(stated[-1].variances).all()


def test_json_to_the_standard_output_is_all_there_is(bag, capsys):
    assert evaluate(bag, '--topic', '/pose', '--json', '-') == 0
    out, err = capsys.readouterr()
    assert json.loads(out)['recordings'][0]['streams'][0]['truth'] is None and err == ''


@pytest.mark.parametrize('condition, status', [
    ('rmse_over_raw>0.99', 0), ('rmse_over_raw<0.99', 3), ('dropped>0', 0), ('messages>=100', 3),
    ('lag_s>0.5', 0), ('offline_ratio>0', 3)])
def test_a_condition_that_holds_or_cannot_be_told_fails(bag, capsys, condition, status):
    assert evaluate(bag, '--truth', '/truth', '--fail-if', condition) == status
    assert ('failed' in capsys.readouterr().err) == bool(status)


@pytest.mark.parametrize('condition', ['rmse>1', 'rmse_ratio', 'rmse_ratio>x', 'rmse_ratio=1'])
def test_a_condition_that_is_none_is_wrong_usage(bag, capsys, condition):
    with pytest.raises(SystemExit) as stop:
        evaluate(bag, '--fail-if', condition)
    err = capsys.readouterr().err
    assert stop.value.code == 2 and err.count('\n') == 1
    assert condition != 'rmse>1' or ', '.join(NAMES) in err


@pytest.mark.parametrize('options, text', [
    (['nowhere.mcap'], 'no such file'),
    (['BAG', '--topic', '/nope'], "got topic '/nope'"),
    (['BAG', '--truth', '/nope'], "got topic '/nope'"),
    (['BAG', '--truth', 'gone.tum'], 'gone.tum'),
    (['BAG', '--lag', '-1'], '--lag -1.0'),
    (['BAG', '--jobs', '0'], '--jobs 0'),
    (['BAG', '--keep', '1'], 'keep 1'),
    (['BAG', '--offline'], 'expected -o OUT'),
    (['BAG', '-o', 'BAG'], 'overwrite'),
    (['BAG', '--gap-reset', '0'], 'gap_reset_s')])
def test_a_mistake_is_one_line_and_1(bag, capsys, options, text):
    assert evaluate(*[str(bag) if option == 'BAG' else option for option in options]) == 1
    out, err = capsys.readouterr()
    assert out == '' and err.count('\n') == 1
    assert err.startswith('liquid_ros: error: ') and text in err
