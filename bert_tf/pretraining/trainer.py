"""The pretraining loop, bounded by steps or wall-clock time."""

import dataclasses
import os
import time

import keras
import tensorflow as tf

from bert_tf import run_dir
from bert_tf.models import pretrainer as pretrainer_lib
from bert_tf.models.dropout import Dropout
from bert_tf.models.pretrainer import Pretrainer, Results
from bert_tf.pretraining.batches import Batches
from bert_tf.pretraining.budget import Budget, Clock
from bert_tf.pretraining.evaluation import Evaluator
from bert_tf.pretraining.metric_writer import MetricWriter
from bert_tf.training import schedules, train_step, training_warnings
from bert_tf.training import strategy as strategy_lib
from bert_tf.training.checkpoints import Checkpoints
from bert_tf.training.preemption import PreemptionHandler

_CLOCK = os.path.join("checkpoints", "clock.json")


@dataclasses.dataclass
class PretrainingState:
    """Where a pretraining stands.

    Attributes:
        data: fingerprints of the corpora.
        step: steps done.
        seconds: spent.
        tokens: met.
        sums: of the results of the steps since the last evaluation.
        summed_steps: how many these are.
        history: a row of history.csv for each evaluation.
    """

    data: dict[str, str]
    step: int = 0
    seconds: float = 0.0
    tokens: float = 0.0
    sums: list[float] = dataclasses.field(
        default_factory=lambda: [0.0] * len(Results._fields)
    )
    summed_steps: int = 0
    history: list[dict] = dataclasses.field(default_factory=list)

    def describe(self) -> str:
        """Says in words where."""
        return f"step {self.step}"


@dataclasses.dataclass(kw_only=True)
class PretrainingTrainer:
    """The steps of one pretraining.

    Attributes:
        evaluator: of the held-out documents.
        budget: ends the training.
        output_dir: the run folder, which is there.
        jit_compile: as of `train_step.build_step`.

    The others are settings, see `PretrainConfig`.
    """

    pretrainer: Pretrainer
    optimizer: keras.optimizers.Optimizer
    strategy: tf.distribute.Strategy
    batches: Batches
    evaluator: Evaluator
    budget: Budget
    metric_writer: MetricWriter
    output_dir: str
    learning_rate: float
    learning_rate_schedule: str
    warmup_proportion: float
    checkpoint_seconds: float
    log_steps: int
    eval_steps: int | None
    seed: int
    accumulate_steps: int
    jit_compile: bool

    def __post_init__(self):
        """Prepares the checkpoint and the clock."""
        self.is_chief = strategy_lib.is_chief(self.strategy)
        self.checkpoints = Checkpoints(
            os.path.join(self.output_dir, run_dir.CHECKPOINT),
            [*self.pretrainer.model.variables, *self.optimizer.variables],
            every_seconds=self.checkpoint_seconds,
            writes=self.is_chief,
            state_class=PretrainingState,
        )
        self._clock_path = None
        if self.is_chief:
            self._clock_path = os.path.join(self.output_dir, _CLOCK)
        self._rate = self._step_seconds = self._eval_seconds = 0.0
        self._train_step = None

    def run(
        self, state: PretrainingState, preemption: PreemptionHandler
    ) -> dict[str, float]:
        """Trains from `state` on until the budget is spent.

        Returns:
            What metrics.json says of the training.

        Raises:
            InputError: the loss became NaN.
            InterruptedTrainingError: SIGTERM came; the state is saved.
        """
        clock = Clock(self._clock_path, state.seconds)
        eval_steps = self.eval_steps or self.batches.steps
        # A kill may come between the checkpoint of a step and its evaluation.
        is_due = state.step % eval_steps == 0
        if not state.history or (
            is_due and state.history[-1]["step"] < state.step
        ):
            self._evaluate(state, clock)
        last_rate, begun = None, (state.step, state.tokens, time.monotonic())
        logged = begun
        for batch in self._batches(state.step):
            # As it will be at the end of the step: a time budget is not
            # overrun, and the last step has a rate of about 0.
            rate = self._set_learning_rate(
                self.budget.progress(
                    state.step, clock.seconds() + self._step_seconds
                )
            )
            if rate is None:
                break
            last_rate = rate
            results = self._timed_step(batch)
            training_warnings.check_finite(
                results[0],
                where=f"in step {state.step + 1}",
                learning_rate=rate,
                mixed_precision=self.pretrainer.model.compute_dtype
                != "float32",
            )
            state.step += 1
            state.tokens += results[Results._fields.index("tokens")]
            state.sums = [
                a + b for a, b in zip(state.sums, results, strict=True)
            ]
            state.summed_steps += 1
            state.seconds = clock.seconds()
            if state.step == begun[0] + 1:
                # The first step holds the tracing and compiling.
                logged = (state.step, state.tokens, time.monotonic())
            elif state.step % self.log_steps == 0:
                logged = self._log(state, results, logged)
            if strategy_lib.any_worker(self.strategy, preemption.requested):
                self.checkpoints.save(state)
                self.checkpoints.finish()
                preemption.stop()
            if self.checkpoints.is_due():
                self.checkpoints.save(state)
            if state.step % eval_steps == 0 and self._fits(clock):
                self._evaluate(state, clock)
                logged = (state.step, state.tokens, time.monotonic())
        self._set_learning_rate(1.0)
        # The budget is for training; what comes now is measured apart.
        spent = state.seconds = clock.seconds()
        if state.history[-1]["step"] != state.step:
            self._evaluate(state, clock)
        self.checkpoints.save(state)
        self.checkpoints.finish()
        return {
            "train_runtime": spent,
            "train_steps": state.step,
            "train_epochs": state.step / self.batches.steps,
            "train_tokens": state.tokens,
            "train_tokens_per_second": state.tokens / spent if spent else 0.0,
            "last_learning_rate": last_rate,
            "final_learning_rate": self._rate,
        }

    def delete_state(self) -> None:
        """Deletes what only an unfinished training needs."""
        self.checkpoints.delete()
        if self._clock_path and os.path.exists(self._clock_path):
            os.remove(self._clock_path)

    def _batches(self, step: int):
        """Yields the batches from a step on, epoch after epoch."""
        while True:
            epoch, first_step = divmod(step, self.batches.steps)
            dataset = self.batches.dataset(epoch, first_step=first_step)
            for batch in self.strategy.experimental_distribute_dataset(dataset):
                yield batch
                step += 1

    def _timed_step(self, batch) -> list[float]:
        is_first = self._train_step is None
        start = time.monotonic()
        results = [float(value) for value in self._step(batch)]
        # The first step holds the tracing and compiling.
        self._step_seconds = 0.0 if is_first else time.monotonic() - start
        return results

    def _fits(self, clock: Clock) -> bool:
        """Whether there is time for an evaluation as long as the last."""
        left = 1.0 - self.budget.progress(0, clock.seconds())
        return (
            self.budget.seconds is None
            or self._eval_seconds < left * self.budget.seconds
        )

    def _step(self, batch):
        if self._train_step is None:
            weights = self.pretrainer.weights
            backbone = self.pretrainer.backbone
            self._train_step = train_step.build_step(
                lambda batch, keys: pretrainer_lib.pretraining_results(
                    weights(),
                    batch,
                    num_heads=backbone.num_heads,
                    drop=Dropout(backbone.dropout, keys),
                ),
                results=len(Results._fields),
                strategy=self.strategy,
                variables=self.pretrainer.model.trainable_variables,
                optimizer=self.optimizer,
                element_spec=self._element_spec(),
                seed=self.seed,
                accumulate_steps=self.accumulate_steps,
                jit_compile=self.jit_compile,
            )
        return self._train_step(batch)

    def _element_spec(self):
        return self.strategy.experimental_distribute_dataset(
            self.batches.dataset(0)
        ).element_spec

    def _set_learning_rate(self, progress: float) -> float | None:
        """Sets the rate of a step; returns None where the budget is spent."""
        rate = self.learning_rate * float(
            schedules.factor(
                self.learning_rate_schedule,
                progress,
                total=1.0,
                warmup=self.warmup_proportion,
            )
        )
        self.optimizer.learning_rate = self._rate = rate
        return None if progress >= 1.0 else rate

    def _evaluate(self, state: PretrainingState, clock: Clock) -> None:
        """Ends a stretch of steps with a row of history.csv."""
        row = {
            "step": state.step,
            "epoch": state.step / self.batches.steps,
            "train_tokens": state.tokens,
            "learning_rate": self._rate,
        }
        steps = state.summed_steps
        means = Results(*(steps and value / steps for value in state.sums))
        row["loss"] = means.loss if steps else None
        row["mlm_loss"] = means.masked_loss if steps else None
        row["mlm_accuracy"] = means.masked_accuracy if steps else None
        if self.batches.has_pairs:
            row["nsp_loss"] = means.next_loss if steps else None
            row["nsp_accuracy"] = means.next_accuracy if steps else None
        start = time.monotonic()
        row.update(self.evaluator())
        self._eval_seconds = time.monotonic() - start
        row["train_runtime"] = clock.seconds()
        state.sums = [0.0] * len(state.sums)
        state.summed_steps = 0
        state.history.append(row)
        if self.is_chief:
            self.metric_writer.write(state.history)

    def _log(self, state, results: list[float], logged: tuple) -> tuple:
        step, tokens, then = logged
        now = time.monotonic()
        if self.budget.seconds is not None:
            left = self.budget.seconds - state.seconds
        else:
            left = (self.budget.steps - state.step) * (now - then)
            left /= state.step - step
        if self.is_chief:
            self.metric_writer.tell(
                epoch=state.step // self.batches.steps + 1,
                step=state.step,
                loss=results[0],
                tokens_per_second=(state.tokens - tokens) / (now - then),
                seconds_left=max(left, 0.0),
            )
        return state.step, state.tokens, now
