# Licensed under the Apache License 2.0, see LICENSE.
"""Writing a street world to disk: in parallel, resumable, the same for any number of workers."""

from __future__ import annotations

import json
from collections.abc import Collection
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

from mmseg_depthuda.fileio import atomic_write, map_in_processes

from .layouts import DEFAULT_PARTS, LAYOUTS, PARTS, VAL_OFFSET, Record
from .world import StreetScene

MANIFEST = 'street_world.json'
RENDERER_VERSION = 3  # raise it whenever a file of a scene differs from before


@dataclass(frozen=True)
class WorldConfig:
    """What a generated world contains.

    Attributes:
        source_images: Number of scenes of ``sim``.
        train_images, val_images: Number of scenes of ``real`` in each split.
        size: ``(width, height)`` in pixels.
        seed: Seed of the world.
        layouts: Keys of ``LAYOUTS``.
        parts: Of ``PARTS``, what is written of every scene.
    """

    source_images: int
    train_images: int
    val_images: int
    size: tuple[int, int] = (512, 256)
    seed: int = 0
    layouts: tuple[str, ...] = ('gta', 'cityscapes')
    parts: tuple[str, ...] = DEFAULT_PARTS

    def __post_init__(self) -> None:
        for name in ('source_images', 'train_images', 'val_images', 'seed'):
            if getattr(self, name) < 0:
                raise ValueError(f'{name} must not be negative, got {getattr(self, name)}.')
        if max(self.train_images, self.source_images) > VAL_OFFSET:
            raise ValueError(f'A split holds at most {VAL_OFFSET} images.')
        if min(self.size) < 32:
            raise ValueError(f'size must be at least 32x32, got {self.size[0]}x{self.size[1]}.')
        for name, known in (('layouts', LAYOUTS), ('parts', PARTS)):
            unknown = set(getattr(self, name)) - set(known)
            if unknown or not getattr(self, name):
                raise ValueError(
                    f'{name} must be some of {list(known)}, got {list(getattr(self, name))}.'
                )


def generate(out: str | Path, config: WorldConfig, workers: int = 1) -> int:
    """Render a world into a folder, leaving out the scenes that are already complete there.

    Args:
        out: Folder of the world; it gets one folder per layout and the manifest
            ``street_world.json``.
        config: What to render.
        workers: Number of processes.

    Returns:
        Number of scenes rendered by this call.

    Raises:
        ValueError: If the folder holds a world of another seed, size or renderer, or a larger one.
    """
    out = Path(out)
    _check_manifest(out, config)
    jobs = [
        (out, config, domain, index, files) for domain, index, files in _open_scenes(out, config)
    ]
    if not jobs:
        return 0
    with closing(map_in_processes(_render, jobs, workers, 'scenes')) as rendered:
        return sum(1 for _ in rendered)


def _render(job: tuple[Path, WorldConfig, str, int, Collection[str]]) -> None:
    """Render one scene and write its files; runs in a worker."""
    out, config, domain, index, paths = job
    record = Record(StreetScene(config.seed, domain, index, config.size))
    encoders = _files(config, domain, index)
    for path in paths:
        content = encoders[path](record)
        with atomic_write(out / path, durable=False) as file:
            file.write(content)


def _files(config: WorldConfig, domain: str, index: int) -> dict:
    """Files of a scene in all layouts of its domain."""
    layouts = (LAYOUTS[name] for name in config.layouts)
    return {
        path: encode
        for layout_domain, files in layouts
        if layout_domain == domain
        for path, encode in files(index, config.parts).items()
    }


def _open_scenes(out: Path, config: WorldConfig) -> list[tuple[str, int, list[str]]]:
    """Domain, index and missing files of the scenes that are not complete."""
    scenes = [('sim', i) for i in range(config.source_images)]
    scenes += [('real', i) for i in range(config.train_images)]
    scenes += [('real', VAL_OFFSET + i) for i in range(config.val_images)]
    missing = [
        (domain, index, [p for p in _files(config, domain, index) if not (out / p).exists()])
        for domain, index in scenes
    ]
    return [scene for scene in missing if scene[2]]


def _check_manifest(out: Path, config: WorldConfig) -> None:
    """Compare the folder's manifest with the configuration and write the new one."""
    path = out / MANIFEST
    wanted = json.loads(json.dumps({'renderer_version': RENDERER_VERSION, **asdict(config)}))
    if path.exists():
        try:
            found = json.loads(path.read_text())
        except json.JSONDecodeError as error:
            raise ValueError(f'{path} is not valid JSON ({error}). {_remedy(out)}') from error
        for key in ('renderer_version', 'seed', 'size'):
            if found.get(key) != wanted[key]:
                raise ValueError(
                    f'{path} records {key} = {found.get(key)}, but {wanted[key]} is asked for. '
                    + _remedy(out)
                )
        for key in ('source_images', 'train_images', 'val_images'):
            if found.get(key, 0) > wanted[key]:
                raise ValueError(
                    f'{path} records {key} = {found[key]}, more than the {wanted[key]} asked for; '
                    f'a world can only grow. {_remedy(out)}'
                )
        for key in ('layouts', 'parts'):
            wanted[key] += found.get(key, [])
    for key, known in (('layouts', LAYOUTS), ('parts', PARTS)):
        wanted[key] = [name for name in known if name in wanted[key]]
    with atomic_write(path) as file:
        file.write(json.dumps(wanted, indent=2).encode())


def _remedy(out: Path) -> str:
    return f'Choose another folder, or delete {out} to render it anew.'
