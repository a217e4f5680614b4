# Licensed under the Apache License 2.0, see LICENSE.
"""MMSeg's encoder-decoder for batches of several branches and heads of several tasks."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import torch
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.structures import PixelData
from mmseg.models import EncoderDecoder
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from mmseg.utils import ConfigType, OptSampleList, SampleList
from torch import Tensor, nn
from torch.utils.data import Dataset

from mmseg_depthuda.models.decode_heads.head_contract import (
    Predictions,
    heads_of,
    judges_pseudo_labels,
    learns_unlabelled,
    loss_and_predict,
    predict_tasks,
    predicted_tasks,
    unlabelled_loss_and_predict,
)
from mmseg_depthuda.models.wrappers.bare_model import bare_model
from mmseg_depthuda.structures import branch_of, dense_task, is_batch_of_branches, upsample

from .branch_training import train_passes
from .module_transfer import transfer_modules


@MODELS.register_module()
class UDASegmentor(EncoderDecoder):
    """Encoder-decoder that is trained on branches, such as ``source`` and ``mixed``.

    The losses of the heads train every branch of a batch, except the branches in ``unlabelled``.
    Every backbone, neck and head of MMSeg can be used. What a head can offer in addition is in
    :mod:`~mmseg_depthuda.models.decode_heads.head_contract`.

    The predictions of further tasks of a head (its ``predicted_tasks``) are channels after the
    logits. So they go through whole, sliding-window and flipped inference together with the logits.
    The result of each task has a field of its own in the sample: of depth ``pred_depth_map``.

    Args:
        unlabelled (Sequence[str]): Branches whose labels are never used. Defaults to
            ``('target',)``. In self-training, target images are trained as part of ``mixed``.
        transfer (Mapping, optional): Modules that start from those of another network:
            ``dict(checkpoint=FILE, modules={'backbone': 'backbone', 'decode_head.decoder':
            'decode_head'})``, the arguments of :func:`transfer_modules`. They are loaded when a
            training starts, after ``init_cfg`` of all modules. Defaults to None.
        **kwargs: Arguments of MMSeg's ``EncoderDecoder``.
    """

    parts: Mapping[str, Sequence[str]] = {}
    """Name of a part -> names of its modules. These parts have optimizers of their own."""

    def __init__(
        self,
        unlabelled: Sequence[str] = ('target',),
        transfer: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ):
        super().__init__(**kwargs)
        if transfer is not None and set(transfer) != {'checkpoint', 'modules'}:
            raise ValueError(
                'model.transfer must be dict(checkpoint=FILE, modules={MODULE: NAME IN THE FILE}), '
                f'got {dict(transfer)}'
            )
        self.transfer = transfer
        if isinstance(unlabelled, str):
            raise ValueError(f'unlabelled must be a list of branches, got {unlabelled!r}')
        self.unlabelled = tuple(unlabelled)

    def init_weights(self) -> None:
        """Initialize the network: ``init_cfg`` of all modules, then ``transfer``."""
        super().init_weights()
        if self.transfer is not None:
            transfer_modules(self, **self.transfer)

    @property
    def unsupervised(self) -> tuple[str, ...]:
        """tuple[str, ...]: Branches that have a loss without labels."""
        heads = [head for _, _, head in self.named_heads()]
        return tuple(
            branch
            for branch in self.unlabelled
            if any(learns_unlabelled(head, branch) for head in heads)
        )

    @property
    def predicts_depth(self) -> bool:
        """bool: Whether predictions carry ``pred_depth_map``."""
        return 'depth' in predicted_tasks(self.decode_head)

    def _init_decode_head(self, decode_head: ConfigType) -> None:
        super()._init_decode_head(decode_head)
        # Sliding-window inference allocates its canvas with this many channels.
        self.out_channels += sum(dense_task(t).channels for t in predicted_tasks(self.decode_head))

    def named_heads(self) -> Iterator[tuple[str, str, BaseDecodeHead]]:
        """Heads, with their name in the model and the prefix of their losses.

        Yields:
            tuple[str, str, BaseDecodeHead]: Name, prefix and head: ``decode_head`` and '', then
            ``auxiliary_head`` and 'aux.', or for several ``auxiliary_head.0`` and 'aux_0.'.
        """
        for name, head in heads_of(self).items():
            kind, _, index = name.partition('.')
            auxiliary = f'aux_{index}.' if index else 'aux.'
            yield name, '' if kind == 'decode_head' else auxiliary, head

    # -- training --------------------------------------------------------------------------------

    def trained_branches(self, branches: Collection[str]) -> list[str]:
        """The branches of a batch that have a loss.

        Args:
            branches (Collection[str]): Names of the branches of a batch.

        Returns:
            list[str]: Those that have a loss, in the same order.
        """
        return [
            name for name in branches if name not in self.unlabelled or name in self.unsupervised
        ]

    def check_data(self, domains: Mapping[str, Dataset]) -> None:
        """Refuse data that the losses cannot use, before a training.

        Args:
            domains (Mapping[str, Dataset]): Datasets of the training by their domains.

        Raises:
            ValueError: The data lack something; the message says what, and how to mend it.
        """

    def check_online(self, field: str, branches: Collection[str]) -> None:
        """Refuse to write a map of its own into samples before branches are made of them.

        A segmentor that agrees has ``run_ahead(branches)``, see :class:`MultiTaskUDASegmentor`.

        Args:
            field (str): Name of the map, such as ``'online_disparity'``.
            branches (Collection[str]): Branches whose samples need it.

        Raises:
            ValueError: The segmentor does not write it.
        """
        raise ValueError(
            f'a branch maker needs {field} of {", ".join(branches)}, which {type(self).__name__} '
            "does not predict. Set model.type='MultiTaskUDASegmentor', or take another `depth` for "
            'the maker.'
        )

    def train_step(
        self, data: dict, optim_wrapper: OptimWrapper | OptimWrapperDict
    ) -> dict[str, Tensor]:
        """One optimizer step on a batch of branches, or on an ordinary batch.

        Args:
            data (dict): Batch of the data loader; see :class:`UDADataPreProcessor`.
            optim_wrapper (OptimWrapper): Wrapper of the optimizer.

        Returns:
            dict[str, Tensor]: Losses to log.
        """
        if not is_batch_of_branches(data):
            self._check_ordinary(data)
            return super().train_step(data, optim_wrapper)
        return self.train_on_branches(self, data, optim_wrapper)

    def _check_ordinary(self, data: dict) -> None:
        if self.parts:
            raise ValueError(
                f'{type(self).__name__} trains on batches of branches, got {sorted(data)}. Take '
                'SourceTargetDataset as the training dataset.'
            )

    def train_on_branches(
        self, model: nn.Module, data: dict, optim_wrapper: OptimWrapper
    ) -> dict[str, Tensor]:
        """Compute loss and gradient of each branch in turn, then make one step of the optimizer.

        Args:
            model (nn.Module): What is called: this model or its distributed wrapper.
            data (dict): Branches by name, from the data loader or preprocessed.
            optim_wrapper (OptimWrapper): Wrapper of the optimizer.

        Returns:
            dict[str, Tensor]: Losses by ``BRANCH.loss_NAME``, and their sum ``loss``.

        Raises:
            ValueError: No branch of the batch has a loss, or a branch needs labels and has none.
        """
        with optim_wrapper.optim_context(self):
            branches = self.data_preprocessor(data, training=True)
        names = self.trained_branches(branches)
        if not names:
            raise ValueError(
                f'The batch has the branches {sorted(branches)}, none of which has a loss: '
                f'{list(self.unlabelled)} are unlabeled. Take SourceTargetDataset as the training '
                'dataset, or mend model.unlabelled.'
            )
        self._check_labels({name: branches[name] for name in names})
        passes = {name: dict(**branches[name], mode='loss') for name in names}
        return train_passes(model, self, passes, optim_wrapper)

    def _check_labels(self, branches: Mapping[str, dict]) -> None:
        for name, branch in branches.items():
            samples = branch['data_samples']
            if name not in self.unlabelled and not all('gt_sem_seg' in s for s in samples):
                raise ValueError(
                    f'The branch {name!r} is trained with labels, but its images have none, such '
                    f'as {samples[0].metainfo.get("img_path")}. Set data_prefix.seg_map_path of '
                    f'the dataset, or declare it: model.unlabelled={[*self.unlabelled, name]}.'
                )

    def loss(self, inputs: Tensor, data_samples: SampleList) -> dict[str, Tensor]:
        """Losses of one branch.

        Args:
            inputs (Tensor): Normalized images, (N, 3, H, W).
            data_samples (list[SegDataSample]): Their samples, with branch and domain.

        Returns:
            dict[str, Tensor]: ``loss_NAME`` of the decode head and ``aux.loss_NAME`` of the
            auxiliary heads. On an unlabeled branch those that need no labels.
        """
        features = self.extract_feat(inputs)
        if branch_of(data_samples) in self.unlabelled:
            return self.unsupervised_loss(features, data_samples, inputs.shape[2:])[0]
        return self.supervised_loss(features, data_samples)[0]

    def supervised_loss(
        self,
        features: Sequence[Tensor],
        data_samples: SampleList,
        tasks: Mapping[str, Collection[str]] = {},
    ) -> tuple[dict[str, Tensor], dict[str, Predictions]]:
        """Losses of all heads on a labeled branch, and predictions of the same pass.

        Args:
            features (Sequence[Tensor]): Feature maps of the backbone.
            data_samples (list[SegDataSample]): Samples of the branch.
            tasks (Mapping[str, Collection[str]]): Name of a head -> predictions to return.

        Returns:
            tuple[dict, dict]: Losses by name; predictions (N, channels, H, W) by head and task.
        """
        losses: dict[str, Tensor] = {}
        predictions: dict[str, Predictions] = {}
        for name, prefix, head in self.named_heads():
            own, predictions[name] = loss_and_predict(
                head, features, data_samples, self.train_cfg, tasks.get(name, ())
            )
            losses |= {f'{prefix}{key}': value for key, value in own.items()}
        return losses, predictions

    def unsupervised_loss(
        self,
        features: Sequence[Tensor],
        data_samples: SampleList,
        size: Sequence[int],
        tasks: Mapping[str, Collection[str]] = {},
    ) -> tuple[dict[str, Tensor], dict[str, Predictions]]:
        """Losses of all heads that need no labels, and predictions out of the same pass.

        Args:
            features (Sequence[Tensor]): Feature maps of the backbone.
            data_samples (list[SegDataSample]): Samples of the branch. Their labels are not used.
            size (Sequence[int]): Height and width of the predictions.
            tasks (Mapping[str, Collection[str]]): Name of a head -> predictions to return.

        Returns:
            tuple[dict, dict]: Losses by name; predictions (N, channels, H, W) by head and task.
        """
        losses: dict[str, Tensor] = {}
        predictions: dict[str, Predictions] = {}
        for name, prefix, head in self.named_heads():
            own, low = unlabelled_loss_and_predict(
                head, features, data_samples, tasks.get(name, ())
            )
            losses |= {f'{prefix}{key}': value for key, value in own.items()}
            bare: BaseDecodeHead = bare_model(head)
            predictions[name] = {
                task: upsample(one, size, bare.align_corners) for task, one in low.items()
            }
        return losses, predictions

    @torch.no_grad()
    def pseudo_label_logits(self, inputs: Tensor, initial: bool = False) -> Tensor:
        """Logits for pseudo-labels.

        Args:
            inputs (Tensor): Normalized images, (N, 3, H, W).
            initial (bool): Whether to take the head's initial prediction, not its final one.

        Returns:
            Tensor: (N, num_classes, H, W).
        """
        task = 'initial_seg' if initial else 'seg'
        features = self.extract_feat(inputs)
        return predict_tasks(self.decode_head, features, [task], size=inputs.shape[2:])[task]

    @torch.no_grad()
    def pseudo_label_agreement(self, inputs: Tensor, data_samples: SampleList) -> Tensor | None:
        """Trust of the head in pseudo-labels, in addition to the teacher's confidence.

        Args:
            inputs (Tensor): Normalized images, (N, 3, H, W).
            data_samples (list[SegDataSample]): Their samples.

        Returns:
            Tensor, optional: (N, 1, H, W) in 0..1. None if the head does not judge pseudo-labels,
            or the samples have no depth, which it needs for that.
        """
        if not judges_pseudo_labels(self.decode_head):
            return None
        head: BaseDecodeHead = bare_model(self.decode_head)
        return head.agreement(self.extract_feat(inputs), data_samples)

    # -- inference -------------------------------------------------------------------------------

    def postprocess_result(
        self, seg_logits: Tensor, data_samples: OptSampleList = None
    ) -> SampleList:
        """Undo padding, flip and resize of the predictions.

        Args:
            seg_logits (Tensor): (N, num_classes, H, W), followed by the channels of further tasks.
            data_samples (list[SegDataSample], optional): Samples to write into.

        Returns:
            list[SegDataSample]: With ``seg_logits``, ``pred_sem_seg`` and the field of each further
            task. Of depth this is ``pred_depth_map``: inverse depth, float, (1, H, W), in the
            encoding of the training.
        """
        head = getattr(self, 'decode_head', None)  # a subclass may predict without one
        tasks = [] if head is None else [dense_task(name) for name in predicted_tasks(head)]
        if not tasks:
            return super().postprocess_result(seg_logits, data_samples)
        channels = [task.channels for task in tasks]
        num_logits = seg_logits.shape[1] - sum(channels)
        seg_logits, *maps = seg_logits.split([num_logits, *channels], dim=1)
        metainfo = None
        if data_samples is not None:
            metainfo = [SegDataSample(metainfo=sample.metainfo) for sample in data_samples]
        extra = []
        for task, values in zip(tasks, maps, strict=True):
            # MMSeg would apply a sigmoid to a single channel, as for two classes, but not to two.
            values = values.expand(-1, 2, -1, -1) if task.channels == 1 else values
            extra.append(super().postprocess_result(values, metainfo))
            metainfo = metainfo and [SegDataSample(metainfo=s.metainfo) for s in data_samples]
        results = super().postprocess_result(seg_logits, data_samples)
        for task, undone in zip(tasks, extra, strict=True):
            for result, one in zip(results, undone, strict=True):
                data = one.seg_logits.data[: task.channels]
                result.set_data({task.prediction_field: PixelData(data=data)})
        return results
