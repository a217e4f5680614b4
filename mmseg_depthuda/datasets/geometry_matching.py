# Licensed under the Apache License 2.0, see LICENSE.
"""Matching geometry: of several drawn images, the one whose depth is most like that of a target."""

from collections.abc import Sequence

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.dataset import BaseDataset, Compose
from mmseg.structures import SegDataSample
from PIL import Image

from mmseg_depthuda.adaptation.geometry_cost import geometry_cost

from .data_check import images_without_depth
from .seeding import seeded
from .transforms.load_image import LoadImageFromFile


class BlankImage(BaseTransform):
    """A black image of the size of the file, of which only the head is read.

    Added keys: ``img`` (uint8, (H, W, 3)), ``img_shape``, ``ori_shape``.

    Args:
        loader: Loads images that are no local files.
    """

    def __init__(self, loader: BaseTransform) -> None:
        self.loader = loader

    def transform(self, results: dict) -> dict:
        if '://' in str(results['img_path']):
            return self.loader(results)
        with Image.open(results['img_path']) as image:
            width, height = image.size
        results['img'] = np.zeros((height, width, 3), np.uint8)
        results['img_shape'] = results['ori_shape'] = (height, width)
        return results


class GeometryMatching:
    """Chooses an image of a domain for each image of another one, by depth.

    Every candidate is cropped and flipped by the pipeline of its dataset before the comparison, and
    the winner keeps its crop. The images of the candidates are not decoded, only that of the
    winner.

    Args:
        to: Domain that is matched.
        candidates: Images drawn for each of its images.
        ignore_top: See :func:`~mmseg_depthuda.adaptation.geometry_cost.geometry_cost`.
        ignore_bottom: Likewise.

    Raises:
        ValueError: ``candidates`` is not positive, or a number of rows negative.

    Source: Hoyer et al., IJCV 2023, and its release.
    """

    def __init__(
        self, to: str, candidates: int = 5, ignore_top: int = 80, ignore_bottom: int = 100
    ) -> None:
        if not isinstance(candidates, int) or candidates < 1:
            raise ValueError(f'match.candidates must be a positive integer, got {candidates!r}')
        if min(ignore_top, ignore_bottom) < 0:
            raise ValueError(
                f'match.ignore_top and match.ignore_bottom must not be negative, got {ignore_top} '
                f'and {ignore_bottom}'
            )
        self.to = to
        self.candidates = candidates
        self.ignore_top = ignore_top
        self.ignore_bottom = ignore_bottom

    def check(self, name: str, datasets: dict[str, BaseDataset]) -> None:
        """Refuse datasets that cannot be matched.

        Args:
            name: Domain whose images are chosen.
            datasets: All domains.

        Raises:
            ValueError: ``to`` is no other domain, images have no depth, or the dataset has no
                pipeline of its own.
        """
        if self.to not in datasets or self.to == name:
            others = [other for other in datasets if other != name]
            raise ValueError(f'{name}.match.to={self.to!r} is none of the other domains {others}.')
        for domain in (name, self.to):
            missing = images_without_depth(datasets[domain])
            if missing:
                raise ValueError(
                    f'{name}.match compares the depth of {name} and {self.to} images, but '
                    f'{len(missing)} of {len(datasets[domain])} of {domain} load none, such as '
                    f'{missing[0]}. Set data_prefix.depth_map_path of {domain}, and put '
                    'LoadInverseDepth into its pipeline.'
                )
        if not hasattr(datasets[name], 'pipeline'):
            raise ValueError(
                f'{name}.match needs a dataset with a pipeline of its own, not '
                f'{type(datasets[name]).__name__}.'
            )

    def choose(
        self,
        dataset: BaseDataset,
        images: Sequence[int],
        seeds: Sequence[int],
        target: SegDataSample,
    ) -> dict:
        """Load the candidate with the least cost, the first one of equals.

        Args:
            dataset: Where the images come from.
            images: Indices of the candidates.
            seeds: Of the random transforms of each, 0 .. 2**32 - 1.
            target: Packed, with ``gt_depth_map``.

        Returns:
            What the pipeline packs.

        Raises:
            ValueError: The crops of the domains have different sizes, or all rows are ignored.
        """
        without_image = _without_images(dataset)
        depths, loaded = [], []
        for position, (image, seed) in enumerate(zip(images, seeds, strict=True)):
            with seeded(seed):
                sample = without_image(dataset.get_data_info(image))
            if sample is not None:  # the pipeline skips it
                depths.append(sample['data_samples'].gt_depth_map.data)
                loaded.append(position)
        best = 0
        if loaded:
            costs = self._costs(target, depths)
            best = loaded[int(costs.argmin())]
        with seeded(seeds[best]):
            return dataset[images[best]]

    def _costs(self, target: SegDataSample, depths: list[torch.Tensor]) -> torch.Tensor:
        try:
            return geometry_cost(
                target.gt_depth_map.data,
                torch.stack(depths),
                self.ignore_top,
                self.ignore_bottom,
            )
        except (RuntimeError, ValueError) as error:
            raise ValueError(
                f'Matching geometry to {target.metainfo.get("img_path")}: {error}. Crop both '
                'domains to one size, and set match.ignore_top and match.ignore_bottom to what '
                'this size allows.'
            ) from error


def _without_images(dataset: BaseDataset) -> Compose:
    """The pipeline of a dataset with a blank image, so that it makes the same random draws."""
    return Compose(
        [BlankImage(step) if _reads_a_file(step) else step for step in dataset.pipeline.transforms]
    )


def _reads_a_file(step: BaseTransform) -> bool:
    return isinstance(step, LoadImageFromFile) and step.backend_args is None
