"""Training of networks on segments of clips; the only package that imports skorch.

One training step, from clips to new weights:

 1. `Trainer.train` (``_trainer``) splits the clips by source and builds a `SegmentNet`;
    skorch's loop takes batches from `RandomSegments` (``_datasets``), which takes them
    from `TrainingSegments`.
 2. `TrainingSegments.batch` draws a start, a partner and a level for every clip
    (``_random_draws``, by seed, epoch and clip) and cuts the segments (``_segments``).
 3. `SegmentNet.train_step_single` (``_net``) moves them to the device, and
    `TrainingInput` (``_front_ends``) computes, mixes and masks the views there.
 4. The module maps named inputs to named outputs; arrays that the target lists in
    ``inputs`` (tags, for instance) are among the inputs.
 5. The criterion of the target (``_targets``) gives one loss per term; `LossWeights`
    (``_loss_weights``) set how they add up; autograd and the optimiser do the rest.
 6. Callbacks: the learning rate (``_callbacks``); losses of held-out clips, weights of
    the terms and the best model (`Evaluation`); records; after an epoch, a checkpoint.

`SegmentEstimator` reads X and keeps what is learned; `SegmentClassifier` adds labels.
"""
