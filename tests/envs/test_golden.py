"""Silent change: the first steps of every id are those that were kept when it was made."""

from __future__ import annotations

import numpy as np
import pytest

import golden
from support import with_data

KEPT = golden.load()
AGAIN = "a new version of the id is needed, or `python tests/golden.py {id}` if a bug was mended"


@pytest.mark.parametrize(("env_id", "keywords"), [with_data(*case) for case in golden.cases()])
def test_behaviour_is_as_it_was(env_id, keywords):
    name = golden.name_of(env_id, keywords)
    again = AGAIN.format(id=env_id)
    if name not in KEPT and golden.needs_data(env_id):
        pytest.skip("whoever kept the others had not its data")
    assert name in KEPT, f"{name}: not kept yet, run `python tests/golden.py {env_id}`"
    changed = golden.difference(golden.play(env_id, keywords), KEPT[name])
    assert not changed, f"behaviour of {name} changed ({changed}): {again}"


def test_nothing_is_kept_of_what_is_gone():
    """An id that goes, or a keyword of it that is no longer played, is a change too."""
    assert KEPT.keys() <= {golden.name_of(*case) for case in golden.cases()}


def test_one_grey_level_of_one_pixel_shows_and_the_last_bit_does_not():
    values = {"glimpse": np.linspace(0, 1, 200, dtype=np.float32), "info index": [50_000, 3]}
    kept, found = {}, {}
    golden.tell(kept, values, 0)
    for name, place, change in [("glimpse", 77, 1 / 255), ("info index", 0, 1)]:
        moved = {key: np.array(value) for key, value in values.items()}
        moved[name][place] += type(change)(change)
        golden.tell(found, moved, 0)
        assert golden.difference(found, kept).startswith(f"{name} at step 0 was")
    golden.tell(found, {**values, "glimpse": np.nextafter(values["glimpse"], np.float32(2))}, 0)
    assert golden.difference(found, kept) == ""
    assert golden.difference({**found, "box": [0.0]}, kept) == "box is new"
    assert golden.difference(found, {**kept, "box": [0.0]}) == "box is gone"
