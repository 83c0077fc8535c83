"""Neighbours: those of brute force, in any chunks, in linear memory on a line."""

import math

import numpy as np
import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from search_spaces.layers.neighbours import find_neighbours
from tests.search_spaces.layers.points import Elements, series


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


GRIDS = {  # size, extent of the input, causal
    "1d": ((9,), (23,), False),
    "1d_longer_than_the_input": ((15,), (6,), False),
    "causal": ((8,), (23,), True),
    "2d": ((7, 5), (9, 6), False),
    "3d": ((5, 3, 7), (6, 5, 4), False),
    "one_point": ((1,), (5,), False),
    "causal_one_point": ((1,), (5,), True),
}
of_every_grid = pytest.mark.parametrize("grid", GRIDS)


def sets(neighbours):
    found = neighbours.found
    return [[set(row[some].tolist()) for row, some in zip(*each)] for each in zip(neighbours.index, found)]


@settings(max_examples=60, deadline=None)
@given(
    axes=st.integers(1, 3),
    radius=st.none() | st.floats(0, 2),
    nearest=st.none() | st.integers(1, 30),
    causal=st.booleans(),
    others=st.booleans(),
    seed=st.integers(0, 9),
)
@example(axes=1, radius=None, nearest=30, causal=False, others=True, seed=0)  # all, but padding
def test_neighbours_are_those_of_brute_force(axes, radius, nearest, causal, others, seed):
    if (radius is None and nearest is None) or (causal and axes > 1):
        return
    torch.manual_seed(seed)
    _, positions = series(points=17, axes=axes)
    _, queries = series(points=9, axes=axes) if others else (None, positions)
    valid = torch.rand(2, 17) < 0.8
    found = find_neighbours(
        positions, queries if others else None, radius=radius, nearest=nearest, causal=causal, valid=valid
    )
    expected = []
    for points, some, real in zip(positions.numpy(), queries.numpy(), valid.numpy()):
        rows = []
        for query in np.where(real[:, None], some, 0) if not others else some:
            offset = points - query
            near = real & (np.abs(offset).max(-1) <= (math.inf if radius is None else radius))
            near &= (offset[:, 0] <= 0) | (not causal)
            order = sorted(np.flatnonzero(near), key=lambda p: np.linalg.norm(offset[p]))
            rows.append({int(p) for p in order[:nearest]})
        expected.append(rows)
    assert sets(found) == expected
    most = max(len(row) for rows in expected for row in rows)
    assert found.index.shape[-1] == max(1, most)


def test_simultaneous_points_are_all_neighbours():
    times = torch.tensor([3.0, 1.0, 3.0, 3.0, 2.0])[None, :, None]
    for causal in (False, True):
        found = find_neighbours(times, radius=0.5, causal=causal)
        assert sets(found)[0] == [{0, 2, 3}, {1}, {0, 2, 3}, {0, 2, 3}, {4}]
        near = find_neighbours(times, nearest=2, causal=causal)
        assert all(row <= {0, 2, 3} for row in (sets(near)[0][n] for n in (0, 2, 3)))


def test_neighbours_are_the_same_however_many_pairs_are_held(monkeypatch):
    _, positions = series(points=50, axes=2)
    whole = find_neighbours(positions, radius=0.7)
    monkeypatch.setattr("search_spaces.layers.neighbours.PAIRS", 300)
    assert sets(find_neighbours(positions, radius=0.7)) == sets(whole)


def test_neighbours_on_a_line_take_memory_linear_in_points():
    totals = []
    for points in (1000, 2000, 4000):
        _, positions = series(batch=1, points=points)
        with Elements() as seen:
            find_neighbours(positions, nearest=10)
        totals.append(seen.total)
    assert totals[2] - totals[1] == pytest.approx(2 * (totals[1] - totals[0]), rel=0.01)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({}, "give a radius, nearest, or both"),
        ({"nearest": 0}, "nearest must be at least 1, got 0"),
        ({"radius": -1.0}, "none negative"),
        ({"radius": math.nan}, "none negative"),
        ({"radius": (1.0,)}, "radius must be a number or 2 of them"),
        ({"radius": 1.0, "causal": True}, "use causal=False"),
    ],
)
def test_wrong_limits_of_a_neighbourhood_are_refused(limits, message):
    with pytest.raises(ValueError, match=message):
        find_neighbours(torch.zeros(1, 4, 2), **limits)
