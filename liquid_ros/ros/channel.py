# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""One input topic: subscription, stream bank, publishers and counts."""

from collections import deque
from time import monotonic, perf_counter
from typing import Any, Deque, Dict, Optional

from diagnostic_msgs.msg import DiagnosticStatus
from geometry_msgs.msg import PoseStamped
from nav_msgs.msg import Path
import numpy as np
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions

from liquid_ros.backend import Backend
from liquid_ros.errors import ParameterError
from liquid_ros.params import Params
from liquid_ros.ros.diagnostics import status, Tally
from liquid_ros.ros.messages import CODECS
from liquid_ros.smoothers import Smoother
from liquid_ros.streams import refuse, StreamBank
from liquid_ros.timing import ACCEPTED, Arrival, arrive, RESTARTS, TimePolicy

# A filter can use what waited: dt comes from the stamps. So a stall loses nothing up to here.
QUEUE_DEPTH = 100

WARN_EVERY_S = 10.0

HINTS = {
    'duplicate': 'the stamp repeats; does the sender set header.stamp?',
    'late': 'the stamp is older than the last one',
    'non_finite': 'a coordinate is NaN, infinite or absurdly large',
    'zero_quaternion': 'the orientation has length zero; input_type point needs none',
    'diverged': 'the smoother gave a number that is not finite; its state before was kept',
    'frame': 'frame_id changed; the stream starts anew',
}


class Channel:
    """Smooths one topic while it is active; made in configure, destroyed in cleanup."""

    def __init__(self, node: LifecycleNode, params: Params, smoother: Smoother,
                 backend: Backend) -> None:
        """
        Create the topics; nothing flows until activate().

        Errors: ParameterError where input and output are one topic; what rclpy raises for
        a topic name or a QoS override it cannot use.
        """
        self._node = node
        self._codec = CODECS[params.input_type]
        self._bank = StreamBank(smoother, self._codec.width, backend=backend)
        self._device = backend.label
        self._active = False
        self._frame: Optional[str] = None
        self._last_ns: Optional[int] = None
        self._path: Deque[PoseStamped] = deque()
        self._path_changed = False
        self._warned_at: Dict[str, float] = {}
        self.tally = Tally()
        self.apply(params)
        self._subscription: Any = None
        self.publishers: Dict[str, Any] = {}
        try:
            self._create(params)
        except Exception:
            self.destroy()
            raise

    def _create(self, params: Params) -> None:
        options = QoSOverridingOptions.with_default_policies()
        topic = params.input_topic
        for name, message, wanted, depth in (
                ('output', self._codec.message, params.output_topic or f'{topic}/smoothed',
                 QUEUE_DEPTH),
                ('path', Path, params.path_topic or f'{topic}/path', 1)):
            self.publishers[name] = self._node.create_lifecycle_publisher(
                message, wanted, QoSProfile(depth=depth), qos_overriding_options=options)
        best_effort = QoSProfile(depth=QUEUE_DEPTH, reliability=ReliabilityPolicy.BEST_EFFORT)
        self._subscription = self._node.create_subscription(
            self._codec.message, topic, self._on_message, best_effort,
            qos_overriding_options=options)
        self.topic = self._subscription.topic_name
        self.output_topic = self.publishers['output'].topic_name
        names = {self.topic, self.output_topic, self.publishers['path'].topic_name}
        if len(names) < 3:
            raise ParameterError(f'got one topic twice among input, output and path: '
                                 f'{", ".join(sorted(names))}; expected three')
        self._publish = self.publishers['output'].publish

    def apply(self, params: Params) -> None:
        """Take over what can change while messages flow."""
        self._bank.policy = TimePolicy.from_seconds(params.gap_reset_s, params.jump_reset_s)
        if self._path.maxlen != params.path_length:
            self._path = deque(self._path, maxlen=params.path_length)

    def activate(self) -> None:
        """Let messages flow."""
        self._active = True

    def deactivate(self) -> None:
        """Drop what comes and forget the past."""
        self._active = False
        self._forget()

    def destroy(self) -> None:
        """Take the topics off the graph."""
        self._active = False
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
        for publisher in self.publishers.values():
            self._node.destroy_lifecycle_publisher(publisher)
        self.publishers.clear()
        self._subscription = None

    def reset(self, reason: str) -> None:
        """Forget the past, and count why; the next message starts the stream anew."""
        self._forget()
        self.tally.resets[reason] += 1

    def _forget(self) -> None:
        self._bank.reset()
        self._frame = self._last_ns = None
        self._path.clear()

    def _on_message(self, message: Any) -> None:
        tally = self.tally
        tally.received += 1
        if not self._active:
            tally.dropped['inactive'] += 1
            return
        header = message.header
        stamp_ns, rows = self._codec.read(message)
        if header.frame_id != self._frame:
            self._on_frame(header.frame_id, stamp_ns, rows)
        began = perf_counter()
        update = self._bank.update((0,), (stamp_ns,), rows)
        took_s = perf_counter() - began
        if not update.accepted[0]:
            self._drop(update.reasons[0])
            return
        tally.step(took_s, update.estimate.nis)
        if update.arrivals[0] in RESTARTS:
            self._on_restart(update.arrivals[0])
        self._frame, self._last_ns = header.frame_id, stamp_ns
        smooth = self._codec.write(update.estimate.rows[0], header)
        self._publish(smooth)
        tally.published += 1
        if self._path.maxlen:
            self._path.append(self._codec.to_pose(smooth))
            self._path_changed = True

    def _on_frame(self, frame_id: str, stamp_ns: int, rows: np.ndarray) -> None:
        # A message that will be dropped anyway must not cost the stream its past.
        arrival = arrive(self._last_ns, stamp_ns, self._bank.policy).arrival
        if self._frame is None or refuse(rows[0]) or arrival not in ACCEPTED:
            return
        self._warn('frame', f'{self._frame!r} became {frame_id!r}')
        self.reset('frame')

    def _on_restart(self, arrival: Arrival) -> None:
        if arrival is not Arrival.FIRST:
            self.tally.resets[arrival.value] += 1
            self._path.clear()

    def _drop(self, reason: Optional[str]) -> None:
        name = reason or 'unknown'
        self.tally.dropped[name] += 1
        self._warn(name, f'{self.tally.dropped[name]} messages dropped')

    def _warn(self, reason: str, detail: str) -> None:
        now = monotonic()
        if now - self._warned_at.get(reason, -WARN_EVERY_S) >= WARN_EVERY_S:
            self._warned_at[reason] = now
            self._node.get_logger().warning(
                f'{self.topic}: {reason}: {HINTS.get(reason, "")}; {detail}')

    def publish_path(self) -> None:
        """Publish the newest poses where they changed and somebody listens."""
        publisher = self.publishers['path']
        if self._path_changed and self._path and publisher.get_subscription_count():
            publisher.publish(Path(header=self._path[-1].header, poses=list(self._path)))
            self._path_changed = False

    def status(self) -> DiagnosticStatus:
        """Return what /diagnostics tells of this input."""
        return status(self.tally, f'{self._node.get_fully_qualified_name()}: {self.topic}',
                      self.topic, self._device, self._active)
