# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What leaves an input's channel: the smooth messages, odometry, TF, paths and plain numbers."""

from contextlib import ExitStack
from functools import partial
from typing import Any, Callable, ContextManager, Dict, List, Optional, Sequence, Set, Tuple

from nav_msgs.msg import Odometry, Path
import numpy as np
from rclpy.exceptions import NameValidationException, ParameterException
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile
from std_msgs.msg import Float64

from liquid_ros.frames import SMOOTHED
from liquid_ros.geometry import body_twist, pose_covariance, twist_covariance
from liquid_ros.params import Params
from liquid_ros.ros.messages import Codec, Head, Key, message_class, Smooth, turned
from liquid_ros.ros.timers import forget_dead
from liquid_ros.ros.trail import check_hindsight, Hindsight, topic_word, Trail
from liquid_ros.ros.transforms import Bundle, TF, ToTf
from liquid_ros.ros.warner import Warner
from liquid_ros.ros.watch import overridable, publisher_events
from liquid_ros.ros.wire import odometry
from liquid_ros.smoothers import Smoother

# What ~/debug tells of each message: the mean over its poses.
DEBUG = ('nis', 'weight', 'sigma_position', 'sigma_rotation', 'dt', 'age', 'step_ms')

WITH_CHILD = ('transform', 'tf', 'odometry')  # types that name the body's frame themselves
OFFERED = 20  # paths of streams that nobody asked for yet


class Outputs:
    """The publishers of an input, and what stamps they have published."""

    def __init__(self, node: Any, params: Params, codec: Codec, name: str, smoother: Smoother,
                 depth: int, warn: Warner) -> None:
        """
        Create the publishers.

        name: of the input, '' for the only one. depth: of the output's queue.
        Errors: ParameterError where tf2_msgs is wanted and missing, or a path in hindsight of a
        smoother that has none; what rclpy raises for a topic name or a QoS override it cannot
        use.
        """
        check_hindsight(params, smoother)
        self._codec = codec
        self._node, self._params, self._smoother, self._warn = node, params, smoother, warn
        self._every: List[Any] = []
        self.newest_ns: Dict[Optional[Key], int] = {}  # the last stamp of each run
        self._trails: Dict[Key, Trail] = {}
        self._paths: Dict[Key, Any] = {}
        self._changed: Set[Key] = set()
        self._listeners: Dict[Key, int] = {}  # of each path, when it was published last
        self.input_topic = self.label = params.input_topic
        # of /tf there may be several inputs
        topic = name if name and codec.kind == TF else params.input_topic
        self._path_topic = params.path_topic or f'{topic}/path'
        try:
            self.main = self._publisher(
                codec.message, params.output_topic or f'{topic}/smoothed', depth)
            self._odometry = (self._publisher(Odometry, f'{topic}/odometry', depth)
                              if params.publish_odometry else None)
            self._tf = (self._publisher(message_class(TF), '/tf', 100)
                        if params.publish_tf else None)
            self._transforms = ToTf(self._tf, node.frames, warn)
            self._answers = Bundle(self.main) if codec.kind == TF else self.main
            # of a plain one, whether it is active need not be asked once more
            self._put = (self._answers.publish if codec.kind == TF
                         else partial(Publisher.publish, self.main))
            if not codec.many:
                self._paths[0] = self._publisher(Path, self._path_topic, 1)
            prefix = f'~/debug/{name}/' if name else '~/debug/'
            self._debug = [self._publisher(Float64, prefix + word, 10) for word in DEBUG
                           ] if params.debug else []
        except Exception:
            self.destroy()
            raise
        self.apply(params)

    def _publisher(self, message: type, topic: str, depth: int, of_stream: bool = False) -> Any:
        """Make a publisher; a stream's has no parameters: they cannot be taken back."""
        name = [topic]
        made = self._node.create_lifecycle_publisher(
            message, topic, QoSProfile(depth=depth),
            qos_overriding_options=None if of_stream else overridable(),
            event_callbacks=publisher_events(self._warn, lambda: name[0], not of_stream))
        name[0] = made.topic_name
        self._every.append(made)
        return made

    @property
    def topics(self) -> List[str]:
        """Return the names of the topics, and of frames in /tf, that no other input may have."""
        names = [publisher.topic_name for publisher in self._every if publisher is not self._tf]
        kind, child = self._params.input_type, self._params.child_frame
        if self._codec.many:
            names.append(f'{self._node.resolve_topic_name(self._path_topic)}/stream_...')
        if self._tf is not None and (child or kind not in WITH_CHILD):
            names.append(f'/tf ({self._child(self._own_child(), 0)})')
        return names

    def apply(self, params: Params) -> None:
        """Take over what can change while messages flow."""
        self._params = params
        if not params.path_length:
            self._trails.clear()
        for trail in self._trails.values():
            trail.resize(params.path_length)

    def destroy(self) -> None:
        """Take the topics off the graph."""
        for publisher in self._every:
            self._node.destroy_lifecycle_publisher(publisher)
        self._node.frames.release(self.label)
        self._every.clear()
        self._paths.clear()

    def new_run(self, run: Optional[Key] = None) -> None:
        """Let stamps start again from anywhere: of all outputs, or of one stream's."""
        if run is None:
            self.newest_ns.clear()
        self.newest_ns.pop(run, None)

    def end_runs(self, limit_ns: int) -> None:
        """Begin a new run where stamps later than this were published."""
        for run in [run for run, newest_ns in self.newest_ns.items() if newest_ns > limit_ns]:
            self.new_run(run)

    def forget(self, keys: Optional[List[Key]] = None, since_ns: Optional[int] = None) -> None:
        """Drop the paths of these streams, or of all; only what they have from a stamp on."""
        for key in set(self._trails if keys is None else keys) & set(self._trails):
            if since_ns is None:
                del self._trails[key]
            else:
                self._trails[key].cut(since_ns)

    def drop(self, key: Key) -> None:
        """Drop a stream with all it has."""
        self.forget([key])
        self.new_run(key)
        self._listeners.pop(key, None)
        self._node.frames.release(self.label, key)
        if self._codec.many and key in self._paths:
            publisher = self._paths.pop(key)
            if publisher is not None:
                self._every.remove(publisher)
                self._node.destroy_lifecycle_publisher(publisher)
                forget_dead(self._node)

    def expects(self, run: Optional[Key], stamp_ns: int) -> bool:
        """Return whether the stamp is newer than the run's last one."""
        newest_ns = self.newest_ns.get(run)
        return newest_ns is None or stamp_ns > newest_ns

    def together(self) -> ContextManager[Any]:
        """Let the transforms that go out meanwhile go out in one message."""
        held = ExitStack()
        for bundle in (self._answers, self._transforms):
            if isinstance(bundle, Bundle):
                held.enter_context(bundle.holding())
        return held

    def send_bytes(self, run: Optional[Key], stamp_ns: int, body: bytes) -> None:
        """Publish the bytes of an output whose stamp is expected, while the node is active."""
        self.newest_ns[run] = stamp_ns
        self._put(body)

    def send(self, template: Any, stamp_ns: int, frame_id: str, smooth: Optional[Smooth],
             run: Optional[Key], keys: Sequence[Key], bodies: Smooth) -> bool:
        """
        Publish an output; return False where it must not go out.

        That is where its stamp is not newer than the run's last one, or nothing is known.
        template: the input message; it goes out itself where smooth is None.
        run: whose stamps must rise; None: those of all streams.
        bodies: of each of the keys, for odometry and TF.
        """
        if not self.expects(run, stamp_ns):
            return False
        first = bodies.rows.item(0) if run is not None else 0.0
        if first != first:
            return False  # predicted so far ahead that the numbers end
        self.newest_ns[run] = stamp_ns
        head = Head(stamp_ns, frame_id)
        self._answers.publish(self._codec.moved(template, head) if smooth is None
                              else self._codec.write(template, head, smooth))
        if self.has_bodies:
            self.send_bodies(template, head, keys, bodies)
        return True

    @property
    def has_bodies(self) -> bool:
        """Return whether odometry or TF goes out."""
        return self._odometry is not None or self._tf is not None

    def send_bodies(self, template: Any, head: Head, keys: Sequence[Key], bodies: Smooth) -> None:
        """Publish the odometry and TF of streams, which a message has the names of."""
        own = self._codec.child(template) or self._own_child()
        children = [self._child(own, key) for key in keys]
        known = [i for i, row in enumerate(bodies.rows) if row[0] == row[0]]  # not NaN
        poses = turned(bodies.rows)
        if self._tf is not None and known:
            streams = keys if self._codec.kind == TF else [''] * len(keys)
            self._transforms.send(head, [(children[i], streams[i], poses[i]) for i in known],
                                  self.label)
        if self._odometry is None or not known:
            return
        rows, variance, twist, twist_variance = (part[known] for part in bodies)
        quat = rows[:, 3:] if self._codec.width == 7 else None
        pose_36 = pose_covariance(variance, quat)
        twist_36 = twist_covariance(twist_variance, quat)
        numbers = np.concatenate([poses[known], pose_36, body_twist(twist, quat), twist_36], 1)
        for i, row in zip(known, numbers):
            self._odometry.publish(odometry(head, children[i], row))

    def _own_child(self) -> str:
        return self.input_topic.rsplit('/', 1)[-1].lstrip('~') or 'body'

    def _child(self, own: str, key: Key) -> str:
        given = self._params.child_frame
        if not self._codec.many:
            return given or own + SMOOTHED
        if given:
            name = f'{given}_{own if isinstance(key, str) else key}'
            # by which every smoother of /tf knows what is smooth
            return name + SMOOTHED if self._codec.kind == TF else name
        return own + SMOOTHED if isinstance(key, str) else f'{own}_{key}{SMOOTHED}'

    # Paths.

    def trail(self, key: Key) -> Optional[Trail]:
        """Return a stream's path to add to, None where none is wanted."""
        if not self._params.path_length:
            return None
        self._changed.add(key)
        found = self._trails.get(key)
        if found is None:
            found = self._trails[key] = (
                Hindsight(self._params.path_length, self._smoother)
                if self._params.path_smoothed else Trail(self._params.path_length))
        return found

    def send_paths(self) -> None:
        """Publish the paths that changed and that somebody listens to."""
        self._changed &= set(self._trails)
        asked = self._asked() if len(self._trails) > OFFERED else ()
        for key, trail in self._trails.items():
            offered = key in self._paths or len(self._paths) < OFFERED or (
                asked and self._word(key) in asked)
            publisher: Any = self._path_publisher(key) if offered else None
            before = self._listeners.get(key, 0)
            now = self._listeners[key] = publisher.get_subscription_count() if publisher else 0
            # one that came later has none yet
            if now > before or now and key in self._changed:
                publisher.publish(trail.message())
                self._changed.discard(key)

    def _asked(self) -> Set[str]:
        """Return the words of the paths that somebody listens to, of those not published yet."""
        # an executor that waits looks at each publisher before every callback
        below = self._node.resolve_topic_name(self._path_topic, only_expand=True) + '/'
        made = {publisher.topic_name for publisher in self._paths.values() if publisher}
        return {name[len(below):] for name, _ in self._node.get_topic_names_and_types()
                if name.startswith(below) and name not in made
                and self._node.count_subscribers(name)}

    def _word(self, key: Key) -> str:
        return f'stream_{topic_word(str(key))}'

    def _path_publisher(self, key: Key) -> Any:
        """Return the publisher of a stream's path, None where there can be none."""
        if key not in self._paths:
            topic = f'{self._path_topic}/{self._word(key)}'
            taken = {publisher.topic_name for publisher in self._paths.values() if publisher}
            self._paths[key] = None
            try:
                publisher = self._publisher(Path, topic, 1, of_stream=True)
            except (NameValidationException, ParameterException, RuntimeError) as error:
                said = str(error)
                self._warn('no path', lambda: f'{topic}: no path of this stream: {said}')
                return None
            publisher.on_activate(None)  # the node's own transition is over
            self._paths[key] = publisher
            if publisher.topic_name in taken:
                self._warn('path', lambda: f'{topic}: two streams share a path')
        return self._paths[key]

    def send_debug(self, numbers: Callable[[], Tuple[float, ...]]) -> None:
        """Publish what DEBUG names; the numbers are asked for only where they are wanted."""
        if self._debug:
            for publisher, number in zip(self._debug, numbers()):
                if np.isfinite(number):
                    publisher.publish(Float64(data=float(number)))
