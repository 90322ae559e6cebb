# Copyright 2026 the liquid_ros authors
# SPDX-License-Identifier: Apache-2.0

"""The layouts show topics and fields that the node really has, by default."""

from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

from liquid_ros.params import Params

ROOT = Path(__file__).resolve().parents[1]
DEFAULT = Params().input_topic


def topics():
    """Return every topic in a layout, with the field of it or None."""
    rviz = yaml.safe_load((ROOT / 'rviz' / 'smoother.rviz').read_text())
    shown = [(display['Topic']['Value'], None, display['Class'].split('/')[-1])
             for display in rviz['Visualization Manager']['Displays'] if 'Topic' in display]
    plots = ElementTree.parse(ROOT / 'layouts' / 'plotjuggler.xml')
    chosen = [topic.get('name') for topic in plots.iter('topic')]
    for curve in plots.iter('curve'):
        topic = max((t for t in chosen if curve.get('name').startswith(f'{t}/')), key=len)
        shown.append((topic, curve.get('name')[len(topic) + 1:], None))
    return shown


@pytest.mark.parametrize('layout', ['rviz/smoother.rviz', 'layouts/plotjuggler.xml'])
def test_a_layout_shows_raw_against_smoothed(layout):
    text = (ROOT / layout).read_text()
    assert f'/{DEFAULT}' in text and f'/{DEFAULT}/smoothed' in text


def test_every_topic_and_field_exists():
    """By the messages' own types."""
    outputs = pytest.importorskip('liquid_ros.ros.outputs')
    from geometry_msgs.msg import PoseStamped
    from nav_msgs.msg import Path as PathMessage
    from std_msgs.msg import Float64
    types = {f'/{DEFAULT}': PoseStamped, f'/{DEFAULT}/smoothed': PoseStamped,
             f'/{DEFAULT}/path': PathMessage,
             **{f'/smoother/debug/{word}': Float64 for word in outputs.DEBUG}}
    shown = topics()
    assert len(shown) > 15
    for topic, field, display in shown:
        message = types[topic]()
        for part in field.split('/') if field else ():
            message = getattr(message, part)
        assert field is None or isinstance(message, float)
        if display is not None:
            assert type(message).__name__.startswith(display)
