"""What goes wrong with images, labels, clips and files."""

from __future__ import annotations


class DatasetError(ValueError):
    """Images, labels or files that cannot be used; the message is one line and says what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(message.split()))
