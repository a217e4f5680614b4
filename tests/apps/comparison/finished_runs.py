# Licensed under the Apache License 2.0, see LICENSE.
"""Work dirs and metrics of runs, as MMEngine writes them."""

import json

NAN = float('nan')


def write_attempt(work_dir, started, rows, cut=''):
    folder = work_dir / started / 'vis_data'
    folder.mkdir(parents=True)
    lines = [json.dumps(row) for row in rows]
    (folder / 'scalars.json').write_text('\n'.join([*lines, cut]))


def write_test(work_dir, started, metrics):
    folder = work_dir / started
    folder.mkdir(parents=True)
    (folder / f'{started}.json').write_text(json.dumps(metrics))


def train_row(step, loss, **others):
    return dict(lr=0.1, loss=loss, iter=step, step=step, **others)


def metrics(road, sky, **others):
    size = dict(eval_width=64, eval_height=32)
    return {'mIoU': (road + sky) / 2, **size, 'IoU.road': road, 'IoU.sky': sky, **others}


def depth_errors(abs_rel):
    others = ('sq_rel', 'rmse', 'rmse_log', 'd1', 'd2', 'd3')
    return {'abs_rel': abs_rel} | dict.fromkeys(others, 2.0)


def cells(table):
    return [[cell.strip() for cell in line.split('|')[1:-1]] for line in table.splitlines()]
