"""The package's commands: `python -m zth --help` lists them."""

import argparse
import hashlib
import json
import math
import os
import pickle
import shlex
import sys
import time
import zipfile
from pathlib import Path

from zth import record


def runs(options):
    """Repeat the stale runs among the names (all, without names)."""
    unknown = set(options.names) - set(record.names())
    if unknown:
        raise ValueError(f"no such run: {', '.join(sorted(unknown))}")
    whys = {name: record.stale(name)
            for name in options.names or record.names()}
    for name, why in whys.items():
        print(f"{name}: {why or 'up to date'}", flush=True)
    try:
        for name in filter(whys.get, whys):
            print(record.run(name), flush=True)
    except KeyboardInterrupt:
        print("stopped: the next call goes on with the cases that are left")
        sys.exit(130)


# Training and sampling ------------------------------------------------------

BROKEN = (  # what is raised on reading a file that is no whole checkpoint
    pickle.UnpicklingError, AttributeError, LookupError, RuntimeError,
    TypeError)


class About(dict):
    """What a checkpoint tells of its run; saved and loaded like a module."""

    state_dict, load_state_dict = dict.copy, dict.update


def train(options):
    """Train a GPT on a text's characters and write a record of it."""
    import torch
    from tqdm import tqdm

    from zth.data import CharVocab
    from zth.gpt import in_bfloat16
    from zth.text import blocks, random_blocks, read_text, split_text
    from zth.train import cosine, evaluate, load, save
    from zth.train import train as steps_of

    check(options)
    text = read_text(options.text).removeprefix("\ufeff")  # a BOM
    last, best, told = outputs(options)
    about = About(
        chars="".join(sorted(set(text))), curve=[], seconds=0.0,
        sha256=hashlib.sha256(text.encode()).hexdigest(),
        options={name: value for name, value in vars(options).items()
                 if name in OPTIONS})
    vocab = CharVocab(about["chars"])
    device = device_of(options.device)
    train_ids, val_ids = split_text(vocab.encode(text).to(device))
    if len(val_ids) < 2:
        raise ValueError(f"{options.text}: {len(text)} characters are too "
                         "few: the last tenth must have at least 2")
    val = blocks(val_ids, options.block_size)  # the shorter part first
    batches = seeded(options.seed)
    batch = random_blocks(train_ids, options.block_size, options.batch_size,
                          generator=batches)
    lr = cosine(options.lr, options.steps, warmup=options.warmup)

    torch.manual_seed(options.seed)
    model = build(about).to(device)
    if device.type == "cuda":
        in_bfloat16(model)
    optimizer = optimizer_of(model, options)
    parts = {"about": about, "model": model, "optimizer": optimizer,
             "batches": batches, "dropout": dropout_generator(device)}
    start = 0
    if options.resume:
        saved = read(last)["about"]
        for name, now in about["options"].items():
            was = saved["options"].get(name)
            if was != now:
                raise ValueError(f"{last}: was made with {name} = {was}, not "
                                 f"{now}")
        if saved["sha256"] != about["sha256"]:
            raise ValueError(f"{last}: was made from another text")
        try:
            start = load(last, **parts)
        except BROKEN as error:
            raise ValueError(f"{last}: its weights or generators do not fit "
                             f"this run on {device.type}") from error

    losses, clock = [], time.perf_counter()
    try:
        for step in steps_of(model, batch, optimizer, steps=options.steps,
                             lr=lr, start=start, clip=1.0):
            losses.append(step.loss)
            if step.number % options.every and step.number < options.steps:
                continue
            seen = torch.stack(losses).mean().item()  # waits for the device
            about["seconds"] += time.perf_counter() - clock
            found = evaluate(model, *val, batch_size=64)
            if not math.isfinite(seen + found):
                raise ValueError(
                    f"step {step.number}: training loss {seen}, validation "
                    f"loss {found}: must be finite; a smaller --lr may help")
            lowest = min((row[3] for row in about["curve"]), default=found)
            about["curve"].append(
                [step.number, round(about["seconds"], 3), seen, found])
            tqdm.write(f"step {step.number}: train {seen:.4f}, "
                       f"validation {found:.4f}")
            if found <= lowest:  # saved before `last`, which tells of it
                save(best, step.number, about=about, model=model)
            save(last, step.number, **parts)
            losses, clock = [], time.perf_counter()
        write_record(told, about, model, device)
    except KeyboardInterrupt:
        print(f"stopped: with --resume the same command goes on from {last}"
              if last.exists() else
              "stopped before the first checkpoint: nothing was saved to go "
              "on from")
        sys.exit(130)
    print(f"{best} holds the best model, {told} the record")


def check(options):
    """ValueError for options that nothing later refuses."""
    for name in "steps", "every":
        value = getattr(options, name)
        if value < 1:
            raise ValueError(f"{name} = {value}: must be at least 1")
    for name in "lr", "weight_decay":
        value = getattr(options, name)
        if not 0 <= value <= 1e9:  # nan neither
            raise ValueError(f"{name} = {value}: must be from 0 to 1e9")
    if options.ngrams and not options.modern:
        raise ValueError(f"ngrams = {options.ngrams}: only with --modern")


def outputs(options):
    """The paths of the last model, the best one, and the record.

    ValueError if they cannot be written, or would replace the text or what
    another run has made.
    """
    out = options.out or Path(options.text).stem
    last, best, told = paths = [
        Path(f"{out}.{end}") for end in ("pt", "best.pt", "json")]
    if not (last.parent.is_dir() and os.access(last.parent, os.W_OK)):
        raise ValueError(f"{last.parent}: is no folder to write in")
    for path in paths:
        if path.exists() and path.samefile(options.text):
            raise ValueError(f"{path}: is the text; --out names another")
        if path.exists() and not options.resume:
            resume = "--resume goes on with it, " if path == last else ""
            raise ValueError(f"{path}: exists; {resume}--out names another")
    return paths


def seeded(seed):
    """A new generator. ValueError if torch takes no such seed."""
    import torch

    if not 0 <= seed < 2**64:
        raise ValueError(f"seed = {seed}: must be from 0 to 2**64 - 1")
    return torch.Generator().manual_seed(seed)


def build(about):
    """A new model of the kind and size that `about` tells."""
    from zth.gpt import GPT, GPTConfig
    from zth.modern import ModernConfig, ModernGPT

    options = about["options"]
    size = {name: options[name] for name in (
        "block_size", "n_layer", "n_head", "n_embd", "dropout")}
    size["vocab_size"] = len(about["chars"])
    g = seeded(options["seed"])
    if options["modern"]:
        return ModernGPT(ModernConfig(**size, ngrams=options["ngrams"]),
                         generator=g)
    return GPT(GPTConfig(**size), generator=g)


def optimizer_of(model, options):
    """AdamW; for the modern model Muon."""
    import torch

    from zth.muon import Muon, muon_groups
    from zth.train import decay_groups

    if options.modern:
        return Muon(muon_groups(model, options.weight_decay),
                    betas=(0.9, 0.95))
    return torch.optim.AdamW(
        decay_groups(model.parameters(), options.weight_decay),
        betas=(0.9, 0.99))


def device_of(name):
    """The torch.device of that name; of none, a GPU if there is one."""
    import torch

    found = torch.cuda.is_available()
    if name == "cuda" and not found:
        raise ValueError("--device cuda: torch finds no GPU here")
    return torch.device(name or ("cuda" if found else "cpu"))


def dropout_generator(device):
    """The generator that torch draws from on the device."""
    import torch

    if device.type == "cuda":
        return torch.cuda.default_generators[torch.cuda.current_device()]
    return torch.default_generator


def write_record(path, about, model, device):
    """Write what the run was and found, as JSON."""
    best = min(about["curve"], key=lambda row: row[3])
    found = {
        "command": shlex.join(["python", "-m", "zth", *sys.argv[1:]]),
        "commit": record.commit([record.PACKAGE]),
        "versions": record.versions(),
        "hardware": record.hardware(device.type),
        **about["options"],
        "text_sha256": about["sha256"],
        "parameters": sum(p.numel() for p in model.parameters()),
        "seconds": about["seconds"],
        "best_step": best[0], "best_val": best[3],
        "last_val": about["curve"][-1][3],
        "columns": ["step", "seconds of training", "mean training loss since "
                    "the row before", "loss on the whole validation part"],
        "curve": about["curve"],
    }
    text = json.dumps(found, indent=1, allow_nan=False)
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text + "\n", "utf-8")
    temporary.replace(path)


def sample(options):
    """Print a text that the checkpoint's model writes after the prompt."""
    from zth.data import CharVocab
    from zth.sample import generate

    saved = read(options.checkpoint)
    try:
        vocab = CharVocab(saved["about"]["chars"])
        model = build(saved["about"]).eval()
        model.load_state_dict(saved["model"])
    except BROKEN as error:
        raise ValueError(f"{options.checkpoint}: does not hold the model "
                         "that it tells of") from error
    prompt = options.prompt
    if not prompt:
        prompt = "\n" if "\n" in vocab.stoi else vocab.decode([0])

    def finite(idx):
        logits = model(idx)
        if not (logits[:, -1] / options.temperature).isfinite().all():
            raise ValueError(f"{options.checkpoint}: its logits divided by "
                             f"temperature = {options.temperature} must be "
                             "finite")
        return logits

    ids = generate(finite, vocab.encode(prompt)[None], options.length,
                   block_size=model.config.block_size,
                   temperature=options.temperature, top_k=options.top_k,
                   generator=seeded(options.seed))
    print(vocab.decode(ids[0]))


def read(path):
    """A checkpoint's parts. ValueError if it is none of `train`'s."""
    import torch

    wrong = ValueError(f"{path}: not a checkpoint of this command")
    with open(path, "rb") as file:
        if not zipfile.is_zipfile(file):  # as every whole checkpoint is
            raise wrong
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        parts = saved.get("parts")  # a tensor has no get
        about = parts.get("about")
        if (about.keys() == {"chars", "curve", "seconds", "sha256", "options"}
                and about["options"].keys() == OPTIONS.keys()
                and isinstance(parts["model"], dict)):
            return parts
    except BROKEN:
        pass
    raise wrong


# The command line -----------------------------------------------------------

OPTIONS = {  # of `train`, which a checkpoint keeps: (default, explanation)
    "steps": (2000, "steps of training"),
    "batch_size": (12, "blocks a step"),
    "block_size": (64, "characters of context"),
    "n_layer": (4, "layers"),
    "n_head": (4, "heads a layer"),
    "n_embd": (128, "channels"),
    "dropout": (0.0, "share of numbers set to zero in training"),
    "lr": (1e-3, "largest learning rate, then cosine to zero"),
    "warmup": (100, "steps until it is reached"),
    "weight_decay": (0.1, "of matrices"),
    "every": (250, "steps between validations, and checkpoints"),
    "seed": (1337, "of weights, batches and dropout"),
    "modern": (False, "zth.modern and Muon in place of GPT-2 and AdamW"),
    "ngrams": ([], "with --modern, the n-grams to embed, as 2 3 4"),
}


def parser():
    """The parser of all commands, each with its function as `run`."""
    main = argparse.ArgumentParser(prog="python -m zth")
    commands = main.add_subparsers(required=True)

    command = commands.add_parser(
        "runs", help="repeat the recorded runs whose code has changed")
    command.set_defaults(run=runs)
    command.add_argument("names", nargs="*", metavar="NAME",
                         help="a run in data/runs; all of them without")

    command = commands.add_parser(
        "train", help="train a GPT on the characters of a text file")
    command.set_defaults(run=train)
    command.add_argument("text", metavar="TEXT", help="a file in UTF-8; its "
                         "last tenth is kept for validation")
    command.add_argument("--out", metavar="NAME", help="writes NAME.pt, "
                         "NAME.best.pt and NAME.json (TEXT's own name)")
    command.add_argument("--resume", action="store_true", help="go on from "
                         "NAME.pt; the other options as they were")
    command.add_argument("--device", choices=["cpu", "cuda"],
                         help="(a GPU if there is one)")
    for name, (default, text) in OPTIONS.items():
        how = {"type": type(default), "metavar": "N"}
        if default is False:
            how = {"action": "store_true"}
        if default == []:
            how = {"type": int, "nargs": "+", "metavar": "N"}
        command.add_argument("--" + name.replace("_", "-"), default=default,
                             help=text if default in (False, []) else
                             f"{text} ({default})", **how)

    command = commands.add_parser(
        "sample", help="write a text with a model that `train` made")
    command.set_defaults(run=sample)
    command.add_argument("checkpoint", metavar="NAME.pt")
    command.add_argument("--prompt", default="", metavar="TEXT",
                         help="what to go on from (an empty line)")
    for name, kind, default, text in (
            ("length", int, 500, "characters to write (500)"),
            ("temperature", float, 1.0, "below 1: likely characters more "
             "often (1.0)"),
            ("top-k", int, None, "choose among the N likeliest (all)"),
            ("seed", int, 1337, "another seed writes another text (1337)")):
        command.add_argument(f"--{name}", type=kind, default=default,
                             metavar="N", help=text)
    return main


def main():
    options = parser().parse_args()
    try:
        options.run(options)
    except (ValueError, OSError) as error:
        print(f"python -m zth: {error}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
