# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A smoother's step, written once against arrays, as one C function."""
