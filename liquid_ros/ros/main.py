# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The node as a program: start, spin, end; a user's mistake is one line."""

import os
from signal import default_int_handler
import sys
from time import monotonic, process_time
from typing import Any, Callable, List, Optional

import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions

from liquid_ros.ros.arguments import help_text, idle, wants_help
from liquid_ros.ros.mistakes import one_line, USER_ERRORS
from liquid_ros.ros.node import SmootherNode
from liquid_ros.signals import deferred, ENDING, signalled

OVERDUE_S, FAIR = 0.5, 16  # so long a report is late; so many turns between two looks
CALM_S, LIGHT = 10.0, 0.4  # so long at a time no more than this share of a core is used
TURN_S = 0.2  # until a signal is looked for where nothing comes


def make_executor(context: Any = None) -> Any:
    """
    Return the executor: events where rclpy has it, else single-threaded.

    The one of events takes half the CPU time a message; its spin() hangs, spin_once() does not.
    Under load it fires a timer on /clock many times over: timers.py minds that.
    """
    try:
        from rclpy.experimental.events_executor import EventsExecutor
        return EventsExecutor(context=context)
    except ImportError:
        return SingleThreadedExecutor(context=context)


def main(args: Optional[List[str]] = None) -> int:
    """Run the node until it is told to stop; return 1 where it cannot start."""
    given = sys.argv[1:] if args is None else args
    if wants_help(given):
        try:
            print(help_text(), flush=True)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    try:
        # rclpy would end the context amid a callback, and whatever that calls then raises
        with signalled(ENDING, default_int_handler), deferred() as act:
            try:
                rclpy.init(args=args, signal_handler_options=SignalHandlerOptions.NO)
                node = SmootherNode()
            except USER_ERRORS as error:
                rclpy.try_shutdown()
                return complain(error)
            for text in idle(given, node.get_fully_qualified_name()):
                node.get_logger().warning(text)
            return run(node, act)
    except KeyboardInterrupt:
        return 0


def run(node: SmootherNode, act: Callable[[], None]) -> int:
    """Run the node until act() raises; return 1 where it cannot be configured."""
    try:
        if not node.params.autostart:
            node.get_logger().info('waits for configure and activate; autostart: true makes both')
        elif not node.bring_up():
            return 1
        spin(node, act)
    except ExternalShutdownException:
        pass
    finally:
        if rclpy.ok():
            node.flush()
        node.destroy_node()
        rclpy.try_shutdown()
    return 0


def complain(error: BaseException) -> int:
    """Say in a line why the node cannot start; return the exit status."""
    print(f'smoother_node: {one_line(error)}', file=sys.stderr)
    return 1


def spin(node: SmootherNode, act: Callable[[], None]) -> None:
    """
    Run the node's callbacks until the context is shut down, or act() raises between two.

    The executor of events answers no service and no timer before every message that ever came;
    where more come than it can take, the other one drops some and stays within reach, until there
    is little to do.
    """
    executor = make_executor()
    executor.add_node(node)
    try:
        turns, used_s = 0, 0.0
        late_at: Optional[float] = None
        fled_at: Optional[float] = None
        while rclpy.ok():
            executor.spin_once(timeout_sec=TURN_S)
            act()
            turns += 1
            if turns % FAIR:
                continue
            now = monotonic()
            if fled_at is not None:
                if now - fled_at < CALM_S:
                    continue
                calm = process_time() - used_s < LIGHT * (now - fled_at)
                fled_at, used_s = None if calm else now, process_time()
                if calm:
                    node.get_logger().info('no more comes than can be smoothed')
                    executor = _moved(node, executor, make_executor())
            elif node.overdue_s <= 0.0 or late_at is None:
                late_at = now if node.overdue_s > 0.0 else None
            elif (now - late_at > OVERDUE_S
                    and not isinstance(executor, SingleThreadedExecutor)):
                node.get_logger().warning('more comes than can be smoothed: messages may be lost')
                executor = _moved(node, executor, SingleThreadedExecutor())
                late_at, fled_at, used_s = None, now, process_time()
    finally:
        executor.remove_node(node)


def _moved(node: SmootherNode, executor: Any, other: Any) -> Any:
    executor.remove_node(node)
    other.add_node(node)
    return other


if __name__ == '__main__':
    sys.exit(main())
