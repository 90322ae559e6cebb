# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""Simulated motion, simulated sensors, and the loop that fits the liquid cell to them."""
