# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Places on the Earth as metres, and recordings of them."""

from bags import write_bag
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest
from sensors import write_tum

from liquid_ros.__main__ import main
from liquid_ros.checkpoint import build
from liquid_ros.errors import ParameterError
from liquid_ros.evaluation.accepted import accepted
from liquid_ros.evaluation.bag_messages import store
from liquid_ros.evaluation.collect import collect
from liquid_ros.evaluation.recording import open_source
from liquid_ros.evaluation.view import view
from liquid_ros.navsat import Enu, from_ecef, KIND, parsed, Place, read_fix, to_ecef

UNTURNED = (0.0, 0.0, 0.0, 1.0)
START_NS = 1_700_000_000 * 10**9
ZUGSPITZE = Place(47.4211, 10.9853, 3010.0)
PLACES = st.builds(Place, st.floats(-90.0, 90.0), st.floats(-180.0, 180.0),
                   st.floats(-1e4, 1e7))


def test_the_ellipsoid_is_that_of_wgs_84():
    """The axes of NIMA TR8350.2, and up is along the normal, not away from the centre."""
    np.testing.assert_allclose(to_ecef(Place(0.0, 90.0, 10.0)), (0.0, 6378147.0, 0.0), atol=1e-8)
    np.testing.assert_allclose(to_ecef(Place(90.0, 0.0, 0.0)), (0.0, 0.0, 6356752.3142),
                               atol=1e-4)
    low, high = (np.array(to_ecef(Place(45.0, 0.0, height))) for height in (0.0, 1000.0))
    np.testing.assert_allclose(high - low, (707.10678, 0.0, 707.10678), atol=1e-5)
    # a degree of the meridian about 45 north: 111131.75 m (that is one of arc, not of its chord)
    ends = [np.array(to_ecef(Place(45.0 + d, 0.0, 0.0))) for d in (-0.05, 0.05)]
    assert np.linalg.norm(ends[1] - ends[0]) == pytest.approx(11113.175, abs=0.01)


@given(place=PLACES, datum=PLACES)
def test_a_place_survives_the_way_to_metres_and_back(place, datum):
    enu = Enu(datum)
    row = enu.row(place)
    again = enu.place(row)
    assert np.linalg.norm(np.subtract(to_ecef(again), to_ecef(place))) < 1e-7
    assert abs(again.altitude - place.altitude) < 1e-7
    assert np.linalg.norm(np.subtract(enu.row(again), row)) < 1e-7
    straight = np.linalg.norm(np.subtract(to_ecef(place), to_ecef(datum)))
    assert np.linalg.norm(row) == pytest.approx(straight, rel=1e-12, abs=1e-7)
    turn = np.reshape(enu.turn(place), (3, 3))
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-15 * 8)


@pytest.mark.parametrize('latitude', [90.0, -90.0, 0.0, 48.0])
def test_x_is_east_y_north_z_up(latitude):
    enu = Enu(Place(latitude, 30.0, 100.0))
    assert enu.row(enu.datum) == (0.0, 0.0, 0.0)
    np.testing.assert_allclose(enu.row(Place(latitude, 30.0, 107.0)), (0.0, 0.0, 7.0), atol=1e-8)
    assert from_ecef(*to_ecef(enu.datum)).altitude == pytest.approx(100.0, abs=1e-8)
    if abs(latitude) < 90.0:
        east, north = enu.row(Place(latitude, 30.001, 100.0)), enu.row(
            Place(latitude + 0.001, 30.0, 100.0))
        assert east[0] > 70.0 and abs(east[1]) < 0.01 and abs(east[2]) < 0.01
        assert north[1] > 110.0 and abs(north[0]) < 0.01 and abs(north[2]) < 0.01


def test_a_datum_is_two_numbers_or_three():
    assert parsed('') is None is parsed('  ')
    assert parsed('48.1 11.5 0') == Place(48.1, 11.5, 0.0)
    assert parsed('48.1, 11.5')[:2] == (48.1, 11.5) and np.isnan(parsed('48.1, 11.5').altitude)
    for text in ('48.1', '48.1, east', '90.1, 0', '0, 361', '0, 0, inf', '1, 2, 3, 4', '0, 0, nan',
                 '48, 11, -1e7'):
        with pytest.raises(ParameterError, match='datum: got'):
            parsed(text)


def message(stamp_ns, place, status=0):
    """Return a NavSatFix in CDR."""
    types = store().types
    stamp = types['builtin_interfaces/msg/Time'](*divmod(stamp_ns, 10**9))
    return bytes(store().serialize_cdr(types[KIND](
        types['std_msgs/msg/Header'](stamp, 'gps'),
        types['sensor_msgs/msg/NavSatStatus'](status, 1), *place, np.zeros(9), 0), KIND))


def drive(tmp_path, skip=0, level='', outliers=False, hills_m=0.0):
    """
    Write a bag of /fix and /rtk, whose first fixes are not in one place; return x y z.

    level: the topic that has no altitudes. outliers: the first fix and others are far off.
    """
    rng, enu = np.random.default_rng(0), Enu(ZUGSPITZE)
    t = np.arange(200) / 5.0
    true = np.stack([8.0 * t, 20.0 * np.sin(t / 8.0), hills_m * np.sin(t / 8.0)], 1)
    fixes, rtk = [], []
    for i, row in enumerate(true.tolist()):
        stamp_ns = START_NS + i * 200_000_000
        measured = row + rng.normal(size=3) * (1.0, 1.0, 2.0)
        measured += 400.0 * (outliers and i % 37 == 0)
        fixes.append((stamp_ns, message(stamp_ns, enu.place(measured))))
        rtk.append((stamp_ns, message(stamp_ns, enu.place(row))))
    topics = {'/fix': fixes, '/rtk': rtk[skip:]}
    if level:
        topics[level] = [(stamp_ns, message(stamp_ns, read_fix(raw).place._replace(
            altitude=float('nan')))) for stamp_ns, raw in topics[level]]
    write_bag(tmp_path / 'bag', {topic: (KIND, raws) for topic, raws in topics.items()})
    return true, enu


def test_a_truth_of_fixes_is_measured_about_the_recording_s_datum(tmp_path):
    """The first fix of either is not that of the other; errors are those of the noise."""
    true, enu = drive(tmp_path, skip=40)
    recording = collect(tmp_path / 'bag', 'liquid', build('liquid'), truth='/rtk')
    run, = recording.runs
    with open_source(tmp_path / 'bag', ['/fix']) as source:
        first = next(source.samples()).fix[0]
    assert run.raw[0].tolist() == [0.0, 0.0, 0.0] and run.frame_id == 'map'
    want = [Enu(first.place).row(enu.place(row)) for row in true.tolist()]
    assert np.isnan(run.truth[:40]).all()
    np.testing.assert_allclose(run.truth[40:], want[40:], atol=1e-6)
    errors = np.sqrt(((run.smooth - run.truth)[60:]**2).sum(1).mean())
    assert errors < 0.75 * np.sqrt(((run.raw - run.truth)[60:]**2).sum(1).mean())
    stream, = accepted(tmp_path / 'bag', truth='/rtk')[0]
    np.testing.assert_allclose(stream.truth[40:], want[40:], atol=0.5)


@pytest.mark.parametrize('which', ['/fix', '/rtk'])
def test_where_truth_or_recording_has_no_altitudes_none_are_judged(tmp_path, which):
    drive(tmp_path, level=which, hills_m=30.0)
    run, = collect(tmp_path / 'bag', 'liquid', build('liquid'), truth='/rtk').runs
    seen = view(run)
    assert seen.axes == (0, 1) and seen.alignment is None and seen.judged.sum() > 100
    stream, = accepted(tmp_path / 'bag', topics=['/fix'], truth='/rtk')[0]
    for rows, truth in ((run.raw, run.truth), (stream.rows, stream.truth)):
        off = rows - truth
        assert np.abs(off[:, :2]).mean() < 2.0 and np.isnan(off[:, 2]).all()


def test_a_truth_of_another_type_has_no_altitudes_either_for_fixes_without(tmp_path):
    true, _ = drive(tmp_path, level='/fix', hills_m=30.0)
    write_tum(tmp_path / 'truth.tum', START_NS + np.arange(200) * 200_000_000,
              np.concatenate([true, np.broadcast_to(UNTURNED, (200, 4))], 1))
    given = {'topics': ['/fix'], 'truth': str(tmp_path / 'truth.tum')}
    run, = collect(tmp_path / 'bag', 'liquid', build('liquid'), **given).runs
    stream, = accepted(tmp_path / 'bag', **given)[0]
    for truth in (run.truth, stream.truth):
        assert np.isnan(truth[:, 2]).all() and np.isfinite(truth[:, :2]).all()


def test_a_truth_of_another_type_is_put_where_the_fixes_are(tmp_path):
    """The first fix is off, and by outliers it is not moved."""
    true, _ = drive(tmp_path, outliers=True)
    write_tum(tmp_path / 'truth.tum', START_NS + np.arange(200) * 200_000_000,
              np.concatenate([true, np.broadcast_to(UNTURNED, (200, 4))], 1))
    given = {'topics': ['/fix'], 'truth': str(tmp_path / 'truth.tum')}
    recording = collect(tmp_path / 'bag', 'liquid', build('liquid'), **given)
    run, = recording.runs
    stream, = accepted(tmp_path / 'bag', **given)[0]
    for truth, rows in ((run.truth, run.raw), (stream.truth, stream.rows)):
        off = np.abs(rows - truth[:, :3])
        assert (np.median(off, axis=0) < 2.0).all() and off.max() > 300.0
    told, = [text for text in recording.problems if 'the truth is moved' in text]
    assert told.startswith('/fix: ')


def test_no_altitude_below_the_sea_floor_is_one():
    deep, dead_sea = (message(START_NS, Place(31.5, 35.5, height)) for height in (-1e7, -430.0))
    assert not read_fix(deep).usable and read_fix(dead_sea).usable


def test_the_commands_take_fixes(tmp_path, capsys):
    drive(tmp_path)
    bag = str(tmp_path / 'bag')
    assert main(['evaluate', bag, '--truth', '/rtk', '--fail-if', 'rmse_over_raw>0.8',
                 '-o', str(tmp_path / 'out')]) == 0
    assert '/fix' in capsys.readouterr().out
    with open_source(tmp_path / 'out', ['/fix/smoothed']) as source:
        assert len(list(source.samples())) == 200
    assert main(['smooth', bag, '--topic', '/fix', '-o', str(tmp_path / 'out.csv')]) == 0
    lines = (tmp_path / 'out.csv').read_text().splitlines()
    assert len(lines) == 201
    said = 'out.csv: x y z are metres east, north and up of latitude, longitude, altitude 47.42'
    assert said in capsys.readouterr().err
    assert main(['evaluate', bag, '--topic', '/fix', '--no-baselines',
                 '-o', str(tmp_path / 'out.tum')]) == 0
    assert said.replace('csv', 'tum') in capsys.readouterr().err


def test_a_recording_in_which_there_never_is_a_fix_says_so(tmp_path, capsys):
    write_bag(tmp_path / 'bag', {'/fix': (KIND, [
        (START_NS + i, message(START_NS + i, Place(0.0, 0.0, 0.0), -1)) for i in range(5)])})
    assert main(['smooth', str(tmp_path / 'bag'), '-o', str(tmp_path / 'out')]) == 1
    assert 'non_finite' in capsys.readouterr().err
