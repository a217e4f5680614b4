# Licensed under the Apache License 2.0, see LICENSE.
"""The parts of ResumeHook; tests/integration/test_exact_resume.py runs it whole."""

import pytest
import torch
from mmengine.hooks import Hook

from mmseg_depthuda.engine.hooks import ResumeHook


class Batches(Hook):
    def __init__(self):
        self.seen = []

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.seen.append(data_batch[0].flatten().tolist())


def shuffled(tiny_runner, max_iters, seed, **options):
    """A run that records its batches; its sampler has a seed of its own, not the run's."""
    batches = Batches()
    runner = tiny_runner('run', max_iters, hooks=[ResumeHook(), batches], **options)
    runner._train_dataloader['sampler'] = dict(type='InfiniteSampler', shuffle=True, seed=seed)
    return runner, batches


def test_the_sampler_goes_on_with_the_seed_it_had(tmp_path, tiny_runner):
    runner, whole = shuffled(tiny_runner, 8, seed=3)
    runner.train()
    runner, first = shuffled(tiny_runner, 4, seed=3)
    runner.train()
    checkpoint = torch.load(tmp_path / 'run' / 'iter_4.pth', weights_only=True)
    assert checkpoint['sampler_seed'] == 3

    path = str(tmp_path / 'run' / 'iter_4.pth')
    runner, second = shuffled(tiny_runner, 8, seed=4, resume=True, load_from=path)
    runner.train()
    assert first.seen + second.seen == whole.seen
    assert runner.train_dataloader.sampler.seed == 3


def test_a_checkpoint_that_is_not_resumed_gives_no_seed(tmp_path, tiny_runner):
    shuffled(tiny_runner, 4, seed=3)[0].train()
    path = str(tmp_path / 'run' / 'iter_4.pth')
    runner, _ = shuffled(tiny_runner, 2, seed=4, load_from=path)
    runner.train()
    assert runner.train_dataloader.sampler.seed == 4


def test_last_checkpoint_is_found_though_its_name_was_cut(tmp_path, tiny_runner):
    tiny_runner('run', 4).train()
    (tmp_path / 'run' / 'last_checkpoint').write_text('')
    runner = tiny_runner('run', 6, resume=True, hooks=[ResumeHook()])
    iterations = Batches()
    runner.register_hook(iterations)
    runner.train()
    assert runner.iter == 6 and len(iterations.seen) == 2


def test_resuming_without_any_checkpoint_starts(tiny_runner):
    iterations = Batches()
    tiny_runner('run', 2, resume=True, hooks=[ResumeHook(), iterations]).train()
    assert len(iterations.seen) == 2


@pytest.mark.parametrize('key', ['meta', 'message_hub', 'optimizer', 'meta.iter'])
def test_file_of_weights_alone_is_refused(tmp_path, tiny_runner, key):
    tiny_runner('run', 2).train()
    path = tmp_path / 'run' / 'iter_2.pth'
    checkpoint = torch.load(path, weights_only=False)
    part, _, inner = key.partition('.')
    del (checkpoint[part] if inner else checkpoint)[inner or part]
    torch.save(checkpoint, path)
    runner = tiny_runner('run', 4, resume=True, load_from=str(path), hooks=[ResumeHook()])
    with pytest.raises(ValueError, match=f'cannot be resumed: it has no {key}.*load_from={path}'):
        runner.train()


def test_damaged_newest_checkpoint_and_pointer_to_nowhere(tmp_path, tiny_runner):
    tiny_runner('run', 4).train()
    (tmp_path / 'run' / 'iter_4.pth').write_bytes(b'cut')
    iterations = Batches()
    tiny_runner('run', 6, resume=True, hooks=[ResumeHook(), iterations]).train()
    assert len(iterations.seen) == 4  # goes on from the second
    (tmp_path / 'other').mkdir()
    (tmp_path / 'other' / 'last_checkpoint').write_text('gone.pth')
    iterations = Batches()
    tiny_runner('other', 2, resume=True, hooks=[ResumeHook(), iterations]).train()
    assert len(iterations.seen) == 2
