# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Why nothing comes: silence, QoS that does not fit, and what to do about it."""

from typing import Any, Callable

from rclpy.qos import (
    qos_check_compatible,
    qos_policy_name_from_kind,
    QoSCompatibility,
    QoSPolicyKind,
    QoSProfile,
    ReliabilityPolicy,
)
from rclpy.qos_overriding_options import QosCallbackResult, QoSOverridingOptions

try:
    from rclpy.event_handler import PublisherEventCallbacks, SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import PublisherEventCallbacks, SubscriptionEventCallbacks

from liquid_ros.ros.warner import Warner
from liquid_ros.ros.wire import WIRES

MOST_DEEP = 2**31 - 1  # messages in a queue

# What to do where the two ends' values of a policy do not fit: subscription, publisher.
FIXES = {
    'RELIABILITY': ('best_effort', 'reliable'),
    'DURABILITY': ('volatile', 'transient_local'),
}


HINTS = {
    'duplicate': 'the stamp repeats; does the sender set header.stamp? With use_receive_time: the '
                 'clock stood still between two messages',
    'late': 'the stamp is older than the last one; reorder_s waits for such',
    'zero_stamp': 'the stamp is zero; the sender should set it, or set zero_stamp to '
                  'use_receive_time (where it is that already: no /clock came yet)',
    'non_finite': 'a coordinate is NaN, infinite or absurdly large, or there is no fix',
    'zero_quaternion': 'the orientation has length zero; a PointStamped needs none',
    'diverged': 'the smoother gave a number that is not finite; its state before was kept',
    'frame': 'the frame_id is another than the parameter frame_id allows',
    'empty': 'there is no pose in it',
    'malformed': 'its bytes are no message of its type',
    'max_streams': 'there are more streams than the parameter max_streams allows',
    'withheld': 'an output with that stamp or a later one is out already',
    'new frame': 'frame_id changed; the stream starts anew',
    'stamp_ahead': 'the stamp before was ahead of its time: the stream goes on from before it',
    'no time': 'use_sim_time is set and no /clock came: nothing is predicted',
    'future': "the stamp is ahead of the node's clock; are the clocks in step?",
    'ahead': "the newest stamp is ahead of the node's clock, and at publish_rate_hz nothing goes "
             'out before it; are the clocks in step?',
    'stale': "the stamp is older than hold_timeout_s on the node's clock, so nothing is "
             'predicted; are the clocks in step, is use_sim_time missing?',
}


def overridable() -> QoSOverridingOptions:
    """Return which policies a user may override: the usual ones, and durability."""
    return QoSOverridingOptions(policy_kinds=(
        QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH, QoSPolicyKind.RELIABILITY,
        QoSPolicyKind.DURABILITY), callback=_possible)


def _possible(qos: QoSProfile) -> QosCallbackResult:
    """Refuse a depth that DDS has no number for: rclpy would raise a TypeError."""
    return QosCallbackResult(
        successful=0 <= qos.depth <= MOST_DEEP,
        reason=f'depth: got {qos.depth}, expected an integer from 0 to {MOST_DEEP}')


def subscription_events(warn: Warner, topic: Callable[[], str]) -> SubscriptionEventCallbacks:
    """Return callbacks that warn of a publisher whose QoS does not fit."""
    return SubscriptionEventCallbacks(incompatible_qos=lambda event: warn(
        f'{_policy(event)} of {topic()}',
        lambda: f'{topic()}: a publisher offers less than this subscription asks for: '
        f'{_fix(event, topic(), "subscription")}'))


def publisher_events(warn: Warner, topic: Callable[[], str], adjustable: bool
                     ) -> PublisherEventCallbacks:
    """Return callbacks that warn of a subscription whose QoS does not fit."""
    return PublisherEventCallbacks(incompatible_qos=lambda event: warn(
        f'{_policy(event)} of {topic()}',
        lambda: f'{topic()}: a subscription asks for more than this publisher offers: '
        f'{_fix(event, topic(), "publisher" if adjustable else "")}'))


def _policy(event: Any) -> str:
    return qos_policy_name_from_kind(event.last_policy_kind)  # type: ignore[no-any-return]


def _fix(event: Any, topic: str, end: str) -> str:
    policy = _policy(event)
    if not end and policy in FIXES:
        return f'let it ask for {FIXES[policy][0]} {policy.lower()}'
    return _override(policy, topic, end)


def _override(policy: str, topic: str, end: str) -> str:
    values = FIXES.get(policy)
    if values is None:
        return f'the {policy.lower()} of both ends must be made to fit'
    value = values[end == 'publisher']
    return f'set qos_overrides.{topic}.{end}.{policy.lower()} to {value}'


def why_silent(node: Any, topic: str, kind: str, wanted: QoSProfile, heard: bool) -> str:
    """Return what is known of an input that brings nothing, or no more, and what to do."""
    me = node.get_name(), node.get_namespace()
    sources = [source for source in node.get_publishers_info_by_topic(topic)
               if (source.node_name, source.node_namespace) != me]
    if not sources and heard:
        return 'nobody publishes it any more'
    if not sources:
        return 'nobody publishes it; see ros2 topic list for the name, then set input_topic'
    mine = WIRES[kind].kind
    fitting = [source for source in sources if source.topic_type == mine]
    if not fitting:
        theirs = sources[0].topic_type
        kinds = [name for name, codec in WIRES.items() if codec.kind == theirs]
        advice = f'set input_type to {kinds[0]}' if kinds else 'no input_type takes that'
        return f'it carries {theirs} and not {mine}; {advice}'
    if any(qos_check_compatible(source.qos_profile, wanted)[0] != QoSCompatibility.ERROR
           for source in fitting):
        return 'its publisher sends nothing'
    offered = fitting[0].qos_profile.reliability == ReliabilityPolicy.RELIABLE
    policy = 'DURABILITY' if offered else 'RELIABILITY'
    return f'no publisher offers the QoS asked for; {_override(policy, topic, "subscription")}'
