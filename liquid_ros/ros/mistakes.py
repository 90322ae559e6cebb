# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""What a user can do wrong, as rclpy and this package raise it, in one line."""

from rclpy.exceptions import NameValidationException, ParameterException
from rclpy.qos_overriding_options import InvalidQosOverridesError

from liquid_ros.errors import LiquidError

# What a user can cause on the way to a running node; rclpy has no root of its own for them.
USER_ERRORS = (LiquidError, ParameterException, NameValidationException,
               InvalidQosOverridesError, RuntimeError)


def one_line(error: BaseException) -> str:
    """Return an error's message in one line, without the place in the source that rcl names."""
    lines = [line.strip() for line in str(error).strip().splitlines()] or ['']
    message = lines[0].split(', at ./')[0].split(', at /')[0]
    if message.endswith(':'):  # what a name must not be; the name comes below it
        message = ' '.join([message, *lines[1:2]])
    # Some of rclpy's errors hold no more than the offending words.
    return message if ' ' in message else f'{type(error).__name__} {message}'
