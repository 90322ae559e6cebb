# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""A lifecycle node that a transition which its state does not have cannot end."""

from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn


class ManagedNode(LifecycleNode):
    """What rclpy has from Kilted on: up to Jazzy the error leaves the executor (rclpy#1319)."""

    def _LifecycleNodeMixin__change_state(self, transition_id: int) -> TransitionCallbackReturn:
        try:
            return super()._LifecycleNodeMixin__change_state(transition_id)
        except RuntimeError:
            self.get_logger().error(f'got transition {transition_id}, which the state '
                                    f'{self._state_machine.current_state[1]} does not have')
            return TransitionCallbackReturn.ERROR
