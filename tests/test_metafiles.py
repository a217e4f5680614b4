# Licensed under the Apache License 2.0, see LICENSE.
"""model-index.yml and the metafiles: complete, true to the configs, clear about who measured."""

from pathlib import Path

import pytest
import yaml
from mmengine.config import Config

ROOT = Path(__file__).parents[1]
EXPERIMENTS = {
    str(path.relative_to(ROOT))
    for path in ROOT.glob('configs/*/*.py')
    if path.parent.name != '_base_'
}
INDEX = yaml.safe_load((ROOT / 'model-index.yml').read_text())
METAFILES = {name: yaml.safe_load((ROOT / name).read_text()) for name in INDEX['Import']}
MODELS = {model['Name']: model for content in METAFILES.values() for model in content['Models']}
RESULTS = [(name, result) for name, model in MODELS.items() for result in model.get('Results', [])]


def test_index_imports_every_metafile():
    found = {str(path.relative_to(ROOT)) for path in ROOT.glob('configs/*/metafile.yml')}
    assert found == set(METAFILES) and len(INDEX['Import']) == len(METAFILES)


def test_every_experiment_is_listed_once():
    listed = [model['Config'] for content in METAFILES.values() for model in content['Models']]
    assert sorted(listed) == sorted(EXPERIMENTS)
    assert all(Path(model['Config']).stem == name for name, model in MODELS.items())


@pytest.mark.parametrize('metafile', METAFILES)
def test_collections(metafile):
    content = METAFILES[metafile]
    for collection in content['Collections']:
        assert {'Name', 'License', 'Metadata', 'Paper', 'README', 'Code'} <= set(collection)
        assert collection['Paper']['URL'].startswith('https://')
        assert (ROOT / collection['README']).is_file()
        assert (ROOT / collection['Code']['URL']).is_file()
    names = {collection['Name'] for collection in content['Collections']}
    assert {model['In Collection'] for model in content['Models']} == names
    folders = {str(Path(model['Config']).parent) for model in content['Models']}
    assert folders == {str(Path(metafile).parent)}


@pytest.mark.parametrize('name', MODELS)
def test_metadata_is_that_of_the_config(name):
    model = MODELS[name]
    cfg, metadata = Config.fromfile(ROOT / model['Config']), model['Metadata']
    assert metadata['Iterations'] == cfg.train_cfg.max_iters
    assert metadata['Architecture'][-1] == cfg.model.decode_head.type
    assert f'R-{cfg.model.backbone.depth}-' in metadata['Architecture'][0]
    batch = cfg.train_dataloader.batch_size
    training = cfg.train_dataloader.dataset
    paired = f'{batch} source + {batch} target'
    assert metadata['Batch Size'] == (paired if 'target' in training else batch)
    init = cfg.model.backbone.init_cfg
    kinds = dict.fromkeys(('open-mmlab', 'mmcls'), 'ImageNet')
    kinds['pretrained/resnet101_imagenet_coco.pth'] = 'ImageNet+COCO'
    expected = kinds[init.checkpoint.split('://')[0]] if init else 'random'
    assert metadata['Initialisation'] == expected
    if 'Target Depth' in metadata:
        assert metadata['Target Depth'] == training.target.depth


@pytest.mark.parametrize(('name', 'result'), RESULTS)
def test_results_say_who_measured_what_and_at_which_size(name, result):
    assert result['Task'] == 'Semantic Segmentation'
    reporter = result['Reported by']
    assert reporter in ('paper', 'release', 'this project') and result['Source']
    # We have trained the small experiments alone; nothing published is of those.
    assert (reporter == 'this project') == ('_r18_' in name)
    assert set(result['Metrics']) <= {'mIoU', 'mIoU_16', 'mIoU_13'} and result['Metrics']
    assert all(0 < value < 100 for value in result['Metrics'].values())
    sizes = ('2048x1024', '1024x512', '640x320', '256x128', '480x360', 'not stated')
    assert result['Evaluation Size'] in sizes
    if reporter == 'this project':
        value = str(result['Metrics']['mIoU'])
        assert value in (ROOT / 'docs/benchmarks.md').read_text()


PUBLISHED = {
    name: result['Metrics'] for name, result in RESULTS if result['Reported by'] == 'paper'
}


def test_published_numbers_of_dada():
    """DADA's Tables 1 to 3, copied by hand a second time."""
    assert PUBLISHED['advent_r101_syn2cs_16'] == dict(mIoU=40.8, mIoU_13=47.6)
    assert PUBLISHED['dada_r101_syn2cs_16'] == dict(mIoU=42.6, mIoU_13=49.8)
    ablations = {'s3': 40.7, 's4': 35.7, 's5': 38.0, 's6': 41.6}
    for name, value in ablations.items():
        assert PUBLISHED[f'dada_r101_syn2cs_16_{name}'] == dict(mIoU=value)
    assert PUBLISHED['source_only_r101_syn2cs_16'] == dict(mIoU=32.2)
    categories = {
        'advent': dict(cs_7_320x640=59.4, cs_7=67.2, vistas_7_320x640=54.0, vistas_7=65.2),
        'dada': dict(cs_7_320x640=63.4, cs_7=70.4, vistas_7_320x640=55.8, vistas_7=67.6),
    }
    for method, values in categories.items():
        for target, value in values.items():
            assert PUBLISHED[f'{method}_r101_syn2{target}'] == dict(mIoU=value)


def test_published_numbers_of_corda():
    """CorDA's Tables 1 to 3, copied by hand a second time."""
    assert PUBLISHED['dacs_r101_syn2cs'] == dict(mIoU_16=48.3, mIoU_13=54.8)
    assert PUBLISHED['simple_aux_r101_syn2cs'] == dict(mIoU_16=49.6, mIoU_13=55.9)
    assert PUBLISHED['corda_r101_syn2cs_no_distillation'] == dict(mIoU_16=51.7)
    assert PUBLISHED['corda_r101_syn2cs_f'] == dict(mIoU_16=54.2, mIoU_13=62.4)
    assert PUBLISHED['corda_r101_syn2cs'] == dict(mIoU_16=55.0, mIoU_13=62.8)
    assert PUBLISHED['corda_r101_syn2cs_mono'] == dict(mIoU_16=54.5, mIoU_13=62.0)
    assert PUBLISHED['corda_r101_syn2cs_imagenet'] == dict(mIoU_16=54.6)
    assert PUBLISHED['dacs_r101_gta2cs'] == dict(mIoU=52.1)
    assert PUBLISHED['corda_r101_gta2cs'] == dict(mIoU=56.6)
    assert PUBLISHED['corda_r101_gta2cs_imagenet'] == dict(mIoU=56.4)


def test_model_zoo_shows_every_experiment_and_its_numbers():
    rows = {
        line.split('`')[1]: line.rsplit('|', 2)[1]
        for line in (ROOT / 'docs/model_zoo.md').read_text().splitlines()
        if line.startswith('| [`') or (line.startswith('| `') and '.py`' in line)
    }
    assert {f'configs/{name}' for name in rows} == EXPERIMENTS
    for name, result in RESULTS:
        row = rows[MODELS[name]['Config'].removeprefix('configs/')]
        assert all(str(value) in row for value in result['Metrics'].values())
