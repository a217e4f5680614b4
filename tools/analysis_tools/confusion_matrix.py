# Licensed under the Apache License 2.0, see LICENSE.
"""MMSeg's ``confusion_matrix.py`` for any number of classes: same arguments, same picture.

MMSeg's counts in 8 bits and is wrong from 17 classes on, hence on Cityscapes.
"""

import runpy
import sys
from pathlib import Path

import mmseg
from mmseg.registry import DATASETS

from mmseg_depthuda.apps.exit_status import exit_status
from mmseg_depthuda.engine.launch import read_config
from mmseg_depthuda.evaluation.confusion import confusion_matrix


def main() -> None:
    folder = Path(mmseg.__file__).parent / '.mim/tools/analysis_tools'
    script = runpy.run_path(str(folder / 'confusion_matrix.py'))
    args = script['parse_args']()
    cfg = read_config(args.config, args.cfg_options)
    dataset = DATASETS.build(cfg.test_dataloader.dataset)
    script['plot_confusion_matrix'](
        confusion_matrix(dataset, args.prediction_path),
        dataset.metainfo['classes'],
        save_dir=args.save_dir,
        show=args.show,
        title=args.title,
        color_theme=args.color_theme,
    )


if __name__ == '__main__':
    sys.exit(exit_status('confusion_matrix', main))
