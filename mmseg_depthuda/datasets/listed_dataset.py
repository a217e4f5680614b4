# Licensed under the Apache License 2.0, see LICENSE.
"""What this package asks of a dataset whose files it reads, MMSeg's own or another one."""

from collections.abc import Mapping
from typing import Any, Protocol


class ListedDataset(Protocol):
    """A dataset that knows its files before it loads them, as every MMEngine dataset does."""

    @property
    def metainfo(self) -> Mapping[str, Any]:
        """``classes`` (names) and ``palette``, where the dataset has them."""

    def __len__(self) -> int: ...

    def get_data_info(self, idx: int) -> dict:
        """Paths of the files of an image, and what its transforms need besides."""
