"""zth.plot's drawing of a graph; oracle: small graphs laid out by hand."""

import matplotlib
import pytest

from zth import plot
from zth.engine import Value

matplotlib.use("Agg")


@pytest.fixture
def lecture():
    a, b, c, f = (Value(x) for x in (2, -3, 10, -2))
    e = a * b
    d = e + c
    L = d * f
    return dict(a=a, b=b, c=c, f=f, e=e, d=d, L=L)


def test_columns_and_rows_by_hand(lecture):
    places = plot.layout(lecture["L"])
    found = {name: places[value] for name, value in lecture.items()}
    column = {name: x for name, (x, _) in found.items()}
    assert column == dict(a=0, b=0, c=1, e=1, f=2, d=2, L=3)
    row = {name: y for name, (_, y) in found.items()}
    assert row["e"] == (row["a"] + row["b"]) / 2
    assert row["a"] > row["b"] > row["c"] > row["f"]  # as it is written


def test_no_two_boxes_meet():
    x = Value(1.0)
    values = [x, x * 2, x + 3]
    for i in range(12):
        values.append(values[i] * values[i + 1] + values[i + 2])
    places = plot.layout(values[-1])
    for node, (x, y) in places.items():
        for parent in node.parents:
            assert places[parent][0] < x
        assert not any(other[0] == x and abs(other[1] - y) < 1
                       for at, other in places.items() if at is not node)


def test_a_box_shows_name_operation_data_and_grad(lecture):
    lecture["L"].backward()
    ax = plot.graph(lecture["L"], lecture)
    texts = {text.get_text() for text in ax.texts if text.get_text()}
    assert "L  ×\ndata -8.0000\ngrad 1.0000" in texts
    assert "a\ndata 2.0000\ngrad 6.0000" in texts and len(texts) == 7
    arrows = [text for text in ax.texts if not text.get_text()]
    assert len(arrows) == 6
    matplotlib.pyplot.close(ax.figure)


def test_a_value_used_twice_is_drawn_once():
    x = Value(1.0)
    ax = plot.graph(x + x)
    assert len([t for t in ax.texts if t.get_text()]) == 2
    matplotlib.pyplot.close(ax.figure)
