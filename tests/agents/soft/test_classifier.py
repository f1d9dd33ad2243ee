"""The trainer of classifiers: it learns, resumes exactly, and refuses what does not fit."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from saccade.agents.evaluate import WHOLE, evaluate
from saccade.agents.soft.base import SoftNetwork
from saccade.agents.soft.classifier import classifier_of
from saccade.agents.soft.sight import Sight
from saccade.ram.callbacks import Callback, Checkpoint
from saccade.ram.checkpoint import CheckpointError


class Small(SoftNetwork):
    """Two layers with dropout between them: something to draw from the generator."""

    def __init__(self, image_shape, classes, *, width: int = 64, dropout: float = 0.2) -> None:
        super().__init__()
        if width < 1:
            raise ValueError(f"width={width}: take at least 1")
        values = int(np.prod(image_shape))
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(values, width),
            nn.BatchNorm1d(width),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(width, classes),
        )

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)


SmallClassifier = classifier_of(Small)


def make(split="train", num_envs=64, **keywords):
    keywords = {"action": "dict", "glimpses": 1, "reveal": ("image",), **keywords}
    return gymnasium.make_vec(
        "saccade/Digits-v0",
        num_envs=num_envs,
        split=split,
        autoreset_mode="Disabled",
        vector_kwargs=None,
        **keywords,
    )


class StopAt(Callback):
    def __init__(self, timesteps: int) -> None:
        self.timesteps = timesteps

    def on_step(self, learner, metrics) -> bool:
        return learner.num_timesteps < self.timesteps


def weights(learner) -> list[Tensor]:
    return [tensor.clone() for tensor in learner.network.state_dict().values()]


def same(one: list[Tensor], other: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


def test_it_learns_digits() -> None:
    learner = SmallClassifier(make(), seed=0)
    before = learner.validate(make("validation", 50))
    learner.learn(12_000)
    after = learner.validate(make("validation", 50))
    assert before["eval/error"] > 0.7
    assert after["eval/error"] < 0.15
    assert after["eval/cross_entropy"] < before["eval/cross_entropy"]
    assert after["eval/mean_reward"] == pytest.approx(1 - after["eval/error"])


@pytest.mark.parametrize(
    "augmentation", [{}, {"shift": 2.0, "rotate": 10.0, "zoom": 0.1, "elastic": 1.0}]
)
def test_resuming_gives_the_same_bytes(tmp_path, augmentation) -> None:
    whole = SmallClassifier(make(), seed=3, **augmentation).learn(2_560)

    file = tmp_path / "half.pt"
    half = SmallClassifier(make(), seed=3, **augmentation)
    half.learn(2_560, [StopAt(1_280), Checkpoint(file, 10**9)])
    resumed = SmallClassifier.load(file, make())
    assert resumed.num_timesteps == 1_280
    torch.rand(7)  # what the user draws meanwhile changes nothing
    resumed.learn(2_560)
    assert same(weights(whole), weights(resumed))


def test_the_seed_fixes_everything_and_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    first = SmallClassifier(make(), seed=5).learn(640)
    assert torch.equal(torch.rand(3), expected)
    assert same(weights(first), weights(SmallClassifier(make(), seed=5).learn(640)))
    assert not same(weights(first), weights(SmallClassifier(make(), seed=6).learn(640)))


def test_validation_counts_every_scene_once_whatever_the_lanes() -> None:
    learner = SmallClassifier(make(), seed=0).learn(1_280)
    found = [learner.validate(make("validation", lanes)) for lanes in (7, 180, 500)]
    for other in found[1:]:
        assert other["eval/error"] == found[0]["eval/error"]
        assert other["eval/cross_entropy"] == pytest.approx(found[0]["eval/cross_entropy"])


def test_evaluation_is_one_row_that_reads_every_pixel_and_agrees_with_validation() -> None:
    learner = SmallClassifier(make(), seed=0).learn(1_280)
    rows = evaluate(learner, lambda split: make(split, 64), "validation")
    assert [row.name for row in rows] == [WHOLE]
    error = learner.validate(make("validation"))["eval/error"]
    assert rows[0].error.estimate == pytest.approx(error)
    assert rows[0].sensor_values == rows[0].scanpath["distinct_pixels"] == 28 * 28
    assert np.isnan(rows[0].glimpses)


def test_predict_answers_one_observation_as_it_answers_many() -> None:
    env = make("validation", 8)
    observation, _ = env.reset(seed=0)
    learner = SmallClassifier(make(), seed=0).learn(1_280)
    actions, state = learner.predict(observation, deterministic=True)
    assert state is None
    assert np.array_equal(actions["fixation"], observation["fixation"])
    for lane in range(8):
        one = {name: values[lane] for name, values in observation.items()}
        action, _ = learner.predict(one, deterministic=True)
        assert action["answer"] == actions["answer"][lane]
        assert env.single_action_space.contains(
            {"fixation": action["fixation"], "answer": np.int64(action["answer"])}
        )


def test_answers_are_drawn_by_their_probability_unless_deterministic() -> None:
    env = make("validation", 1)
    observation, _ = env.reset(seed=0)
    learner = SmallClassifier(make(), seed=0)
    many = {name: np.repeat(values, 4_000, 0) for name, values in observation.items()}
    answers = learner.predict(many)[0]["answer"]
    expected = learner.scores(observation["image"]).exp()[0].numpy()
    counts = np.bincount(answers, minlength=10) / 4_000
    assert np.abs(counts - expected).max() < 0.04


def test_bfloat16_learns_too_and_predicts_in_float32() -> None:
    learner = SmallClassifier(make(), seed=0, precision="bfloat16").learn(12_000)
    assert learner.validate(make("validation"))["eval/error"] < 0.15
    assert {tensor.dtype for tensor in learner.network.parameters()} == {torch.float32}
    assert learner.scores(np.zeros((1, 1, 28, 28), np.float32)).dtype == torch.float32


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"glimpses": 6}, "set env.glimpses to 1"),
        ({"reveal": ()}, r"set env.reveal to \[image\]"),
        ({"action": "box"}, "set env.action"),
    ],
)
def test_an_environment_that_does_not_fit_is_refused(keywords, message) -> None:
    with pytest.raises(ValueError, match=message):
        SmallClassifier(make(**keywords))


def test_keywords_are_checked() -> None:
    with pytest.raises(ValueError, match=r"zoom=1\.5: take a share below 1"):
        SmallClassifier(make(), zoom=1.5)
    with pytest.raises(ValueError, match="label_smoothing=2"):
        SmallClassifier(make(), label_smoothing=2.0)
    with pytest.raises(ValueError, match="width=0"):
        SmallClassifier(make(), width=0)


def test_a_checkpoint_of_another_network_or_other_images_is_refused(tmp_path) -> None:
    class Other(Small):
        pass

    file = tmp_path / "one.pt"
    SmallClassifier(make(), seed=0).save(file)
    with pytest.raises(CheckpointError, match="holds a Small, not a Other"):
        classifier_of(Other).load(file)
    larger = make(scene="plain", canvas=32)
    with pytest.raises(CheckpointError, match="trained on"):
        SmallClassifier.load(file, larger)


def test_a_classifier_that_only_predicts_needs_no_environment() -> None:
    learner = SmallClassifier(Sight((1, 28, 28), 10), seed=0)
    with pytest.raises(RuntimeError, match="load with an environment"):
        learner.learn(10)
