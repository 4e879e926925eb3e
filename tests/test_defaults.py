"""The defaults of the methods are those of their papers and of the code these were run with."""

from distilro.recipe_settings import AdversarySettings
from distilro.student_settings import EncoderDistillationSettings
from tests.support import build_settings, read_params


def test_single_and_joint_trainings_are_bams():
    """Clark et al. 2019, the settings of its code."""
    training = build_settings("study").training
    task, joint = training.task, training.joint
    assert (task.learning_rate, task.batch_examples, task.epochs) == (5e-5, 32, 3)
    assert (joint.learning_rate, joint.batch_examples, joint.epochs) == (1e-4, 128, 6)
    assert (training.warmup_share, training.weight_decay) == (0.1, 0.01)
    assert (training.layer_decay, training.clip_norm) == (0.9, 1.0)


def test_the_declared_recipes_have_the_papers_weights():
    recipes = build_settings("study").recipes
    assert (recipes["distilled"].anneal, recipes["annealed"].anneal) == (0.5, "linear")
    assert recipes["annealed"].temperature == 1.0
    assert recipes["multi"].sampling == "annealed"  # Stickland and Murray 2019
    compact = recipes["compact"]
    assert compact.temperature == 2.0
    assert (compact.alignment.soft, compact.alignment.masked, compact.alignment.cosine) == (5, 2, 1)


def test_the_critic_is_adans():
    """Chen et al. 2018, the options of its code; batches are smaller here."""
    settings = AdversarySettings()
    assert (settings.steps, settings.many_steps, settings.many_first) == (5, 10, 26)
    assert settings.many_every == 500
    assert (settings.clip, settings.weight, settings.learning_rate) == (0.01, 0.01, 5e-4)
    declared = read_params("study")["recipes"]["adversarial"]["adversary"]
    assert {name: getattr(settings, name) for name in declared} == declared


def test_an_encoder_is_distilled_as_distilbert_was():
    """Sanh et al. 2019, and the code it was trained with."""
    settings = EncoderDistillationSettings()
    assert (settings.temperature, settings.ce, settings.masked, settings.cosine) == (2, 5, 2, 1)
    assert (settings.learning_rate, settings.epochs) == (5e-4, 3)
    assert (settings.warmup_share, settings.clip_norm) == (0.05, 5)
