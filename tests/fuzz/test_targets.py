"""Readers of strangers' data: good bytes are read, damaged ones read or refused in a line."""

from __future__ import annotations

import functools
import shutil

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fuzz.targets import CORPUS, TARGETS, Refused, scratch

# In the suite: config and folder take a tenth of a second an example.
EXAMPLES = {"config": 25, "folder": 25, "checkpoint": 60}


@pytest.fixture(scope="module", autouse=True)
def clean():
    yield
    shutil.rmtree(scratch())
    for kept in vars(__import__("fuzz.targets").targets).values():
        getattr(kept, "cache_clear", lambda: None)()


@functools.cache
def seeds(name: str) -> list[bytes]:
    return TARGETS[name].seeds()


@pytest.mark.parametrize("name", TARGETS)
def test_good_bytes_are_read(name):
    for seed in seeds(name):
        TARGETS[name](seed)


@pytest.mark.parametrize("name", TARGETS)
def test_what_was_once_found_stays_mended(name):
    for file in sorted((CORPUS / name).glob("*")):
        read_or_refused(name, file.read_bytes())


def read_or_refused(name: str, data: bytes) -> None:
    try:
        TARGETS[name](data)
    except Refused:
        return


@st.composite
def damaged(draw, name: str) -> bytes:
    """Good bytes with a few places overwritten, cut out, doubled, or with a word put in."""
    data = bytearray(draw(st.sampled_from(seeds(name))))
    words = [word.encode() for word in TARGETS[name].words] or [b"\0\0", b"\xff\xff\xff\xff"]
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        length = draw(st.integers(1, 12))
        part = draw(
            st.one_of(
                st.just(b""),
                st.binary(min_size=length, max_size=length),
                st.sampled_from(words),
                st.just(bytes(data[at : at + length]) * 2),
            )
        )
        data[at : at + length] = part
    return bytes(data[: draw(st.sampled_from([len(data), len(data) // 2]))])


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_bytes_are_read_or_refused(name):
    long = settings.get_profile("short") is not settings()

    @settings(max_examples=settings().max_examples if long else EXAMPLES.get(name, 150))
    @given(damaged(name))
    def check(data: bytes) -> None:
        read_or_refused(name, data)

    check()
