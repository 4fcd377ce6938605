"""Whether a checkpoint goes with the settings, before its weights are read."""

from bert_tf.config.training import TrainConfig
from bert_tf.models import adaptation
from bert_tf.models.presets import Preset
from bert_tf.tasks import known
from bert_tf.text import tokenizers


def check_preset(config: TrainConfig, preset: Preset) -> None:
    """Raises InputError unless a preset can be trained as is asked for."""
    preset.check_length(config.max_seq_length, preset.max_positions)
    adaptation.check_layers(
        preset.backbone_class,
        config.trainable_layers,
        config.layerwise_learning_rate_decay,
    )
    if known.task_class(config.task).with_places:
        tokenizers.check_places(
            preset.vocabulary, preset=config.preset, task=config.task
        )
