# Licensed under the Apache License 2.0, see LICENSE.
"""MMSeg's ``confusion_matrix.py`` for any number of classes: same arguments, same picture.

MMSeg's counts in 8 bits and is wrong from 17 classes on, hence on Cityscapes.
"""

from __future__ import annotations

import argparse

from .arguments import CONFIG, add_config_options


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('config', help=CONFIG)
    parser.add_argument('prediction_path', help='folder of label PNGs, as `test --out` writes them')
    parser.add_argument('save_dir', help='folder of the picture')
    parser.add_argument('--show', action='store_true', help='show the picture')
    parser.add_argument('--color-theme', default='winter', help='color map of Matplotlib (winter)')
    parser.add_argument('--title', default='Normalized Confusion Matrix', help='of the picture')
    add_config_options(parser)


def run(args: argparse.Namespace) -> int:
    from mmseg_depthuda.apps.exit_status import exit_status

    return exit_status('confusion_matrix', lambda: work(args))


def work(args: argparse.Namespace) -> None:
    import runpy
    from pathlib import Path

    import mmseg
    from mmseg.registry import DATASETS

    from mmseg_depthuda.engine.launch import read_config
    from mmseg_depthuda.evaluation.confusion import confusion_matrix

    script = Path(mmseg.__file__).parent / '.mim/tools/analysis_tools/confusion_matrix.py'
    cfg = read_config(args.config, args.cfg_options)
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    runpy.run_path(str(script))['plot_confusion_matrix'](
        confusion_matrix(dataset, args.prediction_path),
        dataset.metainfo['classes'],
        save_dir=args.save_dir,
        show=args.show,
        title=args.title,
        color_theme=args.color_theme,
    )
