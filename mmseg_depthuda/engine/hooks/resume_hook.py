# Licensed under the Apache License 2.0, see LICENSE.
"""Completes MMEngine's resume of a run."""

from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import IterBasedTrainLoop, Runner
from mmseg.registry import HOOKS

from mmseg_depthuda.fileio import latest_checkpoint

LAST_VALIDATION = 'last_validation'
"""Name, in the message hub, of the iteration after which the run was last validated."""


@HOOKS.register_module()
class ResumeHook(Hook):
    """Makes a resumed run go on where the killed one stopped.

    * The checkpoint is found even if the run was killed while MMEngine wrote the file
      ``last_checkpoint``. This holds for every tool that resumes. If the checkpoint is damaged, the
      one before it is taken.
    * A file that holds only weights is refused.
    * A validation that was due after the checkpoint's iteration is done now. MMEngine saves before
      it validates, and would go on with the next iteration, or end at once.
    * A best score that this validation finds is recorded in the checkpoint.
    * The sampler takes its old seed, even if the config gives no seed or another one.
    """

    priority = 'LOW'  # before CheckpointHook saves once more after a validation

    def __init__(self) -> None:
        self._sampler_seed = None

    def before_run(self, runner: Runner) -> None:
        """Name the checkpoint to resume from, before the runner looks for it."""
        if runner._resume and runner._load_from is None:
            runner._load_from = latest_checkpoint(runner.work_dir)
            if runner._load_from is None:
                runner._resume = (
                    False  # or MMEngine would load the missing file that last_checkpoint names
                )
                runner.logger.info(f'No checkpoint in {runner.work_dir}: the training starts anew')

    # -- the sampler -----------------------------------------------------------------------------

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Store the seed of the training sampler."""
        seed = getattr(runner.train_dataloader.sampler, 'seed', None)
        if seed is not None:
            checkpoint['sampler_seed'] = int(seed)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Remember the seed until the sampler is there.

        Raises:
            ValueError: The checkpoint to resume from holds only weights.
        """
        if runner._resume:
            _check_complete(checkpoint, runner._load_from)
        self._sampler_seed = checkpoint.get('sampler_seed') if runner._resume else None

    def before_train(self, runner: Runner) -> None:
        """Give the training sampler the seed of the checkpoint."""
        sampler = runner.train_dataloader.sampler
        if self._sampler_seed is None or sampler.seed == self._sampler_seed:
            return
        sampler.seed = self._sampler_seed
        loop = runner.train_loop
        if isinstance(loop, IterBasedTrainLoop):
            # MMEngine 0.10.7 has started to load with the other seed.
            loop.dataloader_iterator = type(loop.dataloader_iterator)(loop.dataloader)

    # -- the validation --------------------------------------------------------------------------

    def before_train_epoch(self, runner: Runner) -> None:
        """Validate if that was due when the checkpoint was written and is not recorded in it."""
        loop = runner.train_loop
        if not isinstance(loop, IterBasedTrainLoop) or not loop.iter or runner.val_loop is None:
            return
        loop._decide_current_val_interval()
        is_due = loop.iter >= loop.val_begin and (
            loop.iter % loop.val_interval == 0 or loop.iter == loop.max_iters
        )
        if not is_due or runner.message_hub.get_info(LAST_VALIDATION) == loop.iter:
            return
        for hook in runner.hooks:
            if isinstance(hook, CheckpointHook):
                hook.last_ckpt = runner.message_hub.get_info('last_ckpt')
        runner.logger.info(f'Validation due after iteration {loop.iter}')
        runner.val_loop.run()

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Record that the model of this iteration has been validated."""
        runner.message_hub.update_info(LAST_VALIDATION, runner.iter)


def _check_complete(checkpoint: dict, path: str) -> None:
    """Refuse to resume from a file that does not say where its run stood."""
    missing = [key for key in ('meta', 'message_hub', 'optimizer') if key not in checkpoint]
    if 'meta' not in missing:
        missing += [f'meta.{key}' for key in ('iter', 'epoch') if key not in checkpoint['meta']]
    if missing:
        raise ValueError(
            f'{path} cannot be resumed: it has no {", ".join(missing)}. It was not written by a '
            f'training, or was published without them. To start anew from its weights, leave out '
            f'--resume and set load_from={path}.'
        )
