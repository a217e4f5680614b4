# Licensed under the Apache License 2.0, see LICENSE.
"""A look at an even sample of a dataset's files before a run, in a bounded time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from torch.utils.data import Dataset

from .listed_dataset import ListedDataset
from .transforms.loading import LoadInverseDepth

_THREADS = 8  # decoders run in parallel, and slow disks answer several requests at a time


@dataclass
class CheckReport:
    """What a check has found in the files of one dataset.

    Attributes:
        summary: One line for the log.
        errors: What makes the run useless, with the line of config that mends it.
        warnings: What may be meant.
    """

    summary: str
    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class CheckedFile:
    """One file that was read, or could not be.

    Attributes:
        path: The file.
        content: What the reading function has returned, ``None`` if it failed.
        error: Why it failed, ``None`` if it did not.
    """

    path: str
    content: Any = None
    error: str | None = None


def sample_evenly(n: int, count: int) -> list[int]:
    """Choose indices that are spread evenly over a list, its first and last among them.

    Args:
        n: Length of the list.
        count: How many to choose; all, if there are not so many.

    Returns:
        Ascending, each at most once.
    """
    if count >= n:
        return list(range(n))
    return np.linspace(0, n - 1, count).round().astype(int).tolist()


def check_files(
    read: Callable[[Mapping], Any], infos: Sequence[Mapping], key: str, seconds: float
) -> list[CheckedFile]:
    """Read files in parallel threads until a time is up.

    The order of reading is shuffled, so that what was read in time is spread over the files.

    Args:
        read: Reads the files of a sample, and returns what is to be known of it.
        infos: Samples, as ``get_data_info`` of a dataset returns them.
        key: Where a sample names the file, such as ``'seg_map_path'``.
        seconds: After this time no further file is begun.

    Returns:
        What was read, in the order of ``infos``.
    """

    def checked(info: Mapping) -> CheckedFile:
        try:
            return CheckedFile(info[key], content=read(info))
        except (OSError, ValueError) as error:
            return CheckedFile(info[key], error=str(error))
        except Exception as error:  # decoders have a dozen more types for broken files
            return CheckedFile(info[key], error=f'{info[key]}: {type(error).__name__}: {error}')

    order = np.random.default_rng(0).permutation(len(infos))
    with ThreadPoolExecutor(_THREADS) as executor:
        futures = {executor.submit(checked, infos[i]): i for i in order}
        wait(futures, timeout=seconds)
        executor.shutdown(cancel_futures=True)
    finished = {futures[future]: future for future in futures if not future.cancelled()}
    return [finished[i].result() for i in sorted(finished)]


def simple_datasets(dataset: Dataset | ListedDataset) -> Iterator[ListedDataset]:
    """Look through MMEngine's and MMSeg's wrappers (concatenated, repeated, ...).

    Args:
        dataset: Any dataset.

    Yields:
        The datasets that list files themselves.
    """
    inner = getattr(dataset, 'datasets', None) or [getattr(dataset, 'dataset', None)]
    if inner == [None]:
        yield cast(ListedDataset, dataset)
        return
    for part in inner:
        yield from simple_datasets(part)


def find_transform(dataset: Dataset | ListedDataset, kinds: type | tuple[type, ...]) -> Any | None:
    """Find a transform in the pipeline of a dataset, nested ones included.

    Args:
        dataset: Any dataset.
        kinds: Classes of the transform.

    Returns:
        The first transform of these classes, ``None`` if there is none.
    """
    return next(
        (
            step
            for step in _transforms(getattr(dataset, 'pipeline', None))
            if isinstance(step, kinds)
        ),
        None,
    )


def images_without_depth(dataset: Dataset | ListedDataset) -> list[str]:
    """Find the images for which a dataset loads no depth. No file is read.

    Args:
        dataset: Any dataset. One that does not list its files is taken to load depth.

    Returns:
        Paths of the images, in the order of the dataset.
    """
    found = []
    for part in simple_datasets(dataset):
        if not hasattr(part, 'get_data_info'):
            continue
        infos = [part.get_data_info(index) for index in range(len(part))]
        if find_transform(part, LoadInverseDepth) is None:
            found += [info['img_path'] for info in infos]
        else:
            found += [i['img_path'] for i in infos if i.get('depth_map_path') is None]
    return found


def _transforms(step: Any) -> Iterator[Any]:
    yield step
    # Compose, RandomChoice and the like have `transforms`, TestTimeAug has `subroutines`.
    inner = getattr(step, 'transforms', None) or getattr(step, 'subroutines', None)
    for part in inner if isinstance(inner, list | tuple) else [inner] if inner else ():
        yield from _transforms(part)
