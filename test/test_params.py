# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The parameters' one source: checks, and the files made from it."""

from pathlib import Path

import pytest
import yaml

from liquid_ros.backend import DEVICES
from liquid_ros.errors import ParameterError
from liquid_ros.params import find, from_mapping, of_input, Params, resolve, SPECS, unknown
from liquid_ros.params_text import files, markdown_table
from liquid_ros.presets import PRESETS, REASONS
from liquid_ros.smoothers.tuning import Tuning
from liquid_ros.timing import TimePolicy, ZERO_STAMPS

CONFIG = Path(__file__).resolve().parents[1] / 'config'


@pytest.mark.parametrize('name', files())
def test_config_files_are_made_from_the_dataclass(name):
    """Their text is what params_text makes of it."""
    text = (CONFIG / name).read_text()
    assert text == files()[name], f'write liquid_ros.params_text.files() into config/{name}'
    assert max(map(len, text.splitlines())) <= 99


def test_there_are_no_other_presets():
    assert {path.stem for path in (CONFIG / 'presets').iterdir()} == set(PRESETS)


def test_the_config_file_holds_the_defaults():
    """In their own types, as YAML reads them."""
    loaded = yaml.safe_load((CONFIG / 'smoother.yaml').read_text())['/**']['ros__parameters']
    assert from_mapping(loaded) == Params()
    assert list(loaded) == list(SPECS)
    assert [type(v) for v in loaded.values()] == [
        list if isinstance(s.default, tuple) else type(s.default) for s in SPECS.values()]


@pytest.mark.parametrize('name', PRESETS)
def test_a_preset_as_a_file_is_the_preset(name):
    """Given either way it leads to the same values, none of them a default."""
    text = (CONFIG / f'presets/{name}.yaml').read_text()
    loaded = yaml.safe_load(text)['/**']['ros__parameters']
    by_file, by_name = resolve(loaded), resolve({'preset': name})
    assert {**by_file, 'preset': name} == by_name
    assert all(SPECS[n].per_input and SPECS[n].default != value
               for n, value in PRESETS[name].items())
    assert all(why.endswith('.') for _, why in REASONS[name].values())


def test_an_input_s_own_value_comes_before_all_inputs_and_both_before_a_preset():
    """Own, for all, preset, default; the topic is the name."""
    values = resolve({'inputs': ['tag', 'uwb', 'gps'], 'preset': 'uwb', 'gps.preset': 'gnss',
                      'hold_timeout_s': 3, 'tag.hold_timeout_s': 4, 'tag.input_topic': 'camera'})
    tag, uwb, gps = (of_input(values, name) for name in ('tag', 'uwb', 'gps'))
    assert (tag.input_topic, uwb.input_topic, gps.input_topic) == ('camera', 'uwb', 'gps')
    assert (tag.hold_timeout_s, uwb.hold_timeout_s, gps.hold_timeout_s) == (4.0, 3.0, 3.0)
    assert (tag.gap_reset_s, uwb.gap_reset_s, gps.gap_reset_s) == (10.0, 10.0, 30.0)
    assert (tag.input_type, gps.future_s, uwb.future_s) == ('point', 20.0, 1.0)
    assert of_input(values, '').gap_reset_s == 10.0


@pytest.mark.parametrize('given', [
    ['tag', 'tag'], ['device'], ['qos_overrides'], ['no-name'], ['1st'], [3], 'tag', 7])
def test_names_of_inputs_must_be_names(given):
    with pytest.raises(ParameterError, match='inputs: got '):
        resolve({'inputs': given})


@pytest.mark.parametrize('given', [None, [], [''], ()])
def test_no_names_of_inputs(given):
    assert resolve({'inputs': given})['inputs'] == ()


def test_only_named_inputs_have_parameters_of_their_own():
    """And only those that make sense for one input."""
    assert find('tag.gap_reset_s', ('tag',)).name == 'tag.gap_reset_s'
    for name in ('uwb.gap_reset_s', 'tag.device', 'tag.nothing', 'tag.', '.gap_reset_s'):
        assert find(name, ('tag',)) is None, name
    with pytest.raises(ParameterError, match='tag.gap_reset_s: got 0, expected a number > 0.0'):
        resolve({'inputs': ['tag'], 'tag.gap_reset_s': 0})


def test_defaults_agree_with_what_they_govern():
    """Names and thresholds that stand in two layers are equal."""
    assert SPECS['device'].choices == DEVICES
    params = Params()
    assert TimePolicy() == TimePolicy.from_seconds(
        params.gap_reset_s, params.jump_reset_s, future_s=params.future_s)
    assert Tuning() == Tuning(params.smoothing, params.gate_probability)
    assert set(SPECS['zero_stamp'].choices) < set(ZERO_STAMPS)


@pytest.mark.parametrize('spec', SPECS.values(), ids=SPECS)
def test_every_parameter_is_described_and_holds_its_default(spec):
    """A description, and a default that passes the parameter's own check."""
    assert spec.description.endswith('.')
    assert spec.check(spec.default) == spec.default
    assert f'`{spec.name}`' in markdown_table()
    with pytest.raises(ParameterError, match=spec.name):
        spec.check(object())


@pytest.mark.parametrize('name, value', [
    ('gap_reset_s', 0.0), ('gap_reset_s', -1.0), ('gap_reset_s', float('nan')),
    ('gap_reset_s', float('inf')), ('gap_reset_s', 86400.1), ('gap_reset_s', '5'),
    ('gap_reset_s', True), ('gap_reset_s', 0), ('path_length', -1), ('path_length', 10001),
    ('path_length', 5.0), ('path_length', True), ('device', 'tpu'), ('device', 'CUDA'),
    ('input_type', 'odom'), ('smoothing', 1.1),
    ('gate_probability', -0.1), ('zero_stamp', ''), ('require_device', 1),
    ('require_device', 'true'),
    ('input_topic', 5), ('path_rate_hz', 0.0), ('path_rate_hz', 100.5), ('path_rate_hz', 1e-12),
    ('publish_rate_hz', 1e-12), ('publish_rate_hz', -1.0), ('publish_rate_hz', 0.0099),
    ('reorder_s', 1e-10), ('reorder_s', -1.0), ('reorder_s', 10.1)])
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


@pytest.mark.parametrize('name, least', [('publish_rate_hz', 0.01), ('reorder_s', 0.001)])
def test_nought_is_off_and_what_is_on_has_a_least(name, least):
    for value in (0, 0.0, least, SPECS[name].maximum):
        assert getattr(from_mapping({name: value}), name) == value


def test_the_slowest_timers_fit_into_nanoseconds():
    """And the fastest is no busy loop."""
    spec, other = SPECS['publish_rate_hz'], SPECS['path_rate_hz']
    assert 1e9 / spec.least < 2**63 and 1e9 / other.minimum < 2**63
    assert SPECS['reorder_s'].least * 1e9 >= 1e6


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
    assert SPECS['reorder_s'].expected() == 'a number 0 or >= 0.001 and <= 10.0 s'
    assert SPECS['path_length'].expected() == 'an integer >= 0 and <= 10000'
    assert SPECS['device'].expected() == 'one of auto, fastest, cuda, cpu'
    assert SPECS['require_device'].expected() == 'true or false'
    assert SPECS['checkpoint'].expected() == 'a text'


def test_the_readme_s_table_is_the_dataclass():
    readme = (Path(__file__).parents[1] / 'README.md').read_text(encoding='utf-8')
    assert markdown_table() in readme
