"""The table: right figures for policies whose figures are known, and what it says in words."""

import json

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode

import saccade  # noqa: F401  registers the environments
from saccade.agents import stats
from saccade.agents.cli import main
from saccade.agents.errors import UserError
from saccade.agents.evaluate import Evaluation, evaluate, evaluate_run
from saccade.agents.row import SCANPATH_MEASURES, Row
from saccade.agents.runs import RunFolder

PLACEMENTS = 2


def make(split):
    return gymnasium.make_vec(
        "saccade/TranslatedDigits-v0",
        num_envs=64,
        split=split,
        action="dict",
        canvas=64,
        size=8,
        scales=1,
        glimpses=4,
        placements=PLACEMENTS,
        reveal=("box",),
        autoreset_mode=AutoresetMode.DISABLED,
    )


class Oracle:
    """Looks at the target's box; says 1 where it saw anything bright on the way, else 0."""

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        box = observation["box"]
        center = (box[:, :2] + box[:, 2:]) / 2
        bright = observation["glimpse"].max(axis=(1, 2, 3)) > 0.5
        state = bright if state is None else (state & ~np.asarray(episode_start)) | bright
        fixation = np.clip(center / 63 * 2 - 1, -1, 1).astype(np.float32)
        return {"fixation": fixation, "answer": state.astype(np.int64)}, state


@pytest.fixture(scope="module")
def rows():
    return evaluate(Oracle(), make, "validation", placements=PLACEMENTS)


def test_the_learned_policy_stands_beside_its_controls(rows):
    assert [row.name for row in rows] == ["learned", "random", "centre", "fixed path"]
    assert rows[0].behind is None and all(row.behind for row in rows[1:])


def test_differences_are_those_of_the_errors(rows):
    for row in rows[1:]:
        assert row.behind.estimate == pytest.approx(row.error.estimate - rows[0].error.estimate)
        assert row.behind.low <= row.behind.estimate <= row.behind.high
        assert row.reward.estimate == pytest.approx(1 - row.error.estimate)


def test_what_was_read_is_counted(rows):
    assert all(row.glimpses == 4 and row.sensor_values == 4 * 8 * 8 for row in rows)
    assert rows[2].scanpath["distinct_pixels"] == 64  # the centre alone, one patch


def test_scanpaths_differ_as_their_gazes_do(rows):
    learned, random, centre, fixed = (row.scanpath for row in rows)
    assert learned["on_target"] > random["on_target"]
    assert centre["entropy"] == fixed["entropy"] == 0
    assert centre["amplitude"] == 0 and centre["revisits"] == 1
    assert random["entropy"] > 4


def test_the_fixed_path_is_the_mean_over_validation(monkeypatch):
    from saccade.agents import evaluate as module

    asked = []
    plain = module.rollout

    def spy(policy, env, *rest):
        asked.append((env.unwrapped.split, getattr(policy, "paths", None)))
        return plain(policy, env, *rest)

    monkeypatch.setattr(module, "rollout", spy)
    evaluate(Oracle(), make, "test", placements=PLACEMENTS)
    validation = plain(Oracle(), make("validation")).fixations
    np.testing.assert_allclose(asked[-1][1], validation.mean(axis=0), atol=1e-6)
    assert [split for split, _ in asked] == ["test", "validation", "test", "test", "test"]


def test_the_order_of_lanes_changes_nothing(rows):
    def narrow(split):
        env = make(split)
        keywords = dict(env.spec.kwargs)
        env.close()
        return gymnasium.make_vec(
            "saccade/TranslatedDigits-v0",
            num_envs=7,
            **{k: v for k, v in keywords.items() if k not in ("num_envs", "autoreset_mode")},
            autoreset_mode=AutoresetMode.DISABLED,
        )

    assert evaluate(Oracle(), narrow, "validation", placements=PLACEMENTS) == rows


def words(low, high):
    interval = stats.Interval((low + high) / 2, low, high)
    learned = Row("learned", interval, interval, 4, 256, {})
    control = Row("fixed path", interval, interval, 4, 256, {}, behind=interval)
    found = Evaluation("saccade/Digits-v0", "test", 10, 10, "best", (learned, control))
    (sentence,) = found.sentences()
    return sentence


def test_the_table_says_where_a_control_does_as_well():
    assert words(0.01, 0.03).startswith("The learned gaze is ahead of the fixed path by 2.00")
    assert "The fixed path is not told apart from the learned gaze here" in words(-0.01, 0.03)
    assert "The fixed path is not told apart from the learned gaze here" in words(0.0, 0.0)
    assert "The fixed path does better than the learned gaze here" in words(-0.03, -0.01)


def test_a_run_is_evaluated_on_validation_unless_told_otherwise(run, capsys):
    assert main(["evaluate", str(run)]) == 0
    out = capsys.readouterr().out
    assert (run / "evaluation-validation.md").read_text() in out
    stored = json.loads((run / "metrics.json").read_text())["evaluations"]
    assert list(stored) == ["validation"]
    entry = stored["validation"]
    assert (entry["scenes"], entry["images"], entry["placements"]) == (360, 180, 2)
    assert entry["checkpoint"] == "best" and len(entry["rows"]) == 4
    learned = entry["rows"][0]
    best = json.loads((run / "metrics.json").read_text())["best"]
    assert learned["error"][0] == pytest.approx(best["error"])
    assert entry["timesteps"] == best["timesteps"]


def test_the_test_split_is_stored_beside_validation(run):
    folder = RunFolder.open(run)
    evaluate_run(folder, "validation", placements=1)
    found = evaluate_run(folder, "test", placements=1, checkpoint="last")
    stored = folder.metrics()["evaluations"]
    assert set(stored) == {"validation", "test"}
    assert stored["test"]["checkpoint"] == "last"
    assert found.scenes == found.images == stored["test"]["scenes"]
    assert evaluate_run(folder, "test", placements=1, checkpoint="last").rows == found.rows


def test_train_is_no_split_to_evaluate(run):
    with pytest.raises(UserError, match="validation, test"):
        evaluate_run(RunFolder.open(run), "train")


def test_a_damaged_checkpoint_is_one_line_and_changes_nothing(run, capsys):
    checkpoint = run / "checkpoints" / "best.pt"
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    before = (run / "metrics.json").read_bytes()
    assert main(["evaluate", str(run)]) == 2
    err = capsys.readouterr().err
    assert "best.pt" in err and err.count("\n") == 1
    assert (run / "metrics.json").read_bytes() == before
    assert not (run / "evaluation-validation.md").exists()


@pytest.mark.parametrize("missing", ["config.yaml", "checkpoints"])
def test_a_run_with_a_file_missing_is_refused(run, capsys, missing):
    import shutil

    path = run / missing
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert main(["evaluate", str(run)]) == 2
    err = capsys.readouterr().err
    assert missing in err and err.count("\n") == 1


# ------------------------------------------------------------------ other tasks


class Points(Oracle):
    """Looks at the target's box at every step, in any task; acts at random, where it may."""

    def __init__(self, answers, side):
        self.answers, self.side = answers, side

    def predict(self, observation, state=None, episode_start=None, deterministic=False):
        box = observation["box"]
        center = (box[:, :2] + box[:, 2:]) / 2 - 0.5
        fixation = np.clip(center / (self.side - 1) * 2 - 1, -1, 1).astype(np.float32)
        action = {"fixation": fixation}
        if self.answers:
            action["answer"] = box.sum(axis=1).astype(np.int64) % self.answers
        return action, None


def rows_of(env_id, **keywords):
    def task(split):
        return gymnasium.make_vec(
            env_id, num_envs=60, split=split, action="dict", reveal=("box",),
            autoreset_mode="Disabled", **keywords,
        )  # fmt: skip

    core = task("validation").unwrapped
    return evaluate(Points(core.answers, core.image_shape[1]), task, "validation")


def test_controls_do_not_take_the_answer_where_it_is_an_aim():
    rows = rows_of("saccade/LocateDigits-v0", glimpses=3, canvas=40)
    for row in rows:
        assert row.error.estimate == 0
        assert set(row.reports) == {"distance", "overlap"}
        assert row.reports["distance"].estimate == pytest.approx(0, abs=1e-4)
        assert row.reports["overlap"].estimate == pytest.approx(1, abs=1e-4)
    assert rows[0].scanpath["on_target"] > rows[1].scanpath["on_target"]


def test_a_target_that_moves_is_looked_at_where_it_is():
    learned, random, centre, _ = rows_of("saccade/TrackDigits-v0", glimpses=6, canvas=60)
    # The eye comes one frame late, which is less than half of a digit.
    assert learned.reports["share"].estimate == pytest.approx(1) and learned.error.estimate == 0
    assert learned.scanpath["on_target"] > 0.8 > random.reports["share"].estimate
    assert learned.attention["energy"] > random.attention["energy"]
    assert centre.behind.low > 0


def test_acts_are_played_on_under_every_control():
    rows = rows_of("saccade/Catch-v0")
    assert [row.name for row in rows] == ["learned", "random", "centre", "fixed path"]
    assert all(not row.reports and row.glimpses == 23 for row in rows)


def test_the_page_says_what_success_is_and_what_the_task_reports():
    interval = stats.Interval(0.2, 0.1, 0.3)
    told = {"distance": stats.Interval(2.5, 2.25, 2.75), "mine": interval}
    path = dict.fromkeys(SCANPATH_MEASURES, 1.0)
    row = Row("learned", interval, interval, 4, 256, path, reports=told)
    found = Evaluation("saccade/LocateDigits-v0", "test", 10, 10, "best", (row,), goal="an aim")
    page = found.markdown()
    assert "Success: an aim." in page
    assert "2.50 (2.25 to 2.75)" in page and "*distance*: pixels" in page and " mine |" in page


def test_rows_that_were_stored_before_tasks_reported_are_read():
    interval = stats.Interval(0.2, 0.1, 0.3)
    told = {"share": stats.Interval(0.5, float("nan"), 0.75)}
    path = dict.fromkeys(SCANPATH_MEASURES, 1.0)
    row = Row("learned", interval, interval, 4.0, 256.0, path, reports=told)
    stored = json.loads(json.dumps(row.as_dict(), allow_nan=False))
    assert Row.from_dict(stored).reports["share"][::2] == (0.5, 0.75)
    del stored["reports"]
    assert Row.from_dict(stored).reports == {}
    assert Row.from_dict(stored).error == row.error
