"""Batch normalisation over all processes; tests/agents/test_distributed.py has several."""

import torch
from torch import nn

from saccade.agents.soft.norm import SharedNorm


def test_for_one_process_it_is_pytorchs():
    torch.manual_seed(0)
    theirs, ours = nn.BatchNorm2d(4), SharedNorm(4)
    nn.init.uniform_(theirs.weight)
    ours.load_state_dict(theirs.state_dict())
    for _ in range(3):
        maps, gradient = 3 * torch.randn(5, 4, 6, 7) + 2, torch.randn(5, 4, 6, 7)
        found = []
        for layer in (theirs, ours):
            given = maps.clone().requires_grad_()
            out = layer(given)
            layer.zero_grad()
            out.backward(gradient)
            found.append((out, given.grad, layer.weight.grad, layer.bias.grad))
        for one, other in zip(*found, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
    for one, other in zip(theirs.buffers(), ours.buffers(), strict=True):
        torch.testing.assert_close(one, other)
    theirs.eval(), ours.eval()
    torch.testing.assert_close(theirs(maps), ours(maps))
