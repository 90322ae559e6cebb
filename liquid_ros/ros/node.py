# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The lifecycle node: load in configure, flow in active, reset in deactivate."""

from time import monotonic
import traceback
from typing import Any, Dict, List, Optional, Set, Tuple

from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import JumpThreshold, TimeJump
from rclpy.duration import Duration
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from std_srvs.srv import SetBool, Trigger

from liquid_ros.backend import Backend, candidates, NumpyBackend
from liquid_ros.checkpoint import build
from liquid_ros.errors import CheckpointError, LiquidError, ParameterError
from liquid_ros.fastest import fastest
from liquid_ros.navsat import Datum
from liquid_ros.params import find, of_input, Params, Value
from liquid_ros.ros import parameters, state
from liquid_ros.ros.channel import Channel, warm_up
from liquid_ros.ros.lifecycle import ManagedNode
from liquid_ros.ros.mistakes import one_line, USER_ERRORS
from liquid_ros.ros.timers import Due, forget_dead, Timers
from liquid_ros.ros.transforms import Frames
from liquid_ros.ros.wire import WIRES
from liquid_ros.smoothers import Smoother

NODE_NAME = 'smoother'
DIAGNOSTICS_PERIOD_S = 1.0
MANY = 64  # streams of a type that may have many, where the device is picked by trying


class SmootherNode(ManagedNode):
    """Smooths topics of poses or points."""

    def __init__(self, **kwargs: Any) -> None:
        """
        Declare the parameters and the services; kwargs go to rclpy's LifecycleNode.

        Errors: ParameterError, ParameterException for values that cannot be used.
        """
        super().__init__(NODE_NAME, **kwargs)
        self._values: Dict[str, Value] = parameters.declare(self)
        self.inputs: Tuple[str, ...] = self._values['inputs']  # type: ignore[assignment]
        self.channels: List[Channel] = []
        self.frames = Frames()
        self.datums: Dict[str, Datum] = {}  # by their frames
        self.enabled = True
        self._backend: Backend = NumpyBackend()
        self._diagnostics: Any = None
        self._shared_timers = Timers(self)
        self._report_timers: List[Due] = []
        self._reported = monotonic()
        for service, name, callback in (
                (Trigger, 'reset', self._on_reset), (SetBool, 'set_enabled', self._on_enable),
                (Trigger, 'save_state', self._on_save), (Trigger, 'load_state', self._on_load)):
            self.create_service(service, f'~/{name}', callback)
        # a change between real and simulated time is no jump: the stamps decide
        self._jumps = self.get_clock().create_jump_callback(
            JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-1),
                          on_clock_change=False), post_callback=self._on_clock_jump)
        for sentence in (*parameters.misspelt(self), *parameters.overruled(self, self._values)):
            self.get_logger().warning(sentence)

    @property
    def params(self) -> Params:
        """Return the parameters of the node, and of its only input."""
        return of_input(self._values, '')

    @property
    def overdue_s(self) -> float:
        """Return for how long a report should have gone out and has not."""
        if not self._report_timers:
            return 0.0
        return monotonic() - self._reported - DIAGNOSTICS_PERIOD_S

    # Parameters. Humble has no callback before or after the set, so the set itself is extended:
    # convert and check all, let rclpy store all or nothing, then apply.

    def set_parameters(self, parameter_list: List[Parameter]) -> List[SetParametersResult]:
        """Set one after the other, each checked by itself."""
        return [self.set_parameters_atomically([parameter]) for parameter in parameter_list]

    def set_parameters_atomically(self, parameter_list: List[Parameter]) -> SetParametersResult:
        """Set all of them, or none and say why."""
        try:
            accepted = parameters.accept(parameter_list, self.inputs, bool(self.channels),
                                         self._values, self.has_parameter)
            other = self._other_weights(accepted)
        except LiquidError as error:
            return SetParametersResult(successful=False, reason=one_line(error))
        result = super().set_parameters_atomically(accepted)
        if result.successful:
            self._values.update({p.name: p.value for p in accepted if find(p.name, self.inputs)})
            if other is not None:
                for channel in self.channels:
                    channel.exchange(other)
                self.get_logger().info(f'weights {self.channels[0].weights} from '
                                       f'{self.params.checkpoint or "the package"}')
            for channel in self.channels:
                channel.apply(of_input(self._values, channel.name))
        return result

    def _other_weights(self, accepted: List[Parameter]) -> Optional[Smoother]:
        """
        Return the smoother of a checkpoint that is to be used from now on, None without one.

        Errors: CheckpointError where it cannot be used, or the streams cannot go on with it.
        """
        found = [p.value for p in accepted if p.name == 'checkpoint']
        if not found or not self.channels:
            return None
        smoother = build(self.params.smoother, found[-1], self._backend)
        for channel in self.channels:
            reason = channel.flow.bank.refuse(smoother)
            if reason is not None:
                raise CheckpointError(f'checkpoint: got {found[-1]!r}, but {reason}; clean the '
                                      'node up first')
        for width in {WIRES[channel.params.input_type].width for channel in self.channels}:
            warm_up(smoother, width, self._backend)
        return smoother

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the smoother, warm it up and create the topics."""
        try:
            backend = self._backend = self._pick_backend()
            smoother = self._build(backend)
            self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
            self._open(smoother, backend)
        except (*USER_ERRORS, ValueError) as error:  # rclpy's of a substitution it does not know
            self.get_logger().error(f'cannot configure: {one_line(error)}')
            self._release()
            return TransitionCallbackReturn.FAILURE
        except Exception:  # rclpy would swallow it without a word
            self.get_logger().error(traceback.format_exc())
            return TransitionCallbackReturn.ERROR
        # /clock may stand still, and then most of all one wants to know why nothing comes
        self._report_timers = [self._shared_timers.every(
            DIAGNOSTICS_PERIOD_S, self._publish_diagnostics, steady=True)]
        self._reported = monotonic()
        for sentence in parameters.misspelt(self, parameters.QOS_PREFIX):
            self.get_logger().warning(sentence)
        for channel in self.channels:
            self.get_logger().info(f'{channel.topic} -> {channel.output_topic} '
                                   f'by {self.params.smoother} on {channel.place}, weights '
                                   f'{channel.weights}')
        return super().on_configure(state)

    def flush(self) -> None:
        """Publish what is held back."""
        for channel in self.channels:
            channel.flush()

    def _open(self, smoother: Smoother, backend: Backend) -> None:
        topics: List[str] = []
        shared: Set[str] = set()
        for name in self.inputs or ('',):
            params = of_input(self._values, name)
            warm_up(smoother, WIRES[params.input_type].width, backend)
            channel = Channel(self, self._shared_timers, name, params, smoother, backend)
            self.channels.append(channel)
            channel.flow.enabled = self.enabled
            topics += [*{channel.topic} - shared, *channel.outputs.topics]
            if params.input_type == 'tf':  # of which there is one for all frames
                shared.add(channel.topic)
        twice = sorted({topic for topic in topics if topics.count(topic) > 1})
        if twice:
            raise ParameterError(f'got {", ".join(twice)} twice among the topics of inputs and '
                                 'outputs, expected a topic of its own for each (output_topic, '
                                 'path_topic; to /tf: publish_tf)')

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Let messages flow."""
        result = super().on_activate(state)
        for channel in self.channels:
            channel.activate()
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Stop the flow and forget the past."""
        for channel in self.channels:
            channel.deactivate()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Destroy what configure made."""
        result = super().on_cleanup(state)
        self._release()
        return result

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Destroy what configure made, whatever the state."""
        self.flush()
        result = super().on_shutdown(state)
        self._release()
        return result

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Go back to unconfigured with nothing left over."""
        self.get_logger().error(f'a transition from {state.label} raised an error; cleaned up')
        self._release()
        return TransitionCallbackReturn.SUCCESS

    def bring_up(self) -> bool:
        """Configure and activate; return whether both succeeded."""
        success = TransitionCallbackReturn.SUCCESS
        return self.trigger_configure() == success and self.trigger_activate() == success

    def _pick_backend(self) -> Backend:
        kinds = [WIRES[of_input(self._values, name).input_type] for name in self.inputs or ('',)]
        found = candidates(self.params.device, any(kind.side_by_side for kind in kinds),
                           self.params.require_device)
        return found[0] if len(found) == 1 else fastest(found, self._build, [
            (kind.width, MANY if kind.side_by_side else 1) for kind in kinds])

    def _build(self, backend: Backend) -> Smoother:
        return build(self.params.smoother, self.params.checkpoint, backend)

    def _release(self) -> None:
        for due in self._report_timers:
            self._shared_timers.stop(due)
        self._report_timers = []
        for channel in self.channels:
            channel.destroy()
        self.channels.clear()
        self.datums.clear()
        if self._diagnostics is not None:
            self.destroy_publisher(self._diagnostics)
            self._diagnostics = None
        forget_dead(self)

    # Clock, timers and services.

    def _on_clock_jump(self, jump: TimeJump) -> None:
        now_ns, back_ns = self.get_clock().now().nanoseconds, -jump.delta.nanoseconds
        for channel in self.channels:
            channel.flow.on_clock_jump(now_ns, back_ns)

    def _publish_diagnostics(self) -> None:
        self._reported = monotonic()
        array = DiagnosticArray(status=[
            told for channel in self.channels for told in channel.status()])
        array.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(array)

    def _on_reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        for channel in self.channels:
            channel.flow.reset('service')
        return self._answer(response, 'the next message starts each stream anew')

    def _on_enable(self, request: SetBool.Request, response: SetBool.Response
                   ) -> SetBool.Response:
        self.get_logger().info('smoothing' if request.data else 'passing messages through')
        self.enabled = request.data
        for channel in self.channels:
            channel.flow.enabled = request.data
        response.success = True
        response.message = ('smoothing' if request.data else
                            'passing usable messages through as they come; the smoother goes on')
        return response

    def _on_save(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        return self._with_file(state.save, 'saved to', response)

    def _on_load(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        return self._with_file(state.load, 'loaded from', response)

    def _with_file(self, use: Any, done: str, response: Trigger.Response) -> Trigger.Response:
        path = self.params.state_file
        if self.channels:
            try:
                use(path, self.channels)
            except LiquidError as error:
                response.success, response.message = False, one_line(error)
                return response
        return self._answer(response, f'{done} {path}')

    def _answer(self, response: Trigger.Response, done: str) -> Trigger.Response:
        response.success = bool(self.channels)
        response.message = done if self.channels else 'the node is not configured'
        return response
