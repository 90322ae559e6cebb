# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Keep the tests' ROS graph on this machine and apart from every other."""

import importlib.util
import os
import signal

import pytest

os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
os.environ['ROS_DOMAIN_ID'] = str(1 + os.getpid() % 99)
# arrays are small: more threads would only wait for each other
os.environ.setdefault('OMP_NUM_THREADS', '1')
# a job in a script's background ignores Ctrl-C, and so would the processes that tests start
signal.signal(signal.SIGINT, signal.default_int_handler)

HAS_ROS = importlib.util.find_spec('rclpy') is not None
collect_ignore_glob = [] if HAS_ROS else ['test_node*.py', 'test_launch.py']


def pytest_report_header():
    """Say which tests a machine without ROS leaves out."""
    left_out = ', '.join(collect_ignore_glob)
    return f'liquid_ros: rclpy is not installed, left out: {left_out}' if left_out else None


@pytest.fixture
def graph():
    """Yield an empty ROS graph, and take it down."""
    from ros_graph import Graph
    made = Graph()
    yield made
    made.close()
