# Licensed under the Apache License 2.0, see LICENSE.
"""Released checkpoints to MMSegmentation checkpoints, and back.

A conversion renames tensors and changes none. The model of the matching config says what a file
must hold: a tensor that is missing, unexpected or of another shape is an error, and no part of a
network silently stays random.
"""

import ast
import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import mmengine
import mmseg
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from mmseg.registry import MODELS
from torch import Tensor

from mmseg_depthuda.datasets.label_protocols import get_protocol
from mmseg_depthuda.engine.launch import find_config
from mmseg_depthuda.fileio.state_dicts import Shapes, compare_shapes, tensor_shapes

from .checkpoint_files import (
    check_paths,
    checkpoint_entry,
    read_checkpoint,
    tensors,
    write_checkpoint,
)
from .network_layouts import (
    ADVENT,
    ADVENT_MULTI_LEVEL,
    CORDA_GTA,
    CORDA_SYNTHIA,
    DACS,
    DADA,
    DEEPLAB_INIT_CLASSIFIER,
    DEEPLAB_INIT_PREFIX,
    DEPTH_DISTRIBUTION,
    ReleasedLayout,
)

# Label protocols by their number of classes, as far as the released networks are trained on them.
PROTOCOLS = {19: 'cityscapes19', 16: 'synthia16', 13: 'cityscapes13', 7: 'categories7'}
RELEASED_ENTRIES = dict(student='model', teacher='ema_model')

StateDict = dict[str, Tensor]


# -- one state dict --------------------------------------------------------------------------------


def model_shapes(model: Mapping) -> Shapes:
    """Shapes of a model's tensors by name, without memory for the tensors.

    Args:
        model (Mapping): Config of a registered model.

    Returns:
        Mapping[str, torch.Size]: One per entry of its state dict, but for what is ``training_only``
        (discriminators), which is not released.
    """
    with torch.device('meta'), DefaultScope.overwrite_default_scope('mmseg'):
        built = MODELS.build(model)
    absent = getattr(built, 'training_only', ())
    return {
        name: value.shape
        for name, value in built.state_dict().items()
        if not any(re.search(pattern, name) for pattern in absent)
    }


def check_tensors(state: StateDict, wanted: Shapes, where: str) -> None:
    """Compare a state dict with what it must hold.

    ``num_batches_tracked``, which PyTorch has counted since 0.4.1 and fills in by itself, may be
    absent everywhere; it does not influence BatchNorm with a momentum.

    Args:
        state (dict[str, Tensor]): Tensors of a file.
        wanted (Mapping[str, torch.Size]): Shape of every tensor that must be there.
        where (str): File and entry, for the message.

    Raises:
        ValueError: With the name of every tensor that is missing, unexpected, of another shape or
            not finite.
    """
    counted = any(name.endswith('.num_batches_tracked') for name in state)
    difference = compare_shapes(tensor_shapes(state), wanted)
    missing = difference.missing
    problems = {
        'missing': [n for n in missing if counted or not n.endswith('.num_batches_tracked')],
        'unexpected': difference.unexpected,
        'of another shape': [
            f'{name}: {tuple(state[name].shape)} in the file, {tuple(wanted[name])} in the network'
            for name in difference.reshaped
        ],
        'not finite': sorted(n for n, value in state.items() if not value.isfinite().all()),
    }
    if any(problems.values()):
        lines = [f'{where} does not hold the weights of the network:']
        for kind, names in problems.items():
            if names:
                lines.append(f'  {len(names)} {kind}:')
                lines.extend(f'    {name}' for name in names)
        raise ValueError('\n'.join(lines))


def released_to_mmseg(
    state: StateDict, layout: ReleasedLayout, shapes: Shapes, where: str
) -> StateDict:
    """Rename the tensors of a released state dict.

    Args:
        state (dict[str, Tensor]): Tensors by released name.
        layout (ReleasedLayout): Their layout.
        shapes (Mapping[str, torch.Size]): Shapes of our model, see :func:`model_shapes`.
        where (str): File and entry, for messages.

    Returns:
        dict[str, Tensor]: The same tensors by our names.

    Raises:
        ValueError: A tensor does not fit, see :func:`check_tensors`.
    """
    check_tensors(state, {layout.released_name(n): s for n, s in shapes.items()}, where)
    return {layout.mmseg_name(name): value.detach() for name, value in state.items()}


def mmseg_to_released(
    state: StateDict, layout: ReleasedLayout, shapes: Shapes, where: str
) -> StateDict:
    """Inverse of :func:`released_to_mmseg`; same arguments, ``state`` by our names."""
    check_tensors(state, shapes, where)
    return {layout.released_name(name): value.detach() for name, value in state.items()}


def recognize(
    state: StateDict, signatures: Mapping[str, ReleasedLayout], where: str
) -> tuple[ReleasedLayout, Config, str]:
    """Recognize a network by a tensor that only its layout has.

    Args:
        state (dict[str, Tensor]): Tensors of a file.
        signatures (Mapping[str, ReleasedLayout]): Name of such a tensor -> layout.
        where (str): File and entry, for messages.

    Returns:
        tuple[ReleasedLayout, Config, str]: The layout, the config of its network, and what the
        latter is called, with the settings that make it fit.

    Raises:
        ValueError: There is no such tensor.
    """
    signature = next((name for name in signatures if name in state), None)
    if signature is None:
        wanted = '; '.join(f'{layout.title}, by {name}' for name, layout in signatures.items())
        found = ', '.join(sorted({name.split('.')[0] for name in state}))
        raise ValueError(
            f'{where} is of no layout that is converted here ({wanted}): its {len(state)} names '
            f'begin with {found}'
        )
    layout = signatures[signature]
    # numel of the first dimension alone: 1 for a scalar, whose shape check_tensors then refuses.
    num_classes = state[signature].shape[:1].numel()
    name = layout.other_configs.get(num_classes, layout.config)
    config = Config.fromfile(find_config(name))
    config.merge_from_dict(dict(layout.settings))
    settings = [f'{key}={value}' for key, value in layout.settings.items()]
    for head in ('decode_head', 'auxiliary_head'):
        if config.model.get(head, {}).get('num_classes', num_classes) != num_classes:
            config.model[head].num_classes = num_classes
            settings.append(f'model.{head}.num_classes={num_classes}')
    return layout, config, ' '.join([f'configs/{name}', *(['with', *settings] if settings else [])])


def checkpoint_meta(config: Config) -> dict[str, Any]:
    """What MMSegmentation's inference reads beside the weights."""
    meta = dict(**versions(), cfg=config.pretty_text)
    num_classes = config.model.decode_head.get('num_classes')
    if num_classes in PROTOCOLS:
        meta['dataset_meta'] = get_protocol(PROTOCOLS[num_classes]).metainfo
    return meta


def _without_prefix(state: StateDict, prefix: str) -> StateDict:
    """``state`` without a prefix that all names have (``DataParallel`` puts ``module.`` there)."""
    if not all(name.startswith(prefix) for name in state):
        return state
    return {name.removeprefix(prefix): value for name, value in state.items()}


# -- files -----------------------------------------------------------------------------------------


def corda_to_mmseg(source: str | Path, target: str | Path, weights: str = 'student') -> str:
    """Convert a released CorDA checkpoint; its variant is recognized from the names.

    Args:
        source (str | Path): Released checkpoint with the entries ``model`` and ``ema_model``.
        target (str | Path): MMSegmentation checkpoint to write.
        weights (str): ``'student'``: the student as ``state_dict`` and, if the file has one, the
            teacher as ``ema_state_dict``, as ``DACSHook`` stores them; ``'teacher'``: the teacher
            alone, as ``state_dict``.

    Returns:
        str: What was converted, for people to read.

    Raises:
        FileNotFoundError: ``source`` does not exist.
        OSError: ``target`` cannot be written.
        ValueError: ``source`` is not such a checkpoint; the message lists every tensor that does
            not fit.
    """
    return _released_file_to_mmseg(source, target, weights, (CORDA_GTA, CORDA_SYNTHIA))


def dacs_to_mmseg(source: str | Path, target: str | Path, weights: str = 'student') -> str:
    """Convert a released DACS checkpoint; see :func:`corda_to_mmseg`."""
    return _released_file_to_mmseg(source, target, weights, (DACS,))


def _released_file_to_mmseg(
    source: str | Path, target: str | Path, weights: str, layouts: Collection[ReleasedLayout]
) -> str:
    if weights not in RELEASED_ENTRIES:
        raise ValueError(f'weights must be one of {list(RELEASED_ENTRIES)}, got {weights!r}')
    check_paths(source, target)
    checkpoint = read_checkpoint(source)
    entries = dict(state_dict=RELEASED_ENTRIES[weights])
    if weights == 'student' and RELEASED_ENTRIES['teacher'] in checkpoint:
        entries['ema_state_dict'] = RELEASED_ENTRIES['teacher']

    converted: dict[str, Any] = {}
    for entry, released in entries.items():
        where = f'{source}, entry {released}'
        state = _without_prefix(checkpoint_entry(checkpoint, released, source), 'module.')
        if not converted:  # the teacher has the layout of the student
            signatures = {one.signature: one for one in layouts}
            layout, config, fitting_config = recognize(state, signatures, where)
            shapes = model_shapes(config.model)
        converted[entry] = released_to_mmseg(state, layout, shapes, where)
    num_tensors = len(converted['state_dict'])
    if 'ema_state_dict' in converted:
        converted['ema_state_dict'] = _as_averaged_model(converted['ema_state_dict'])

    num_classes = config.model.decode_head.num_classes
    write_checkpoint(target, dict(meta=checkpoint_meta(config), **converted))
    teacher = ', teacher as ema_state_dict' if 'ema_state_dict' in converted else ''
    return report(
        f'{layout.title}, {num_classes} classes: {num_tensors} tensors of the {weights}{teacher}',
        checkpoint.keys() - entries.values(),
        f'Wrote {target} for {fitting_config}',
    )


def advent_to_mmseg(source: str | Path, target: str | Path) -> str:
    """Convert a released AdvEnt or MinEnt checkpoint; single and multi-level are recognized.

    Args:
        source (str | Path): Released checkpoint, a plain dictionary of tensors. Discriminators are
            not released, and a test does without them.
        target (str | Path): MMSegmentation checkpoint to write.

    Returns and raises the same as :func:`corda_to_mmseg`.
    """
    return _released_state_to_mmseg(source, target, (ADVENT_MULTI_LEVEL, ADVENT))


def dada_to_mmseg(source: str | Path, target: str | Path) -> str:
    """Convert a released DADA checkpoint; see :func:`advent_to_mmseg`."""
    return _released_state_to_mmseg(source, target, (DADA,))


def depth_distribution_to_mmseg(source: str | Path, target: str | Path) -> str:
    """Convert a released checkpoint of depth distribution, of either stage.

    Args:
        source (str | Path): Released checkpoint with the entry ``model``. Layers that the released
            network never runs are left out, as is the state of the optimizer; the discriminator is
            a file apart.
        target (str | Path): MMSegmentation checkpoint to write.

    Returns:
        str: What was converted, for people to read.

    Raises:
        FileNotFoundError: ``source`` does not exist.
        OSError: ``target`` cannot be written.
        ValueError: ``source`` is not such a checkpoint; the message lists every tensor that does
            not fit.
    """
    return _released_state_to_mmseg(source, target, (DEPTH_DISTRIBUTION,), 'model')


def _released_state_to_mmseg(
    source: str | Path,
    target: str | Path,
    layouts: Collection[ReleasedLayout],
    entry: str | None = None,
) -> str:
    """Convert the state dict that a file is, or has as an entry."""
    check_paths(source, target)
    checkpoint, where = read_checkpoint(source), str(source)
    left_out: set[str] = set()
    if entry is None:
        state = tensors(checkpoint, source)
    else:
        state, where = checkpoint_entry(checkpoint, entry, source), f'{source}, entry {entry}'
        left_out |= checkpoint.keys() - {entry}
    state = _without_prefix(state, 'module.')
    signatures = {one.signature: one for one in layouts}
    layout, config, fitting_config = recognize(state, signatures, where)
    unused = {name for name in state if name.split('.')[0] in layout.unused}
    used = {name: value for name, value in state.items() if name not in unused}
    converted = released_to_mmseg(used, layout, model_shapes(config.model), where)
    write_checkpoint(target, dict(meta=checkpoint_meta(config), state_dict=converted))
    num_classes = config.model.decode_head.num_classes
    return report(
        f'{layout.title}, {num_classes} classes: {len(converted)} tensors',
        left_out | unused,
        f'Wrote {target} for {fitting_config}',
    )


def deeplab_init_to_mmseg(source: str | Path, target: str | Path) -> str:
    """Convert an initialization of DeepLab-v2's ResNet-101 for ``DeepLabV2ResNet``.

    Both released ones are taken: ImageNet+COCO, named as torchvision names its ResNet, and ImageNet
    only, the same names after ``Scale.``. The classifier they may carry is left out.

    Args:
        source (str | Path): Released initialization, a plain dictionary of tensors.
        target (str | Path): Checkpoint to write, for the ``init_cfg`` of the backbone.

    Returns and raises the same as :func:`corda_to_mmseg`.
    """
    check_paths(source, target)
    state = _without_prefix(tensors(read_checkpoint(source), source), 'module.')
    scaled = all(name.startswith(DEEPLAB_INIT_PREFIX) for name in state)
    state = _without_prefix(state, DEEPLAB_INIT_PREFIX)
    classifier = [name for name in DEEPLAB_INIT_CLASSIFIER if name in state]
    backbone = {name: value.detach() for name, value in state.items() if name not in classifier}
    config = Config.fromfile(find_config(DACS.config))
    check_tensors(backbone, model_shapes(config.model.backbone), str(source))
    write_checkpoint(target, dict(meta=versions(), state_dict=backbone))
    kind, variable, configs = (
        ('ImageNet only', 'DEEPLAB_IMAGENET_INIT', 'the configs *_imagenet.py')
        if scaled
        else ('ImageNet+COCO', 'DEEPLAB_INIT', 'the configs *_r101_* without _imagenet')
    )
    return report(
        f'ResNet-101, {kind} by its names: {len(backbone)} tensors',
        classifier,
        f'Wrote {target} for {configs}: set the environment variable {variable}={target}',
    )


def mmseg_to_corda(source: str | Path, target: str | Path) -> str:
    """Convert a checkpoint of this package's CorDA or DACS into the released layout.

    Args:
        source (str | Path): MMSegmentation checkpoint, trained or converted.
        target (str | Path): File to write, with ``model`` (the student) and ``ema_model`` (the
            teacher; the student again if ``source`` has no teacher).

    Returns and raises the same as :func:`corda_to_mmseg`. A ``source`` of another method or
    another backbone is a ValueError.
    """
    check_paths(source, target)
    checkpoint = read_checkpoint(source)
    _check_summed_branches(checkpoint, source)
    has_teacher = 'ema_state_dict' in checkpoint
    entries = dict(model='state_dict', **(dict(ema_model='ema_state_dict') if has_teacher else {}))

    converted: dict[str, Any] = {}
    for released, entry in entries.items():
        where = f'{source}, entry {entry}'
        state = checkpoint_entry(checkpoint, entry, source)
        state.pop('steps', None)  # age of the average, not a weight
        state = _without_prefix(state, 'module.')
        if not converted:  # the teacher has the layout of the student
            layouts = (CORDA_GTA, CORDA_SYNTHIA, DACS)
            signatures = {one.mmseg_name(one.signature): one for one in layouts}
            layout, config, _ = recognize(state, signatures, where)
            shapes = model_shapes(config.model)
        converted[released] = mmseg_to_released(state, layout, shapes, where)
    converted.setdefault('ema_model', converted['model'])
    write_checkpoint(target, converted)
    return report(
        f'{layout.title}, {config.model.decode_head.num_classes} classes: '
        f'{len(converted["model"])} tensors, '
        + ('student and teacher' if has_teacher else 'no teacher: ema_model repeats the student'),
        checkpoint.keys() - entries.values(),
        f'Wrote {target}',
    )


def _check_summed_branches(checkpoint: Mapping, source: str | Path) -> None:
    """Refuse networks that differ from DACS and CorDA only in the number of summed branches.

    AdvEnt and MinEnt have the same tensors as DACS; only the config tells them apart. It is parsed
    and not run, because a checkpoint may come from anybody.
    """
    config = ast.parse(checkpoint.get('meta', {}).get('cfg', ''))
    summed = {
        ast.literal_eval(node.value)
        for node in ast.walk(config)
        if isinstance(node, ast.keyword) and node.arg == 'num_summed'
    }
    if summed - {2}:
        raise ValueError(
            f'{source} is of a classifier that sums {max(summed)} branches (num_summed in its '
            'config), as those of AdvEnt, MinEnt and DADA do. The networks of DACS and CorDA sum '
            '2: they would predict something else with these weights.'
        )


def _as_averaged_model(state: StateDict) -> StateDict:
    """A teacher as MMEngine's averaged models store it.

    ``steps`` must be there but is never read: a run that does not resume starts a new teacher.
    """
    return {'steps': torch.tensor(0), **{f'module.{name}': v for name, v in state.items()}}


def versions() -> dict[str, str]:
    """Versions of MMSegmentation and MMEngine, as their checkpoints name them."""
    return dict(mmseg_version=mmseg.__version__, mmengine_version=mmengine.__version__)


def report(converted: str, left_out: Collection[str], written: str) -> str:
    """What a converter says in the end."""
    lines = [converted, f'Left out: {", ".join(sorted(left_out)) or "nothing"}', written]
    return '\n'.join(lines)
