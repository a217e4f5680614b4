# Licensed under the Apache License 2.0, see LICENSE.
"""Depth distribution's head: classes, depth, and how likely the source has a class at a depth."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from mmseg.registry import MODELS
from mmseg.utils import ConfigType, SampleList
from torch import Tensor
from torch.utils.data import Dataset

from mmseg_depthuda.adaptation.depth_mixtures import (
    PUBLISHED_SCALE,
    READINGS,
    GridMixtures,
    nearest_at_centers,
    source_density,
    target_density,
)
from mmseg_depthuda.datasets.data_check import simple_datasets
from mmseg_depthuda.datasets.depth_mixture_files import (
    MixtureMeta,
    check_mixtures,
    depth_encoding,
    load_mixtures,
)
from mmseg_depthuda.registry import TASKS
from mmseg_depthuda.structures import DenseTask, branch_of

from .dada_head import ResidualAuxiliaryBlock, block_channels
from .deeplab_v2_head import DeepLabV2Classifier
from .head_contract import Predictions
from .seg_depth_head import SegDepthHead


@TASKS.register_module(name='density')
class DensityTask(DenseTask):
    """Density of a pixel under the source's mixture of its class, mapped to 0..255."""

    prediction_field = 'pred_density_map'


@MODELS.register_module()
class DepthDistributionHead(SegDepthHead):
    """DeepLab-v2's classifier, a depth branch and a density branch, all on the same features.

    The source is described by one mixture of Gaussians per class over column, row and depth, fitted
    before the training by ``tools/fit_depth_mixtures.py``. How dense a pixel is under the mixture
    of its predicted class is a regression task of its own: on labeled images at the true depth, on
    unlabeled ones at the predicted depth, for which ``loss_weights`` name ``density`` alone.
    Density is compared at feature resolution, depth and classes at that of the labels.

    Args:
        in_channels (int): Channels of the backbone's features, a multiple of 16.
        num_classes (int): Number of classes.
        mixtures (str, optional): File of the mixtures, fitted on the classes, the feature grid and
            the depth encoding of the training. It is read when a training first needs it, never for
            predictions. Defaults to None, for trainings without a density loss.
        channels (int, optional): Width of the two branches. Defaults to None: a quarter of
            ``in_channels``, as published.
        num_summed (int): Summed branches of :class:`DeepLabV2Classifier`. Defaults to 4.
        reading (str): Density of labeled pixels whose predicted class is wrong: ``'release'`` or
            ``'paper'``, see :func:`source_density`. Defaults to 'release'.
        density_scale (float): Scale of :func:`density_map`. Defaults to the published 1e6, for
            features of 161x96 or 81x41. On fewer pixels densities are larger: 1e6 times the ratio
            of the numbers of pixels keeps the map from being 255 everywhere.
        loss_density (dict): Defaults to berHu over all pixels.
        **kwargs: The other arguments of :class:`SegDepthHead`. The published weights are
            ``dict(source=dict(seg=1, depth=0.005, density=0.01), target=dict(density=0.05))``.

    Raises:
        ValueError: ``loss_weights`` name density and there are no mixtures, or the reading is
            unknown. In training: the mixtures were fitted for other classes, grid or encoding, or a
            labeled image has no depth.

    Source: Wu and Liu, "Unsupervised Domain Adaptation for Semantic Segmentation using Depth
        Distribution", NeurIPS 2022, and its release.
    """

    tasks: tuple[str, ...] = ('seg', 'depth', 'density')
    depth_tasks = ('depth', 'density')
    depth_parts = ('depth_branch', 'density_branch')
    predicted_tasks: tuple[str, ...] = ('depth', 'density')
    unlabelled_tasks = ('density',)
    needs_depth = True

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        mixtures: str | None = None,
        channels: int | None = None,
        num_summed: int = 4,
        reading: str = 'release',
        density_scale: float = PUBLISHED_SCALE,
        loss_density: dict = dict(type='BerHuLoss', loss_name='loss_density', ignore_invalid=False),
        **kwargs: Any,
    ):
        channels = block_channels(in_channels, channels)
        super().__init__(
            in_channels=in_channels, num_classes=num_classes, channels=channels, **kwargs
        )
        weights = self.loss_weights or {}  # the base class refuses None
        if mixtures is None and any('density' in tasks for tasks in weights.values()):
            raise ValueError(
                'loss_weights of DepthDistributionHead name density, which needs the mixtures of '
                'the source. Fit them with python tools/fit_depth_mixtures.py CONFIG OUT.json, and '
                "set model.decode_head.mixtures='OUT.json'."
            )
        if reading not in READINGS:
            raise ValueError(f'reading must be one of {READINGS}, got {reading!r}')
        self.mixtures, self.reading, self.density_scale = mixtures, reading, density_scale
        self.classifier = DeepLabV2Classifier(in_channels, self.out_channels, num_summed)
        self.depth_branch = ResidualAuxiliaryBlock(in_channels, channels, fusion=False)
        self.density_branch = ResidualAuxiliaryBlock(in_channels, channels, fusion=False)
        self.loss_density = MODELS.build(loss_density)
        self._loaded: tuple[GridMixtures, MixtureMeta] | None = None

    def forward_by_task(
        self, inputs: Sequence[Tensor], tasks: Collection[str], domain: str | None = None
    ) -> Predictions:
        """See :meth:`SegDepthHead.forward_by_task`. ``'density'`` is (N, 1, h, w), about 0..255."""
        features = self._transform_inputs(inputs)
        predictions = {}
        if 'seg' in tasks:
            predictions['seg'] = self.classifier(features)
        for task, branch in (('depth', self.depth_branch), ('density', self.density_branch)):
            if task in tasks:
                predictions[task] = branch.depth(branch.encode(features))
        return predictions

    # -- training ----------------------------------------------------------------------------------

    def check_data(self, domains: Mapping[str, Dataset]) -> None:
        """Refuse, before the first batch, data that the mixtures were not fitted for.

        Args:
            domains (Mapping[str, Dataset]): Labeled datasets by domain.

        Raises:
            FileNotFoundError: There is no such file of mixtures.
            ValueError: It is damaged, or fitted for other classes or another encoding of depth; or
                a dataset loads no depth.
        """
        weights = self.loss_weights or {}
        learned = [d for name, d in domains.items() if 'density' in weights.get(name, {})]
        parts: list[Any] = [part for one in learned for part in simple_datasets(one)]
        for dataset in parts:
            _, meta = self._load()
            check_mixtures(
                meta,
                classes=dataset.metainfo['classes'],
                grid=meta.grid,  # known when the first features are
                encoding=depth_encoding(dataset),
            )

    def loss_and_predict(
        self,
        inputs: Sequence[Tensor],
        batch_data_samples: SampleList,
        train_cfg: ConfigType,
        tasks: Collection[str] = (),
    ) -> tuple[dict[str, Tensor], Predictions]:
        """As :meth:`SegDepthHead.loss_and_predict`, with ``loss_density``."""
        branch = branch_of(batch_data_samples)
        learned = [task for task in self.tasks if self.teaches(branch, task)]
        low = self(inputs, tasks={'seg', *learned, *tasks})
        wanted = {task: one for task, one in low.items() if task != 'density' or task in tasks}
        predictions = self._at_label_size(wanted, batch_data_samples)
        losses = self.loss_by_feat(predictions, batch_data_samples)
        depth = self._depth_to_learn(batch_data_samples, 'density')
        if depth is not None:
            density = self._labelled_density(low, depth, batch_data_samples)
            losses |= self._density_loss(low, density, branch)
        return losses, {task: predictions[task] for task in tasks}

    def unlabelled_loss_and_predict(
        self,
        inputs: Sequence[Tensor],
        batch_data_samples: SampleList,
        tasks: Collection[str] = (),
    ) -> tuple[dict[str, Tensor], Predictions]:
        """Losses of a branch whose labels are not looked at, and predictions of the same pass.

        Args:
            inputs (Sequence[Tensor]): Feature maps of the backbone.
            batch_data_samples (list[SegDataSample]): Of a branch whose ``loss_weights`` name
                density.
            tasks (Collection[str]): Predictions wanted.

        Returns:
            tuple[dict, dict]: ``loss_density``, whose gradient flows into the predicted density
            alone; predictions at feature resolution by task.
        """
        low = self(inputs, tasks=self.tasks)
        predicted = low['seg'].argmax(dim=1)
        mixtures = self._mixtures_on(low['depth'])
        depth = low['depth'].detach().squeeze(1)
        density = target_density(mixtures, predicted, depth, self.density_scale)
        losses = self._density_loss(low, density, branch_of(batch_data_samples))
        return losses, {task: low[task] for task in tasks}

    def _labelled_density(
        self, low: Predictions, depth: Tensor, batch_data_samples: SampleList
    ) -> Tensor:
        """What the source has where classes are predicted and depth is known, (N, h, w)."""
        mixtures = self._mixtures_on(low['seg'])
        label = self._stack_batch_gt(batch_data_samples)
        depth, label = (nearest_at_centers(one, mixtures.grid).squeeze(1) for one in (depth, label))
        predicted = low['seg'].argmax(dim=1)
        return source_density(mixtures, predicted, depth, label, self.reading, self.density_scale)

    def _density_loss(self, low: Predictions, density: Tensor, branch: str) -> dict[str, Tensor]:
        losses = dict(loss_density=self.loss_density(low['density'], density.unsqueeze(1)))
        return self.weighted(losses, branch, 'density')

    def _mixtures_on(self, features: Tensor) -> GridMixtures:
        """The mixtures, if they were fitted on the grid of these features."""
        mixtures, meta = self._load()
        grid = tuple(features.shape[2:])
        if grid != meta.grid:
            check_mixtures(meta, classes=meta.classes, grid=grid, encoding=meta.encoding)
        return mixtures

    def _load(self) -> tuple[GridMixtures, MixtureMeta]:
        if self._loaded is None:
            mixtures, meta = load_mixtures(str(self.mixtures))
            if len(meta.classes) != self.num_classes:
                raise ValueError(
                    f'model.decode_head has {self.num_classes} classes, its mixtures {meta.path} '
                    f'{len(meta.classes)}. Fit them anew: python tools/fit_depth_mixtures.py '
                    'CONFIG OUT.json, with the config of this training.'
                )
            self._loaded = GridMixtures(mixtures, meta.grid), meta
        return self._loaded
