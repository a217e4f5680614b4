# Licensed under the Apache License 2.0, see LICENSE.
"""Released networks of self-supervised depth for segmentation to checkpoints here, and back.

A depth network is released as a folder with the files ``encoder``, ``depth``, ``pose_encoder`` and
``pose``. A segmentation network is one file, a dictionary with the entry ``model_state``, whose
names begin with ``models.``. Tensors are renamed and not changed, with one exception. The released
pose network predicts two motions, of which the first alone is ever used. The second is left out
here, and is zero in a file that is written back.
"""

from collections.abc import Collection, Mapping
from pathlib import Path

import torch
from mmengine.config import Config
from torch import Tensor

from mmseg_depthuda.engine.launch import existing_checkpoint
from mmseg_depthuda.fileio.state_dicts import Shapes

from .checkpoint_files import (
    check_paths,
    checkpoint_entry,
    read_checkpoint,
    tensors,
    write_checkpoint,
)
from .network_layouts import (
    SDE_DEPTH,
    SDE_DEPTH_DEC11,
    SDE_DEPTH_FILES,
    SDE_MULTI_TASK,
    SDE_POSE_FILES,
    SDE_SEG,
    SDE_STUDENT,
    ReleasedLayout,
)
from .weight_conversion import (
    StateDict,
    check_tensors,
    checkpoint_meta,
    model_shapes,
    recognize,
    report,
)

POSE_NET = dict(type='PoseNet', backbone=dict(type='ResNet', depth=18))
POSE_PREFIX = 'pose_net.'
DEC11_WIDTH = 16  # channels of the finest stage; dec5 and dec6 have 64
FINEST = 'depth.decoder.13.block.0.conv.weight'
MOTION = ('pose.net.3.weight', 'pose.net.3.bias')
STATE, STATE_PREFIX = 'model_state', 'models.'


def sde_to_mmseg(source: str | Path, target: str | Path) -> str:
    """Convert a released network of self-supervised depth; its kind is recognized from the names.

    Args:
        source (str | Path): Folder of a depth network, with the files ``encoder`` and ``depth``,
            and both or neither of ``pose_encoder`` and ``pose`` (each also with ``.pth``); or the
            file of a segmentation network, single-task, multi-task, or student of the selection.
        target (str | Path): MMSegmentation checkpoint to write. ``model.transfer`` of another
            training reads it, too.

    Returns:
        str: What was converted, for people to read.

    Raises:
        FileNotFoundError: ``source``, or a file in the folder, does not exist.
        OSError: ``target`` cannot be written.
        ValueError: ``source`` is no such network; the message lists every tensor that does not fit.
    """
    if Path(source).is_dir():
        state, left_out = _read_folder(Path(source))
        where, signatures = str(source), {SDE_DEPTH.signature: _depth_layout(state)}
    else:
        check_paths(source, target)
        checkpoint = read_checkpoint(source)
        where, left_out = f'{source}, entry {STATE}', checkpoint.keys() - {STATE}
        state = _named_below(checkpoint_entry(checkpoint, STATE, source), where)
        signatures = {o.signature: o for o in (SDE_MULTI_TASK, SDE_STUDENT, SDE_SEG)}
    layout, config, fitting_config = recognize(state, signatures, where)
    shapes = _shapes(config, with_pose=any(name.startswith('pose') for name in state))
    check_tensors(state, _released_shapes(layout, shapes), where)
    converted = {}
    for name, value in state.items():
        value = value[: len(value) // 2].clone() if name in MOTION else value.detach()
        converted[layout.mmseg_name(name)] = value
    write_checkpoint(target, dict(meta=checkpoint_meta(config), state_dict=converted))
    return report(
        f'{_title(layout, config)}: {len(converted)} tensors',
        left_out,
        f'Wrote {target} for {fitting_config}',
    )


def mmseg_to_sde(source: str | Path, target: str | Path) -> str:
    """Convert a checkpoint of this package into the released layout, the inverse of
    :func:`sde_to_mmseg`.

    Args:
        source (str | Path): MMSegmentation checkpoint, trained or converted, of a network of the
            released size.
        target (str | Path): For a depth network the folder to write; else the file.

    Returns and raises the same as :func:`sde_to_mmseg`.
    """
    check_paths(source, target)
    checkpoint = read_checkpoint(source)
    where = f'{source}, entry state_dict'
    state = checkpoint_entry(checkpoint, 'state_dict', source)
    layouts = (SDE_MULTI_TASK, SDE_STUDENT, SDE_SEG, _depth_layout(state))
    signatures = {one.mmseg_name(one.signature): one for one in layouts}
    layout, config, _ = recognize(state, signatures, where)
    shapes = _shapes(config, with_pose=any(name.startswith(POSE_PREFIX) for name in state))
    check_tensors(state, shapes, where)
    released = {}
    for name, value in state.items():
        name = layout.released_name(name)
        if name in MOTION:
            value = torch.cat([value, torch.zeros_like(value)])
        released[name] = value.detach()
    if layout in (SDE_DEPTH, SDE_DEPTH_DEC11):
        _write_folder(Path(target), released)
    else:
        named = {f'{STATE_PREFIX}{name}': value for name, value in released.items()}
        write_checkpoint(target, {STATE: named})
    return report(
        f'{_title(layout, config)}: {len(released)} tensors',
        checkpoint.keys() - {'state_dict'},
        f'Wrote {target}',
    )


def _title(layout: ReleasedLayout, config: Config) -> str:
    num_classes = config.model.decode_head.get('num_classes')
    return layout.title if num_classes is None else f'{layout.title}, {num_classes} classes'


def _depth_layout(state: Mapping[str, Tensor]) -> ReleasedLayout:
    """The depth layout with the width that the finest stage of the decoder has."""
    names = (FINEST, SDE_DEPTH.mmseg_name(FINEST))
    widths = [len(state[name]) for name in names if name in state and state[name].ndim]
    return SDE_DEPTH_DEC11 if widths == [DEC11_WIDTH] else SDE_DEPTH


def _shapes(config: Config, with_pose: bool) -> Shapes:
    """Shapes of the network of a config, and of a pose network that a test does without."""
    shapes = dict(model_shapes(config.model))
    if with_pose:
        shapes |= {f'{POSE_PREFIX}{name}': one for name, one in model_shapes(POSE_NET).items()}
    return shapes


def _released_shapes(layout: ReleasedLayout, shapes: Shapes) -> Shapes:
    """Shapes by released name: there the pose network predicts twice the numbers."""
    named = {layout.released_name(name): tuple(shape) for name, shape in shapes.items()}
    return named | {
        name: (2 * named[name][0], *named[name][1:]) for name in MOTION if name in named
    }


def _named_below(state: StateDict, where: str) -> StateDict:
    """Names without the prefix of all of them."""
    others = [name for name in state if not name.startswith(STATE_PREFIX)]
    if others:
        raise ValueError(
            f'{where}: all names must begin with {STATE_PREFIX!r}, but {len(others)} do not: '
            f'{", ".join(others[:5])}'
        )
    return {name.removeprefix(STATE_PREFIX): value for name, value in state.items()}


# -- the folder of a depth network -----------------------------------------------------------------


def _read_folder(folder: Path) -> tuple[StateDict, Collection[str]]:
    """Tensors of all files by ``FILE.NAME``, and what else the files hold.

    Monodepth2 notes the size of the training images beside the tensors of the encoder.
    """
    present = [name for name in SDE_POSE_FILES if _file(folder, name).is_file()]
    if len(present) == 1:
        missing = next(name for name in SDE_POSE_FILES if name not in present)
        raise FileNotFoundError(
            f'{folder} has {present[0]}, but not {missing}. The pose network consists of both: get '
            'the other one, or move this one away to convert the depth network alone.'
        )
    state: StateDict = {}
    left_out: set[str] = set()
    for name in (*SDE_DEPTH_FILES, *present):
        path = _file(folder, name)
        content = read_checkpoint(existing_checkpoint(str(path)))
        notes = {key for key, value in content.items() if not isinstance(value, Tensor)}
        own = tensors({k: v for k, v in content.items() if k not in notes}, path)
        state |= {f'{name}.{key}': value for key, value in own.items()}
        left_out |= {f'{name}.{key}' for key in notes}
    return state, left_out


def _file(folder: Path, name: str) -> Path:
    with_suffix = folder / f'{name}.pth'
    return with_suffix if with_suffix.is_file() else folder / name


def _write_folder(folder: Path, released: StateDict) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for file in (*SDE_DEPTH_FILES, *SDE_POSE_FILES):
        own = {
            name.removeprefix(f'{file}.'): value
            for name, value in released.items()
            if name.startswith(f'{file}.')
        }
        if own:
            write_checkpoint(folder / file, own)
