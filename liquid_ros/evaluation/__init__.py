# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Recordings in, recordings out, and the figures that say whether smoothing helped."""
