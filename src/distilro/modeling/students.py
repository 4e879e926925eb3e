"""Students: smaller encoders of the same architecture, begun from parts of a teacher's.

A student takes over all embeddings and some of the layers, evenly spread. Where its states are
narrower, the embeddings are seen from their first principal components, and the layers are fresh,
for a layer cannot be cut to another width. What a student then learns is decided in training.

Source: Sanh et al. 2019, "DistilBERT", section 3 (token types and pooler are left away there; here
    the token types stay, so that a student that skips no layer is its teacher).
Axes: V tokens of the vocabulary, H width of the teacher's states, h of the student's.
"""

from copy import deepcopy
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor, nn
from transformers import AutoModelForMaskedLM, PreTrainedModel

from distilro.errors import SettingsError
from distilro.modeling.encoders import build_encoder, describe_config
from distilro.recipe_settings import StudentSettings

_ROWS_AT_ONCE = 16384  # of a word table in float64: bounds the memory of its components


class _Sizes(NamedTuple):
    """What an architecture calls its sizes in config.json."""

    layers: str = "num_hidden_layers"
    hidden: str = "hidden_size"
    heads: str = "num_attention_heads"
    intermediate: str = "intermediate_size"


_NAMES = {"distilbert": _Sizes("n_layers", "dim", "n_heads", "hidden_dim")}


def choose_layers(kept: Literal["half"] | int | tuple[int, ...], depth: int) -> tuple[int, ...]:
    """Return the teacher's layers that a student begins from, ascending, counted from 0.

    Several are spread evenly, first and last included; one alone is the first, which reads the
    embeddings as it did in the teacher, and lower layers are the ones that matter most.

    Args:
        kept: how many; "half" rounds down, to one at least. Or which.
        depth: number of the teacher's layers.

    Source: Sanh et al. 2019, section 3, one layer out of two; the lower ones: Sajjad et al. 2023,
        "On the effect of dropping layers of pre-trained transformer models", section 5.

    >>> choose_layers("half", 12)
    (0, 2, 4, 7, 9, 11)
    """
    if isinstance(kept, tuple):
        return _check_layers(kept, depth)
    count = max(1, depth // 2) if kept == "half" else kept
    if not 1 <= count <= depth:
        raise SettingsError(
            f"student.layers: expected 1 to {depth}, which is all that the teacher has, "
            f"got {count}. Nothing was built; lower it."
        )
    if count == 1:
        return (0,)
    return tuple(round(place * (depth - 1) / (count - 1)) for place in range(count))


def shrink_encoder(
    encoder: PreTrainedModel, settings: StudentSettings, *, seed: int
) -> PreTrainedModel:
    """Return a smaller encoder of the same architecture, on the same device, without pooler.

    Args:
        encoder: the teacher, which is left as it is.
        settings: see StudentSettings; another width makes every layer fresh.
        seed: of fresh layers; nothing else is random.

    Raises:
        SettingsError: the teacher has no such layers, or its heads do not fit into the width.
    """
    layers = choose_layers(settings.layers, encoder.config.num_hidden_layers)
    width = settings.hidden or encoder.config.hidden_size
    config = _describe_student(encoder, len(layers), width)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        student = build_encoder(config).to(encoder.device)
    if width != encoder.config.hidden_size:
        _project_embeddings(student, encoder)
        return student
    student.embeddings.load_state_dict(encoder.embeddings.state_dict())
    if settings.init == "teacher":
        theirs = _find_layers(encoder)
        for ours, number in zip(_find_layers(student), layers, strict=True):
            ours.load_state_dict(theirs[number].state_dict())
    return student


def shrink_masked_model(
    model: PreTrainedModel, settings: StudentSettings, *, seed: int
) -> PreTrainedModel:
    """Return a smaller masked-language model: `shrink_encoder`'s encoder with the teacher's head.

    What does not fit another width is fresh in the head. A decoder that is tied to the word
    embeddings stays tied to them.
    """
    encoder = shrink_encoder(model.base_model, settings, seed=seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        student = AutoModelForMaskedLM.from_config(deepcopy(encoder.config)).to(model.device)
    student.base_model.load_state_dict(encoder.state_dict())
    inside, theirs = student.base_model_prefix + ".", model.state_dict()
    with torch.no_grad():
        for name, value in student.state_dict().items():
            if not name.startswith(inside) and value.shape == theirs[name].shape:
                value.copy_(theirs[name])
    return student.eval()


def _check_layers(layers: tuple[int, ...], depth: int) -> tuple[int, ...]:
    rising = all(one < other for one, other in pairwise(layers))
    if not (layers and rising and 0 <= layers[0] and layers[-1] < depth):
        raise SettingsError(
            f"student.layers: expected one or more different layers of 0 to {depth - 1}, "
            f"ascending, got {list(layers)}. Nothing was built; correct the list."
        )
    return layers


def _describe_student(encoder: PreTrainedModel, depth: int, width: int) -> dict[str, Any]:
    """Return the configuration of a student: as many heads as keep their width."""
    config = describe_config(encoder)
    names = _NAMES.get(config["model_type"], _Sizes())
    hidden, heads = config[names.hidden], config[names.heads]
    head_width = hidden // heads
    if width % head_width or width > hidden:
        raise SettingsError(
            f"student.hidden: expected a multiple of {head_width}, the width of one of the "
            f"teacher's heads, and at most {hidden}, the width of its states; got {width}. "
            "Nothing was built; choose another width."
        )
    sizes = {
        names.layers: depth,
        names.hidden: width,
        names.heads: width // head_width,
        names.intermediate: round(config[names.intermediate] * width / hidden),
    }
    return {**config, **sizes}


def _find_layers(encoder: PreTrainedModel) -> nn.ModuleList:
    inner = encoder.transformer if encoder.config.model_type == "distilbert" else encoder.encoder
    return inner.layer


def _project_embeddings(student: PreTrainedModel, encoder: PreTrainedModel) -> None:
    """Give the student the teacher's embedding tables in fewer dimensions; the norm stays fresh.

    All tables get one and the same linear map, so that their sum does, too. It leaves the mean
    length of the word embeddings as it was.
    """
    ours, theirs = student.embeddings, encoder.embeddings
    words = theirs.word_embeddings.weight
    components = find_components(words, student.config.hidden_size)  # [H, h]
    with torch.no_grad():
        before, after = (t.norm(dim=-1).mean() for t in (words, words @ components))
        mapping = components * (before / after)
        for name in ("word_embeddings", "position_embeddings", "token_type_embeddings"):
            if hasattr(theirs, name):
                getattr(ours, name).weight.copy_(getattr(theirs, name).weight @ mapping)


def find_components(table: Tensor, count: int) -> Tensor:
    """Return the first right singular vectors of a table [V, H], as orthonormal columns [H, count].

    The table is not centred: what all words have in common is kept like the rest. Of every column
    the entry of largest size is positive, which makes the signs a matter of the table alone.
    """
    with torch.no_grad():
        gram = sum(part.double().T @ part.double() for part in table.split(_ROWS_AT_ONCE))
        _, vectors = torch.linalg.eigh(gram)  # eigenvalues ascend
        columns = vectors.flip(dims=(1,))[:, :count]
        largest = columns.gather(0, columns.abs().argmax(dim=0, keepdim=True))  # [1, count]
        return (columns * largest.sign()).to(table.dtype)
