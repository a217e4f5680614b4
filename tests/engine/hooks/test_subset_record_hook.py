# Licensed under the Apache License 2.0, see LICENSE.
from types import SimpleNamespace

from mmengine.logging import MMLogger

from mmseg_depthuda.engine.hooks import SubsetRecordHook
from tests.datasets.test_subsets import dataset, folder  # noqa: F401, a fixture


def test_the_record_gives_the_same_subset(folder, tmp_path):  # noqa: F811
    domains = dict(
        labelled=dataset(folder, subset=dict(size=2, seed=3)),
        unlabelled=dataset(folder, subset=dict(size=2, seed=3, rest=True)),
        mixed=dataset(folder, subset=dict(size=2, seed=3, labels_only=True)),
        other=dataset(folder),
    )
    runner = SimpleNamespace(
        work_dir=str(tmp_path),
        logger=MMLogger.get_current_instance(),
        train_dataloader=SimpleNamespace(dataset=SimpleNamespace(domains=domains)),
    )
    SubsetRecordHook().before_train(runner)
    assert not (tmp_path / 'subset_other.txt').exists()
    for name in ('labelled', 'unlabelled'):
        again = dataset(folder, subset=dict(file=str(tmp_path / f'subset_{name}.txt')))
        assert again.load_data_list() == domains[name].load_data_list()
    labeled = (tmp_path / 'subset_labelled.txt').read_text()
    assert (tmp_path / 'subset_mixed.txt').read_text() == labeled
