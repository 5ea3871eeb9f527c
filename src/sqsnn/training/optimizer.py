"""Adam without torch's compiler, whose import takes a second of every training."""

from inspect import unwrap

import torch


class Adam(torch.optim.Adam):
    """Torch's Adam, number for number.

    Torch wraps these methods so that its compiler leaves them alone, and the wrappers import it.
    Nothing here is compiled by torch.
    """

    add_param_group = unwrap(torch.optim.Adam.add_param_group)
    load_state_dict = unwrap(torch.optim.Adam.load_state_dict)
    state_dict = unwrap(torch.optim.Adam.state_dict)
    step = torch.no_grad()(unwrap(torch.optim.Adam.step))  # the wrapper turns gradients off too
    zero_grad = unwrap(torch.optim.Adam.zero_grad)
