# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The ROS 2 node around the stream bank."""
