"""zth.train; oracles: AdamW's closed form, one batch for several, F.*."""

import math
import pickle

import pytest
import torch
import torch.nn as nn
import torch.nn.functional as F

from zth import train as module
from zth.data import distinct_contexts
from zth.train import (cosine, decay_groups, evaluate, load, mean_nll,
                       sampler, save, train)


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def examples(n=200, T=3, V=7, seed=1):
    g = torch.Generator().manual_seed(seed)
    idx = torch.randint(V, (n, T), generator=g)
    return idx, (idx.sum(1) + torch.randint(2, (n,), generator=g)) % V


def net(seed=0, V=7, T=3, p=0.0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(nn.Embedding(V, 8), nn.Flatten(),
                             nn.Linear(8 * T, 16), nn.Tanh(), nn.Dropout(p),
                             nn.Linear(16, V))


class Table:
    """Logits of the last character: a model that is no module."""

    def __init__(self, V=7, dtype=torch.float64):
        self.W = torch.zeros(V, V, dtype=dtype, requires_grad=True)

    def __call__(self, idx):
        return self.W[idx[:, -1]]


def run(model, batch, optimizer, **how):
    return list(train(model, batch, optimizer, **how))


# The loop -----------------------------------------------------------------


def test_one_step_is_adamws_closed_form():
    idx, targets = examples()
    model = Table()
    with torch.no_grad():
        model.W += torch.linspace(-1, 1, 49).view(7, 7)
    before = model.W.detach().clone()
    (grad,) = torch.autograd.grad(F.cross_entropy(model(idx), targets),
                                  model.W)
    optimizer = torch.optim.AdamW([model.W], lr=9.0, weight_decay=0.1)
    (step,) = run(model, lambda: (idx, targets), optimizer, steps=1, lr=0.01)
    # after one step both averages, corrected, are the gradient's: sign(g)
    after = before - 0.01 * 0.1 * before - 0.01 * grad / (grad.abs() + 1e-8)
    torch.testing.assert_close(model.W.detach(), after)
    assert (step.number, step.lr) == (1, 0.01)
    assert math.isclose(step.loss, F.cross_entropy(before[idx[:, -1]],
                                                   targets))
    assert not step.loss.requires_grad


def test_it_overfits_one_batch():
    idx = torch.cartesian_prod(*[torch.arange(3)] * 3)
    targets = torch.randint(7, (27,), generator=torch.Generator()
                            .manual_seed(3))
    model = net()
    optimizer = torch.optim.AdamW(model.parameters())
    steps = run(model, lambda: (idx, targets), optimizer, steps=300, lr=0.03)
    assert steps[0].loss > 1.5 and steps[-1].loss < 0.01
    assert (model(idx).argmax(1) == targets).all()


def trained(steps, *, folder=None, at=None, seed=5):
    """The losses and weights of a run with dropout; stopped and resumed."""
    idx, targets = examples()
    state = torch.default_generator.get_state()
    try:
        g = torch.Generator().manual_seed(seed)
        torch.default_generator.manual_seed(seed)

        def fresh():
            model = net(p=0.3)
            optimizer = torch.optim.AdamW(
                decay_groups(model.parameters(), 0.1), lr=0.0)
            return model, optimizer

        model, optimizer = fresh()
        batch = sampler(idx, targets, 32, generator=g)
        how = {"steps": steps, "lr": cosine(0.02, steps, warmup=3)}
        losses = []
        for step in train(model, batch, optimizer, **how):
            losses.append(step.loss.item())
            if step.number == at:
                save(folder / "run.pt", step.number, model=model,
                     optimizer=optimizer, batches=g,
                     dropout=torch.default_generator)
                break
        if at is not None:
            model, optimizer = fresh()
            g.manual_seed(0), torch.default_generator.manual_seed(0)
            start = load(folder / "run.pt", model=model, optimizer=optimizer,
                         batches=g, dropout=torch.default_generator)
            assert start == at
            losses += [step.loss.item() for step in train(
                model, batch, optimizer, start=start, **how)]
        return losses, model.state_dict()
    finally:
        torch.default_generator.set_state(state)


def same(a, b):
    return a[0] == b[0] and all(torch.equal(a[1][k], b[1][k]) for k in b[1])


def test_two_runs_are_equal_to_the_bit():
    assert same(trained(20), trained(20))
    assert not same(trained(20), trained(20, seed=6))


@pytest.mark.parametrize("at", [1, 11, 19])
def test_a_resumed_run_is_the_uninterrupted_one_to_the_bit(tmp_path, at):
    resumed = trained(20, folder=tmp_path, at=at)
    assert len(resumed[0]) == 20 and same(resumed, trained(20))


@pytest.mark.parametrize("k", [2, 4])
def test_accumulated_batches_are_one_batch(k):
    idx, targets = examples(n=64)
    found = []
    for parts in (1, k):
        model = Table()
        pieces = iter(zip(idx.repeat(3, 1).split(64 // parts),
                          targets.repeat(3).split(64 // parts)))
        optimizer = torch.optim.AdamW([model.W])
        steps = run(model, lambda: next(pieces), optimizer, steps=3, lr=0.1,
                    accumulate=parts)
        found.append((model.W.detach(), [s.loss for s in steps]))
    torch.testing.assert_close(*found)


def test_clip_shortens_the_gradient_and_leaves_a_short_one():
    idx, targets = examples()
    for clip, length in ((1e-3, 1e-3), (1e3, None)):
        model = Table()
        (grad,) = torch.autograd.grad(mean_nll(model(idx), targets), model.W)
        optimizer = torch.optim.SGD([model.W])
        run(model, lambda: (idx, targets), optimizer, steps=1, lr=1.0,
            clip=clip)
        moved = model.W.detach().norm()
        torch.testing.assert_close(
            moved, grad.norm() if length is None else torch.tensor(length)
            .double(), rtol=1e-4, atol=0)


def test_each_step_is_in_training_mode_and_break_stops():
    idx, targets = examples()
    modes, model = [], net()
    model.register_forward_pre_hook(lambda m, _: modes.append(m.training))
    optimizer = torch.optim.SGD(model.parameters())
    for step in train(model, lambda: (idx, targets), optimizer, steps=9,
                      lr=0.1):
        model.eval()
        if step.number == 3:
            break
    assert modes == [True] * 3


def test_the_rate_of_every_group_follows_the_schedule():
    idx, targets = examples()
    model = net()
    optimizer = torch.optim.SGD(decay_groups(model.parameters(), 0.1))
    for step in train(model, lambda: (idx, targets), optimizer, steps=5,
                      lr=lambda done: 0.1 / (1 + done)):
        rates = {group["lr"] for group in optimizer.param_groups}
        assert rates == {step.lr} == {0.1 / step.number}


@pytest.mark.parametrize("watched", [False, True])
def test_a_bar_is_shown_only_to_somebody(monkeypatch, capsys, watched):
    idx, targets = examples()
    monkeypatch.setattr(module, "watched", lambda: watched)
    model = Table()
    run(model, lambda: (idx, targets), torch.optim.SGD([model.W]), steps=2,
        lr=0.1)
    out, err = capsys.readouterr()
    assert out == "" and ("2/2" in err or "0/2" in err) == watched


def test_a_live_notebook_is_watched_and_a_build_is_not(monkeypatch):
    monkeypatch.setattr("sys.stderr", open("/dev/null", "w"))
    for name in ("JPY_SESSION_NAME", "COLAB_RELEASE_TAG"):
        monkeypatch.delenv(name, raising=False)
    assert not module.watched()
    monkeypatch.setenv("JPY_SESSION_NAME", "a.ipynb")
    assert module.watched()


# Losses -------------------------------------------------------------------


def test_uniform_logits_give_ln_v():
    assert math.isclose(mean_nll(torch.ones(5, 27), torch.arange(5)),
                        math.log(27), rel_tol=1e-6)


@pytest.mark.parametrize("shape", [(6,), (2, 3)])
def test_mean_nll_is_torchs(shape):
    g = torch.Generator().manual_seed(1)
    logits = torch.randn(*shape, 7, generator=g, dtype=torch.float64)
    targets = torch.randint(7, shape, generator=g)
    targets.view(-1)[1] = -1
    known = targets.flatten() >= 0
    torch.testing.assert_close(
        mean_nll(logits, targets),
        F.cross_entropy(logits.view(-1, 7)[known], targets.flatten()[known]))


def test_counts_give_the_loss_and_gradient_of_the_long_form():
    idx, targets = examples(n=500, V=3)
    contexts, counts = distinct_contexts(idx, targets, 3)
    assert len(contexts) < 100
    model, found = Table(3), []
    with torch.no_grad():
        model.W += torch.randn(3, 3, generator=torch.Generator()
                               .manual_seed(1))
    for x, y in ((idx, targets), (contexts, counts)):
        loss = mean_nll(model(x), y)
        found.append((loss, *torch.autograd.grad(loss, model.W)))
        short = evaluate(model, x, y, batch_size=7)
        assert math.isclose(short, loss.item(),
                            rel_tol=1e-12)
    torch.testing.assert_close(*found, rtol=1e-12, atol=1e-14)


def test_evaluate_is_the_mean_over_examples_in_evaluation_mode():
    idx, targets = examples()
    model = net(p=0.5)
    model[4].eval()  # whatever mode a part is in
    expected = F.cross_entropy(net()(idx), targets).item()
    for batch_size in (1, 64, 10**6):
        found = evaluate(model.train(), idx, targets, batch_size=batch_size)
        assert math.isclose(found, expected, rel_tol=1e-6)
        assert model.training
    model.eval()
    assert isinstance(evaluate(model, idx, targets), float)
    assert not model.training


# Schedules, groups, samplers ----------------------------------------------


def test_cosine_has_gpt2s_values():
    lr = cosine(6e-4, 19073, warmup=715, final=6e-5)
    assert math.isclose(lr(0), 8.3916e-7, rel_tol=1e-4)
    assert lr(714) == lr(715) == 6e-4
    assert math.isclose(lr(19072), 6e-5, rel_tol=1e-4)
    assert lr(19073) == lr(10**6) == 6e-5


def test_cosine_without_warmup():
    lr = cosine(0.1, 100)
    assert lr(0) == 0.1 and math.isclose(lr(50), 0.05) and lr(100) == 0
    assert math.isclose(lr(25), 0.05 * (1 + math.sqrt(0.5)))
    rates = [lr(i) for i in range(101)]
    assert rates == sorted(rates, reverse=True)


def test_matrices_decay_and_vectors_do_not():
    model = net()
    decayed, free = decay_groups(model.parameters(), 0.1)
    assert (decayed["weight_decay"], free["weight_decay"]) == (0.1, 0.0)
    assert {p.ndim for p in decayed["params"]} == {2}
    assert {p.ndim for p in free["params"]} == {1}
    assert len(decayed["params"]) == 3 and len(free["params"]) == 2


def test_a_sampler_draws_pairs_uniformly():
    idx, targets = torch.arange(10)[:, None], torch.arange(10)
    g = torch.Generator().manual_seed(1)
    xb, yb = sampler(idx, targets, 20_000, generator=g)()
    assert torch.equal(xb[:, 0], yb)
    share = torch.bincount(yb, minlength=10) / len(yb)
    assert (share - 0.1).abs().max() < 0.01


# Checkpoints --------------------------------------------------------------


def test_an_interrupted_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "run.pt"
    g = torch.Generator().manual_seed(1)
    save(path, 7, generator=g)

    def broken(state, file):
        file.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(torch, "save", broken)
    with pytest.raises(KeyboardInterrupt):
        save(path, 8, generator=g)
    monkeypatch.undo()
    assert load(path, generator=g) == 7
    save(path, 9, generator=g)
    assert load(path, generator=g) == 9
    assert [p.name for p in tmp_path.iterdir()] == ["run.pt"]


class Runs:
    """Code that an unsafe loader would run."""

    def __reduce__(self):
        return pytest.fail, ("the file ran code",)


def test_a_file_runs_no_code(tmp_path):
    path = tmp_path / "run.pt"
    torch.save({"step": 1, "parts": {"model": Runs()}}, path)
    with pytest.raises(pickle.UnpicklingError):
        load(path, model=net())


# Bad input ----------------------------------------------------------------


def nothing(**how):
    model = Table()
    optimizer = torch.optim.SGD([model.W])
    return run(model, examples, optimizer, **{"steps": 1, "lr": 0.1, **how})


@pytest.mark.parametrize("call, said", [
    (lambda path: nothing(steps=-1), "steps = -1: must be at least 0"),
    (lambda path: nothing(start=-2), "start = -2: must be at least 0"),
    (lambda path: nothing(accumulate=0), "accumulate = 0: must be at least"),
    (lambda path: mean_nll(torch.ones(2, 7), torch.ones(3)),
     r"targets of shape \(3,\): must be ids, \(2,\), or counts, \(2, 7\)"),
    (lambda path: evaluate(Table(), *examples(0)), "idx of 0 examples"),
    (lambda path: evaluate(Table(), examples(5)[0], examples(4)[1]),
     "idx of 5 examples, targets of 4: must be as many"),
    (lambda path: sampler(*examples(), 0, generator=None),
     "batch_size = 0: must be at least 1"),
    (lambda path: cosine(0.1, 10, warmup=10),
     "warmup = 10: must be from 0 to steps - 1 = 9"),
    (lambda path: (save(path, 1, a=torch.Generator()),
                   load(path, b=torch.Generator())), "parts b: must be those"),
])
def test_bad_input_is_named(tmp_path, call, said):
    with pytest.raises(ValueError, match=said):
        call(tmp_path / "run.pt")


def test_steps_done_before_leave_nothing_to_do():
    assert nothing(steps=3, start=3) == nothing(steps=0) == []
