"""``routekeeper audit prove`` and ``verify-proof``: single proofs of the log's tree, as RFC 9162 has them."""

from pathlib import Path
from typing import Annotated

import typer

from adapters.event_store.tree_store import TreeStore
from domain.audit.bundle import decoded_leaf
from domain.audit.leaf import LeafInvalid, parse_leaf
from domain.audit.merkle import consistency_proof, inclusion_proof, leaf_hash, root_of, verify_inclusion
from domain.audit.proof_file import AnyProof, ConsistencyProof, InclusionProof, ProofInvalid, errors_of, read_proof
from domain.audit.tiles import TiledTree
from service.cli.audit_log_check import heads_in
from service.cli.audit_options import HeadsFile
from service.cli.audit_tree import reading_tree
from service.cli.errors import NotExported
from service.cli.options import Output
from service.cli.output import Answer, OutputFormat, facts, give
from service.settings import load_settings
from service.tree import tree_keeper

#: The most bytes of a file that are read; the largest event takes about one million.
_LARGEST = 16 * 1024 * 1024
_HINT = "run 'routekeeper audit verify'"


def prove(
    *,
    event: Annotated[
        int | None, typer.Option("--event", min=1, metavar="POSITION", help="That this event is in the log.")
    ] = None,
    from_size: Annotated[
        int | None,
        typer.Option("--from-size", min=1, metavar="EVENTS", help="That the log goes on from its first so many."),
    ] = None,
    to_size: Annotated[
        int | None,
        typer.Option("--to-size", min=1, metavar="EVENTS", help="In the log of so many events, not the last head's."),
    ] = None,
) -> None:
    """Print a proof as JSON: of the inclusion of one event, or of consistency between two sizes of the log.

    'audit verify-proof' checks it without a database, and so does whatever knows RFC 9162.
    """
    if (event is None) == (from_size is None):
        raise typer.BadParameter("give either --event or --from-size", param_hint="--event")
    settings = load_settings()
    with reading_tree(settings) as store:
        tree = _tree(store, to_size, tree_keeper(settings, store).end().size)
        proof = _inclusion(store, tree, event) if event is not None else _consistency(store, tree, from_size or 1)
    typer.echo(proof.model_dump_json())


def verify_proof(
    file: Annotated[Path, typer.Argument(metavar="FILE", dir_okay=False, help="The proof.")],
    *,
    heads: HeadsFile = None,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Check a proof of 'audit prove'; exit code 1 if it proves nothing.

    Needs no database. Whether its roots are to be trusted is told by --heads.
    """
    try:
        with file.open("rb") as opened:
            proof = read_proof(opened.read(_LARGEST), str(file))
    except OSError as error:
        raise ProofInvalid(f"{file} cannot be read: {error.strerror}") from None
    errors = list(errors_of(proof, None if heads is None else heads_in(heads)))
    said = [("Proven", "nothing"), *(("Error", each) for each in errors)] if errors else [("Proven", _in_words(proof))]
    remark = "" if heads else "The roots were taken as they are: give --heads to check them."
    data = {"ok": not errors, "proof": proof, "errors": errors}
    give(Answer(data, lambda _: facts(said), remark), output)
    if errors:
        raise typer.Exit(1)


def _tree(store: TreeStore, size: int | None, most: int) -> TiledTree:
    head = store.last_head()
    wanted = size or (head.size if head else most)
    if not 0 < wanted <= most:
        raise NotExported(f"there is no tree of {wanted} events: the stored one has {most}")
    return TiledTree(wanted, store.tile)


def _root(store: TreeStore, tree: TiledTree, size: int) -> bytes:
    """The root, which is not another one than that of a stored head of this size."""
    root = root_of(size, tree.node)
    for head in store.heads(after=size - 1, limit=1):
        if head.size == size and head.root_bytes != root:
            raise NotExported(f"the stored tree of {size} events is not as the stored head has it: {_HINT}")
    return root


def _inclusion(store: TreeStore, tree: TiledTree, position: int) -> InclusionProof:
    index = tree.index_of(position)
    if index is None:
        raise NotExported(f"no event at position {position} is among the first {tree.size} events")
    row = next((row for row in store.rows(after=position - 1, limit=1) if row.position == position), None)
    root, path = _root(store, tree, tree.size), inclusion_proof(index, tree.size, tree.node)
    if row is None or not verify_inclusion(leaf_hash(row.data), index, tree.size, path, root):
        raise NotExported(f"the event at position {position} is not what it was: {_HINT}")
    hashes = tuple(each.hex() for each in path)
    return InclusionProof(tree_size=tree.size, root=root.hex(), leaf_index=index, leaf=row.data, inclusion_path=hashes)


def _consistency(store: TreeStore, tree: TiledTree, size: int) -> ConsistencyProof:
    if size > tree.size:
        raise NotExported(f"--from-size {size} is more than the {tree.size} events of --to-size or of the last head")
    return ConsistencyProof(
        tree_size_1=size,
        root_1=_root(store, tree, size).hex(),
        tree_size_2=tree.size,
        root_2=_root(store, tree, tree.size).hex(),
        consistency_path=tuple(each.hex() for each in consistency_proof(size, tree.size, tree.node)),
    )


def _in_words(proof: AnyProof) -> str:
    if isinstance(proof, ConsistencyProof):
        return f"the first {proof.tree_size_1} of {proof.tree_size_2} events are what they were when they were all"
    leaf = parse_leaf(proof.leaf)
    try:
        state = decoded_leaf(leaf)["state"]
    except LeafInvalid as error:
        state = str(error)
    event = f"event {leaf.stream_id}:{leaf.version} at position {leaf.position}, {leaf.topic}"
    return f"{event}, is number {proof.leaf_index + 1} of {proof.tree_size} events: {state}"
