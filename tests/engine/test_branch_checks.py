# Licensed under the Apache License 2.0, see LICENSE.
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.hooks import Hook
from torch import nn

from mmseg_depthuda.engine.branch_checks import (
    check_branches,
    reached_parameters,
    report_unreached,
    unreached_parts,
)
from mmseg_depthuda.engine.hooks import DACSHook, SelfTrainingHook, TrainingCheckHook
from tests.models.adversarial_training import alignment, depth_distribution
from tests.models.pair_training import Pairs, logged, make_runner
from tests.models.tiny_segmentor import head_config, segmentor_config, tiny_segmentor

MIX = dict(type='ClassMix')
DEEPLAB = head_config('DeepLabV2Head')
BOTH = ('source', 'target')


def check(domains=BOTH, labelled=BOTH, hooks=(), weights=None, head=DEEPLAB, **model):
    head = head if weights is None else head | dict(loss_weights=weights)
    check_branches(tiny_segmentor(head, **model), domains, labelled, [Hook(), *hooks])


def makes(**branches):
    return SelfTrainingHook(branches=branches)


SEG = dict(seg=1)
WRONG = {
    'a target that nobody reads': (
        dict(),
        r"Nothing learns from 'target': model.unlabelled=\['target'\].*train_dataloader.dataset",
    ),
    'a further domain that nobody reads': (
        dict(domains=(*BOTH, 'night'), unlabelled=['target', 'night'], hooks=[DACSHook()]),
        "Nothing learns from 'night'.*custom_hooks",
    ),
    'labels that are not loaded': (
        dict(domains=(*BOTH, 'night'), hooks=[DACSHook()]),
        r"'night' is trained with labels, .*seg_map_path.*unlabelled=\['target', 'night'\]",
    ),
    'an unlabeled name that no branch has': (
        dict(unlabelled=['target', 'nigth'], hooks=[DACSHook()]),
        r"unlabelled names 'nigth', but the branches are \['mixed', 'source', 'target'\]",
    ),
    'two makers of one name': (
        dict(hooks=[DACSHook(), makes(mixed=MIX)]),
        "Two branches are called 'mixed': rename one in custom_hooks",
    ),
    'a maker called as a domain': (
        dict(domains=(*BOTH, 'night'), labelled=(*BOTH, 'night'), hooks=[makes(night=MIX)]),
        "Two branches are called 'night'",
    ),
    'a hook without its branch': (
        dict(domains=['source'], hooks=[DACSHook()]),
        r"DACSHook needs the branches 'target', .*\['mixed', 'source'\].*SourceTargetDataset",
    ),
    'a made branch declared unlabelled': (
        dict(unlabelled=['target', 'mixed'], hooks=[DACSHook()]),
        "makes the branch 'mixed' with labels.*Take it out of model.unlabelled",
    ),
    'labelled tasks where labels are not looked at': (
        dict(head=depth_distribution(), weights=dict(source=SEG, target=dict(seg=1, density=1))),
        r"decode_head.loss_weights.target names 'seg', but .*learns 'density' alone",
    ),
    'a loss without labels, and no such branch': (
        dict(domains=['source'], type='MinEntSegmentor'),
        r"MinEntSegmentor learns from 'target' images, .*\['source'\] alone",
    ),
    'discriminators of a domain that is not there': (
        dict(
            type='AdversarialSegmentor',
            alignments=dict(main=alignment(target='night')),
            hooks=[DACSHook()],
        ),
        "AdversarialSegmentor learns from 'night' images",
    ),
    'weights that leave a branch out': (
        dict(weights=dict(source=SEG), hooks=[DACSHook()]),
        r"'mixed' is trained, but loss_weights of DeepLabV2Head .*Add mixed=dict\(seg=1.0\)",
    ),
    'weights of an auxiliary head that leave a branch out': (
        dict(
            hooks=[DACSHook()],
            auxiliary_head=DEEPLAB | dict(in_channels=32, in_index=2, loss_weights=dict(mixed=SEG)),
        ),
        "'source' is trained, but loss_weights",
    ),
    'weights of zero': (
        dict(weights=dict(source=SEG, mixed=dict(seg=0)), hooks=[DACSHook()]),
        "model.decode_head.loss_weights gives 'mixed' no weight at all.*give a task a weight",
    ),
    'no weights': (
        dict(weights=dict(source=SEG, mixed={}), hooks=[DACSHook()]),
        "loss_weights gives 'mixed' no weight at all",
    ),
}


@pytest.mark.parametrize('name', WRONG)
def test_a_training_in_silence_is_refused(name):
    options, message = WRONG[name]
    with pytest.raises(ValueError, match=message):
        check(**({'labelled': ['source']} | options))


@pytest.mark.parametrize(
    'options',
    [
        dict(domains=['source'], labelled=['source']),
        dict(hooks=[DACSHook()]),
        dict(unlabelled=[]),  # a labeled target
        dict(head=depth_distribution()),  # density is learned without labels
        dict(type='MinEntSegmentor', hooks=[DACSHook()]),
        dict(hooks=[makes(masked=dict(type='MaskImage')), makes(wet=MIX | dict(onto='masked'))]),
        dict(weights=dict(source=SEG, mixed=dict(seg=0.1)), hooks=[DACSHook()]),
    ],
)
def test_what_teaches_something_passes(options):
    check(**options)


# -- through a runner ------------------------------------------------------------------------------


class Listed:
    """The parts of a dataset that the check uses."""

    def __init__(self, **record):
        self.record = record

    def get_data_info(self, index):
        return self.record


class Domains(Pairs):
    """Pairs that name their files before they are read."""

    def __init__(self, **options):
        super().__init__(**options)
        self.domains = dict(
            source=Listed(img_path='a.png', seg_map_path='b.png'), target=Listed(img_path='c.png')
        )
        self.reads = 0

    def __getitem__(self, index):
        self.reads += 1
        return super().__getitem__(index)


class Losses(Hook):
    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        self.found = {name: float(v) for name, v in outputs.items() if 'loss' in name}


def run(folder, dataset, hooks=(), **model):
    model = ConfigDict(segmentor_config(**(dict(decode_head=DEEPLAB) | model)))
    losses = Losses()
    make_runner(folder, 'run', [TrainingCheckHook(), *hooks, losses], 1, dataset, model).train()
    return losses.found


def test_dacs_beside_minent_trains_three_branches(tmp_path):
    losses = run(tmp_path, Domains(), [DACSHook()], type='MinEntSegmentor', entropy_weight=1.0)
    names = ['source.loss_seg', 'target.loss_entropy', 'mixed.loss_seg']
    assert losses.keys() == {'loss', *names}
    assert min(losses.values()) > 0
    assert losses['loss'] == pytest.approx(sum(losses[name] for name in names))
    assert 'No loss of the first iteration' not in logged(tmp_path)


def test_the_run_ends_before_an_image_is_read(tmp_path):
    dataset = Domains()
    with pytest.raises(ValueError, match="Nothing learns from 'target'"):
        run(tmp_path, dataset)
    assert dataset.reads == 0


def test_a_decoder_that_no_loss_reaches_is_named(tmp_path):
    """Without depth on the target its decoders of CorDA learn nothing."""
    run(tmp_path, Domains(target=dict(depth=False)), [DACSHook()], decode_head=head_config())
    (line,) = (x for x in logged(tmp_path).splitlines() if 'No loss of the first iteration' in x)
    parts = line.split('reached ')[1].split(':')[0].split(', ')
    assert parts == ['decode_head.initial_depth.target', 'decode_head.final_depth.target']
    assert 'they stay as initialized' in line


# -- parts that no loss reaches --------------------------------------------------------------------


class Network(nn.Module):
    def __init__(self):
        super().__init__()
        self.used = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
        self.branch = nn.ModuleDict(dict(a=nn.Linear(2, 2), b=nn.Linear(2, 2)))
        self.unused = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
        self.frozen = nn.Linear(2, 2).requires_grad_(False)
        self.scale = nn.Parameter(torch.ones(2))

    def forward(self, x):
        return self.branch['a'](self.used(x)).sum()


def test_unreached_parts_are_the_largest_modules_and_single_parameters():
    model = Network()
    with reached_parameters(model) as reached:
        model(torch.ones(1, 2)).backward()
    assert reached == {
        f'{m}.{p}' for m in ('used.0', 'used.1', 'branch.a') for p in ('weight', 'bias')
    }
    assert unreached_parts(model, reached) == ['branch.b', 'unused', 'scale']
    assert 'reached branch.b, unused, scale: they stay' in report_unreached(model, reached)
    model(torch.ones(1, 2)).backward()  # the watch is over
    trainable = [name for name, p in model.named_parameters() if p.requires_grad]
    assert unreached_parts(model, trainable) == []
    assert report_unreached(model, trainable) is None
    assert unreached_parts(model, trainable[1:]) == [trainable[0]]
    assert 'it stays as initialized' in report_unreached(model, trainable[1:])
