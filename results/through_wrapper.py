"""PPO on MiniGrid with the whole view, with glimpses, and with a random gaze: `results/minigrid.md`

    pip install "saccade[minigrid,report]"
    python results/through_wrapper.py --seeds 3

A run a view and seed, one after the other, each kept as soon as it ends (`--folder`), so that the
script goes on where it was stopped. `GlimpseObservation` gives the glimpses.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import gymnasium as gym
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import minigrid  # noqa: F401  (registers its ids)
import numpy as np
import torch
from minigrid.wrappers import RGBImgObsWrapper
from pages import fill, table
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor

from saccade.agents.pictures import save_gif
from saccade.agents.stats import student_t
from saccade.envs import GlimpseObservation, GlimpseSensor
from saccade.envs.files import replace_file, write_text

RESULTS = Path(__file__).resolve().parent
ID = "MiniGrid-LavaGapS6-v0"
VIEWS = {
    "full": "the whole frame, 48x48",
    "glimpses": "glimpses of 16x16, gaze learned",
    "random": "glimpses of 16x16, gaze at random",
}
LANES = 16


class RandomGaze(gym.ActionWrapper):
    """Replaces the fixation of every action by a random cell."""

    def action(self, action: Any) -> Any:
        rows, columns = self.action_space.nvec[-2:]
        cell = self.unwrapped.np_random.integers(0, (rows, columns))
        return np.concatenate([action[:-2], cell])


class FullView(gym.ObservationWrapper):
    """The frame alone, out of MiniGrid's dictionary."""

    def __init__(self, env: gym.Env) -> None:
        super().__init__(env)
        self.observation_space = env.observation_space["image"]  # type: ignore[index]

    def observation(self, observation: Any) -> Any:
        return observation["image"]


def make(view: str) -> gym.Env:
    """The task as one of VIEWS shows it: turn left, turn right, or go forward."""
    env = RGBImgObsWrapper(gym.make(ID, render_mode="rgb_array"), tile_size=8)
    env.action_space = gym.spaces.Discrete(3)  # nothing lies about to be picked up or opened
    if view == "full":
        return FullView(env)
    # A ninth of the frame: two tiles of six each way. Nothing is remembered.
    env = GlimpseObservation(env, GlimpseSensor(16, 1), key="image", grid=(6, 6))
    return RandomGaze(env) if view == "random" else env


class Curve(BaseCallback):
    """Notes the share of the last 100 episodes that reached the goal, after every rollout."""

    def __init__(self) -> None:
        super().__init__()
        self.points: list[tuple[int, float]] = []

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        ends = [info["r"] > 0 for info in self.model.ep_info_buffer]
        if ends:
            self.points.append((self.num_timesteps, float(np.mean(ends))))


def film(model: PPO, file: Path) -> None:
    """Episodes of the learned gaze, new ones, as a moving picture of what the agent sees."""
    env, frames = make("glimpses"), []
    for seed in range(20_000, 20_004):
        observation, _ = env.reset(seed=seed)
        ended = False
        while not ended:
            frames.append(env.render())
            action, _ = model.predict(observation)
            observation, _, terminated, truncated, _ = env.step(action)
            ended = terminated or truncated
        frames += [env.render()] * 4
    save_gif(file, frames[:90], fps=4, colours=40)


def train(view: str, seed: int, steps: int, file: Path) -> dict[str, Any]:
    """Train, then play 200 new episodes with actions drawn from the policy."""
    torch.set_num_threads(1)
    env = VecMonitor(DummyVecEnv([lambda: make(view)] * LANES))
    env.seed(seed)
    curve, started = Curve(), time.process_time()
    model = PPO(
        "CnnPolicy" if view == "full" else "MultiInputPolicy",
        env,
        n_steps=128,
        batch_size=256,
        n_epochs=4,
        learning_rate=5e-4,
        ent_coef=0.01,
        seed=seed,
    )
    model.learn(steps, callback=curve)
    seconds = time.process_time() - started
    if view == "glimpses" and seed == 0:
        film(model, file)
    test = VecMonitor(DummyVecEnv([lambda: make(view)] * LANES))
    test.seed(10_000 + seed)
    observation, ends = test.reset(), []
    while len(ends) < 200:
        action, _ = model.predict(observation)
        observation, _, _, infos = test.step(action)
        ends += [info["episode"] for info in infos if "episode" in info]
    return {
        "success": float(np.mean([end["r"] > 0 for end in ends[:200]])),
        "return": float(np.mean([end["r"] for end in ends[:200]])),
        "length": float(np.mean([end["l"] for end in ends[:200]])),
        "cpu_seconds": seconds,
        "curve": curve.points,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=400_000)
    parser.add_argument("--folder", type=Path, default=RESULTS / "minigrid")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    found: dict[str, list[dict[str, Any]]] = {view: [] for view in VIEWS}
    for seed in range(options.seeds):
        for view in VIEWS:
            file = options.folder / f"{view}-{seed}.json"
            if not file.exists():
                told = train(view, seed, options.steps, RESULTS / "minigrid.gif")
                write_text(file, json.dumps(told))
                print(view, seed, {k: v for k, v in told.items() if k != "curve"}, flush=True)
            found[view].append(json.loads(file.read_text(encoding="utf-8")))
    lines = []
    for view, name in VIEWS.items():
        cells = []
        for key, factor in (("success", 100.0), ("return", 1.0), ("length", 1.0)):
            interval = student_t([run[key] for run in found[view]]).scaled(factor)
            form = ".1f" if factor > 1 or key == "length" else ".3f"
            high = min(interval.high, 100) if factor > 1 else interval.high  # t knows no bounds
            ends = f"{interval.low:{form}} to {high:{form}}"
            cells.append(f"{interval.estimate:{form}} ({ends})")
        minutes = np.mean([run["cpu_seconds"] for run in found[view]]) / 60
        lines.append([name, *cells, f"{minutes:.1f}"])
    head = ["what PPO sees", "goal reached, %", "return", "steps", "CPU min"]
    fill(RESULTS / "minigrid.md", {"minigrid": table(head, lines)})
    figure, axis = plt.subplots(figsize=(5.6, 3.6), layout="constrained")
    for place, (view, name) in enumerate(VIEWS.items()):
        for run in found[view]:
            x, y = np.array(run["curve"]).T
            label = name if run is found[view][0] else None
            axis.plot(x / 1000, 100 * y, color=f"C{place}", lw=1.2, alpha=0.8, label=label)
    axis.set(xlabel="steps, thousands", ylabel="goal reached, % of 100 episodes", ylim=(0, 102))
    axis.grid(alpha=0.3)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(frameon=False, loc="lower right")
    replace_file(RESULTS / "minigrid.png", lambda file: figure.savefig(file, format="png", dpi=130))


if __name__ == "__main__":
    main()
