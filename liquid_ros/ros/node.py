# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The lifecycle node: load in configure, flow in active, reset in deactivate."""

import dataclasses
import sys
import traceback
from typing import Any, List, Optional

from diagnostic_msgs.msg import DiagnosticArray
import numpy as np
from rcl_interfaces.msg import SetParametersResult
import rclpy
from rclpy.exceptions import NameValidationException, ParameterException
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos_overriding_options import InvalidQosOverridesError
from std_srvs.srv import Trigger

from liquid_ros.backend import Backend, NumpyBackend, pick_backend
from liquid_ros.checkpoint import build
from liquid_ros.errors import DeviceError, LiquidError, ParameterError
from liquid_ros.params import Params, SPECS
from liquid_ros.ros import parameters
from liquid_ros.ros.channel import Channel
from liquid_ros.ros.messages import CODECS
from liquid_ros.smoothers import Smoother
from liquid_ros.streams import StreamBank

NODE_NAME = 'smoother'
DIAGNOSTICS_PERIOD_S = 1.0

# What a user can cause on the way to a running node; rclpy has no root of its own for them.
USER_ERRORS = (LiquidError, ParameterException, NameValidationException,
               InvalidQosOverridesError, RuntimeError)


class SmootherNode(LifecycleNode):
    """Smooths one topic of poses or points."""

    def __init__(self, **kwargs: Any) -> None:
        """
        Declare the parameters and the service; kwargs go to rclpy's LifecycleNode.

        Errors: ParameterError, ParameterException for values that cannot be used.
        """
        super().__init__(NODE_NAME, **kwargs)
        self.params: Params = parameters.declare(self)
        self.channels: List[Channel] = []
        self._diagnostics: Any = None
        self._own_timers: List[Any] = []
        self._reset_service = self.create_service(Trigger, '~/reset', self._on_reset)
        for sentence in parameters.misspelt(self):
            self.get_logger().warning(sentence)

    # Parameters. Humble has no callback before or after the set, so the set itself is extended:
    # convert and check all, let rclpy store all or nothing, then apply.

    def set_parameters(self, parameter_list: List[Parameter]) -> List[SetParametersResult]:
        """Set one after the other, each checked by itself."""
        return [self.set_parameters_atomically([parameter]) for parameter in parameter_list]

    def set_parameters_atomically(self, parameter_list: List[Parameter]) -> SetParametersResult:
        """Set all of them, or none and say why."""
        try:
            accepted = parameters.accept(parameter_list, configured=bool(self.channels))
        except ParameterError as error:
            return SetParametersResult(successful=False, reason=str(error))
        result = super().set_parameters_atomically(accepted)
        if result.successful:
            self._apply({p.name: p.value for p in accepted if p.name in SPECS})
        return result

    def _apply(self, changes: Any) -> None:
        self.params = dataclasses.replace(self.params, **changes)
        for channel in self.channels:
            channel.apply(self.params)
        if 'path_rate_hz' in changes and self.channels:
            self._start_timers()

    # Lifecycle.

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the smoother, warm it up and create the topics."""
        try:
            backend = self._pick_backend()
            smoother = build(self.params.smoother, self.params.checkpoint, backend)
            warm_up(smoother, CODECS[self.params.input_type].width, backend)
            self.channels.append(Channel(self, self.params, smoother, backend))
        except USER_ERRORS as error:
            self.get_logger().error(f'cannot configure: {one_line(error)}')
            return TransitionCallbackReturn.FAILURE
        except Exception:  # rclpy would swallow it without a word
            self.get_logger().error(traceback.format_exc())
            return TransitionCallbackReturn.ERROR
        self._diagnostics = self.create_publisher(DiagnosticArray, '/diagnostics', 10)
        self._start_timers()
        for sentence in parameters.misspelt(self, parameters.QOS_PREFIX):
            self.get_logger().warning(sentence)
        channel = self.channels[0]
        self.get_logger().info(f'{channel.topic} -> {channel.output_topic} '
                               f'by {self.params.smoother} on {backend.label}')
        return super().on_configure(state)

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
        wanted = self.params.device
        backend = pick_backend(wanted)
        if self.params.require_device and wanted == 'auto' and isinstance(backend, NumpyBackend):
            raise DeviceError("got device 'auto' with require_device, but there is no CUDA device")
        return backend

    def _release(self) -> None:
        self._stop_timers()
        for channel in self.channels:
            channel.destroy()
        self.channels.clear()
        if self._diagnostics is not None:
            self.destroy_publisher(self._diagnostics)
            self._diagnostics = None

    def _start_timers(self) -> None:
        self._stop_timers()
        self._own_timers = [
            self.create_timer(DIAGNOSTICS_PERIOD_S, self._publish_diagnostics),
            self.create_timer(1.0 / self.params.path_rate_hz, self._publish_paths)]

    def _stop_timers(self) -> None:
        for timer in self._own_timers:
            self.destroy_timer(timer)
        self._own_timers = []

    # Timers and services.

    def _publish_paths(self) -> None:
        for channel in self.channels:
            channel.publish_path()

    def _publish_diagnostics(self) -> None:
        array = DiagnosticArray(status=[channel.status() for channel in self.channels])
        array.header.stamp = self.get_clock().now().to_msg()
        self._diagnostics.publish(array)

    def _on_reset(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        for channel in self.channels:
            channel.reset('service')
        response.success = bool(self.channels)
        response.message = ('the next message starts the stream anew' if self.channels
                            else 'the node is not configured')
        return response


def warm_up(smoother: Smoother, width: int, backend: Backend) -> None:
    """Run a few steps so that the first message does not pay for loading and compiling."""
    bank = StreamBank(smoother, width, backend=backend)
    row = np.zeros((1, width))
    row[0, width - 1] = 1.0
    for stamp_ns in range(0, 30_000_000, 10_000_000):
        bank.update((0,), (stamp_ns,), row)


def one_line(error: BaseException) -> str:
    """Return an error's message in one line, without the place in the source that rcl names."""
    lines = [line.strip() for line in str(error).strip().splitlines()] or ['']
    message = lines[0].split(', at ./')[0].split(', at /')[0]
    if message.endswith(':'):  # what a name must not be; the name comes below it
        message = ' '.join([message, *lines[1:2]])
    # Some of rclpy's errors hold no more than the offending words.
    return message if ' ' in message else f'{type(error).__name__} {message}'


def make_executor(context: Any = None, simulated_time: bool = False) -> Any:
    """
    Return the executor: events where rclpy has it and time is real, else single-threaded.

    The one of events takes half the CPU time a message; its spin() hangs, spin_once() does not.
    Under load it fires a timer on /clock many times over.
    """
    if not simulated_time:
        try:
            from rclpy.experimental.events_executor import EventsExecutor
            return EventsExecutor(context=context)
        except ImportError:
            pass
    return SingleThreadedExecutor(context=context)


def main(args: Optional[List[str]] = None) -> int:
    """Run the node until it is told to stop; return 1 where it cannot start."""
    try:
        rclpy.init(args=args)
    except USER_ERRORS as error:
        return complain(error)
    except KeyboardInterrupt:
        return 0
    node = None
    try:
        node = SmootherNode()
        if node.params.autostart and not node.bring_up():
            return int(rclpy.ok())
        spin(node)
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except Exception as error:
        # Once a signal has ended the context any call may raise: then that is the end, no error.
        if rclpy.ok():
            if node is None and isinstance(error, USER_ERRORS):
                return complain(error)
            raise
    finally:
        if node is not None:
            node.destroy_node()
        rclpy.try_shutdown()
    return 0


def complain(error: BaseException) -> int:
    """Say in a line why the node cannot start; return the exit status."""
    print(f'smoother_node: {one_line(error)}', file=sys.stderr)
    return 1


def spin(node: SmootherNode) -> None:
    """Run the node's callbacks until the context is shut down."""
    executor = make_executor(
        simulated_time=node.get_parameter('use_sim_time').get_parameter_value().bool_value)
    executor.add_node(node)
    try:
        while rclpy.ok():
            executor.spin_once(timeout_sec=0.5)
    finally:
        executor.remove_node(node)


if __name__ == '__main__':
    sys.exit(main())
