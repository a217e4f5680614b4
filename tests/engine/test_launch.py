# Licensed under the Apache License 2.0, see LICENSE.
"""Command lines: where configs are found, what options change, what is refused."""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.hub import get_config
from mmengine.logging import MMLogger

import mmseg_depthuda
from mmseg_depthuda.commands.arguments import add_run_arguments
from mmseg_depthuda.engine import launch
from tests.commands import exit_status_of

ROOT = Path(mmseg_depthuda.__file__).parents[1]


def parse(*arguments):
    parser = argparse.ArgumentParser()
    parser.add_argument('config')
    add_run_arguments(parser)
    return parser.parse_args(arguments)


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv('LOCAL_RANK', raising=False)
    path = tmp_path / 'mine.py'
    path.write_text("model = dict(num_classes=3)\nvisible = 'here'\n")
    return path


def test_config_is_found_here_and_in_the_package_from_anywhere(config):
    assert launch.find_config('mine.py') == Path('mine.py')
    expected = launch.config_folder() / '_base_' / 'default_runtime.py'
    for name in ('configs/_base_/default_runtime.py', '_base_/default_runtime.py'):
        assert launch.find_config(name) == expected


def test_mistyped_config_gets_suggestions(config, monkeypatch):
    folder = config.parent / 'configs'
    (folder / 'corda').mkdir(parents=True)
    (folder / 'corda' / 'corda_r101_gta2cs.py').touch()
    monkeypatch.setattr(launch, 'config_folder', lambda: folder)
    with pytest.raises(FileNotFoundError, match='Did you mean corda/corda_r101_gta2cs.py'):
        launch.find_config('corda_r101_gta2city.py')


def test_options_override_the_config(config):
    cfg = launch.load_config(parse('mine.py', '--cfg-options', 'model.num_classes=7'))
    assert cfg.model.num_classes == 7
    assert cfg.visible == 'here'
    assert cfg.work_dir == os.path.join('work_dirs', 'mine')
    assert cfg.launcher == 'none'


def test_work_dir_of_the_command_line_wins(config):
    config.write_text("work_dir = 'from_config'\n")
    assert launch.load_config(parse('mine.py')).work_dir == 'from_config'
    assert launch.load_config(parse('mine.py', '--work-dir', 'typed')).work_dir == 'typed'


def test_mixed_precision_changes_the_wrapper_only():
    cfg = Config(dict(optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='SGD'))))
    launch.use_mixed_precision(cfg)
    assert cfg.optim_wrapper == ConfigDict(
        type='AmpOptimWrapper', loss_scale='dynamic', optimizer=dict(type='SGD')
    )
    cfg.optim_wrapper.loss_scale = 512.0
    launch.use_mixed_precision(cfg)
    assert cfg.optim_wrapper.loss_scale == 512.0
    with pytest.raises(ValueError, match='ApexOptimWrapper'):
        launch.use_mixed_precision(Config(dict(optim_wrapper=dict(type='ApexOptimWrapper'))))


def test_resume_auto_takes_the_latest_of_the_work_dir(tmp_path):
    cfg = Config(dict(work_dir=str(tmp_path), resume=False, load_from='pretrained.pth'))
    launch.resume_from(cfg, None)
    launch.resume_from(cfg, 'auto')
    torch.save({}, tmp_path / 'iter_3.pth')
    (tmp_path / 'iter_3.pth').touch()
    launch.resume_from(cfg, 'auto')
    assert (cfg.resume, cfg.load_from) == (True, str(tmp_path / 'iter_3.pth'))
    (tmp_path / 'iter_3.pth').write_bytes(b'cut')
    with pytest.raises(ValueError, match='iter_3.pth is damaged'):
        launch.resume_from(cfg, str(tmp_path / 'iter_3.pth'))


def test_missing_checkpoint_names_what_is_there(tmp_path):
    (tmp_path / 'iter_3.pth').touch()
    missing = str(tmp_path / 'iter_4.pth')
    for use in (launch.existing_checkpoint, lambda path: launch.resume_from(Config(), path)):
        with pytest.raises(FileNotFoundError, match='iter_4.pth does not exist.*holds iter_3.pth'):
            use(missing)
    assert launch.existing_checkpoint('https://x.org/a.pth') == 'https://x.org/a.pth'


@pytest.mark.parametrize('tool', ['train.py', 'test.py'])
def test_tools_refuse_a_missing_config(config, capsys, tool):
    arguments = ['no_such.py', *(['x.pth'] * (tool == 'test.py'))]
    assert exit_status_of(ROOT / 'tools' / tool, *arguments) == 2
    assert 'config no_such.py: neither a file here' in capsys.readouterr().err


def test_testing_refuses_a_missing_checkpoint(config, capsys):
    assert exit_status_of(ROOT / 'tools/test.py', 'mine.py', 'gone.pth') == 2
    assert re.match(r'test: .*gone\.pth does not exist.*tools/train\.py', capsys.readouterr().err)


TWO_PROCESSES = """
import argparse
import sys

import torch
from mmengine.dist import all_reduce, get_rank

from mmseg_depthuda.engine.launch import load_config

cfg = load_config(
    argparse.Namespace(
        config=sys.argv[1], cfg_options=None, work_dir=sys.argv[2], launcher='pytorch', local_rank=0
    )
)
total = torch.tensor([get_rank() + 1.0])
all_reduce(total)
assert total.item() == 3.0, total
assert cfg.model_wrapper_cfg.device_ids is None
wrapped = torch.nn.parallel.DistributedDataParallel(
    torch.nn.Linear(1, 1), device_ids=cfg.model_wrapper_cfg.device_ids
)
print('joined')
"""


@pytest.mark.skipif(torch.cuda.is_available(), reason='gloo is for machines without CUDA')
def test_two_cpu_processes_are_joined(tmp_path, config):
    script = tmp_path / 'script.py'
    script.write_text(TWO_PROCESSES)
    process = subprocess.run(
        [
            *(sys.executable, '-m', 'torch.distributed.run', '--nproc_per_node=2'),
            *('--rdzv-backend=c10d', '--rdzv-endpoint=localhost:0'),
            *(str(script), str(config), str(tmp_path / 'run')),
        ],
        env={**os.environ, 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    assert process.stdout.count('joined') == 2


@pytest.mark.parametrize('kind', ['IoUMetric', 'PerClassIoUMetric'])
def test_predictions_are_saved_by_the_iou_metric(kind):
    one = Config(dict(test_evaluator=dict(type=kind)))
    launch.save_predictions(one, 'out')
    assert one.test_evaluator == dict(type=kind, output_dir='out', keep_results=True)

    several = Config(dict(test_evaluator=[dict(type='InverseDepthMetric'), dict(type=kind)]))
    launch.save_predictions(several, 'out')
    assert several.test_evaluator == [dict(type='InverseDepthMetric'), one.test_evaluator]


def test_predictions_are_not_saved_without_an_iou_metric():
    with pytest.raises(ValueError, match='--out needs an IoUMetric'):
        launch.save_predictions(
            Config(dict(test_evaluator=[dict(type='InverseDepthMetric')])), 'out'
        )


@pytest.mark.parametrize(
    'option, remedy',
    [
        ('max_iters=500', 'train_cfg.max_iters'),
        ('visible=there', 'keys that use it'),
        ('train_cgf.max_iters=500', 'train_cfg'),
        ('data_preprocessor.size=1', 'model.data_preprocessor'),
    ],
)
def test_option_that_changes_nothing_is_refused(config, option, remedy):
    config.write_text(config.read_text() + "model['data_preprocessor'] = dict(size=2)\n")
    with pytest.raises(ValueError, match=f'changes nothing.*{remedy}'):
        launch.load_config(parse('mine.py', '--cfg-options', option))


@pytest.mark.parametrize('workers, persistent', [(0, False), (2, True)])
def test_loader_without_workers_does_not_keep_them(config, workers, persistent):
    config.write_text('train_dataloader = dict(num_workers=2, persistent_workers=True)\n')
    option = f'train_dataloader.num_workers={workers}'
    cfg = launch.load_config(parse('mine.py', '--cfg-options', option))
    assert cfg.train_dataloader.persistent_workers is persistent


@pytest.mark.parametrize(
    'setting, value',
    [
        ('train_dataloader.batch_size', 0),
        ('train_cfg.max_iters', -3),
        ('train_cfg.val_interval', 0),
        ('default_hooks.checkpoint.interval', 0),
        ('train_dataloader.dataset.pipeline.0.crop_size', '(0,8)'),
    ],
)
def test_setting_that_must_be_positive_is_refused(config, setting, value):
    config.write_text('train_dataloader = dict(dataset=dict(pipeline=[dict(type="RandomCrop")]))\n')
    with pytest.raises(
        ValueError, match=rf'^{setting}(\.0)?={str(value)[-2:] if value == -3 else 0} must'
    ):
        launch.load_config(parse('mine.py', '--cfg-options', f'{setting}={value}'))
    never = 'default_hooks.checkpoint.interval=-1'
    assert launch.load_config(parse('mine.py', '--cfg-options', never))


def test_misspelled_key_is_reported_with_the_nearest_and_variables_are_not(config, caplog):
    MMLogger.get_current_instance().addHandler(caplog.handler)
    config.write_text('optim_wraper = dict()\ntest_pipeline = []\nmax_iters = 3\n')
    launch.load_config(parse('mine.py'))
    reported = [text for text in caplog.messages if 'is not read' in text]
    assert any('optim_wraper' in t and 'Did you mean optim_wrapper?' in t for t in reported)
    assert not any(name in t for t in reported for name in ('test_pipeline', 'max_iters'))


def test_imports_of_a_config_add_to_those_of_all_its_bases(config, monkeypatch):
    monkeypatch.syspath_prepend(config.parent)
    names = ['imported_far', 'imported_near', 'imported_own']
    for name in names:
        (config.parent / f'{name}.py').touch()
    for file, base, name in [('far', None, 0), ('near', 'far.py', 1), ('mine', 'near.py', 2)]:
        text = f'custom_imports = dict(imports=[{names[name]!r}])\n'
        (config.parent / f'{file}.py').write_text((f'_base_ = {base!r}\n' if base else '') + text)
    cfg = launch.load_config(parse('mine.py'))
    assert cfg.custom_imports.imports == names
    assert set(names) <= set(sys.modules)


@pytest.mark.parametrize(
    ('option', 'message'),
    [
        ({'optim_wrapper.optimizer.type': 'AdmaW'}, r"type='AdmaW' is no optimizer.*AdamW"),
        ({'randomness.seed': 'abc'}, "randomness.seed='abc' must be an integer"),
    ],
)
def test_values_that_mmengine_passes_on_unchecked(option, message):
    args = parse('dacs/dacs_r18_sim2real.py')
    args.cfg_options = option
    with pytest.raises(ValueError, match=message):
        launch.load_config(args)


# -- a quiet start ---------------------------------------------------------------------------------


def test_console_leaves_out_what_the_log_file_has(tmp_path, capsys):
    runner = launch.QuietRunner(
        torch.nn.Identity(), work_dir=str(tmp_path), experiment_name=tmp_path.name, cfg=dict(a=1)
    )
    runner.logger.info('Epoch')
    said, (log,) = capsys.readouterr().out, tmp_path.glob('*/*.log')
    for text in ('Config:', 'System environment:'):
        assert text not in said and text in log.read_text()
    assert f'all messages: {log}' in said and 'Epoch' in said


def test_a_text_is_formatted_once_and_as_ever(monkeypatch):
    calls = []

    def format_code(text, **options):
        calls.append(options)
        return f'formatted {text}', True

    monkeypatch.setattr(launch.yapf_api, 'FormatCode', format_code)
    launch.format_each_text_once()
    launch.format_each_text_once()
    style = dict(based_on_style='pep8')
    found = [launch.yapf_api.FormatCode(text, style_config=style) for text in 'aab']
    assert [text for text, _ in found] == ['formatted a', 'formatted a', 'formatted b']
    assert calls == [dict(style_config=style)] * 2


# -- configs by the name of their package ----------------------------------------------------------


def test_configs_of_packages(config):
    name = 'mmseg_depthuda::corda/corda_r18_sim2real.py'
    path = launch.find_config(name)
    assert path.samefile(launch.config_folder() / 'corda/corda_r18_sim2real.py')
    assert get_config(name).model == Config.fromfile(path).model
    config.write_text(f"_base_ = ['{name}']")
    assert Config.fromfile(config).model.decode_head.type == 'CorDAHead'
    assert launch.find_config('mmseg::_base_/default_runtime.py').is_file()


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('gone_package::a/b.py', 'the package gone_package is not installed'),
        ('mmseg_depthuda::corda/corda_r18_sim2reel.py', 'Did you mean corda/corda_r18_sim2real'),
    ],
)
def test_configs_that_no_package_has(name, message):
    with pytest.raises(FileNotFoundError, match=message):
        launch.find_config(name)
