"""Each kind of agent is drawn in its own way, alike in training, by `watch` and in the report."""

import base64
import io
import re
import shutil

import gymnasium
import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from saccade.agents.cli import main
from saccade.agents.curves import Curves  # noqa: F401  (imported once, not in every case)
from saccade.agents.drawing import draw, look, together
from saccade.agents.soft.base import SoftNetwork
from saccade.agents.soft.classifier import classifier_of
from saccade.agents.soft.maps import outlines
from saccade.agents.soft.stn import STN
from saccade.envs.render import SCALE_COLOURS, WRONG
from saccade.envs.sensors import GlimpseSensor

YELLOW = SCALE_COLOURS[0]


def make(split="validation", num_envs=3):
    return gymnasium.make_vec(
        "saccade/TranslatedDigits-v0",
        num_envs=num_envs,
        split=split,
        canvas=36,
        action="dict",
        glimpses=1,
        reveal=("image",),
        autoreset_mode="Disabled",
    )


class Plain(SoftNetwork):
    def __init__(self, image_shape, classes):
        super().__init__()
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(image_shape)), classes))

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(images)


class Masked(Plain):
    def attention(self, images: Tensor) -> dict[str, Tensor]:
        return {"mean": images.mean(1), **{f"step {n}": images[:, 0] ** n for n in range(1, 9)}}


class Gated(Plain):
    """Gates that differ with the scene, and a convolution to explain."""

    def __init__(self, image_shape, classes):
        super().__init__(image_shape, classes)
        self.features = nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        return self.layers(self.features(images))

    def gates(self, images: Tensor) -> dict[str, Tensor]:
        return {"stage 1": images.mean((1, 2, 3))[:, None].expand(-1, 4)}


class Framed(Plain):
    def cut(self, images: Tensor) -> Tensor:
        return images[:, :, 10:20, 10:30]

    def corners(self, images: Tensor) -> Tensor:
        square = torch.tensor([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
        return square.expand(len(images), -1, -1)


class Looking(Plain):
    sensor = GlimpseSensor(8, 2)

    def fixations(self, images: Tensor) -> Tensor:
        return torch.zeros(len(images), 4, 2)


def has(picture, colour):
    return (np.asarray(picture) == colour).all(axis=2).any()


def drawn(kind, scenes=(0, 5, 9)):
    env = make()
    with torch.random.fork_rng():
        return draw(classifier_of(kind)(env), env, list(scenes))


def test_what_is_drawn_follows_from_what_a_network_has():
    found = {kind: drawn(kind) for kind in (Plain, Masked, Gated, Framed, Looking)}
    names = {kind: drawing.name for kind, drawing in found.items()}
    assert names.pop(Looking) == "paths" and set(names.values()) == {"attention"}
    assert found[Looking].film is not None and len(found[Looking].film()) == 3 * (4 + 4)
    assert all(found[kind].film is None for kind in names)
    assert has(found[Framed].picture, YELLOW) and has(found[Looking].picture, YELLOW)
    assert not has(found[Plain].picture, YELLOW)
    assert has(found[Gated].picture, SCALE_COLOURS[1]) and "180 images" in found[Gated].caption
    assert "Grad-CAM" in found[Gated].caption and "Grad-CAM" not in found[Masked].caption
    assert len({drawing.caption for drawing in found.values()}) == len(found)
    for drawing in found.values():
        assert drawing.picture.dtype == np.uint8 and has(drawing.picture, WRONG)


def test_at_most_six_of_many_maps_are_shown():
    seen = look(classifier_of(Masked)(make()), make(), [0, 1, 2])
    assert len(seen.maps) == 9
    widths = drawn(Masked).picture.shape[1] / drawn(Plain, scenes=[0]).picture.shape[1]
    assert 3 < widths < 6  # seven panels and an answer, where there is one and an answer


def test_what_is_seen_is_of_the_scenes_asked_for_whatever_the_lanes():
    for scenes in ([7], [4, 2, 4], [3, 1, 4, 1, 5, 9, 2, 6]):
        env = make()
        seen = look(classifier_of(Masked)(env), env, scenes)
        wide = make(num_envs=180)
        images = wide.reset(options={"index": np.arange(180)})[0]["image"][scenes]
        np.testing.assert_allclose(seen.maps["mean"], images[:, 0], atol=1e-6)
        np.testing.assert_array_equal(
            seen.images[..., 0], np.rint(images[:, 0] * 255).astype(np.uint8)
        )
        assert len(seen.verdicts) == len(scenes)


def test_several_agents_share_a_frame_so_that_scenes_line_up():
    env = make()
    looks = {
        kind.__name__: look(classifier_of(kind)(env), env, [0, 5, 9])
        for kind in (Plain, Framed, Looking, Gated)
    }
    page = together(looks)
    columns = np.array_split(page[:, 12:], 4, axis=1)
    assert [has(column, YELLOW) for column in columns] == [False, True, True, False]


def test_the_line_around_a_spline_is_its_grids_border():
    images = torch.rand(2, 1, 36, 36)
    for kind, points in (("zoom", 4), ("affine", 4), ("tps", 2 * (12 + 10) - 4)):
        network = STN(
            (1, 36, 36), 10, kind=kind, output=(12, 10), oversample=1, initial_zoom=0.6
        ).eval()
        with torch.no_grad():
            around = outlines(network, images)
            assert around.shape == (2, points, 2)
            corners = network.corners(images)
        gaps = (corners[:, :, None] - around[:, None]).norm(dim=-1).amin(2)
        assert gaps.max() < 1e-5
        x, y = around.double().unbind(-1)
        twice = (x * y.roll(-1, 1) - x.roll(-1, 1) * y).sum(1)
        torch.testing.assert_close(twice / 2, torch.full((2,), 1.2**2).double())  # once around


TINY = {
    "env": {"id": "saccade/TranslatedDigits-v0", "canvas": 36},
    "train": {
        "total_timesteps": 64,
        "eval_freq": 64,
        "eval_placements": 1,
        "picture_images": 3,
        "threads": 1,
    },
}


@pytest.fixture(scope="module")
def soft_runs(tmp_path_factory):
    """Run folders of three classifiers after one update, by name; not to be changed."""
    import yaml

    root = tmp_path_factory.mktemp("soft")
    found = {}
    for name in ("stn", "cnn", "soft_ram"):
        config = root / f"{name}.yaml"
        agent = {"name": name, "num_envs": 64}
        config.write_text(yaml.safe_dump({**TINY, "name": name, "agent": agent}))
        assert main(["train", str(config), "--runs", str(root / "runs")]) == 0
        (found[name],) = (root / "runs").glob(f"{name}-0-*")
    return found


KINDS = {"stn": "attention", "cnn": "attention", "soft_ram": "paths"}


@pytest.mark.parametrize(("agent", "kind"), KINDS.items())
def test_training_leaves_a_picture_and_its_curve(soft_runs, agent, kind):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run = soft_runs[agent]
    assert [file.name for file in (run / "pictures").iterdir()] == [f"{kind}.png"]
    events = EventAccumulator(str(run)).Reload()
    assert events.Tags()["images"] == [f"eval/{kind}"]
    with Image.open(run / "pictures" / f"{kind}.png") as picture:
        assert has(picture.convert("RGB"), YELLOW) == (agent != "cnn")


@pytest.mark.parametrize(("agent", "kind"), KINDS.items())
def test_watch_makes_a_film_where_there_is_a_path(soft_runs, agent, kind, tmp_path, capsys):
    run = shutil.copytree(soft_runs[agent], tmp_path / "run")
    assert main(["watch", str(run), "--images", "2", "9"]) == 0
    ends = ("png", "gif") if kind == "paths" else ("png",)
    stem = run / "pictures" / f"{kind}-validation-2-9"
    assert capsys.readouterr().out.split() == [f"{stem}.{end}" for end in ends]


def test_watch_puts_several_runs_side_by_side(soft_runs, run, tmp_path, capsys):
    runs = [shutil.copytree(soft_runs[name], tmp_path / name) for name in ("stn", "cnn")]
    assert main(["watch", *map(str, [*runs, run]), "--images", "0", "3", "5"]) == 0
    file = tmp_path / "attention-validation-0-3-5.png"
    assert capsys.readouterr().out == f"{file}\n"
    with Image.open(file) as picture:
        stn, cnn, ram = np.array_split(np.asarray(picture.convert("RGB"))[:, 12:], 3, axis=1)
    assert has(stn, YELLOW) and not has(cnn, YELLOW) and has(ram, YELLOW)
    output = tmp_path / "out"
    command = ["watch", *map(str, runs), "--split", "test", "--output", str(output)]
    assert main(command) == 0
    assert [made.name for made in output.iterdir()] == ["attention-test.png"]


def test_runs_that_see_other_scenes_are_not_put_side_by_side(soft_runs, tmp_path, capsys):
    import yaml

    run = shutil.copytree(soft_runs["cnn"], tmp_path / "other")
    config = yaml.safe_load((run / "config.yaml").read_text())
    config["env"]["id"] = "saccade/ClutteredDigits-v0"
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    assert main(["watch", str(soft_runs["stn"]), str(run), "--output", str(tmp_path / "o")]) == 2
    err = capsys.readouterr().err
    assert "shows other scenes than" in err and err.count("\n") == 1
    assert not (tmp_path / "o").exists()


def test_the_comparison_and_the_report_show_classifiers_beside_ram(
    soft_runs, run, tmp_path, capsys
):
    pytest.importorskip("matplotlib")
    runs = [shutil.copytree(soft_runs[name], tmp_path / name) for name in soft_runs]
    assert main(["report", *map(str, [*runs, run]), "--output", str(tmp_path / "r.html")]) == 0
    page = (tmp_path / "r.html").read_text(encoding="utf-8")
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", page, re.DOTALL)
    looks = [caption for caption in captions if "on the first scenes" in caption]
    assert len(looks) == 4
    assert "the frame that the network found" in looks[0] and "Grad-CAM" in looks[1]
    assert all("numbered from the first glimpse" in caption for caption in looks[2:])
    for label in ("stn", "cnn", "soft_ram", "ram"):
        (source,) = re.findall(rf'src="([^"]*)" alt="Where {label} looks"', page)
        with Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))) as picture:
            assert min(picture.size) > 100
    rows = re.findall(r"<tr><td>(.*?)</td>.*?</tr>", page.partition("Where attention lands")[2])
    assert rows[:6] == ["stn †", "cnn †", "soft_ram †", "ram", "centre prior", "uniform prior"]
