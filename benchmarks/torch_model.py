"""v6 in PyTorch, written for `train_speed.py`: the same model, batch, optimiser and dropout."""

from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.nn import functional

LENGTH, HISTORY, POINTS = 100, 2, 72


class ConvBiLSTM(nn.Module):
    """Recipe v6's network.

    `rewritten` gives it the two exact rewrites that jaxbeh uses (the head's first product before
    the upsampling, the upsampling as one matrix product) and dropout behind the pooling; without it
    stands the form of the original.
    """

    def __init__(self, rewritten: bool) -> None:
        super().__init__()
        self.rewritten = rewritten
        layers: list[nn.Module] = []
        inputs = 4 * POINTS
        for channels in (64, 128, 256):
            pool, drop = nn.MaxPool1d(2), nn.Dropout(0.3)
            layers += [nn.Conv1d(inputs, channels, 3, padding=1), nn.BatchNorm1d(channels)]
            layers += [nn.ReLU(), *([pool, drop] if rewritten else [drop, pool])]
            inputs = channels
        self.convolutions = nn.Sequential(*layers)
        self.project = nn.Linear(256, 256)
        self.lstm = nn.LSTM(256, 256, 2, batch_first=True, bidirectional=True, dropout=0.3)
        self.head, self.classes = nn.Linear(512, 256), nn.Linear(256, 4)
        weights = functional.interpolate(torch.eye(12)[None], size=LENGTH, mode="linear")[0]
        self.register_buffer("weights", weights.T.contiguous())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """`[b, t, f]` → `[b, t, c]`."""
        x = self.convolutions(x.transpose(1, 2)).transpose(1, 2)
        x, _ = self.lstm(self.project(x))
        if self.rewritten:
            x = torch.matmul(self.weights.to(x.dtype), self.head(x))
        else:
            wide = functional.interpolate(x.transpose(1, 2), size=LENGTH, mode="linear")
            x = self.head(wide.transpose(1, 2))
        return self.classes(functional.dropout(functional.relu(x), 0.3, self.training))


class Batches:
    """Windows cut from frames on the device, with v6's features, standardisation and noise."""

    def __init__(
        self,
        coordinates: np.ndarray,
        labels: np.ndarray,
        mean: np.ndarray,
        deviation: np.ndarray,
        batch: int,
        device: str,
    ) -> None:
        self.coordinates = torch.as_tensor(coordinates, device=device)
        self.labels = torch.as_tensor(labels, device=device).long()
        self.mean = torch.as_tensor(mean, device=device)
        self.deviation = torch.as_tensor(deviation, device=device)
        self.within = torch.arange(-HISTORY, LENGTH, device=device)
        self.starts = len(labels) - LENGTH - HISTORY
        self.batch, self.device = batch, device

    def draw(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Inputs `[b, t, f]` and labels `[b, t]` of a random batch."""
        start = torch.randint(0, self.starts, (self.batch,), device=self.device) + HISTORY
        frame = start[:, None] + self.within
        xy = self.coordinates[frame].float() / 256
        points = xy.view(*xy.shape[:2], POINTS, 2)
        velocity = 30 * (points[:, 1:] - points[:, :-1])
        change = 30 * (velocity[:, 1:] - velocity[:, :-1])
        rates = torch.cat([velocity[:, 1:].norm(dim=-1), change.norm(dim=-1)], -1)
        flat = torch.cat([xy[:, HISTORY:], torch.log1p(rates)], -1)
        flat = ((flat - self.mean) / self.deviation).clamp(-5, 5)
        return flat + 0.01 * torch.randn_like(flat), self.labels[frame[:, HISTORY:]]


def build_step(
    batches: Batches, form: str, rewritten: bool, precision: str
) -> Callable[[], torch.Tensor]:
    """One training step, ready to be called, that gives its loss.

    Args:
        batches: where windows come from.
        form: `eager`, `compile`, or `graph` (a CUDA graph of the whole step).
        rewritten: see `ConvBiLSTM`.
        precision: `float32` or `bfloat16` (autocast).
    """
    device, graph = batches.device, form == "graph"
    torch.manual_seed(0)
    model = ConvBiLSTM(rewritten).to(device)
    on_gpu = device == "cuda"
    optimiser = torch.optim.AdamW(
        model.parameters(), 4e-4, weight_decay=1e-4, fused=on_gpu, capturable=graph
    )
    class_weights = torch.tensor([1.0, 5.0, 8.0, 8.0], device=device)

    def loss_of(x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        half = precision == "bfloat16"
        with torch.autocast(device, torch.bfloat16, enabled=half, cache_enabled=not graph):
            logits = model(x)
        return functional.cross_entropy(
            logits.float().reshape(-1, 4), labels.reshape(-1), class_weights
        )

    forward = torch.compile(loss_of) if form == "compile" else loss_of

    def step() -> torch.Tensor:
        x, labels = batches.draw()
        optimiser.zero_grad(set_to_none=not graph)
        loss = forward(x, labels)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0, foreach=True)
        optimiser.step()
        return loss.detach()

    return _Captured(step) if graph else step


class _Captured:
    """A step as a CUDA graph, which keeps the step for the tensors whose addresses it replays."""

    def __init__(self, step: Callable[[], torch.Tensor]) -> None:
        self._step = step
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(11):
                step()
        torch.cuda.current_stream().wait_stream(stream)
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._loss = step()

    def __call__(self) -> torch.Tensor:
        self._graph.replay()
        return self._loss
