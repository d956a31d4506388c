"""`python -m zth train` and `sample`, in this process and in one of their
own. Oracles: an uninterrupted run; zth.train.evaluate on the same text."""

import json
import math
import os
import random
import subprocess
import sys

import pytest
import torch

from zth import __main__, record
from zth.text import blocks, split_text
from zth.train import evaluate

SMALL = ("--steps 12 --every 4 --warmup 2 --n-layer 1 --n-head 2 --n-embd 8 "
         "--block-size 8 --batch-size 4 --device cpu")
KINDS = ["", "--dropout 0.2", "--modern --ngrams 2 3 --dropout 0.2"]


@pytest.fixture
def zth(tmp_path, monkeypatch, capsys):
    """`zth(words)` in a folder with text.txt: (status, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)
    words = random.Random(1).choices(["to", "be", "or", "not", "and\n"], k=400)
    (tmp_path / "text.txt").write_text(" ".join(words))
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    torch.set_num_threads(1)

    def call(words):
        status = 0
        arguments = words if isinstance(words, list) else words.split()
        monkeypatch.setattr(sys, "argv", ["zth", *arguments])
        try:
            __main__.main()
        except SystemExit as stop:
            status = stop.code
        return status, *capsys.readouterr()

    yield call
    torch.set_rng_state(state), torch.set_num_threads(threads)


def made(name="text.json"):
    with open(name) as file:
        return json.load(file)


def weights(name):
    return torch.load(name, weights_only=True)["parts"]["model"]


def step(name):
    return torch.load(name, weights_only=True)["step"]


# What it makes --------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_the_record_is_whole_and_its_losses_are_the_models(zth, kind):
    status, out, _ = zth(f"train text.txt {SMALL} {kind}")
    assert status == 0 and "text.best.pt holds the best" in out
    found = made()
    said = f"python -m zth train text.txt {SMALL} {kind}"
    assert found["command"] == said.strip()
    assert [row[0] for row in found["curve"]] == [4, 8, 12]
    assert found["last_val"] == found["curve"][-1][3]
    assert found["best_val"] == min(row[3] for row in found["curve"])
    seconds = [row[1] for row in found["curve"]]
    assert 0 < seconds[0] < seconds[1] < seconds[2] <= found["seconds"] + 1e-3
    assert found["hardware"]["device"] == "cpu" and found["seed"] == 1337
    assert found["commit"] == record.commit([record.PACKAGE])

    saved = torch.load("text.pt", weights_only=True)["parts"]
    model = __main__.build(saved["about"])
    model.load_state_dict(saved["model"])
    text = open("text.txt").read()
    chars = sorted(set(text))
    ids = torch.tensor([chars.index(char) for char in text])
    val = evaluate(model, *blocks(split_text(ids)[1], 8))
    assert math.isclose(val, found["last_val"], rel_tol=1e-6)
    assert found["parameters"] == sum(p.numel() for p in model.parameters())


def test_it_learns(zth):
    zth(f"train text.txt {SMALL} --steps 150 --every 50 --lr 0.02")
    curve = made()["curve"]
    assert curve[-1][3] < curve[0][3] < math.log(12) and curve[-1][2] < 1.2


@pytest.mark.parametrize("kind", KINDS)
def test_a_resumed_run_is_the_uninterrupted_one_to_the_bit(
        zth, monkeypatch, kind):
    zth(f"train text.txt {SMALL} {kind} --out whole")
    saves = []

    def stop(path, step, **parts):
        save(path, step, **parts)
        saves.append(step)
        if step == 8:
            raise KeyboardInterrupt

    from zth import train as trainer
    save = trainer.save
    monkeypatch.setattr(trainer, "save", stop)
    status, out, _ = zth(f"train text.txt {SMALL} {kind} --out parts")
    assert status == 130 and "with --resume the same command" in out
    monkeypatch.setattr(trainer, "save", save)
    status, *_ = zth(f"train text.txt {SMALL} {kind} --out parts --resume")
    assert status == 0
    whole, parts = weights("whole.pt"), weights("parts.pt")
    assert all(torch.equal(whole[name], parts[name]) for name in whole)
    losses = [[row[:1] + row[2:] for row in made(f"{name}.json")["curve"]]
              for name in ("whole", "parts")]
    assert losses[0] == losses[1] and len(losses[0]) == 3


def test_the_best_model_is_kept_when_later_ones_are_worse(zth):
    zth(f"train text.txt {SMALL} --steps 40 --every 2 --lr 1.0")
    found = made()
    assert found["best_step"] < 40 and found["best_val"] < found["last_val"]
    assert step("text.best.pt") == found["best_step"]


def test_a_stop_between_two_files_leaves_the_best_model_right(
        zth, monkeypatch):
    zth(f"train text.txt {SMALL} --out whole")
    from zth import train as trainer
    save = trainer.save

    def stop(path, step, **parts):
        save(path, step, **parts)
        if step == 12:  # the best; its other file is not written
            raise KeyboardInterrupt

    monkeypatch.setattr(trainer, "save", stop)
    assert zth(f"train text.txt {SMALL} --out parts")[0] == 130
    monkeypatch.setattr(trainer, "save", save)
    assert zth(f"train text.txt {SMALL} --out parts --resume")[0] == 0
    assert made("parts.json")["best_step"] == 12
    assert step("parts.best.pt") == step("whole.best.pt") == 12
    whole, parts = weights("whole.best.pt"), weights("parts.best.pt")
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_a_stop_before_the_first_checkpoint_promises_nothing(
        zth, tmp_path, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("zth.train.evaluate", stop)
    status, out, _ = zth(f"train text.txt {SMALL}")
    assert status == 130 and "--resume" not in out
    assert "stopped before the first checkpoint: nothing was saved" in out
    assert [path.name for path in tmp_path.iterdir()] == ["text.txt"]


def test_a_byte_order_mark_is_no_character(zth, tmp_path):
    text = (tmp_path / "text.txt").read_text()
    (tmp_path / "mark.txt").write_text(text, "utf-8-sig")
    zth(f"train text.txt {SMALL}")
    zth(f"train mark.txt {SMALL}")
    assert made("mark.json")["text_sha256"] == made()["text_sha256"]
    whole, marked = weights("text.pt"), weights("mark.pt")
    assert all(torch.equal(whole[name], marked[name]) for name in whole)


@pytest.mark.parametrize("kind", KINDS)
def test_sampling_goes_on_from_the_prompt_and_repeats(zth, kind):
    zth(f"train text.txt {SMALL} {kind}")
    _, out, _ = zth("sample text.pt --prompt to --length 20")
    assert out.startswith("to") and len(out) == 2 + 20 + 1
    assert set(out) <= set(open("text.txt").read())
    assert zth("sample text.pt --prompt to --length 20")[1] == out
    assert zth("sample text.pt --prompt to --length 20 --seed 2")[1] != out
    assert zth("sample text.best.pt --length 5")[1][0] == "\n"


# What it refuses ------------------------------------------------------------

CHANGES = {  # what makes a good checkpoint, of its parts, a bad one
    "chars": lambda parts, about: about.pop("chars"),
    "option": lambda parts, about: about["options"].pop("modern"),
    "list": lambda parts, about: parts.update(model=[1.0]),
    "kind": lambda parts, about: about["options"].update(n_layer=None),
    "wide": lambda parts, about: parts["model"].update(
        {"wte.weight": torch.zeros(12, 16)}),
    "nan": lambda parts, about: parts["model"]["wte.weight"].fill_(math.nan),
    "gpu": lambda parts, about: parts.update(
        dropout=torch.zeros(16, dtype=torch.uint8)),
}


@pytest.mark.parametrize("words, said", [
    ("train absent.txt", "No such file or directory: 'absent.txt'"),
    ("train empty.txt", "empty.txt: is empty"),
    ("train latin.txt", "latin.txt: byte 3 is not UTF-8"),
    ("train text.txt --block-size 2000",
     "block_size = 2000: must be from 1 to 143,"),  # the shorter part
    ("train text.txt --n-head 3", "n_embd = 8: must be a multiple of n_head"),
    ("train text.txt --warmup 12", "warmup = 12: must be from 0 to"),
    ("train text.txt --batch-size 0", "batch_size = 0: must be at least 1"),
    ("train text.txt --every 0", "every = 0: must be at least 1"),
    ("train text.txt --steps 0", "steps = 0: must be at least 1"),
    ("train text.txt --lr -1", "lr = -1.0: must be from 0 to 1e9"),
    ("train text.txt --lr nan", "lr = nan: must be from 0 to 1e9"),
    ("train text.txt --lr 1e30", "lr = 1e+30: must be from 0 to"),
    ("train text.txt --lr 1e9", "step 3: training loss nan, validation"),
    ("train text.txt --weight-decay -1",
     "weight_decay = -1.0: must be from 0 to 1e9"),
    ("train text.txt --seed 99999999999999999999999",
     "seed = 99999999999999999999999: must be from 0 to 2**64 - 1"),
    ("train text.txt --ngrams 2 3", "ngrams = [2, 3]: only with --modern"),
    ("train one.txt", "one.txt: 1 characters are too few: the last tenth"),
    ("train ten.txt --block-size 1", "ten.txt: 10 characters are too few"),
    ("train mark.txt", "mark.txt: 0 characters are too few"),
    ("train text.txt --out absent/x", "absent: is no folder to write in"),
    ("train text.txt --out text.txt/x", "text.txt: is no folder to write in"),
    ("train mine.json", "mine.json: is the text; --out names another"),
    ("train mine.json --resume", "mine.json: is the text; --out names"),
    ("train link.txt --out mine", "mine.json: is the text; --out names"),
    ("train kept.pt", "kept.pt: is the text; --out names another"),
    ("train text.txt --out kept", "kept.pt: exists; --resume goes on"),
    ("train text.txt --out mine", "mine.json: exists; --out names another"),
    ("train text.txt --out best", "best.best.pt: exists; --out names"),
    ("train text.txt --resume", "No such file or directory: 'text.pt'"),
    ("train text.txt --out done", "done.pt: exists; --resume goes on"),
    ("train text.txt --out done --resume --n-embd 16",
     "done.pt: was made with n_embd = 8, not 16"),
    ("train empty2.txt --out done --resume",
     "done.pt: was made from another text"),
    ("train text.txt --out junk --resume", "junk.pt: not a checkpoint"),
    ("train text.txt --out done-wide --resume",
     "done-wide.pt: its weights or generators do not fit this run on cpu"),
    ("train text.txt --out done-gpu --resume",
     "done-gpu.pt: its weights or generators do not fit this run on cpu"),
    ("sample absent.pt", "No such file or directory: 'absent.pt'"),
    ("sample junk.pt", "junk.pt: not a checkpoint of this command"),
    ("sample other.pt", "other.pt: not a checkpoint of this command"),
    ("sample bare.pt", "bare.pt: not a checkpoint of this command"),
    ("sample done-chars.pt", "done-chars.pt: not a checkpoint of this"),
    ("sample done-option.pt", "done-option.pt: not a checkpoint of this"),
    ("sample done-list.pt", "done-list.pt: not a checkpoint of this command"),
    ("sample done-wide.pt", "does not hold the model that it tells of"),
    ("sample done-kind.pt", "does not hold the model that it tells of"),
    ("sample done-nan.pt", "done-nan.pt: its logits divided by temperature = "
     "1.0 must be finite"),
    ("sample done.pt --temperature 1e-40",
     "its logits divided by temperature = 1e-40 must be finite"),
    ("sample done.pt --seed -1", "seed = -1: must be from 0 to 2**64 - 1"),
    ("sample code.pt", "code.pt: not a checkpoint of this command"),
    ("sample done.pt --prompt x", "text[0]='x': not in the vocabulary"),
    ("sample done.pt --temperature 0", "temperature = 0.0: must be above 0"),
    ("sample done.pt --length -1", "steps = -1: must be at least 0"),
    ("runs no-such-run", "no such run: no-such-run"),
])
def test_it_says_in_one_line_what_is_wrong(zth, tmp_path, words, said):
    (tmp_path / "empty.txt").touch()
    (tmp_path / "empty2.txt").write_text(" \n" * 90)
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    (tmp_path / "junk.pt").write_bytes(b"junk")
    torch.save({"weights": [1.0]}, tmp_path / "other.pt")
    torch.save({"parts": {"about": {"options": os.system}}}, "code.pt")
    torch.save(torch.zeros(3), "bare.pt")
    (tmp_path / "one.txt").write_text("a")
    (tmp_path / "ten.txt").write_text("abcdefghij")
    (tmp_path / "mark.txt").write_text("", "utf-8-sig")
    for name in ("mine.json", "kept.pt", "best.best.pt"):
        (tmp_path / name).write_text("to be or not " * 90)
    (tmp_path / "link.txt").symlink_to("mine.json")
    if "done" in words:
        zth(f"train text.txt {SMALL} --out done --steps 3")
        for name, change in CHANGES.items():
            saved = torch.load("done.pt", weights_only=True)
            change(saved["parts"], saved["parts"]["about"])
            torch.save(saved, f"done-{name}.pt")
    before = contents(tmp_path)
    if words.startswith("train"):
        words = f"train {SMALL} --steps 3" + words.removeprefix("train")
        if "--warmup 12" not in words:
            words += " --warmup 2"
    status, out, err = zth(words)
    assert status == 2 and out == ""
    assert err.startswith("python -m zth: ") and err.count("\n") == 1
    assert said in err, err
    assert contents(tmp_path) == before


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_diverged_run_stops_and_leaves_what_was_good(zth, monkeypatch):
    found = iter([2.0, math.nan])
    monkeypatch.setattr("zth.train.evaluate", lambda *_, **__: next(found))
    status, out, err = zth(f"train text.txt {SMALL}")
    assert status == 2 and "step 8: training loss 2." in err
    assert "validation loss nan: must be finite" in err
    assert "nan" not in out and "holds" not in out
    assert step("text.pt") == step("text.best.pt") == 4
    assert not os.path.exists("text.json")


def test_a_record_holds_no_nan(zth):
    zth(f"train text.txt {SMALL}")
    os.remove("text.json")
    saved = torch.load("text.pt", weights_only=True)
    saved["parts"]["about"]["curve"][0][2] = math.nan
    torch.save(saved, "text.pt")
    assert zth(f"train text.txt {SMALL} --resume")[0] == 2
    assert not os.path.exists("text.json")


def test_a_gpu_that_is_not_there_is_said(zth, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    status, _, err = zth(f"train text.txt {SMALL} --device cuda")
    assert status == 2 and "--device cuda: torch finds no GPU here" in err
    for absent in "mps", "gpu":
        status, _, err = zth(f"train text.txt {SMALL} --device {absent}")
        assert status == 2 and f"invalid choice: '{absent}'" in err


def test_help_is_given_without_torch():
    code = ("import sys, runpy; sys.argv = ['zth', 'train', '--help']\n"
            "try: runpy.run_module('zth', run_name='__main__')\n"
            "except SystemExit: assert 'torch' not in sys.modules")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True,
                          cwd=record.PACKAGE.parent, text=True)
    assert done.returncode == 0, done.stderr
    assert "--block-size" in done.stdout
