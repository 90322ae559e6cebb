# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Smooth noisy pose and point streams with a liquid cell."""

__version__ = '0.1.0'
