# Licensed under the Apache License 2.0, see LICENSE.
"""Segment pictures or a video with nothing but a checkpoint, or write it as an ONNX file."""

from __future__ import annotations

import argparse

from .arguments import add_device


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument('checkpoint', help='of a training with this package or with MMSegmentation')
    parser.add_argument(
        'input', help="picture, video, folder with subfolders, or pattern ('drive/**/*.png')"
    )
    parser.add_argument(
        'out',
        nargs='?',
        help='folder for labels/ (class indices), overlay/ and depth/ (pictures); what is there '
        'already is kept, so that an interrupted run goes on',
    )
    parser.add_argument('--confidence', action='store_true', help='also draw the confidence')
    parser.add_argument(
        '--size',
        choices=['image', 'test'],
        default='image',
        help='of the labels: that of each image (default), or that at which `test` compares',
    )
    parser.add_argument(
        '--onnx',
        metavar='FILE',
        help='write the network as an ONNX file instead, compared with PyTorch on the picture',
    )
    parser.add_argument(
        '--config', help='config of the training, if the checkpoint does not hold it'
    )
    add_device(parser)


def check_arguments(parser: argparse.ArgumentParser, args: argparse.Namespace) -> None:
    if (args.out is None) == (args.onnx is None):
        parser.error('give the folder OUT to write to, or --onnx FILE')


def run(args: argparse.Namespace) -> int:
    from mmseg_depthuda.apps.exit_status import COMPLETE, FAILED, SKIPPED, exit_status, same_command
    from mmseg_depthuda.apps.prediction.onnx_export import export_onnx
    from mmseg_depthuda.apps.prediction.prediction_files import find_inputs, predict_files, summary
    from mmseg_depthuda.apps.prediction.predictor import Predictor
    from mmseg_depthuda.engine.launch import existing_checkpoint, find_config

    def work() -> int:
        inputs = find_inputs(args.input)  # before the seconds that a network takes
        checkpoint = existing_checkpoint(args.checkpoint)
        config = None if args.config is None else find_config(args.config)
        if args.onnx is not None:
            predictor = Predictor(checkpoint, config, 'cpu', args.size)
            print(export_onnx(predictor, next(iter(inputs)), args.onnx))
            return COMPLETE
        predictor = Predictor(checkpoint, config, args.device, args.size)
        counts = predict_files(predictor, checkpoint, args.input, args.out, args.confidence)
        print(summary(counts, args.out))
        if counts.problems:
            return SKIPPED if counts.predicted + counts.present else FAILED
        return COMPLETE

    return exit_status('predict', work, same_command)
