"""The model card of a trained net, written from the record of its run. Nothing here needs torch."""

from resnet_lib.runs.experiments import home
from resnet_lib.runs.records import RunRecord


def model_card(record: RunRecord, digest: str | None = None) -> str:
    """What to know before one uses the net of a run on CIFAR-10: Markdown, every number of it from the record.

    Args:
        record: of the run.
        digest: SHA-256 of its file of weights, if the record does not have it.
    """
    config, final, made = record.config, record.final, record.provenance
    recipe = config.recipe
    milestones = " and ".join(f"{milestone:,}" for milestone in recipe.milestones)
    warmup = f"; {recipe.warmup_lr:g} for the first {recipe.warmup_iterations:,}" if recipe.warmup_iterations else ""
    place = home(config)
    digest = record.weights_sha256 or digest
    rows = {
        "Net": f"{config.net.name} of section 4.2 of arXiv:1512.03385, for 10 classes",
        "Data": "CIFAR-10, 50,000 training images of 32 x 32 pixels in RGB, none held back",
        "Profile": f"{place.profile.name}: {place.profile.summary}" if place else "none",
        "Recipe": f"{recipe.iterations:,} iterations of {recipe.batch_size} images; SGD with momentum "
        f"{recipe.momentum:g}, weight decay {recipe.weight_decay:g}; learning rate {recipe.lr:g}{warmup}, divided by "
        f"ten at {milestones}; crops from a border of {recipe.crop_padding} pixels, mirrored at random",
        "Seed": f"{config.seed}",
        "Epoch": "the last; nothing was chosen on the test set",
        "Test error": f"{final.test_error:.2f}% of 10,000 images, one view each",
        "Training error": f"{final.train_error:.2f}%, images as they are",
        "Made on": f"{made.device}, {made.precision}, torch {made.torch}, {made.date}",
        "Cost": f"{made.core_hours:.1f} core-hours, by the clock",
        "Record": f"{config.name}.json",
        "Weights": f"{config.name}.safetensors" + (f", SHA-256 {digest}" if digest else ""),
        "Input": "(N, 3, 32, 32) in RGB, uint8 from 0 to 255 or floating point from 0 to 1",
        "Normalisation": "done by the net: the mean image of the training set is subtracted, pixel by pixel, and the "
        "rest divided by one number. `net.net` takes what `net.prepare` gives",
        "Use and limits": "to study what depth and shortcuts do, to teach, and to begin experiments from. It is one "
        "seed of one net. Its errors are those on CIFAR-10's test images, and say nothing of images from elsewhere; "
        "nothing that matters should be decided by it",
        "Licence": "MIT, as all of resnet_lib. CIFAR-10 (Krizhevsky 2009) comes without a licence; its authors ask to "
        "be cited",
    }
    lines = [f"# {config.net.name}, seed {config.seed}, trained on CIFAR-10", "", "| | |", "|---|---|"]
    return "\n".join(lines + [f"| {what} | {text} |" for what, text in rows.items()])
