"""The settings of the learning rules; one that the chosen rule would not look at is refused."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

RuleName = Literal["backprop", "local"]


class Section(BaseModel):
    """What all sections share: they never change, and refuse a name that they do not know."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, use_attribute_docstrings=True
    )


class RuleConfig(Section):
    """How gradients are made."""

    rule: RuleName = "backprop"
    """Learning rule: through the whole network, or each neuron by itself."""
    surrogate: Literal["straight_through", "sigmoid"] = "straight_through"
    """Stands in for d(spike)/d(probability): 1, or p(1-p)."""
    encoding_slope: Literal["exponential", "exact"] = "exponential"
    """Backward slope of the encoding at currents of 0 and below: exp(z/0.3), or none."""

    through_collapse: bool = False
    """[backprop] Let gradients run from a neuron's own spike into its memory as well."""
    loss_on: Literal["probability", "count"] = "probability"
    """[backprop] Cross-entropy on summed firing probabilities or on spike counts."""
    rate_penalty: Annotated[float, Field(ge=0)] = 0.0
    """[backprop] Weight of the penalty on hidden firing rates outside 0.05 to 0.5 spikes a step."""

    signal: Literal["feedback", "reinforce", "both", "none"] = "feedback"
    """[local] What hidden neurons get: the outputs' deltas, the loss, both; none: a baseline."""
    feedback: Literal["random", "symmetric"] = "random"
    """[local] Deltas come down by fixed random weights, or by the synapses' own."""
    feedback_path: Literal["chained", "direct"] = "chained"
    """[local] Through every hidden layer, or directly from the outputs (random)."""
    samples: PositiveInt = 4
    """[local: reinforce, both] Runs of the network a sample."""
    baseline: Literal["leave_one_out", "running", "none"] = "leave_one_out"
    """[local: reinforce, both] Taken off the loss: mean of the other runs, or of the class."""
    horizon: Literal["to_go", "same_step", "discounted", "episodic"] = "to_go"
    """[local: reinforce, both] Which losses a spike answers for."""
    discount: Annotated[float, Field(ge=0, le=1)] = 0.9
    """[local: discounted] Factor of a step."""
    output_score: bool = True
    """[local: reinforce, both; exact, online] Outputs answer for their spikes too
    (--output-score=false)."""
    reward_weight: Annotated[float, Field(gt=0)] = 1.0
    """[local: both] Factor of the rewards beside the feedback."""

    score: Literal["exact", "online", "shift", "spsa"] = "exact"
    """[local] Gradient inside a neuron: autograd, forward traces, or from measured bits alone."""
    update_every_step: bool = False
    """[local: online] Change the weights after every time step."""
    estimator: Literal["geometric", "laplace"] = "geometric"
    """[local: shift, spsa] Trials until an event happens, or its share of some shots."""
    repeats: PositiveInt = 1
    """[local: geometric] Shots of each shifted circuit, and blocks of trials."""
    max_trials: PositiveInt = 50
    """[local: geometric] Trials after which an event is given up."""
    shots: PositiveInt = 100
    """[local: laplace] Shots of each circuit."""
    window: PositiveInt = 1
    """[local: shift] Steps replayed for a spike; as many as there are leaves no bias but that of
    events given up after max_trials."""
    backend: str | None = None
    """[local: shift, spsa] Device that measures all spikes, those of validation and test too: aer,
    a snapshot such as fake_brisbane, or ibm:NAME [default: the simulator]."""
    pack: PositiveInt = 1
    """[with --backend] Neurons side by side on the chip."""
    mode: Literal["job", "batch", "session"] = "job"
    """[with --backend ibm:NAME] How jobs are sent: one by one, as a batch, or in one session."""

    @model_validator(mode="after")
    def _consistent(self) -> "RuleConfig":
        for name, applies, where in self._conditions():
            value = getattr(self, name)
            if value != type(self).model_fields[name].default and not applies:
                raise ValueError(f"{name} is {value!r}, but is looked at with {where} only")
        if self.rule == "local":
            self._check_local()
        return self

    def _conditions(self) -> Iterator[tuple[str, bool, str]]:
        """For every setting of a part of the rules: whether this is the part, and its name."""
        local = self.rule == "local"
        by_feedback = local and self.signal in ("feedback", "both")
        by_score = local and self.signal in ("reinforce", "both")
        measured = local and self.score in ("shift", "spsa")
        for name in ("through_collapse", "loss_on", "rate_penalty"):
            yield name, not local, "rule backprop"
        for name in ("signal", "score"):
            yield name, local, "rule local"
        for name in ("feedback", "feedback_path"):
            yield name, by_feedback, "rule local and signal feedback or both"
        for name in ("samples", "baseline", "horizon"):
            yield name, by_score, "rule local and signal reinforce or both"
        known = by_score and not measured
        yield "output_score", known, "signal reinforce or both and score exact or online"
        yield "reward_weight", local and self.signal == "both", "rule local and signal both"
        yield "surrogate", not local or by_feedback, "rule backprop, or signal feedback or both"
        discounted = by_score and self.horizon == "discounted"
        yield "discount", discounted, "rule local, signal reinforce or both and horizon discounted"
        online = local and self.score == "online"
        yield "update_every_step", online, "rule local and score online"
        for name in ("estimator", "backend"):
            yield name, measured, "rule local and score shift or spsa"
        yield "pack", self.backend not in (None, "aer"), "a backend that has a chip"
        yield "mode", (self.backend or "").startswith("ibm:"), "a backend ibm:NAME"
        for name in ("repeats", "max_trials"):
            geometric = measured and self.estimator == "geometric"
            yield name, geometric, "score shift or spsa and estimator geometric"
        laplace = measured and self.estimator == "laplace"
        yield "shots", laplace, "score shift or spsa and estimator laplace"
        shift = local and self.score == "shift"
        yield "window", shift, "rule local and score shift (spsa turns all angles of one step)"

    def _check_local(self) -> None:
        by_score = self.signal in ("reinforce", "both")
        if self.feedback == "symmetric" and self.feedback_path == "direct":
            raise ValueError("feedback_path 'direct' needs feedback 'random'")
        if by_score and self.baseline == "leave_one_out" and self.samples < 2:
            raise ValueError("samples is 1, but baseline 'leave_one_out' needs at least 2")
        if self.score == "online" and by_score and self.horizon == "episodic":
            raise ValueError("horizon is 'episodic', but score 'online' never waits for the end")
        if self.score in ("shift", "spsa") and self.surrogate == "sigmoid":
            raise ValueError(
                f"surrogate is 'sigmoid', which needs probabilities, but with score "
                f"{self.score!r} bits are all that is seen: use straight_through"
            )
