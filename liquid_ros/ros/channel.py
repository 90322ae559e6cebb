# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""One input on the graph: subscription, timers, outputs and what is told of it."""

from functools import partial
from time import monotonic
from typing import Any, List, Optional

from diagnostic_msgs.msg import DiagnosticStatus
from rclpy.lifecycle import LifecycleNode
from rclpy.qos import QoSProfile, ReliabilityPolicy

from liquid_ros.backend import Backend
from liquid_ros.errors import ParameterError
from liquid_ros.fused import place
from liquid_ros.manifold import unit_row
from liquid_ros.navsat import Datum, Fixes, FRAME, parsed, Place
from liquid_ros.params import Params
from liquid_ros.ros.diagnostics import Report, statuses
from liquid_ros.ros.fixes import FixWire
from liquid_ros.ros.flow import Flow
from liquid_ros.ros.messages import Codec, Key
from liquid_ros.ros.now import Now
from liquid_ros.ros.outputs import Outputs
from liquid_ros.ros.timers import Due, Timers
from liquid_ros.ros.transforms import Chooser
from liquid_ros.ros.warner import Warner
from liquid_ros.ros.watch import overridable, subscription_events, why_silent
from liquid_ros.ros.wire import WIRES
from liquid_ros.saved import weights_hash
from liquid_ros.smoothers import Smoother
from liquid_ros.smoothers.repeats import blind_s
from liquid_ros.streams import StreamBank

# A filter can use what waited: dt comes from the stamps. So a stall loses nothing up to here.
QUEUE_DEPTH = 100

# Stamps let go what reorder_s holds back; the wall clock only where no stamps come, not where
# they come slowly.
SILENCE_S = 1.0


class Channel:
    """Smooths one topic while it is active; made in configure, destroyed in cleanup."""

    def __init__(self, node: LifecycleNode, timers: Timers, name: str, params: Params,
                 smoother: Smoother, backend: Backend) -> None:
        """
        Create the topics; nothing flows until activate().

        name: of the input, '' for the only one.
        Errors: those of Outputs; ParameterError for a datum that is none; what rclpy raises for
        a topic it cannot subscribe to.
        """
        self._node, self.name, self._backend = node, name, backend
        self._tell_of(smoother)
        self._codec = self._codec_of(params)
        self._active, self._told_silent = False, ''
        self._chooser: Optional[Chooser] = None
        if self._codec.apart is not None:
            self._chooser = Chooser(self._codec, params)
        elif params.streams:
            self._unused('streams', params)
        self._timers = timers
        self._due: List[Due] = []
        self._heard = self._reported = monotonic()
        self._warn = Warner(node)
        self.outputs = Outputs(node, params, self._codec, name, smoother, QUEUE_DEPTH, self._warn)
        self._qos = QoSProfile(depth=QUEUE_DEPTH, reliability=ReliabilityPolicy.BEST_EFFORT)
        try:
            self._subscription = node.create_subscription(
                self._codec.message, params.input_topic,
                self._on_message if self._chooser is None else self._on_streams,
                self._qos, qos_overriding_options=overridable(), raw=True,
                event_callbacks=subscription_events(self._warn, lambda: self.topic))
        except Exception:
            self.outputs.destroy()
            raise
        self.topic: str = self._subscription.topic_name
        self.outputs.input_topic = self.topic
        # of /tf there may be several inputs
        self.outputs.label = f'{self.topic} ({name})' if name and (
            params.input_type == 'tf') else self.topic
        bank = StreamBank(smoother, self._codec.width, backend=backend)
        self.flow = Flow(params, self._codec, smoother, bank, self.outputs, self._warn)
        self.tally = self.flow.tally
        self._now = Now(node.get_clock())
        self.now_ns = self._now.ns

    def _codec_of(self, params: Params) -> Codec:
        """Return the codec of a type; fixes in one frame are measured from one datum."""
        given = parsed(params.datum)
        if params.input_type != 'fix':
            if given is not None:
                self._unused('datum', params)
            return WIRES[params.input_type]
        frame = params.frame_id or FRAME
        datum: Datum = self._node.datums.setdefault(frame, Datum(
            tell=partial(tell_datum, self._node.get_logger(), frame)))
        if given is not None:
            if datum.place is not None and not given.fits(datum.place):
                raise ParameterError(f'datum: got {given}, expected {datum.place}, that of '
                                     f'another input in {frame} (frame_id)')
            datum.follow(given)
        return FixWire(datum).codec()

    def _unused(self, name: str, params: Params) -> None:
        self._node.get_logger().warning(f'{name}: got {getattr(params, name)!r}, which does '
                                        f'nothing for input_type {params.input_type}')

    @property
    def fixes(self) -> Optional[Fixes]:
        """Return what remembers where rows are measured from, None for what needs none."""
        return self._codec.fixes

    @property
    def params(self) -> Params:
        """Return the parameters of this input."""
        return self.flow.params

    @property
    def output_topic(self) -> str:
        """Return the name of the topic of the smooth messages."""
        return self.outputs.main.topic_name  # type: ignore[no-any-return]

    def exchange(self, smoother: Smoother) -> None:
        """
        Go on with other weights; apply() has to follow.

        What answers and outputs ask of the smoother is the same with any weights.
        Errors: InputError where the streams do not fit, and nothing is changed.
        """
        self.flow.bank.exchange(smoother)
        self._tell_of(smoother)

    def _tell_of(self, smoother: Smoother) -> None:
        """Note what reports say of a smoother: its weights, and where and how it is computed."""
        self.weights = weights_hash(smoother, self._backend)
        self.place = place(smoother, self._backend)

    def apply(self, params: Params) -> None:
        """Take over what can change while messages flow."""
        before = self.flow.params
        self.flow.apply(params)
        self.outputs.apply(params)
        if self._chooser is not None:
            self._chooser.apply(params)
            self.flow.leave_out([key for key in self.tally.streams
                                 if not self._chooser.wants(str(key))])
        if self._active and any(getattr(before, name) != getattr(params, name) for name in (
                'path_rate_hz', 'publish_rate_hz', 'reorder_s')):
            self._start_timers()

    def activate(self) -> None:
        """Let messages flow."""
        self._active = True
        self._heard = monotonic()
        self._start_timers()

    def deactivate(self) -> None:
        """Drop what comes and forget the past."""
        self._active = False
        self._stop_timers()
        self.flow.forget()

    def destroy(self) -> None:
        """Take the topics off the graph."""
        self._active = False
        self._stop_timers()
        self._now.close()
        self._node.destroy_subscription(self._subscription)
        self.outputs.destroy()

    def _start_timers(self) -> None:
        self._stop_timers()
        rate_hz, held_s = self.params.publish_rate_hz, self.params.reorder_s
        self._due = [self._timers.every(1.0 / self.params.path_rate_hz, self.outputs.send_paths)]
        if rate_hz > 0.0:
            self._due.append(self._timers.every(
                1.0 / rate_hz, self._tick))
        if held_s > 0.0:
            self._due.append(self._timers.every(
                max(held_s, SILENCE_S) / 2.0, self._flush_if_silent, steady=True))

    def _stop_timers(self) -> None:
        for due in self._due:
            self._timers.stop(due)
        self._due = []

    def _flush_if_silent(self) -> None:
        self.flush(max(self.params.reorder_s, SILENCE_S))

    def flush(self, silent_s: float = 0.0) -> None:
        """Publish what is held back of streams silent for so long."""
        with self.outputs.together():
            self.flow.flush(silent_s)

    def _tick(self) -> None:
        with self.outputs.together():
            self.flow.tick(self.now_ns())

    def _on_streams(self, message: bytes) -> None:
        """Take a message of which a part may be meant, and that may have several streams."""
        chooser, express = self._chooser, self.flow.express
        assert chooser is not None
        # that knows chosen streams alone
        if self._active and express is not None and express.follow(message, self.now_ns()):
            self.tally.received += 1
            self._heard = monotonic()
            chooser.note(True)
            return
        with self.outputs.together():
            for part in chooser.take(message):
                self._on_message(part)

    def _on_message(self, message: Any) -> None:
        self.tally.received += 1
        self._heard = monotonic()
        if self._active:
            self.flow.take(message, self.now_ns())
        else:
            self.tally.dropped['inactive'] += 1

    def status(self) -> List[DiagnosticStatus]:
        """Return what /diagnostics tells of this input."""
        now = monotonic()
        elapsed_s, self._reported = now - self._reported, now
        name = f'{self._node.get_fully_qualified_name()}: {self.outputs.label}'
        now_ns = self.now_ns()
        behind = self.flow.at_rate.behind(now_ns) if self._active else ''
        return statuses(self.tally, Report(
            name, self.place, self._active, self.flow.enabled, elapsed_s, now_ns,
            self._trouble(now), behind, self.weights), self._codec.many, self._blind_s)

    def _blind_s(self, key: Key) -> float:
        """Return for how long a stream's sensor has been lost, as far as its smoother can tell."""
        bank = self.flow.bank
        if bank.last_ns(key) is None:
            return 0.0
        state = bank.peek(key, ('repeats',))
        return blind_s(state) if state else 0.0

    def _wanted_qos(self) -> QoSProfile:
        """Return what DDS has of the subscription: overrides may have changed what was asked."""
        name, namespace = self._node.get_name(), self._node.get_namespace()
        own = [info.qos_profile for info in self._node.get_subscriptions_info_by_topic(self.topic)
               if (info.node_name, info.node_namespace) == (name, namespace)]
        return own[0] if own else self._qos

    def _trouble(self, now: float) -> str:
        """Return why there is nothing to tell, and warn of it; empty where there is."""
        silent_s = now - self._heard
        if not self._active or silent_s <= self.params.no_data_s:
            self._told_silent = ''
            flow = self.flow
            return flow.at_rate.trouble(self.now_ns()) if self._active and flow.enabled else ''
        why = self._chooser.passed_over() if self._chooser is not None else ''
        why = why or why_silent(self._node, self.topic, self.params.input_type,
                                self._wanted_qos(), self.tally.received > 0)
        text = f'no data on {self.outputs.label} for {silent_s:.0f} s: {why}'
        if why != self._told_silent:
            self._told_silent = why
            self._node.get_logger().warning(text)
        return text


def tell_datum(log: Any, frame: str, place: Place) -> None:
    """Say where a frame has its origin."""
    log.info(f'{frame} has its origin at {place} (latitude, longitude, altitude); x is east, y '
             'north, z up')


def warm_up(smoother: Smoother, width: int, backend: Backend) -> None:
    """Run a few steps so that the first message does not pay for loading and compiling."""
    bank = StreamBank(smoother, width, backend=backend)
    for stamp_ns in range(0, 30_000_000, 10_000_000):
        bank.update((0,), (stamp_ns,), unit_row(width))
