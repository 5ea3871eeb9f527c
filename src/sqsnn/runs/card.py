"""The model card beside a saved network: what it is, how well it does, and how to use it."""

from sqsnn import __version__
from sqsnn.runs.model import Model
from sqsnn.settings.command import train_command

_FIGURES = {
    "test_accuracy": "test accuracy, one shot, spikes alone",
    "test_accuracy_probability": "test accuracy by firing probability",
    "test_roc_auc": "area under the ROC curve",
    "test_nmse": "mean squared error, share of the variance",
    "test_mae": "mean absolute error",
    "test_r2": "R2",
    "chance": "the same for an answer that ignores the sample",
    "test_samples": "test samples",
    "parameters": "trained parameters",
}


def model_card(model: Model, file: str) -> str:
    """Write the card of a network in Markdown.

    Args:
        model: The network.
        file: Name of its file.
    """
    settings, preparation, metrics = model.settings, model.preparation, model.metrics
    answers = (
        f"one of the classes {', '.join(preparation.class_names)}"
        if preparation.labels
        else f"the values {', '.join(preparation.target_names)}"
    )
    form = "(n, features)" if preparation.length is None else f"(n, {preparation.length}, features)"
    names = f": {', '.join(preparation.feature_names)}" if preparation.feature_names else ""
    layers = ", ".join([settings.in_words, *settings.joined_in_words])
    lines = [
        f"# {file}",
        "",
        f"A spiking network of {settings.neurons.kind} neurons ({layers}), trained on "
        f"{settings.data.source or settings.data.dataset} with sqsnn {__version__}.",
        "",
        f"- Input: {form}, {preparation.features} features{names}",
        f"- Encoding: {settings.encoding.kind}, {settings.encoding.steps} time steps",
        f"- Answer: {answers}",
        f"- Weights of epoch {model.epoch}, seed {settings.training.seed}",
        "",
        "## Figures",
        "",
    ]
    rows = [
        f"| {title} | {metrics[name]:.4g} |"
        for name, title in _FIGURES.items()
        if metrics.get(name) is not None
    ]
    baseline = metrics.get("baseline")
    if baseline:
        rows += [
            f"| {baseline['model']}, {name} | {figure:.4g} |"
            for name, figure in baseline["figures"].items()
        ]
    lines += ["| figure | value |", "|---|---|", *rows] if rows else ["Not tested."]
    lines += [
        "",
        "## Use",
        "",
        "```python",
        "import sqsnn",
        "",
        f"run = sqsnn.load({file!r})",
        "run.predict(X)",
        "```",
        "",
        "Trained again by:",
        "",
        "```sh",
        train_command(settings),
        "```",
        "",
    ]
    return "\n".join(lines)
