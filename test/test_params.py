# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The parameters' one source: checks, and the files made from it."""

import dataclasses
from pathlib import Path

import pytest
import yaml

from liquid_ros.backend import DEVICES
from liquid_ros.errors import ParameterError
from liquid_ros.params import from_mapping, markdown_table, Params, SPECS, unknown, yaml_text
from liquid_ros.timing import TimePolicy

CONFIG = Path(__file__).resolve().parents[1] / 'config' / 'smoother.yaml'


def test_config_file_equals_the_dataclass():
    """config/smoother.yaml is yaml_text(), and says what the dataclass says."""
    text = CONFIG.read_text()
    assert text == yaml_text(), 'write liquid_ros.params.yaml_text() into config/smoother.yaml'
    loaded = yaml.safe_load(text)['/**']['ros__parameters']
    assert loaded == dataclasses.asdict(Params())
    assert [type(v) for v in loaded.values()] == [type(s.default) for s in SPECS.values()]
    assert from_mapping(loaded) == Params()
    assert max(map(len, text.splitlines())) <= 99


def test_defaults_agree_with_what_they_govern():
    """Names and thresholds that stand in two layers are equal."""
    assert SPECS['device'].choices == DEVICES
    params = Params()
    assert TimePolicy.from_seconds(params.gap_reset_s, params.jump_reset_s) == TimePolicy()


@pytest.mark.parametrize('spec', SPECS.values(), ids=SPECS)
def test_every_parameter_is_described_and_holds_its_default(spec):
    """A description, and a default that passes the parameter's own check."""
    assert spec.description.endswith('.')
    assert spec.check(spec.default) == spec.default
    assert f'`{spec.name}`' in markdown_table()
    with pytest.raises(ParameterError, match=spec.name):
        spec.check(None)


@pytest.mark.parametrize('name, value', [
    ('gap_reset_s', 0.0), ('gap_reset_s', -1.0), ('gap_reset_s', float('nan')),
    ('gap_reset_s', float('inf')), ('gap_reset_s', 86400.1), ('gap_reset_s', '5'),
    ('gap_reset_s', True), ('gap_reset_s', 0), ('path_length', -1), ('path_length', 10001),
    ('path_length', 5.0), ('path_length', True), ('device', 'tpu'), ('device', 'CUDA'),
    ('input_type', 'odometry'), ('require_device', 1), ('require_device', 'true'),
    ('input_topic', 5), ('path_rate_hz', 0.0), ('path_rate_hz', 100.5)])
def test_a_bad_value_is_named_with_what_was_expected(name, value):
    """The message carries the name, what came and the range."""
    with pytest.raises(ParameterError) as caught:
        from_mapping({name: value})
    assert str(caught.value) == f'{name}: got {value!r}, expected {SPECS[name].expected()}'


def test_bounds_and_whole_numbers():
    """Inclusive bounds are inside; an int is taken where a number is expected."""
    assert from_mapping({'path_length': 0}).path_length == 0
    assert from_mapping({'path_length': 10000}).path_length == 10000
    taken = from_mapping({'gap_reset_s': 3}).gap_reset_s
    assert taken == 3.0 and isinstance(taken, float)
    assert from_mapping({'gap_reset_s': 86400}).gap_reset_s == 86400.0


@pytest.mark.parametrize('typo, meant', [
    ('gap_resets', 'gap_reset_s'), ('Device', 'device'), ('input_topc', 'input_topic'),
    ('pathlength', 'path_length')])
def test_an_unknown_name_gets_the_nearest(typo, meant):
    """A typo is answered with the real name."""
    assert unknown(typo).endswith(f'the nearest is {meant!r}')
    with pytest.raises(ParameterError, match=meant):
        from_mapping({typo: 1})


def test_expected_says_range_and_unit():
    """Words of every form."""
    assert SPECS['gap_reset_s'].expected() == 'a number > 0.0 and <= 86400.0 s'
    assert SPECS['path_length'].expected() == 'an integer >= 0 and <= 10000'
    assert SPECS['device'].expected() == 'one of auto, cuda, cpu'
    assert SPECS['require_device'].expected() == 'true or false'
    assert SPECS['checkpoint'].expected() == 'a text'


def test_the_readme_s_table_is_the_dataclass():
    readme = (Path(__file__).parents[1] / 'README.md').read_text(encoding='utf-8')
    assert markdown_table() in readme
