"""The tree held against the definitions of RFC 6962 and against known roots."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.audit.merkle import (
    EMPTY_ROOT,
    Frontier,
    complete_root,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    node_hash,
    root_of,
    verify_consistency,
    verify_inclusion,
)

# Leaves and roots of the reference implementation of Certificate Transparency.
KNOWN_LEAVES = [
    bytes.fromhex(each)
    for each in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
KNOWN_ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]

sizes = st.integers(1, 600)


def leaves(count: int) -> list[bytes]:
    """The hashes of so many leaves, all different."""
    return [leaf_hash(number.to_bytes(4)) for number in range(count)]


def defined_root(hashes: list[bytes]) -> bytes:
    """MTH of RFC 6962, section 2.1, over hashes of leaves."""
    if not hashes:
        return sha256().digest()
    if len(hashes) == 1:
        return hashes[0]
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    return node_hash(defined_root(hashes[:split]), defined_root(hashes[split:]))


def defined_path(index: int, hashes: list[bytes]) -> list[bytes]:
    """PATH of RFC 6962, section 2.1.1."""
    if len(hashes) == 1:
        return []
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    if index < split:
        return [*defined_path(index, hashes[:split]), defined_root(hashes[split:])]
    return [*defined_path(index - split, hashes[split:]), defined_root(hashes[:split])]


def defined_proof(old: int, hashes: list[bytes], *, is_whole: bool = True) -> list[bytes]:
    """SUBPROOF of RFC 6962, section 2.1.2."""
    if old == len(hashes):
        return [] if is_whole else [defined_root(hashes)]
    split = 1
    while split * 2 < len(hashes):
        split *= 2
    if old <= split:
        return [*defined_proof(old, hashes[:split], is_whole=is_whole), defined_root(hashes[split:])]
    return [*defined_proof(old - split, hashes[split:], is_whole=False), defined_root(hashes[:split])]


class Nodes:
    """The roots of complete subtrees over some leaves."""

    def __init__(self, hashes: list[bytes]) -> None:
        self.hashes = hashes

    def __call__(self, level: int, index: int) -> bytes:
        return complete_root(b"".join(self.hashes[index << level : (index + 1) << level]))


@pytest.mark.parametrize("size", range(9))
def test_roots_are_those_of_the_reference_implementation(size: int) -> None:
    hashes = [leaf_hash(data) for data in KNOWN_LEAVES[:size]]
    frontier = Frontier()
    frontier.extend(b"".join(hashes))

    assert frontier.root().hex() == root_of(size, Nodes(hashes)).hex() == KNOWN_ROOTS[size]


def test_the_empty_tree_has_the_hash_of_nothing() -> None:
    assert Frontier().root() == root_of(0, Nodes([])) == EMPTY_ROOT


@given(st.lists(st.integers(0, 700), max_size=5))
def test_a_frontier_has_the_defined_root_however_it_grew(pieces: list[int]) -> None:
    hashes = leaves(sum(pieces))
    frontier, at = Frontier(), 0
    for piece in pieces:
        frontier.extend(b"".join(hashes[at : at + piece]))
        at += piece

    assert (frontier.size, frontier.root()) == (len(hashes), defined_root(hashes))


@given(sizes, st.data())
def test_inclusion_proofs_are_the_defined_ones_and_prove_that_leaf_alone(size: int, data: st.DataObject) -> None:
    hashes = leaves(size)
    index, other = data.draw(st.integers(0, size - 1)), data.draw(st.integers(0, size))
    root, proof = defined_root(hashes), inclusion_proof(index, size, Nodes(hashes))

    assert proof == defined_path(index, hashes)
    assert verify_inclusion(hashes[index], index, size, proof, root)
    assert verify_inclusion(hashes[index], other, size, proof, root) == (other == index)
    assert not verify_inclusion(leaf_hash(b"another"), index, size, proof, root)
    assert not verify_inclusion(hashes[index], index, size, [*proof, root], root)
    assert not proof or not verify_inclusion(hashes[index], index, size, proof[:-1], root)


@given(sizes, st.data())
def test_consistency_proofs_are_the_defined_ones_and_prove_these_roots_alone(size: int, data: st.DataObject) -> None:
    hashes = leaves(size)
    old = data.draw(st.integers(1, size))
    old_root, new_root = defined_root(hashes[:old]), defined_root(hashes)
    proof, wrong = consistency_proof(old, size, Nodes(hashes)), leaf_hash(b"another")

    assert proof == defined_proof(old, hashes)
    assert verify_consistency(old, size, old_root, new_root, proof)
    assert not verify_consistency(old, size, wrong, new_root, proof)
    assert not verify_consistency(old, size, old_root, wrong, proof)
    assert not verify_consistency(old, size, old_root, new_root, [*proof, wrong])
    assert not proof or not verify_consistency(old, size, old_root, new_root, proof[:-1])


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0)])
def test_there_is_no_proof_of_a_leaf_outside_the_tree(index: int, size: int) -> None:
    with pytest.raises(ValueError, match=f"leaf {index}"):
        inclusion_proof(index, size, Nodes(leaves(3)))

    assert not verify_inclusion(leaves(1)[0], index, size, [], leaves(1)[0])


@pytest.mark.parametrize(("old", "new"), [(0, 3), (4, 3)])
def test_there_is_no_proof_that_a_tree_begins_with_none_or_a_larger_one(old: int, new: int) -> None:
    with pytest.raises(ValueError, match=str(old)):
        consistency_proof(old, new, Nodes(leaves(4)))

    assert not verify_consistency(old, new, EMPTY_ROOT, EMPTY_ROOT, [])
