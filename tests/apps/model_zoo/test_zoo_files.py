# Licensed under the Apache License 2.0, see LICENSE.
import importlib.util
import shutil
from pathlib import Path

import pytest
import yaml

from mmseg_depthuda.apps.model_zoo import read_methods, stale_files, zoo_files
from mmseg_depthuda.apps.model_zoo.zoo_files import fill_page

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope='module')
def files():
    return zoo_files(ROOT)


@pytest.fixture(scope='module')
def models(files):
    index = yaml.safe_load(files['model-index.yml'])
    contents = [yaml.safe_load(files[name]) for name in index['Import']]
    return {model['Name']: model for content in contents for model in content['Models']}


def test_committed_files_are_up_to_date(files):
    assert not stale_files(ROOT, files), 'run python tools/model_zoo.py'


def test_every_config_is_listed_in_the_metafile_of_its_folder(files):
    for name in yaml.safe_load(files['model-index.yml'])['Import']:
        content = yaml.safe_load(files[name])
        folder = Path(name).parent
        listed = {model['Config'] for model in content['Models']}
        assert listed == {str(folder / path.name) for path in (ROOT / folder).glob('*.py')}
        collections = {collection['Name'] for collection in content['Collections']}
        assert {model['In Collection'] for model in content['Models']} == collections


def test_an_entry_and_its_row(files, models):
    """Two reports of one experiment, as the papers print them."""
    model = models['corda_r101_syn2cs']
    assert model['Metadata']['Iterations'] == 250000
    assert [result['Metrics'] for result in model['Results']] == [
        {'mIoU_16': 55.0, 'mIoU_13': 62.8},
        {'mIoU_16': 56.3},
    ]
    assert (
        '| CorDA (FD) | stereo, ImageNet+COCO | 55.0 (16) / 62.8 (13); release: 56.3 (16) | '
        "CorDA, Table 1; README of CorDA's release |"
    ) in files['docs/model_zoo.md']
    assert 'Results' not in models['oracle_r101_cs2cs']


def test_page_without_a_table(experiments):
    page = '<!-- table: gta2cs -->\nold\n<!-- end of table -->\n'
    with pytest.raises(ValueError, match='mark a table'):
        fill_page(page, list(experiments.values()))
    listed = [one for one in experiments.values() if one.table == 'gta2cs']
    filled = fill_page(f'before\n{page}after\n', listed)
    assert filled.startswith('before\n') and filled.endswith('after\n') and 'old' not in filled


@pytest.fixture
def tool():
    spec = importlib.util.spec_from_file_location('model_zoo_tool', ROOT / 'tools/model_zoo.py')
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_command_checks_and_writes(tool, tmp_path, capsys):
    """A new number is refused by ``--check``, then written."""
    for name in ('configs', 'docs'):
        ignored = shutil.ignore_patterns('images')
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
    shutil.copy(ROOT / 'model-index.yml', tmp_path)
    results = tmp_path / 'configs/results.csv'
    results.write_text(results.read_text().replace('DACS,,52.1,', 'DACS,,52.3,'))
    (tmp_path / 'configs/dead').mkdir()
    (tmp_path / 'configs/dead/metafile.yml').write_text('')
    arguments = ['--root', str(tmp_path)]
    with pytest.raises(SystemExit, match=r'Out of date: configs/dacs/metafile\.yml, configs/dead'):
        tool.main([*arguments, '--check'])
    tool.main(arguments)
    written = capsys.readouterr()
    assert 'Wrote docs/model_zoo.md' in written.out and 'dead/metafile.yml' in written.err
    assert 'mIoU: 52.3' in (tmp_path / 'configs/dacs/metafile.yml').read_text()
    (tmp_path / 'configs/dead/metafile.yml').unlink()
    tool.main([*arguments, '--check'])


def test_method_without_a_line(tmp_path):
    for name in ('_base_', 'monodepth2'):
        shutil.copytree(ROOT / 'configs' / name, tmp_path / 'configs' / name)
    for name, left_out in (('methods.csv', True), ('results.csv', False)):
        header, *lines = (ROOT / 'configs' / name).read_text().splitlines(keepends=True)
        kept = [line for line in lines if ('monodepth2' in line) != left_out]
        (tmp_path / 'configs' / name).write_text(''.join([header, *kept]))
    assert 'monodepth2' in read_methods(ROOT) and 'monodepth2' not in read_methods(tmp_path)
    with pytest.raises(ValueError, match='no line for monodepth2'):
        zoo_files(tmp_path)
