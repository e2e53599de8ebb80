"""Proofs for others, as RFC 9162 names their parts: that an event is in the log, or that a log goes on from an earlier.

Hashes are hexadecimal. Each is checked by itself, without a database.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Annotated, Final, Literal, assert_never

from pydantic import Field, TypeAdapter, ValidationError

from domain.audit.leaf import LeafInvalid, parse_leaf
from domain.audit.merkle import leaf_hash, verify_consistency, verify_inclusion
from domain.audit.tree_head import Base64, TreeHead
from domain.audit.unambiguous_json import read_json
from domain.errors import RoutekeeperError
from domain.message import Message

_Hash = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
_Path = Annotated[tuple[_Hash, ...], Field(max_length=128)]
_Size = Annotated[int, Field(ge=1)]


class ProofInvalid(RoutekeeperError):
    """A file that holds no proof; the message names what is wrong."""


class InclusionProof(Message):
    """The event with these ``leaf`` bytes is number ``leaf_index``, from 0, of ``tree_size`` with this ``root``."""

    format: Literal["routekeeper-proof/1"] = "routekeeper-proof/1"
    kind: Literal["inclusion"] = "inclusion"
    tree_size: _Size
    root: _Hash
    leaf_index: Annotated[int, Field(ge=0)]
    leaf: Base64
    inclusion_path: _Path


class ConsistencyProof(Message):
    """The first ``tree_size_1`` events of a log of ``tree_size_2`` are what they were when it had no others."""

    format: Literal["routekeeper-proof/1"] = "routekeeper-proof/1"
    kind: Literal["consistency"] = "consistency"
    tree_size_1: _Size
    root_1: _Hash
    tree_size_2: _Size
    root_2: _Hash
    consistency_path: _Path


AnyProof = InclusionProof | ConsistencyProof

_PROOF: Final[TypeAdapter[AnyProof]] = TypeAdapter(Annotated[AnyProof, Field(discriminator="kind")])


def read_proof(text: bytes, name: str) -> AnyProof:
    """Read a proof; ``name`` says where from. Raises :class:`ProofInvalid`."""
    try:
        proof = _PROOF.validate_json(text)
        read_json(text)
    except ValidationError as error:
        problem = error.errors()[0]
        raise ProofInvalid(f"{name}: {'.'.join(map(str, problem['loc'])) or 'proof'}: {problem['msg']}") from None
    except ValueError as error:
        raise ProofInvalid(f"{name}: {error}") from None
    return proof


def errors_of(proof: AnyProof, known: Collection[TreeHead] | None) -> Iterator[str]:
    """What is wrong with a proof, in words; its roots must be those of ``known`` heads (``None``: not checked)."""
    match proof:
        case InclusionProof():
            roots = [(proof.tree_size, proof.root)]
            yield from _inclusion_errors(proof)
        case ConsistencyProof():
            roots = [(proof.tree_size_1, proof.root_1), (proof.tree_size_2, proof.root_2)]
            path = _hashes(proof.consistency_path)
            old, new = _hashes([proof.root_1, proof.root_2])
            if not verify_consistency(proof.tree_size_1, proof.tree_size_2, old, new, path):
                sizes = f"{proof.tree_size_1} events to that of {proof.tree_size_2}"
                yield f"the path does not lead from the root of {sizes}"
        case _:
            assert_never(proof)
    if known is not None:
        held = {(head.size, head.root) for head in known}
        unknown = [(size, root) for size, root in roots if (size, root) not in held]
        yield from (f"the root {root} of {size} events is that of no known head" for size, root in unknown)


def _inclusion_errors(proof: InclusionProof) -> Iterator[str]:
    (root,), path = _hashes([proof.root]), _hashes(proof.inclusion_path)
    if not verify_inclusion(leaf_hash(proof.leaf), proof.leaf_index, proof.tree_size, path, root):
        yield f"the path does not lead from this leaf at {proof.leaf_index} to the root {proof.root}"
    try:
        parse_leaf(proof.leaf)
    except LeafInvalid as error:
        yield str(error)


def _hashes(texts: Iterable[str]) -> Sequence[bytes]:
    return [bytes.fromhex(each) for each in texts]
