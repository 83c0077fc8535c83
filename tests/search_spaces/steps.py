"""One step of training, as small as it gets."""

import torch

from search_spaces import build


def one_step(design, shape):
    """Trains a new network of the design on two random rows; everything must stay finite."""
    network = build(design, shape)
    optimiser = torch.optim.AdamW(network.parameters(), lr=0.01)
    x = torch.randn(2, shape.channels, *shape.extent)
    for _ in range(2):  # the second loss is of the stepped weights
        loss = torch.nn.functional.cross_entropy(network(x), torch.tensor([0, 1]))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss.isfinite(), design
    assert all(p.isfinite().all() for p in network.parameters()), design
