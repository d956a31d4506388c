"""zth.gpt; oracles: a GPT-2 of `transformers`, torch's encoder layer and
attention, all with copied weights in float64; published parameter counts."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from zth.gpt import GPT, Block, CausalSelfAttention, GPTConfig
from zth.train import mean_nll

SMALL = {"vocab_size": 11, "block_size": 9, "n_layer": 2, "n_head": 3,
         "n_embd": 12}


def gen(seed=0):
    return torch.Generator().manual_seed(seed)


def shaken(module, seed=0):
    """The module in float64, every parameter random, biases and gains too."""
    g = gen(seed)
    for p in module.parameters():
        p.data = torch.randn(p.shape, generator=g, dtype=torch.float64) / 3
    return module


def gpt(seed=0, **how):
    return GPT(GPTConfig(**SMALL | how), generator=gen(seed))


def ids(*shape, V=11, seed=1):
    return torch.randint(V, shape, generator=gen(seed))


def close(a, b):
    torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


# Others' implementations ----------------------------------------------------


def of_gpt2(name, tensor):
    """GPT-2 keeps the matrices of its linear layers transposed."""
    return tensor.T if ".c_" in name and tensor.ndim == 2 else tensor


@pytest.mark.parametrize("T", [1, 4, 9])
def test_logits_and_gradients_are_gpt2s(T):
    import transformers  # takes seconds

    theirs = transformers.GPT2LMHeadModel(transformers.GPT2Config(
        vocab_size=11, n_positions=9, n_layer=2, n_head=3, n_embd=12,
        resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0)).double()
    shaken(theirs)
    ours = gpt().double()
    with torch.no_grad():
        for name, p in ours.named_parameters():
            q = theirs.get_parameter(f"transformer.{name}")
            p.copy_(of_gpt2(name, q))
    idx = ids(2, T)
    logits = ours(idx), theirs(idx).logits
    close(*logits)
    for out in logits:
        out.square().sum().backward()
    for name, p in ours.named_parameters():
        q = theirs.get_parameter(f"transformer.{name}")
        torch.testing.assert_close(p.grad, of_gpt2(name, q.grad),
                                   rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("bias", [True, False])
def test_a_block_is_torchs_encoder_layer(bias):
    ours = shaken(Block(GPTConfig(**SMALL, bias=bias)))
    theirs = nn.TransformerEncoderLayer(
        12, 3, dim_feedforward=48, dropout=0.0, norm_first=True, bias=bias,
        activation=lambda x: F.gelu(x, approximate="tanh"),
        batch_first=True).double()
    names = {"ln_1": "norm1", "ln_2": "norm2", "attn.c_proj":
             "self_attn.out_proj", "mlp.c_fc": "linear1", "mlp.c_proj":
             "linear2", "attn.c_attn.": "self_attn.in_proj_"}
    state = {}
    for name, value in ours.state_dict().items():
        for mine, its in names.items():
            name = name.replace(mine, its)
        state[name] = value
    theirs.load_state_dict(state)
    x = torch.randn(2, 7, 12, generator=gen(2), dtype=torch.float64)
    mask = nn.Transformer.generate_square_subsequent_mask(
        7, dtype=torch.float64)
    close(ours(x), theirs(x, src_mask=mask, is_causal=True))


def test_attention_is_a_loop_over_heads_and_positions():
    attention = shaken(CausalSelfAttention(GPTConfig(**SMALL)))
    x = torch.randn(2, 5, 12, generator=gen(3), dtype=torch.float64)
    q, k, v = attention.c_attn(x).split(12, dim=2)
    out = torch.zeros_like(x)
    for b in range(2):
        for head in range(3):
            part = slice(4 * head, 4 * head + 4)
            for t in range(5):
                weights = torch.softmax(
                    k[b, :t + 1, part] @ q[b, t, part] / 2, 0)
                out[b, t, part] = weights @ v[b, :t + 1, part]
    close(attention(x), attention.c_proj(out))


# Properties -----------------------------------------------------------------


def test_no_position_sees_a_later_one():
    model, idx = shaken(gpt()), ids(1, 9)
    before = model(idx)
    for t in range(9):
        changed = idx.clone()
        changed[0, t] = (idx[0, t] + 1) % 11
        moved = (model(changed) - before).abs().amax(2)[0]
        assert (moved[:t] == 0).all() and (moved[t:] > 0).all()


@pytest.mark.parametrize("bias", [True, False])
def test_a_new_models_loss_is_near_ln_v(bias):
    model = gpt(vocab_size=65, block_size=64, n_embd=48, bias=bias)
    idx = ids(8, 64, V=65)
    loss = mean_nll(model(idx), ids(8, 64, V=65, seed=2))
    assert abs(loss - math.log(65)) < 0.02


def test_weights_start_as_gpt2s_do():
    model = gpt(n_layer=8, n_head=4, n_embd=64, vocab_size=200)
    for name, p in model.named_parameters():
        if name.endswith("bias"):
            assert (p == 0).all()
        elif p.ndim == 1:
            assert (p == 1).all()
        else:
            expected = 0.02 / 4 if name.endswith("c_proj.weight") else 0.02
            assert math.isclose(p.std().item(), expected, rel_tol=0.1), name
            assert abs(p.mean()) < 4 * expected / p.numel() ** 0.5, name


def test_the_generator_alone_decides_the_weights():
    states = [gpt(seed).state_dict() for seed in (0, 0, 1)]
    assert all(torch.equal(states[0][k], states[1][k]) for k in states[0])
    assert not torch.equal(states[0]["wte.weight"], states[2]["wte.weight"])


def test_dropout_acts_in_training_mode_alone():
    model, idx = gpt(dropout=0.5), ids(2, 9)
    assert not torch.equal(model(idx), model(idx))
    model.eval()
    assert torch.equal(model(idx), model(idx))
    plain = gpt()
    plain.load_state_dict(model.state_dict())
    assert torch.equal(model(idx), plain(idx))


def count(model):
    return sum(p.numel() for p in model.parameters())


def test_parameter_counts_are_the_published_ones():
    def shakespeare(**how):
        return GPT(GPTConfig(65, 256, 6, 6, 384, **how))

    assert count(shakespeare(bias=False)) == 10_745_088  # nanoGPT
    assert count(GPT(GPTConfig(65, 64, 4, 4, 128, bias=False))) == 804_096
    # The lecture's GPT scores with a matrix and a bias of its own, and its
    # queries, keys and values have no bias.
    head, qkv = 65 * 384 + 65, 6 * 3 * 384
    assert count(shakespeare()) + head - qkv == 10_788_929
    with torch.device("meta"):
        gpt2 = GPT(GPTConfig(50257, 1024, 12, 12, 768))
    assert count(gpt2) == 124_439_808


# Bad input ------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1, 10), (1, 0), (3,)])
def test_a_context_that_does_not_fit_is_refused(shape):
    with pytest.raises(ValueError, match="from 1 to block_size = 9"):
        gpt()(torch.zeros(shape, dtype=torch.int64))


@pytest.mark.parametrize("how, said", [
    ({"n_layer": 0}, "n_layer = 0: must be at least 1"),
    ({"n_embd": 13}, "n_embd = 13: must be a multiple of n_head = 3"),
    ({"dropout": 1.0}, "dropout = 1.0: must be from 0 to below 1"),
])
def test_a_size_that_cannot_be_is_refused(how, said):
    with pytest.raises(ValueError, match=said):
        GPTConfig(**SMALL | how)
