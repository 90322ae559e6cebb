# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What a GNSS receiver publishes, through the node, over real DDS."""

import struct

from bags import write_bag
from channels import channel, take
from fixes import fix_of, MUNICH, rows_about, way
from nav_msgs.msg import Odometry, Path
import numpy as np
import pytest
from rclpy.parameter import Parameter
from rclpy.serialization import deserialize_message, serialize_message
from ros_graph import lossless, settle, SMOOTHER, START_NS
from rosbags.rosbag2 import Reader
from sensor_msgs.msg import NavSatFix
from std_srvs.srv import Trigger

from liquid_ros import safetensors
from liquid_ros.__main__ import main
from liquid_ros.checkpoint import build
from liquid_ros.navsat import Datum, KIND, Place
from liquid_ros.ros.fixes import FixWire
from liquid_ros.ros.layout import MalformedError
from liquid_ros.ros.messages import Head, Smooth
from liquid_ros.streams import StreamBank


def run(graph, messages, **params):
    """Return a node and what it publishes of these messages."""
    node = graph.smoother(input_type='fix', **params, **lossless('/pose'))
    publisher, received = graph.connect(node, NavSatFix)
    for message in messages:
        publisher.publish(message)
    settle(graph, node, len(messages))
    return node, received


def codec_about(place):
    return FixWire(Datum(place)).codec()


def datum_of(node):
    return node.channels[0].fixes.datum.place


def test_a_fix_is_smoothed_in_metres_and_goes_out_as_a_fix(graph, capfd):
    """Half the error; stamp, frame, status and service as they came; what the bank says."""
    stamps, true, measured = way(200)
    sent = [fix_of(s, row, status=2) for s, row in zip(stamps, measured)]
    odometry, paths = graph.listen(Odometry, '/pose/odometry'), graph.listen(Path, '/pose/path')
    node, received = run(graph, sent, publish_odometry=True)
    assert len(received) == 200
    bank, first = StreamBank(build(SMOOTHER), 3), Place(
        sent[0].latitude, sent[0].longitude, sent[0].altitude)
    assert datum_of(node) == first
    assert f'map has its origin at {first} ' in capfd.readouterr().err
    got, want = rows_about(received, first), []
    for stamp_ns, row in zip(stamps, rows_about(sent, first)):
        want.append(bank.update((0,), (stamp_ns,), row[None]).estimate)
    rows = np.concatenate([estimate.rows for estimate in want])
    np.testing.assert_allclose(got, rows, rtol=0, atol=2e-8)
    assert np.linalg.norm(rows_about(received, MUNICH) - true, axis=1)[20:].mean() < (
        0.6 * np.linalg.norm(measured - true, axis=1)[20:].mean())
    for message, came, estimate in zip(received, sent, want):
        assert (message.header, message.status) == (came.header, came.status)
        np.testing.assert_allclose(message.position_covariance.reshape(3, 3), np.diag(
            np.clip(estimate.variance[0], 1e-12, 1e6)), rtol=1e-6, atol=1e-4)
        assert message.position_covariance_type == NavSatFix.COVARIANCE_TYPE_KNOWN
    graph.until(lambda: len(odometry) == 200 and paths and len(paths[-1].poses) == 200, 'the rest')
    position = odometry[-1].pose.pose.position
    np.testing.assert_allclose((position.x, position.y, position.z), rows[-1], atol=1e-12)
    assert odometry[-1].header.frame_id == 'map' == paths[-1].header.frame_id
    assert odometry[-1].child_frame_id == 'pose_smoothed'
    speed = odometry[-1].twist.twist.linear
    assert 9.0 < np.hypot(speed.x, speed.y) < 11.0


def test_what_is_no_fix_is_dropped_and_no_datum(graph):
    """No fix by its status, NaN, at 0, 0, off the Earth; -2, which old drivers leave, is one."""
    stamps, _, measured = way(12)
    sent = [fix_of(s, row, status=-2) for s, row in zip(stamps, measured)]
    sent[0].status.status = -1
    sent[1].latitude = float('nan')
    sent[2].latitude = sent[2].longitude = 0.0
    sent[3].latitude = 91.0
    sent[4].altitude = float('inf')
    sent[8].status.status = -1
    node, received = run(graph, sent)
    assert len(received) == 6
    assert node.channels[0].tally.dropped == {'non_finite': 6}
    assert datum_of(node) == Place(sent[5].latitude, sent[5].longitude, sent[5].altitude)


def test_a_fix_without_an_altitude_keeps_none(graph):
    stamps, _, measured = way(30)
    node, received = run(graph, [
        fix_of(s, row, altitude=False) for s, row in zip(stamps, measured)])
    assert len(received) == 30 and np.isnan(datum_of(node).altitude)
    assert all(np.isnan(message.altitude) for message in received)
    assert {message.position_covariance[8] for message in received} == {1e6}
    want = rows_about([fix_of(s, row) for s, row in zip(stamps, measured)], MUNICH)
    for message in received:
        message.altitude = MUNICH.altitude
    assert np.abs(rows_about(received, MUNICH) - want)[:, :2].max() < 3.0


def test_what_the_sender_states_is_heeded(graph):
    """A fix that says it is bad moves the output less, and an unknown covariance is none."""
    stamps, _, measured = way(60)
    measured[-1] += 2.0
    ends = []
    for stated in ([1.0] * 60, [1.0] * 59 + [400.0]):
        sent = [fix_of(s, row, covariance=[v, v, 4.0 * v])
                for s, row, v in zip(stamps, measured, stated)]
        ends.append(rows_about(run(graph, sent)[1], MUNICH)[-1])
        graph.executor.remove_node(graph.nodes[-1])
        graph.nodes.pop().destroy_node()
    moved = np.linalg.norm(np.array(ends) - measured[-1], axis=1)
    assert moved[1] > 1.05 * moved[0]


def test_a_covariance_is_read_along_the_datum_s_axes():
    def variances(message, **given):
        for name, value in given.items():
            setattr(message, name, value)
        return codec_about(MUNICH).read(serialize_message(message)).variances

    stated = [1.0, 2.0, 3.0]
    np.testing.assert_allclose(
        variances(fix_of(START_NS, [0.0] * 3, covariance=stated)), [stated], rtol=1e-12)
    # a quarter around the Earth, east is there what down is here
    far = fix_of(START_NS, [0.0] * 3, Place(0.0, 90.0, 0.0), covariance=stated)
    turned = codec_about(Place(0.0, 0.0, 0.0)).read(serialize_message(far)).variances
    np.testing.assert_allclose(turned, [[3.0, 2.0, 1.0]], rtol=1e-12)
    one_axis = fix_of(START_NS, [0.0] * 3, covariance=[1.0, 2.0, np.nan])
    np.testing.assert_array_equal(variances(one_axis), [[1.0, 2.0, np.nan]])
    no_up = fix_of(START_NS, [1e4, 0.0, 0.0], covariance=[4.0, 4.0, 0.0])
    np.testing.assert_array_equal(variances(no_up), [[4.0, 4.0, np.nan]])
    near = fix_of(START_NS, [0.0] * 3, covariance=stated)
    assert variances(near, position_covariance_type=0) is None
    assert variances(fix_of(START_NS, [0.0] * 3, covariance=[0.0] * 3)) is None


@pytest.mark.parametrize('without', [range(100), range(50, 100)])
def test_an_altitude_that_comes_and_goes_is_no_jump(graph, without):
    """A first one is the datum's; where it is gone, the last one stays."""
    stamps, true, measured = way(150)
    _, made, out = channel(graph, input_type='fix')
    for i, (stamp_ns, row) in enumerate(zip(stamps, measured)):
        take(made.flow, fix_of(stamp_ns, row, altitude=i not in without), 0)
    assert len(out) == 150
    for i, message in enumerate(out):
        assert np.isnan(message.altitude) == (i in without)
    known = [i for i in range(150) if i not in without]
    off = rows_about([out[i] for i in known], MUNICH) - true[known]
    assert np.abs(off[:, 2]).max() < 5.0  # as much as the noise
    assert not np.isnan(made.fixes.datum.place.altitude)


def test_two_receivers_have_one_datum_for_one_frame(graph, capfd):
    stamps, _, measured = way(10)
    node = graph.smoother(inputs=['front', 'rear', 'far'], input_type='fix', **{
        'far.frame_id': 'other'})
    front, rear, far = node.channels
    for stamp_ns, row in zip(stamps, measured):
        take(front.flow, fix_of(stamp_ns, row), 0)
        take(rear.flow, fix_of(stamp_ns, row - [1.5, 0.0, 0.0]), 0)
        take(far.flow, fix_of(stamp_ns, row - [1.5, 0.0, 0.0]), 0)
    apart = front.flow.bank.peek(0, ('measured',))['measured'] - rear.flow.bank.peek(
        0, ('measured',))['measured']
    np.testing.assert_allclose(apart[0, :3], [1.5, 0.0, 0.0], atol=1e-4)
    assert front.fixes.datum is rear.fixes.datum is not far.fixes.datum
    told = capfd.readouterr().err
    assert told.count('map has its origin') == 1 == told.count('other has its origin')


def test_two_datums_in_one_frame_are_refused(graph, capfd):
    node = graph.smoother(active=False, inputs=['a', 'b'], input_type='fix',
                          **{'a.datum': '48, 11', 'b.datum': '48, 12'})
    assert not node.bring_up()
    assert 'that of another input in map (frame_id)' in capfd.readouterr().err


def test_an_altitude_is_taken_of_whichever_datum_has_one(graph):
    node = graph.smoother(inputs=['a', 'b'], input_type='fix', **{
        'a.datum': '48.1372, 11.5756', 'b.datum': '48.1372, 11.5756, 519.0'})
    assert {channel.fixes.datum.place for channel in node.channels} == {
        Place(48.1372, 11.5756, 519.0)}


def test_the_frame_of_fixes_cannot_change_under_their_datum(graph):
    node = graph.smoother(inputs=['a', 'b'], **{
        'a.input_type': 'fix', 'b.input_type': 'point', 'a.frame_id': 'utm'})

    def refused(name, value):
        result, = node.set_parameters([Parameter(name, value=value)])
        return result.reason

    assert 'while unconfigured' in refused('a.frame_id', 'map')
    assert 'while unconfigured' in refused('frame_id', 'map')
    assert not refused('a.frame_id', 'utm') and not refused('b.frame_id', 'map')
    node.trigger_deactivate()
    node.trigger_cleanup()
    assert not refused('a.frame_id', 'map')


def test_a_datum_of_what_needs_none_is_told(graph, capfd):
    graph.smoother(input_type='point', datum='48, 11')
    assert "datum: got '48, 11', which does nothing for input_type point" in (
        capfd.readouterr().err)


@pytest.mark.parametrize('about', [Place(-16.5, 179.9999, 5.0), Place(89.9999, 20.0, 0.0)])
def test_the_antimeridian_and_a_pole_are_places_like_any(graph, about):
    stamps, true, measured = way(100)
    _, received = run(graph, [fix_of(s, row, about) for s, row in zip(stamps, measured)])
    assert len(received) == 100
    assert all(abs(message.longitude) <= 180.0 for message in received)
    assert np.linalg.norm(rows_about(received, about) - true, axis=1).max() < 5.0


def test_a_longitude_stays_in_the_range_that_its_sender_has():
    codec = codec_about(None)
    for longitude in (200.0, -190.0, 359.9, 12.0, -12.0):
        message = fix_of(START_NS, [0.0, 0.0, 0.0], Place(10.0, 20.0, 30.0))
        message.longitude = longitude
        raw = serialize_message(message)
        batch = codec.read(raw)
        smooth = Smooth(batch.rows, *[np.ones((1, 3))] * 3)
        out = deserialize_message(codec.write(raw, Head(5, 'x'), smooth), NavSatFix)
        assert out.longitude == pytest.approx(longitude, abs=1e-12)
        assert out.header.frame_id == 'gps' and out.header.stamp.nanosec == 5


def test_a_datum_of_ones_own_is_the_frame_s_origin(graph):
    stamps, _, measured = way(20)
    odometry = graph.listen(Odometry, '/pose/odometry')
    node, _ = run(graph, [fix_of(s, row) for s, row in zip(stamps, measured)],
                  datum='48.1372, 11.5756, 519', frame_id='site', publish_odometry=True)
    assert datum_of(node) == MUNICH
    graph.until(lambda: len(odometry) == 20, 'the odometry')
    position = odometry[0].pose.pose.position
    np.testing.assert_allclose((position.x, position.y, position.z), measured[0], atol=1e-7)
    assert odometry[0].header.frame_id == 'site'


@pytest.mark.parametrize('datum', ['48.1', 'Munich', '48.1, 11.5, 519, 0', '91, 0', '0, 0, nan'])
def test_a_datum_that_is_none_is_refused_with_an_example(graph, capfd, datum):
    node = graph.smoother(active=False, input_type='fix', datum=datum)
    assert not node.bring_up()
    assert f'datum: got {datum!r}, expected latitude, longitude' in capfd.readouterr().err


def test_the_datum_is_saved_with_the_state(graph, tmp_path):
    """What goes on in another node goes on about the same datum, to the last bit."""
    stamps, _, measured = way(60)
    messages = [fix_of(s, row) for s, row in zip(stamps, measured)]
    state = str(tmp_path / 'state.safetensors')
    node, received = run(graph, messages[:40], state_file=state)
    before = datum_of(node)
    assert graph.call(Trigger, '/smoother/save_state', Trigger.Request()).success
    publisher = graph.speak(NavSatFix, '/pose')
    for message in messages[40:]:
        publisher.publish(message)
    settle(graph, node, 60)
    want = [serialize_message(message) for message in received[40:]]
    graph.executor.remove_node(node)
    graph.nodes.remove(node)
    node.destroy_node()
    node, made, out = channel(graph, input_type='fix', state_file=state)
    assert graph.call(Trigger, '/smoother/load_state', Trigger.Request()).success
    assert datum_of(node) == before
    for message in messages[40:]:
        take(made.flow, message, 0)
    assert [serialize_message(message) for message in out] == want


@pytest.mark.parametrize('datum, change, said', [
    ('48, 11, 519', {}, 'expected 48.00000000, 11.00000000, 519.000, as the parameter says'),
    ('48.1372, 11.5756', {}, ''), ('', {'/datum': None}, 'has fixes, but not their datum'),
    ('', {'/datum': '[1.0, 2.0]'}, 'is damaged'), ('', {'/datum': '[91.0, 2.0, 3.0, 4.0]'},
                                                  'is damaged'), ('', {'/datum': '}'}, 'damaged')])
def test_a_state_about_another_datum_is_refused(graph, tmp_path, datum, change, said):
    """And one that has none, or a damaged one; nothing has changed then."""
    state = str(tmp_path / 'state.safetensors')
    stamps, _, measured = way(20)
    node, made, _ = channel(graph, input_type='fix', state_file=state, datum='48.1372, 11.5756')
    for stamp_ns, row in zip(stamps, measured):
        take(made.flow, fix_of(stamp_ns, row), 0)
    assert graph.call(Trigger, '/smoother/save_state', Trigger.Request()).success
    graph.executor.remove_node(node)
    graph.nodes.remove(node)
    node.destroy_node()
    arrays, meta = safetensors.load(state)
    meta = {name: change.get(name, text) for name, text in meta.items()}
    safetensors.save(state, arrays, {name: text for name, text in meta.items() if text})
    _, made, _ = channel(graph, input_type='fix', state_file=state, datum=datum)
    answer = graph.call(Trigger, '/smoother/load_state', Trigger.Request())
    assert answer.success == (not said) and said in answer.message
    assert bool(made.flow.bank.frames()) == answer.success
    if not said:
        assert made.fixes.datum.place[:2] == (48.1372, 11.5756)


def test_predictions_go_out_at_a_rate_and_ahead(graph):
    stamps, true, measured = way(60)
    _, made, out = channel(graph, input_type='fix', lookahead_s=0.5)
    for stamp_ns, row in zip(stamps, measured):
        take(made.flow, fix_of(stamp_ns, row), 0)
    ahead = rows_about(out[20:-5], MUNICH) - true[25:]
    assert out[-1].header.stamp.nanosec != 0
    assert np.linalg.norm(ahead, axis=1).mean() < 3.0


@pytest.mark.parametrize('change', ['late', 'outlier'])
def test_a_bag_of_fixes_through_the_node_gives_the_same_bits(graph, tmp_path, change):
    stamps, _, measured = way(80)
    if change == 'late':
        stamps[40] = stamps[38]
    else:
        measured[40] += 500.0
    messages = [fix_of(s, row, covariance=[0.25, 0.25, 1.0]) for s, row in zip(stamps, measured)]
    write_bag(tmp_path / 'bag', {'/pose': (KIND, [
        (stamp_ns, serialize_message(message)) for stamp_ns, message in zip(stamps, messages)])})
    assert main(['smooth', str(tmp_path / 'bag'), '-o', str(tmp_path / 'out'),
                 '--device', 'cpu']) == 0
    _, received = run(graph, messages)
    with Reader(tmp_path / 'out') as reader:
        chosen = [c for c in reader.connections if c.topic == '/pose/smoothed']
        offline = [deserialize_message(bytes(raw), NavSatFix)
                   for _, _, raw in reader.messages(connections=chosen)]
    assert len(offline) == len(received) == 80 - (change == 'late')
    assert offline == received


def test_bytes_that_are_no_fix_are_malformed():
    raw = serialize_message(fix_of(START_NS, [1.0, 2.0, 3.0]))
    for cut in range(len(raw) - 1):
        with pytest.raises(MalformedError, match='no NavSatFix'):
            codec_about(None).read(raw[:cut])
    big = b'\0\0' + raw[2:4] + struct.pack('>iII', *struct.unpack_from('<iII', raw, 4))
    big += raw[16:20] + raw[20:21] + bytes(1) + struct.pack('>H', 3)
    big += bytes((4 - len(big)) % 8)
    at = 24 + (4 - 24) % 8
    big += np.frombuffer(raw, '<f8', 12, at).astype('>f8').tobytes() + raw[at + 96:at + 97]
    assert deserialize_message(big, NavSatFix) == deserialize_message(raw, NavSatFix)
    codec = codec_about(MUNICH)
    np.testing.assert_array_equal(codec.read(big).rows, codec.read(raw).rows)
