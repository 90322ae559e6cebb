# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The errors a user can cause: each message is one line, what came and what was expected."""


class LiquidError(Exception):
    """Root of every error this package raises on purpose."""


class InputError(LiquidError):
    """A file, bag, topic or array that cannot be used."""


class UnreadableError(InputError):
    """A recording that is broken: nothing of it can be read, or no more of it."""


class ParameterError(LiquidError, ValueError):
    """A parameter with the wrong name, type or range."""


class CheckpointError(LiquidError):
    """Weights that cannot be read or do not fit the smoother."""


class DeviceError(LiquidError):
    """A compute device that was asked for and is not there."""
